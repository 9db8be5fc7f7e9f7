"""Payloads of LinkedIn's API as posts and profiles, and how its listings go on. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from connectors.base import SchemaDrift
from connectors.linkedin.text import plain
from connectors.links import links_in
from connectors.markup import joined, unique
from connectors.payload import inner, number, objects, parts, string
from monitor.model import Json, Media, MediaKind, Post, PostKind, Profile

PAGE_SIZE = 100
HARDLY_EDITED = timedelta(minutes=1)  # LinkedIn itself touches a post right after it was made
ORGANISATION = "urn:li:organization:"
CHANGED = "LinkedIn's API has changed, see connectors.linkedin.version"
OWN = ("id", "commentary", "content", "contentLandingPage")  # what tells versions apart where a part was not readable


def elements_of(payload: Json, *, what: str) -> list[Json]:
    """Return the elements of a finder's answer. Raises SchemaDrift."""
    elements = objects(payload.get("elements"))
    if elements is None:
        raise SchemaDrift(f"{what}: an answer has no list (elements); {CHANGED}")
    return elements


def next_start(payload: Json, start: int) -> int | None:
    """Return where the next page begins; None at the end.

    LinkedIn links to the next page; a server without links goes on while pages are full, or its total is not reached.
    """
    paging = inner(payload, "paging")
    shown = parts(payload, "elements")
    length = len({string(item, "id") for item in shown})  # what is shown twice counts once
    links = paging.get("links")
    if isinstance(links, list) and links:
        following = next((one for one in links if isinstance(one, Mapping) and one.get("rel") == "next"), None)
        return _start_in(string(following, "href"), start + max(length, 1)) if following is not None else None
    total, count = number(paging.get("total")), number(paging.get("count"))
    more = start + length < total if total else not isinstance(links, list) and len(shown) >= (count or PAGE_SIZE)
    return start + length if more and length else None


def _start_in(href: str, otherwise: int) -> int:
    try:
        told = parse_qs(urlsplit(href).query).get("start", [""])[0]
    except ValueError:
        told = ""
    return int(told) if re.fullmatch(r"\d{1,9}", told) else otherwise


def is_published(item: Json) -> bool:
    """Say whether a post is out: drafts, and what was taken back, are not."""
    return item.get("lifecycleState") in (None, "PUBLISHED")


def changed_at(item: Json) -> datetime:
    """Return when a post was last changed, which is what the listing goes by."""
    return _moment(item, "lastModifiedAt", "publishedAt", "createdAt")


def parse_post(item: Json, *, parent: Json | None = None, files: Mapping[str, Json] | None = None) -> Post:
    """Return one post with what it passes on (`parent`) and the addresses of its `files`. Raises SchemaDrift."""
    native_id = string(item, "id")
    if not native_id:
        raise SchemaDrift(f"linkedin: a post has no id; {CHANGED}")
    url = f"https://www.linkedin.com/feed/update/{native_id}/"
    shown, known = [item, *([parent] if parent else [])], files or {}
    published_at = _moment(item, "publishedAt", "firstPublishedAt", "createdAt")
    return Post(
        native_id=native_id,
        url=url,
        published_at=published_at,
        text=joined(words for part in shown for words in _words(part)),
        kind=_kind(item),
        edited_at=_edited_at(item, published_at),
        media=unique(media for part in shown for media in _media(part, known, page=url)),
        links=unique(link for part in shown for link in _links(part)),
        raw=dict(item),
        own={key: item[key] for key in OWN if key in item} if _lacks(item, parent, known) else None,
    )


def parse_profile(item: Json) -> Profile:
    """Return what a page says of itself. A picture is known by its urn. Raises SchemaDrift."""
    vanity = string(item, "vanityName")
    name = string(item, "localizedName") or vanity
    urn = string(item, "$URN")
    native_id = (
        urn if urn and not urn.startswith(ORGANISATION) else str(item.get("id") or "").removeprefix(ORGANISATION)
    )
    if not native_id or not name:
        raise SchemaDrift(f"linkedin: a page has no id or no name; {CHANGED}")
    logo = inner(item, "logoV2")
    return Profile(
        native_id=native_id,
        name=name,
        handle=vanity or native_id,
        bio=string(item, "localizedDescription"),
        picture_url=string(logo, "original") or string(logo, "cropped"),
    )


