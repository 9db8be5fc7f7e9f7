"""Payloads of X's API as posts and profiles, by the old names of their fields and by the new ones. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.base import AccountNotFound, ConnectorError, PermissionMissing, SchemaDrift
from connectors.owners import AnotherAccount
from connectors.payload import number, objects, string
from connectors.x.ids import EPOCH_MS, FIRST_SNOWFLAKE, as_number
from monitor.model import Account, Json, Media, MediaKind, Post, PostKind, Profile

REPOSTS = frozenset({"retweeted", "reposted"})
SHOWN_INSIDE = REPOSTS | {"quoted"}  # references whose text is part of the post; what a reply answers is not
OWN = ("id", "text", "note_tweet", "note_post")  # an edit has an id of its own


def objects_in(payload: Json, key: str) -> list[Json]:
    """Return a list of objects; absent is empty. Raises SchemaDrift for anything else."""
    value = payload.get(key)
    found = [] if value is None else objects(value)
    if found is None:
        raise SchemaDrift(f"x: '{key}' is no list of objects")
    return found


def object_in(payload: Json, key: str) -> Json:
    """Return an object; absent is empty. Raises SchemaDrift for anything else."""
    value = payload.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SchemaDrift(f"x: '{key}' is no object")
    return value


def items_of(payload: Json) -> list[Json]:
    items = objects_in(payload, "data")
    for item in items:
        if not isinstance(item.get("id"), str) or not isinstance(item.get("text"), str):
            raise SchemaDrift("x: a post without id or text")
    return items


def _spelling(item: Json, old: str, new: str) -> str:
    """Return the name a field goes by: X renamed tweet to post between July and August 2026."""
    return old if item.get(old) is not None else new


def versions_of(item: Json) -> list[str]:
    """Return the ids of a post's versions, oldest first."""
    history = item.get(_spelling(item, "edit_history_tweet_ids", "edit_history_post_ids"))
    if history is None:
        return [item["id"]]
    if not isinstance(history, list) or not history or not all(isinstance(one, str) for one in history):
        raise SchemaDrift("x: a post's edit history is no list of ids")
    return sorted(history, key=as_number)


def missing_in(payload: Json) -> set[str]:
    """Return the ids that X says do not exist; one it may not show is not missing."""
    return {_named_in(error) for error in objects_in(payload, "errors") if _is_not_found(error)} - {""}


def hidden_in(payload: Json) -> set[str]:
    """Return the ids of what is there, but not for us: of a protected or suspended account, or withheld."""
    return {_named_in(error) for error in objects_in(payload, "errors") if not _is_not_found(error)} - {""}


def _is_not_found(error: Json) -> bool:
    """Say whether a thing does not exist: a suspended user has the same type, with another title."""
    return str(error.get("type", "")).endswith("resource-not-found") and error.get("title") != "Forbidden"


def _named_in(error: Json) -> str:
    return str(error.get("resource_id") or error.get("value") or "")


def withheld(payload: Json, account: Account) -> ConnectorError:
    """Return why an answer has errors instead of posts."""
    if any(_is_not_found(error) for error in objects_in(payload, "errors")):
        return AccountNotFound(f"{account.label}: X knows no such account any more; correct the register")
    return PermissionMissing(f"{account.label}: suspended or protected; X does not show it")


def profiles_in(payload: Json, asked: Mapping[str, Account], key: str) -> dict[int, Profile | ConnectorError]:
    """Return each account's profile, or why there is none; `asked` are the accounts by what they were asked for as."""
    found = {str(user.get(key, "")).casefold(): user for user in objects_in(payload, "data")}
    denied = {_named_in(e).casefold() for e in objects_in(payload, "errors") if not _is_not_found(e)}
    others = found.keys() - asked.keys()
    answers: dict[int, Profile | ConnectorError] = {}
    for name, account in asked.items():
        if name in found:
            answers[account.id] = parse_profile(found[name])
        elif name in denied:
            answers[account.id] = PermissionMissing(f"{account.label}: suspended or protected; X does not show it")
        elif others:
            answers[account.id] = AnotherAccount(account.label, asked=[name], told=sorted(others))
        else:
            answers[account.id] = AccountNotFound(f"{account.label}: X knows no such account; check the handle")
    return answers


def parse_profile(user: Mapping[str, Any]) -> Profile:
    """Map a user object. Raises SchemaDrift without id or username."""
    if not user.get("id") or not user.get("username"):
        raise SchemaDrift("x: a user without id or username")
    return Profile(
        native_id=str(user["id"]),
        name=str(user.get("name", "")),
        handle=str(user["username"]),
        bio=str(user.get("description") or ""),
        picture_url=str(user.get("profile_image_url") or ""),
    )


def parse_timeline(payload: Json) -> tuple[Post, ...]:
    """Map an answer of posts, newest version of each. Raises SchemaDrift on posts without id, text or time."""
    if not isinstance(payload, dict) or not ({"data", "meta", "errors"} & payload.keys()):
        raise SchemaDrift("x: an answer without posts, meta or errors")
    included = object_in(payload, "includes")
    known = {str(one.get("media_key") or one.get("id")): one for one in _included(included)}
    newest: dict[str, Post] = {}
    for item in sorted(items_of(payload), key=lambda i: as_number(i["id"])):
        post = parse_post(item, known)
        newest[post.native_id] = post
    return tuple(newest.values())


def _included(included: Json) -> list[Json]:
    """Return media, polls and posts that others of the answer refer to; a key or id is one of its kind only."""
    posts = objects_in(included, _spelling(included, "tweets", "posts"))
    return [*posts, *objects_in(included, "media"), *objects_in(included, "polls")]


