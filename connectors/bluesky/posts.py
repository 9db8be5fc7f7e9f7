"""Records and views of the AT Protocol as posts. Pure.

A record is what an account signed (`app.bsky.feed.post`, `app.bsky.feed.repost`); a view is a record as an AppView
shows it, with addresses for its pictures and the text of what it quotes. Source: the lexicons of app.bsky and
com.atproto.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from connectors.addresses.bluesky import NOT_HANDLES
from connectors.base import SchemaDrift
from connectors.markup import unique
from connectors.payload import inner, moment, parts, string
from monitor.model import Json, Media, MediaKind, Post, PostKind, Profile

POST, REPOST, PROFILE = "app.bsky.feed.post", "app.bsky.feed.repost", "app.bsky.actor.profile"
SORTED = "234567abcdefghijklmnopqrstuvwxyz"  # base32 whose letters sort like numbers
FIRST_TID = datetime(2022, 1, 1, tzinfo=UTC)  # before the network: a key that only looks like a time
WITHHELD = frozenset({"!hide", "!takedown", "!suspend"})  # labels with which no reader is shown the post
ADDRESS = r"at://([^/\s]+)/([A-Za-z0-9.-]+)/([A-Za-z0-9._:~-]{1,512})"
_PICTURES = frozenset({"images", "items"})  # app.bsky.embed.images, and app.bsky.embed.gallery (2026)
SITE = "https://bsky.app/profile"
CHANGED = "the AT Protocol's answer has changed"


# ---------------------------------------------------------------- names


def parts_of(uri: object) -> tuple[str, str, str]:
    """Return repository, collection and key of `at://did/collection/key`. Raises SchemaDrift."""
    found = re.fullmatch(ADDRESS, uri if isinstance(uri, str) else "")
    if found is None:
        raise SchemaDrift(f"bluesky: a record's address is no at:// address; {CHANGED}")
    return found[1], found[2], found[3]


def collection_of(native_id: str) -> str:
    """Return what kind of record a post's id names; empty for a repost that an older server gave no address."""
    found = re.fullmatch(ADDRESS, native_id)
    return found[2] if found else ""


