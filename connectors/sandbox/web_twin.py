"""A web site as the sandbox shows it: a list of articles, pages that name a feed and a sitemap, and the articles.

Below `/<handle>/`: `berita` lists the articles in JSON-LD, `suapan` names its feed, `arkib` its sitemap, and `notis` is
one page that says everything itself. Lists have an ETag.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from html import escape

from connectors.sandbox import rss_twin
from connectors.sandbox.reply import Question, Reply
from connectors.sandbox.world import Holder, Published, World
from monitor.model import MediaKind

HTML = "text/html; charset=utf-8"


def answer(world: World, question: Question) -> Reply:
    """Answer one request."""
    steps = [step for step in question.path.split("/") if step]
    holder = world.holder("web", steps[0]) if len(steps) in {2, 3} else None
    if holder is None:
        return _html("<h1>404</h1>", status=404)
    if len(steps) == 3:
        post = world.find("web", steps[2])
        return _html("<h1>404</h1>", status=404) if post is None else _html(_article(post, holder), head=_data(post))
    posts = world.timeline("web", holder.native_id)[: world.page_sizes["web"]]
    return _marked(_section(holder, posts, question, steps[1]), question)


def _section(holder: Holder, posts: list[Published], question: Question, name: str) -> Reply:
    site, names = f"{question.base_url}/{holder.handle}", _names(holder)
    feed = f'<link rel="alternate" type="application/rss+xml" title="Berita" href="{site}/suapan.xml">'
    texts = "".join(f"<p>{escape(post.latest.text)}</p>" for post in posts)
    sections: Mapping[str, Callable[[], Reply]] = {
        "berita": lambda: _html(
            f"<main><h1>Berita</h1>{_links(posts, site)}</main>", head=_listed(posts, site, holder)
        ),
        "suapan": lambda: _html("<main><h1>Utama</h1></main>", head=names + feed),
        "suapan.xml": lambda: _xml(rss_twin.feed(holder, posts, question), "application/rss+xml"),
        "arkib": lambda: _html(
            "<main><h1>Arkib</h1></main>", head=f'{names}<link rel="sitemap" href="{site}/peta.xml">'
        ),
        "peta.xml": lambda: _xml(_sitemap(posts, site), "application/xml"),
        "notis": lambda: _html(f"<main>{texts}</main>", head=names),
    }
    return sections.get(name, lambda: _html("<h1>404</h1>", status=404))()


def _xml(text: str, kind: str) -> Reply:
    return Reply(body=text.encode(), headers={"content-type": f"{kind}; charset=utf-8"})


def _marked(reply: Reply, question: Question) -> Reply:
    etag = f'"{hashlib.sha256(reply.body).hexdigest()[:16]}"'
    if question.headers.get("if-none-match") == etag:
        return Reply(status=304, headers={"etag": etag})
    return Reply(status=reply.status, body=reply.body, headers={**reply.headers, "etag": etag})


def _html(body: str, *, head: str = "", status: int = 200) -> Reply:
    page = f'<!DOCTYPE html><html lang="ms"><head><meta charset="utf-8">{head}</head><body>{body}</body></html>'
    return Reply(status=status, body=page.encode(), headers={"content-type": HTML})


def _names(holder: Holder) -> str:
    return (
        f'<title>{escape(holder.name)}</title><meta name="description" content="{escape(holder.bio)}">'
        f'<link rel="icon" href="{escape(holder.picture_url)}">'
    )


def _script(data: object) -> str:
    text = json.dumps(data).replace("<", "\\u003c")
    return f'<script type="application/ld+json">{text}</script>'


def _listed(posts: list[Published], site: str, holder: Holder) -> str:
    items = [
        {"@type": "ListItem", "position": n + 1, "url": f"{site}/berita/{post.native_id}"}
        for n, post in enumerate(posts)
    ]
    crumbs = {"@type": "BreadcrumbList", "itemListElement": [{"@type": "ListItem", "item": site}]}
    lists = {"@type": "ItemList", "itemListElement": items}
    return _names(holder) + _script({"@context": "https://schema.org", "@graph": [crumbs, lists]})


def _links(posts: list[Published], site: str) -> str:
    if not posts:
        return "<p>Tiada berita buat masa ini.</p>"
    titles = ((f"{site}/berita/{post.native_id}", _title(post)) for post in posts)
    return "".join(f'<h2><a href="{escape(url)}">{escape(title)}</a></h2>' for url, title in titles)


def _title(post: Published) -> str:
    return post.latest.text.partition("\n")[0][:80]


def _data(post: Published) -> str:
    data = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": _title(post),
        "datePublished": post.at.isoformat(),
        "dateModified": post.latest.at.isoformat(),
    }
    return f"<title>{escape(_title(post))}</title>{_script(data)}"


def _article(post: Published, holder: Holder) -> str:
    links = "".join(f'<p><a href="{escape(link)}">{escape(link)}</a></p>' for link in post.links)
    files = "".join(
        f'<img src="{escape(one.url)}" alt="{escape(one.text)}">'
        if one.kind is MediaKind.PICTURE
        else f'<p><a href="{escape(one.url)}">{escape(one.text or "fail")}</a></p>'
        for one in post.media
    )
    body = escape(post.latest.text).replace("\n", "<br>")
    return (
        f"<header><nav><a href='/'>{escape(holder.name)}</a></nav></header>"
        f"<article><h1>{escape(_title(post))}</h1><p>{body}</p>{links}{files}"
        f"<p>Hits: {len(post.versions) * 7}</p></article>"
        "<footer>Hak cipta terpelihara</footer>"
    )


def _sitemap(posts: list[Published], site: str) -> str:
    pages = "".join(
        f"<url><loc>{escape(site)}/arkib/{escape(post.native_id)}</loc>"
        f"<lastmod>{post.latest.at.isoformat()}</lastmod></url>"
        for post in posts
    )
    return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{pages}</urlset>'
