"""What all answers of the Graph API have in common: paging, tokens where none belong, what a token may do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from connectors.base import AccountNotFound, CredentialRefused, PermissionMissing, SchemaDrift
from connectors.graph.refusals import FACEBOOK, SUBCODES, Dialect
from connectors.payload import identifier, inner, moment, number, objects, onward, parts, string
from monitor.model import Json, Media, MediaKind

HIDDEN = frozenset({"access_token", "appsecret_proof", "input_token"})
UNTOLD = (PermissionMissing, AccountNotFound, SchemaDrift)  # of a token, for not every one may look at itself


def without_credentials(value: Any) -> Any:
    """Return JSON without paging (its `next` carries the token), tokens, and characters that no database takes."""
    if isinstance(value, Mapping):
        hidden = HIDDEN | {"paging"}
        return {storable(str(k)): without_credentials(v) for k, v in value.items() if k not in hidden}
    if isinstance(value, list):
        return [without_credentials(part) for part in value]
    if isinstance(value, str):
        address = re.fullmatch(r"https?://\S+", value) is not None  # a post may itself publish a token: that one stays
        masked = re.sub(r"(access_token|appsecret_proof|input_token)=[^&#]*", r"\1=", value) if address else value
        return storable(masked)
    return value


def storable(text: str) -> str:
    """Replace NUL and lone surrogates one for one, so that offsets into the text stay right."""
    return re.sub("[\x00\ud800-\udfff]", "\ufffd", text)


def items_of(listing: object, dialect: Dialect = FACEBOOK) -> list[Json]:
    """Return what one page of a listing shows. Raises SchemaDrift: an empty list says "none", no list says nothing."""
    items = objects(listing.get("data")) if isinstance(listing, Mapping) else None
    if items is None:
        raise dialect.drift("an answer has no list of posts (data)")
    return items


def time_of(post: Json, key: str, dialect: Dialect = FACEBOOK) -> datetime:
    """Return a time of a post. Raises SchemaDrift: the API writes all of them with their zone."""
    at = moment(post.get(key), zone=None)
    if at is None:
        raise dialect.drift(f"post {identifier(post)[:64]}: {key} is not a time with a zone")
    return at


def files_in(post: Json, *, page: str) -> Iterator[Media]:
    """Yield the files of a post of Instagram or Threads: those of an album's parts, of which its own file is one again.

    A film or a recording may have no address, for reasons of copyright: its page stands for it.
    """
    for part in parts(post, "children", "data") or [post]:
        file, thumbnail, words = string(part, "media_url"), string(part, "thumbnail_url"), string(part, "alt_text")
        if string(part, "media_type") in {"VIDEO", "REELS", "AUDIO"}:
            if thumbnail:
                yield Media(kind=MediaKind.PICTURE, url=thumbnail, text=words)
            yield Media(kind=MediaKind.VIDEO, url=file or page, text=words)
        elif file:
            yield Media(kind=MediaKind.PICTURE, url=file, text=words)


def has_next(payload: object) -> bool:
    """Say whether there is a further page: by Facebook's word the absence of `next`, and nothing else, is the end."""
    return isinstance(payload, Mapping) and bool(onward(paging_of(payload), "next"))


def paging_of(payload: Json) -> Json:
    """Return what an answer says of its pages. Raises SchemaDrift where that cannot be read: it is no end."""
    paging = payload.get("paging")
    if paging and not isinstance(paging, Mapping):
        raise SchemaDrift("an answer does not say in words whether there is a further page (paging)")
    return inner(payload, "paging")


def following(payload: object) -> Mapping[str, str]:
    """Return what asks for the next page: the cursor, and what stands in `next`, whose address carries the token."""
    if not isinstance(payload, Mapping) or not has_next(payload):
        return {}
    paging = paging_of(payload)
    after = string(inner(paging, "cursors"), "after")
    try:
        told = parse_qs(urlsplit(string(paging, "next")).query)
    except ValueError:
        told = {}
    named = {key: values[-1] for key, values in told.items() if key not in HIDDEN | {"fields", "limit"}}
    return ({"after": after} if after else {}) | named


def end_of_token(payload: object) -> datetime | None:
    """Return when a token, or what it grants, ends by an answer of debug_token; None: never, as far as it says."""
    data = inner(payload, "data") if isinstance(payload, Mapping) else {}
    ends = [end for key in ("expires_at", "data_access_expires_at") if (end := number(data.get(key)))]
    return datetime.fromtimestamp(min(ends), UTC) if ends else None


def describe_token(payload: object, now: datetime, dialect: Dialect = FACEBOOK) -> str:
    """Put an answer of debug_token into a sentence. Raises CredentialRefused or SchemaDrift."""
    platform = dialect.platform
    data = inner(payload, "data") if isinstance(payload, Mapping) else {}
    if not isinstance(data.get("is_valid"), bool):
        raise SchemaDrift(f"{platform}: debug_token does not say whether the token is valid")
    if not data["is_valid"]:
        why = SUBCODES.get(number(inner(data, "error").get("subcode")) or 0, f"{dialect.name} does not say why")
        raise CredentialRefused(f"{platform}: the access token is refused ({why}); {dialect.new_token}")
    end = end_of_token(payload)
    until = f"until {end:%Y-%m-%d %H:%M} UTC, {(end - now).days} days" if end else "without an end"
    listed = data.get("scopes")
    scopes = ", ".join(str(scope)[:60] for scope in listed) if isinstance(listed, list) and listed else "no permission"
    return f"{platform}: the token is valid {until}; it grants {scopes}"