def file_urns(item: Json) -> tuple[str, ...]:
    """Return the urns of a post's pictures, films and documents."""
    return unique(urn for urn, _ in _attached(item))


def _moment(item: Json, *keys: str) -> datetime:
    """Return the first of the times, which are in milliseconds since 1970. Raises SchemaDrift without any."""
    for key in keys:
        if re.fullmatch(r"\d{12,14}", str(item.get(key))):
            return datetime.fromtimestamp(int(str(item[key])) / 1000, UTC)
    raise SchemaDrift(f"linkedin: post {string(item, 'id')[:64]}: {keys[0]} is no time in milliseconds; {CHANGED}")


def _edited_at(item: Json, published_at: datetime) -> datetime | None:
    changed, told = changed_at(item), inner(item, "lifecycleStateInfo").get("isEditedByAuthor")
    is_edited = told if isinstance(told, bool) else changed - published_at > HARDLY_EDITED
    return changed if is_edited and changed > published_at else None


def _kind(item: Json) -> PostKind:
    if not parent_urn(item):
        return PostKind.ORIGINAL
    return PostKind.QUOTE if string(item, "commentary").strip() else PostKind.REPOST


def parent_urn(item: Json) -> str:
    context = inner(item, "reshareContext")
    return string(context, "parent") or string(context, "root")


def _words(item: Json) -> Iterator[str]:
    """Yield everything that stands in a post as text: its own, an article's, a poll's, the cards' of a carousel."""
    yield plain(string(item, "commentary"))
    content = inner(item, "content")
    for part in (inner(content, "article"), inner(content, "media"), inner(content, "celebration")):
        yield from (string(part, key) for key in ("title", "text", "description"))
    poll = inner(content, "poll")
    yield "\n".join(filter(None, [string(poll, "question"), *(string(o, "text") for o in parts(poll, "options"))]))
    for card in parts(content, "carousel", "cards"):
        yield string(inner(card, "media"), "title")


def _links(item: Json) -> Iterator[str]:
    yield from links_in(plain(string(item, "commentary")))
    content = inner(item, "content")
    cards = parts(content, "carousel", "cards")
    told = [string(inner(content, "article"), "source"), *(string(card, "landingPage") for card in cards)]
    yield from filter(None, [*told, string(item, "contentLandingPage")])


def _attached(item: Json) -> Iterator[tuple[str, str]]:
    """Yield each file's urn with the words that describe it."""
    content = inner(item, "content")
    article = inner(content, "article")
    found = [(string(article, "thumbnail"), string(article, "thumbnailAltText"))]
    shown = [inner(content, "media"), *parts(content, "multiImage", "images"), inner(content, "celebration")]
    shown += [inner(card, "media") for card in parts(content, "carousel", "cards")]
    found += [(string(part, "id"), string(part, "altText") or string(part, "title")) for part in shown]
    yield from ((urn, words) for urn, words in found if re.match(r"urn:li:(image|video|document):", urn))


def _media(item: Json, files: Mapping[str, Json], *, page: str) -> Iterator[Media]:
    """Yield the files whose address is known; a film without one is named by the post's page."""
    for urn, words in _attached(item):
        file = files.get(urn, {})
        address, kind = string(file, "downloadUrl"), urn.split(":")[2]
        if kind == "image" and address:
            yield Media(kind=MediaKind.PICTURE, url=address, text=words)
        elif kind == "document" and address:
            yield Media(kind=MediaKind.DOCUMENT, url=address, text=words)
        elif kind == "video":
            if thumbnail := string(file, "thumbnail"):
                yield Media(kind=MediaKind.PICTURE, url=thumbnail, text=words)
            yield Media(kind=MediaKind.VIDEO, url=address or page, text=words)


def _lacks(item: Json, parent: Json | None, files: Mapping[str, Json]) -> bool:
    """Say whether something that belongs to what a reader sees could not be read."""
    urns = [*file_urns(item), *(file_urns(parent) if parent else ())]
    return (bool(parent_urn(item)) and not parent) or any(not string(files.get(urn, {}), "downloadUrl") for urn in urns)


def status_of(payload: Json, urn: str) -> int:
    """Return why an answer for many left one out; 0 when it does not say."""
    told = number(inner(payload, "statuses").get(urn)) or number(inner(payload, "errors", urn).get("status"))
    return told or 0