def time_of_key(key: str) -> datetime | None:
    """Return when a record was made by its key, which is a count of microseconds (TID); None for any other key."""
    if not re.fullmatch(r"[2-7a-j][2-7a-z]{12}", key):
        return None
    number = 0
    for letter in key:
        number = number * 32 + SORTED.index(letter)
    try:
        made = datetime.fromtimestamp((number >> 10) / 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return made if made >= FIRST_TID else None


def address(uri: str, *, handle: str = "") -> str:
    """Return where a person opens a post."""
    repository, _, key = parts_of(uri)
    name = handle if handle and handle not in NOT_HANDLES else repository
    return f"{SITE}/{name}/post/{key}"


def made(record: Json, *, known: datetime | None) -> datetime:
    """Return when a record was made: what it says itself, but not after the network knew it. Raises SchemaDrift."""
    times = [at for at in (moment(record.get("createdAt")), known) if at is not None]
    if not times:
        raise SchemaDrift(f"bluesky: a record without a time; {CHANGED}")
    return min(times)


# ---------------------------------------------------------------- an AppView's views


def parse_view(view: Json) -> Post:
    """Map a post as an AppView shows it. Raises SchemaDrift without uri, cid, author or record."""
    uri, record, author = view.get("uri"), view.get("record"), view.get("author")
    if not string(view, "cid") or not isinstance(record, Mapping) or not isinstance(author, Mapping):
        raise SchemaDrift(f"bluesky: a post without cid, author or record; {CHANGED}")
    embed = inner(view, "embed")
    post = _post(
        str(uri), record, embed, known=moment(view.get("indexedAt")), handle=string(author, "handle"), raw=view
    )
    quoted = quoted_in(embed)
    lacks = quoted is not None and not string(inner(quoted, "value"), "text")
    return replace(post, own={"cid": view["cid"]}) if lacks else post  # the cid tells its versions apart


def parse_repost(item: Json, reason: Json) -> Post:
    """Map a repost: the reposted post's words under the repost's own id and time. Raises SchemaDrift."""
    shown, at = parse_view(inner(item, "post")), moment(reason.get("indexedAt"))
    by = string(inner(reason, "by"), "did")
    if at is None or not by:
        raise SchemaDrift(f"bluesky: a repost without its time or author; {CHANGED}")
    return reposted(shown, native_id=string(reason, "uri") or f"repost:{by}:{shown.native_id}", at=at, raw=item)


def reposted(shown: Post, *, native_id: str, at: datetime, raw: Json) -> Post:
    own = None if shown.own is None else {"cid": shown.raw["cid"]}
    return replace(shown, native_id=native_id, published_at=at, kind=PostKind.REPOST, raw=raw, own=own)


def is_withheld(view: Json) -> bool:
    """Say whether a label keeps a post from every reader."""
    return any(one.get("val") in WITHHELD and one.get("neg") is not True for one in parts(view, "labels"))


def parse_profile_view(view: Json) -> Profile:
    """Map a profile as an AppView shows it. Raises SchemaDrift without DID or handle."""
    if not string(view, "did") or not string(view, "handle"):
        raise SchemaDrift(f"bluesky: a profile without did or handle; {CHANGED}")
    return Profile(
        native_id=string(view, "did"),
        name=string(view, "displayName"),
        handle=string(view, "handle"),
        bio=string(view, "description"),
        picture_url=string(view, "avatar"),
    )


# ---------------------------------------------------------------- a repository's records


def parse_record(item: Json, *, blobs: str, handle: str = "") -> Post:
    """Map a post or repost as its repository holds it. `blobs` is where the server gives files out. Raises SchemaDrift.

    What a repost or a quotation refers to is named by its address only: its words stand in another repository.
    """
    uri, record = item.get("uri"), item.get("value")
    repository, collection, key = parts_of(uri)
    if not string(item, "cid") or not isinstance(record, Mapping):
        raise SchemaDrift(f"bluesky: a record without cid or value; {CHANGED}")
    if collection == REPOST:
        return _bare_repost(str(uri), record, key, item)
    embed = _viewed(inner(record, "embed"), f"{blobs}?{urlencode({'did': repository})}")
    return _post(str(uri), record, embed, known=_known(record, key), handle=handle, raw=item)


def listed_at(item: Json) -> datetime:
    """Return the time by which a repository lists a record: that of its key, else the record's word."""
    key, record = parts_of(item.get("uri"))[2], inner(item, "value")
    return time_of_key(key) or made(record, known=_known(record, key))


def _known(record: Json, key: str) -> datetime | None:
    """Return the time of a record's key. A record that tells no time at all (a PDS takes any) must not hide others."""
    return time_of_key(key) or (None if moment(record.get("createdAt")) else FIRST_TID)


def parse_profile_record(did: str, handle: str, record: Json, *, blobs: str) -> Profile:
    return Profile(
        native_id=did,
        name=string(record, "displayName"),
        handle=handle,
        bio=string(record, "description"),
        picture_url=_blob(record.get("avatar"), f"{blobs}?{urlencode({'did': did})}"),
    )


def _bare_repost(uri: str, record: Json, key: str, item: Json) -> Post:
    subject = string(inner(record, "subject"), "uri")
    link = address(subject) if subject else ""
    return Post(
        native_id=uri,
        url=link,
        published_at=made(record, known=_known(record, key)),
        text="",
        kind=PostKind.REPOST,
        links=(link,) if link else (),
        raw=item,
    )


def _viewed(embed: Json, blobs: str) -> Json:
    """Return a record's embed in the shape of an AppView's, with addresses of the server's own for its files."""
    kind, media = string(embed, "$type"), inner(embed, "media")
    if kind == "app.bsky.embed.recordWithMedia":
        return {"$type": f"{kind}#view", "record": inner(embed, "record"), "media": _viewed(media, blobs)}
    found: dict[str, Any] = {**embed, "$type": f"{kind}#view"}
    for several in _PICTURES & embed.keys():
        shown = parts(embed, several)
        found[several] = [{**one, "fullsize": _blob(one.get("image"), blobs)} for one in shown]
    if "video" in embed:
        found["playlist"] = _blob(embed.get("video"), blobs)
    if external := inner(embed, "external"):
        found["external"] = {**external, "thumb": _blob(external.get("thumb"), blobs)}
    return found


def _blob(blob: object, blobs: str) -> str:
    """Return the address of a file; records of before 2023 name it by `cid` alone."""
    given = blob if isinstance(blob, Mapping) else {}
    cid = string(inner(given, "ref"), "$link") or string(given, "cid")
    return f"{blobs}&cid={cid}" if re.fullmatch(r"[A-Za-z0-9]{1,128}", cid) else ""


# ---------------------------------------------------------------- a post, whoever shows it


def _post(uri: str, record: Json, embed: Json, *, known: datetime | None, handle: str, raw: Json) -> Post:
    parts_of(uri)
    return Post(
        native_id=uri,
        url=address(uri, handle=handle),
        published_at=made(record, known=known),
        text=_text(record, embed),
        kind=_kind(record, embed),
        language=_language(record),
        media=unique(_media(embed)),
        links=unique([*_facet_links(record), *_embed_links(embed)]),
        raw=raw,
    )


def _kind(record: Json, embed: Json) -> PostKind:
    if quoted_in(embed) is not None:
        return PostKind.QUOTE
    return PostKind.REPLY if inner(record, "reply") else PostKind.ORIGINAL


def _language(record: Json) -> str:
    langs = record.get("langs")
    first = langs[0] if isinstance(langs, list) and langs and isinstance(langs[0], str) else ""
    return first.partition("-")[0].lower()[:3]


def _text(record: Json, embed: Json) -> str:
    """Return what a reader sees: the post's words, the card of its link, and what it quotes."""
    quoted = string(inner(quoted_in(embed) or {}, "value"), "text")
    return "\n\n".join(filter(None, [string(record, "text"), *_card(_attached(embed)), quoted]))


def _card(embed: Json) -> Iterator[str]:
    external = inner(embed, "external")
    yield from unique(filter(None, (string(external, key) for key in ("title", "description"))))


def _attached(embed: Json) -> Json:
    """Return the pictures, video or link of an embed, also of one that quotes besides."""
    return inner(embed, "media") if string(embed, "$type").startswith("app.bsky.embed.recordWithMedia") else embed


def quoted_in(embed: Json) -> Json | None:
    """Return the post that an embed quotes, None without one. Feeds, lists and starter packs are no quotations."""
    kind, record = string(embed, "$type"), inner(embed, "record")
    if kind.startswith("app.bsky.embed.recordWithMedia"):
        record = inner(record, "record") or record
    elif not kind.startswith("app.bsky.embed.record"):
        return None
    return record if f"/{POST}/" in string(record, "uri") else None


def _facet_links(record: Json) -> Iterator[str]:
    """Yield the whole addresses behind the words: what a reader sees of them may be cut short, or another."""
    for facet in parts(record, "facets"):
        for feature in parts(facet, "features"):
            if string(feature, "uri").startswith(("http://", "https://")):
                yield string(feature, "uri")


def _embed_links(embed: Json) -> Iterator[str]:
    link = string(inner(_attached(embed), "external"), "uri")
    if link:
        yield link
    quoted = quoted_in(embed)
    if quoted is not None:
        yield address(string(quoted, "uri"))  # by the DID: a handle may change


def _media(embed: Json) -> Iterator[Media]:
    shown = _attached(embed)
    for image in (one for several in sorted(_PICTURES) for one in parts(shown, several)):
        if url := string(image, "fullsize") or string(image, "thumb") or string(image, "thumbnail"):
            yield Media(kind=MediaKind.PICTURE, url=url, text=string(image, "alt"))
    if url := string(shown, "playlist"):
        yield Media(kind=MediaKind.VIDEO, url=url, text=string(shown, "alt"))
    if url := string(inner(shown, "external"), "thumb"):
        yield Media(kind=MediaKind.PICTURE, url=url)
