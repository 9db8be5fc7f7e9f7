"""Statuses and accounts of Mastodon's API as posts and profiles. Pure.

What many kinds of servers send is read leniently where it is only an ornament, and strictly where it is a landmark (id,
time, content). Source: docs.joinmastodon.org, entities Status, Account, MediaAttachment, Poll, PreviewCard, Quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from connectors.base import SchemaDrift
from connectors.markup import Reading, media_of, read_html, unique
from connectors.payload import inner, moment, parts, string
from monitor.model import Json, Media, MediaKind, Post, PostKind, Profile

CHANGED = "the server's API is not Mastodon's, or has changed"
# Links to people and topics, which are words and no addresses to a reader; some servers mark topics by `rel` alone.
NAMES = re.compile(
    r"<a\b[^<>]{0,2000}?\b"
    r"(?:class=[\"'][^\"'<>]{0,200}\b(?:mention|hashtag)\b[^<>]{0,2000}>"
    r"|rel=[\"'](?:[^\"'<>]{0,200}\s)?tag\b[^<>]{0,2000}>(?=(?:<[^<>]{0,200}>)?#))",
    re.IGNORECASE,
)
# Mastodon 4.5 repeats the address of what is quoted for servers that show no quotations.
QUOTE_INLINE = re.compile(r"<p class=\"quote-inline\">[^<]*(?:<(?!/?p\b)[^<]*)*</p>")
KINDS: Mapping[str, MediaKind] = {
    "image": MediaKind.PICTURE,
    "gifv": MediaKind.VIDEO,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.VIDEO,
}


def identified(item: object, what: str) -> str:
    """Return an entity's id: a string that fits into an address, of some servers a number. Raises SchemaDrift."""
    found = item.get("id") if isinstance(item, Mapping) else None
    is_one = isinstance(found, str | int) and not isinstance(found, bool)
    if is_one and re.fullmatch(r"[!-~]{1,500}", str(found)):
        return str(found)
    raise SchemaDrift(f"mastodon: {what} without an id; {CHANGED}")


def parse_status(status: Json) -> Post:
    """Map a status. Raises SchemaDrift without id, time or content."""
    native_id = identified(status, "a status")
    published_at = moment(status.get("created_at"))
    reblog = inner(status, "reblog")
    shown = reblog or status
    if published_at is None or not isinstance(shown.get("content"), str):
        raise SchemaDrift(f"mastodon: a status without a time or content; {CHANGED}")
    reading, quoted = read_content(shown), _quoted(shown)
    edited_at = moment(shown.get("edited_at"))
    return Post(
        native_id=native_id,
        url=string(shown, "url") or string(shown, "uri"),
        published_at=published_at,
        edited_at=edited_at if edited_at and edited_at > published_at else None,
        text="\n\n".join(
            filter(None, [*_parts(shown, reading), *(_parts(quoted, read_content(quoted)) if quoted else ())])
        ),
        kind=_kind(status, quoted),
        language=string(shown, "language").partition("-")[0].lower()[:3],
        media=unique(_media(shown)),
        links=unique([*reading.links, *_quoted_links(shown), *filter(None, [string(inner(shown, "card"), "url")])]),
        raw=status,
        own=None if reblog else _own(shown, reading, quoted),
    )


def read_content(status: Json) -> Reading:
    """Return a status's words and links; content is HTML, and of some servers plain text."""
    content = QUOTE_INLINE.sub("", string(status, "content"))
    return read_html(NAMES.sub("<span>", content), base=string(status, "url"))


def _quoted_links(status: Json) -> tuple[str, ...]:
    """Return the address of what is quoted, which stands beside the words."""
    return read_html("".join(QUOTE_INLINE.findall(string(status, "content"))), base=string(status, "url")).links


def _parts(status: Json, reading: Reading) -> Iterator[str]:
    """Yield what a reader sees: the warning, the words, the choices of a poll, the card of a link."""
    yield string(status, "spoiler_text")
    yield reading.text
    yield "\n".join(string(option, "title") for option in parts(status, "poll", "options"))
    card = inner(status, "card")
    yield "\n".join(unique(filter(None, (string(card, "title"), string(card, "description")))))


def _kind(status: Json, quoted: Json | None) -> PostKind:
    if inner(status, "reblog"):
        return PostKind.REPOST
    if quoted is not None or inner(status, "quote"):
        return PostKind.QUOTE
    replies = status.get("in_reply_to_id") or status.get("in_reply_to_account_id")
    return PostKind.REPLY if replies else PostKind.ORIGINAL


def _quoted(status: Json) -> Json | None:
    """Return the quoted status: Mastodon wraps it (`quoted_status`), others send it bare, Pleroma under its name."""
    given = inner(status, "quote") or inner(inner(status, "pleroma"), "quote")
    found = inner(given, "quoted_status") or given
    return found if isinstance(found.get("content"), str) else None


def _own(status: Json, reading: Reading, quoted: Json | None) -> Json | None:
    """Return what tells versions apart where the answer lacks what a server adds later: a link's card, a quotation."""
    lacks_card = bool(reading.links) and not inner(status, "card") and not parts(status, "media_attachments")
    lacks_quote = bool(inner(status, "quote")) and quoted is None
    if not lacks_card and not lacks_quote:
        return None
    return {key: status.get(key) for key in ("content", "spoiler_text", "edited_at") if key in status}


def _media(status: Json) -> Iterator[Media]:
    for one in parts(status, "media_attachments"):
        url = next(filter(None, (string(one, key) for key in ("url", "remote_url", "preview_url"))), "")
        words, kind = string(one, "description"), KINDS.get(string(one, "type"))
        mime = string(inner(one, "pleroma"), "mime_type")
        found = Media(kind=kind, url=url, text=words) if kind else media_of(url, kind=mime, text=words)
        if url and found is not None:
            yield found


# ---------------------------------------------------------------- accounts


def parse_account(account: Json, *, server: str) -> Profile:
    """Map an account; its fields, and where it has moved to, are part of what it says of itself. Raises SchemaDrift."""
    native_id, username = identified(account, "an account"), string(account, "username")
    if not username:
        raise SchemaDrift(f"mastodon: an account without a username; {CHANGED}")
    acct = string(account, "acct") or username
    return Profile(
        native_id=native_id,
        name=string(account, "display_name") or username,
        handle=acct if "@" in acct else f"{acct}@{server}",
        bio="\n".join(
            filter(None, [read_html(string(account, "note"), base="").text, *_fields(account), *_moved(account)])
        ),
        picture_url=string(account, "avatar"),
    )


def is_suspended(account: Json) -> bool:
    """Say whether the server shows an account's name and nothing else of it."""
    return account.get("suspended") is True


def _fields(account: Json) -> Iterator[str]:
    for field in parts(account, "fields"):
        yield f"{string(field, 'name')}: {read_html(string(field, 'value'), base='').text}"


def _moved(account: Json) -> Iterator[str]:
    if moved := inner(account, "moved"):
        yield f"→ {string(moved, 'url') or string(moved, 'acct')}"