def parse_post(item: Json, known: Mapping[str, Json]) -> Post:
    """Map one post; `known` is what the answer includes, by id or media key. Raises SchemaDrift."""
    first = versions_of(item)[0]
    created = _time(item.get("created_at"), item["id"])
    is_edited = item["id"] != first
    kind = _kind(item)
    shown = _reposted(item, known) if kind is PostKind.REPOST else item
    url = f"https://x.com/i/status/{item['id']}"
    media = tuple(file for one in _attached(shown, "media_keys", known) for file in _media(one, page=url))
    # Of a film better files may be made later, which is no edit: an edit has an id of its own.
    is_unsure = _lacks(item, shown, known) or any(one.kind is MediaKind.VIDEO for one in media)
    return Post(
        native_id=first,
        url=url,
        published_at=_time(None, first, default=created) if is_edited else created,
        edited_at=created if is_edited else None,
        text=_text(shown, known),
        kind=kind,
        language=str(item.get("lang") or ""),
        media=media,
        links=tuple(dict.fromkeys((*_links(item), *_links(shown)))),
        raw=dict(item),
        own={key: item[key] for key in OWN if key in item} if is_unsure else None,
    )


def _lacks(item: Json, shown: Json, known: Mapping[str, Json]) -> bool:
    """Say whether the answer leaves out a post, picture or poll that belongs to what a reader sees."""
    attached = object_in(shown, "attachments")
    lists = [keys for keys in (attached.get("media_keys"), attached.get("poll_ids")) if isinstance(keys, list)]
    inside = [one.get("id") for one in _references(item) if one.get("type") in SHOWN_INSIDE]
    return any(str(one) not in known for one in [*inside, *(key for keys in lists for key in keys)])


def _attached(item: Json, key: str, known: Mapping[str, Json]) -> list[Json]:
    keys = object_in(item, "attachments").get(key)
    return [known[str(one)] for one in (keys if isinstance(keys, list) else ()) if str(one) in known]


def _text(item: Json, known: Mapping[str, Json]) -> str:
    """Return a post's whole text: the long one where there is one, the choices of a poll, and what it quotes."""
    polls = _attached(item, "poll_ids", known)
    choices = [str(choice.get("label") or "") for poll in polls for choice in objects_in(poll, "options")]
    quoted = [known.get(str(one.get("id"))) for one in _references(item) if one.get("type") == "quoted"]
    return "\n\n".join(["\n".join([_own_text(item), *choices]), *(_own_text(one) for one in quoted if one)])


def _own_text(item: Json) -> str:
    """Return a post's own words. X writes `&`, `<` and `>` as HTML does, and nothing else."""
    note = object_in(item, _spelling(item, "note_tweet", "note_post"))
    text = str(note.get("text") or item.get("text") or "")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _references(item: Json) -> list[Json]:
    return objects_in(item, _spelling(item, "referenced_tweets", "referenced_posts"))


def _reposted(item: Json, known: Mapping[str, Json]) -> Json:
    """Return the post that is passed on: the repost's own text is cut off."""
    ids = [str(one.get("id")) for one in _references(item) if one.get("type") in REPOSTS]
    return next((known[one] for one in ids if one in known), item)


def _kind(item: Json) -> PostKind:
    kinds = {str(one.get("type")) for one in _references(item)}
    if kinds & REPOSTS:
        return PostKind.REPOST
    if "quoted" in kinds:
        return PostKind.QUOTE
    return PostKind.REPLY if "replied_to" in kinds or item.get("in_reply_to_user_id") else PostKind.ORIGINAL


def _time(text: object, native_id: str, default: datetime | None = None) -> datetime:
    """Return when a post was made, by its own word, else by its id. Raises SchemaDrift when neither says so."""
    number = as_number(native_id)
    try:
        if isinstance(text, str):
            said = datetime.fromisoformat(text)
            return said.astimezone(UTC) if said.tzinfo else said.replace(tzinfo=UTC)
        if number >= FIRST_SNOWFLAKE:
            return datetime.fromtimestamp(((number >> 22) + EPOCH_MS) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise SchemaDrift("x: a post whose created_at is no time") from None
    if default is None:
        raise SchemaDrift("x: a post without created_at")
    return default


def _media(item: Json, *, page: str) -> Iterator[Media]:
    """Yield a picture, or a film after the picture that stands for it. A film without a file is named by its post."""
    alt, picture = str(item.get("alt_text") or ""), item.get("url") or item.get("preview_image_url")
    if isinstance(picture, str):
        yield Media(kind=MediaKind.PICTURE, url=picture, text=alt)
    if item.get("type") != "photo":
        yield Media(kind=MediaKind.VIDEO, url=_file_of(item) or page, text=alt)


def _file_of(film: Json) -> str:
    """Return the address of a film's best file; one in pieces (HLS) where there is no other."""
    files = [one for one in objects_in(film, "variants") if isinstance(one.get("url"), str)]
    best = max(
        files, key=lambda one: (one.get("content_type") == "video/mp4", number(one.get("bit_rate")) or 0), default={}
    )
    return string(best, "url")


def _links(item: Json) -> tuple[str, ...]:
    note = object_in(item, _spelling(item, "note_tweet", "note_post"))
    urls = [*objects_in(object_in(item, "entities"), "urls"), *objects_in(object_in(note, "entities"), "urls")]
    found = (u.get("unwound_url") or u.get("expanded_url") or u.get("url") for u in urls)
    return tuple(dict.fromkeys(str(u) for u in found if u))
