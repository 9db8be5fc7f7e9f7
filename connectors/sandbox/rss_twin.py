"""A web site's feed as the sandbox serves it: RSS 2.0 with an ETag, and 304 when nothing has changed."""

from __future__ import annotations

import hashlib
from email.utils import format_datetime
from html import escape

from connectors.sandbox.reply import Question, Reply
from connectors.sandbox.world import Holder, Published, World
from monitor.model import Media, MediaKind

TYPES = {MediaKind.PICTURE: "image/png", MediaKind.VIDEO: "video/mp4", MediaKind.DOCUMENT: "application/pdf"}


def answer(world: World, question: Question) -> Reply:
    """Answer one request: `/<handle>.xml` is the account's feed."""
    holder = world.holder("rss", question.path.strip("/").removesuffix(".xml"))
    if holder is None:
        page = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
        return Reply(status=404, body=page, headers={"content-type": "text/html"})
    posts = world.timeline("rss", holder.native_id)[: world.page_sizes["rss"]]
    body = feed(holder, posts, question).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    if question.headers.get("if-none-match") == etag:
        return Reply(status=304, headers={"etag": etag})
    return Reply(body=body, headers={"content-type": "application/rss+xml; charset=utf-8", "etag": etag})


def feed(holder: Holder, posts: list[Published], question: Question) -> str:
    items = "".join(_item(post, question) for post in posts)
    picture = f"<image><url>{escape(holder.picture_url)}</url></image>" if holder.picture_url else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>'
        f"<title>{escape(holder.name)}</title><link>{escape(question.base_url)}</link>"
        f"<description>{escape(holder.bio)}</description>{picture}{items}</channel></rss>"
    )


def _item(post: Published, question: Question) -> str:
    text = post.latest.text
    links = "".join(f'<p><a href="{escape(link)}">{escape(link)}</a></p>' for link in post.links)
    body = escape(text).replace("\n", "<br>")
    files = "".join(_enclosure(one) for one in post.media)
    title = escape(text.splitlines()[0][:80] if text else "")  # titles are HTML in the wild, and readers take them so
    return (
        f"<item><title>{escape(title)}</title>"
        f"<link>{escape(question.base_url)}/{escape(post.native_id)}</link>"
        f'<guid isPermaLink="false">{escape(post.native_id)}</guid>'
        f"<pubDate>{format_datetime(post.at)}</pubDate>"
        f"<description>{escape(f'<p>{body}</p>{links}')}</description>{files}</item>"
    )


def _enclosure(media: Media) -> str:
    return f'<enclosure url="{escape(media.url)}" type="{TYPES[media.kind]}" length="1"/>'
