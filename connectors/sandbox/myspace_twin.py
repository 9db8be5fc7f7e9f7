"""MySpace as the sandbox shows it: a profile page with its landmarks, and the activities of its old API in Atom."""

from __future__ import annotations

import json
from html import escape

from connectors.sandbox.reply import Question, Reply
from connectors.sandbox.world import Holder, Published, World
from monitor.model import MediaKind

HTML = "text/html; charset=utf-8"
SHELL = "<!DOCTYPE html><html><head><title>Myspace</title></head><body><p>Something went wrong.</p></body></html>"
SCHEMA = "http://activitystrea.ms/schema/1.0"


def answer(world: World, question: Question) -> Reply:
    """Answer one request: `/handle` is the page, `/handle/activities.atom` the activities."""
    name, _, rest = question.path.strip("/").partition("/")
    holder = world.holder("myspace", name)
    if holder is None or rest not in {"", "activities.atom"}:
        return Reply(status=404, body=SHELL.encode(), headers={"content-type": HTML})
    if holder.abandoned:
        return Reply(body=SHELL.encode(), headers={"content-type": HTML})
    posts = world.timeline("myspace", holder.native_id)[: world.page_sizes["myspace"]]
    if rest:
        kind = "application/atom+xml; charset=utf-8"
        return Reply(body=_atom(holder, posts, question).encode(), headers={"content-type": kind})
    return Reply(body=_page(holder, posts, question).encode(), headers={"content-type": HTML})


def _page(holder: Holder, posts: list[Published], question: Question) -> str:
    address = f"{question.base_url}/{holder.handle}"
    context = json.dumps({"profile": {"id": int(holder.native_id), "username": holder.handle}}).replace("<", "\\u003c")
    items = "".join(_item(post, address) for post in posts)
    return (
        "<!DOCTYPE html><html><head>"
        f"<title>{escape(holder.name)} | Myspace</title>"
        f'<meta property="og:type" content="profile"><meta property="og:title" content="{escape(holder.name)}">'
        f'<meta property="og:url" content="{escape(address)}">'
        f'<meta property="og:description" content="{escape(holder.bio)}">'
        f'<meta property="og:image" content="{escape(holder.picture_url)}">'
        f"<script>var context = {context};</script></head>"
        f'<body><div id="profile" data-entity-key="profile_{holder.native_id}">'
        f'<h1>{escape(holder.name)}</h1><ul class="stream">{items}</ul></div></body></html>'
    )


def _item(post: Published, address: str) -> str:
    links = "".join(f' <a href="{escape(link)}">{escape(link)}</a>' for link in post.links)
    pictures = "".join(
        f'<img src="{escape(one.url)}" alt="{escape(one.text)}">' for one in post.media if one.kind is MediaKind.PICTURE
    )
    text = escape(post.latest.text).replace("\n", "<br>")
    return (
        f'<li class="status" data-entity-key="status_{escape(post.native_id)}">'
        f'<p class="body">{text}{links}</p>{pictures}'
        f'<a class="permalink" href="{escape(address)}/status/{escape(post.native_id)}">'
        f'<time datetime="{post.at.isoformat()}">{post.at:%d %b %Y}</time></a></li>'
    )


def _atom(holder: Holder, posts: list[Published], question: Question) -> str:
    address = f"{question.base_url}/{holder.handle}"
    entries = "".join(_entry(post, holder, address) for post in posts)
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:activity="http://activitystrea.ms/spec/1.0/">'
        f"<id>tag:myspace.com,2009:/profile/{holder.native_id}</id><title>{escape(holder.name)}</title>"
        f"<subtitle>{escape(holder.bio)}</subtitle><logo>{escape(holder.picture_url)}</logo>"
        f'<link rel="alternate" type="text/html" href="{escape(address)}"/>{entries}</feed>'
    )


def _entry(post: Published, holder: Holder, address: str) -> str:
    links = "".join(f'<link rel="related" href="{escape(link)}"/>' for link in post.links)
    files = "".join(f'<link rel="enclosure" type="image/png" href="{escape(one.url)}"/>' for one in post.media)
    return (
        f"<entry><id>tag:myspace.com,2009:/activity/{escape(post.native_id)}</id>"
        f"<title>{escape(holder.name)} updated their status</title>"
        f"<published>{post.at.isoformat()}</published><updated>{post.latest.at.isoformat()}</updated>"
        f'<link rel="alternate" type="text/html" href="{escape(address)}/status/{escape(post.native_id)}"/>'
        f"<activity:verb>{SCHEMA}/post</activity:verb><activity:object>"
        f"<activity:object-type>{SCHEMA}/status</activity:object-type>"
        f"<id>tag:myspace.com,2009:/status/{escape(post.native_id)}</id>"
        f'<content type="text">{escape(post.latest.text)}</content>{links}{files}</activity:object></entry>'
    )
