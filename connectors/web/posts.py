"""Articles, and files that stand in their place, as posts. Pure."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from connectors.markup import media_of
from connectors.web.articles import Article
from connectors.web.reading_list import Wanted, as_time
from monitor.model import Media, MediaKind, Post

PAGE = "page:"
SPOKEN = ("json", "xml", "javascript")  # how content types end that machines say to each other, and nobody reads


def post_of(article: Article, wanted: Wanted, now: datetime, *, sight: datetime | None, is_known: bool) -> Post:
    """Return an article as a post. `sight` is its time at the first look; what is known was changed now."""
    stated = (article.published, as_time(wanted.published), sight, article.modified, as_time(wanted.modified))
    published = next(filter(None, stated), now)
    edited = article.modified if article.modified and article.modified > published else (now if is_known else None)
    return Post(
        native_id=f"{PAGE}{wanted.url}",
        url=wanted.url,
        published_at=published,
        edited_at=edited if edited and edited > published else None,
        text=article.text,
        language=article.language,
        media=article.media,
        links=article.links,
        raw=article.raw,
    )


def file_of(wanted: Wanted, kind: str) -> Article | None:
    """Return an article that is no page but a file; None when it is neither picture, video nor document."""
    found = media_of(wanted.url, kind=kind)
    if found is None or (found.kind is MediaKind.DOCUMENT and kind.endswith(SPOKEN)):
        return None
    name = urlsplit(wanted.url).path.rpartition("/")[2]
    file = Media(kind=found.kind, url=wanted.url, text=name)
    return Article(title=name, text=name, media=(file,), raw={"url": wanted.url, "kind": kind})
