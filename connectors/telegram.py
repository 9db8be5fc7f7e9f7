"""Telegram: public channels by the preview pages of t.me, and single messages by their embedded form. No credential.

Facts, as readers of these pages have noted them: a page shows about twenty messages, oldest first; older ones come by
`?before=`. `data-post` is channel and number, `data-view` and `data-peer` hold the channel's own number. The addresses
of pictures change within days and are no part of what a message is. A channel without a preview (restricted, private,
saving switched off) leads to its contact page. Asked too often, Telegram shows a page without messages: where messages
are known that is never "no news". A message that is gone is said so by its embedded form, and by nothing else.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote

import requests

from connectors import addresses, configured, http
from connectors.base import (
    BOUNDS,
    AccountNotFound,
    Bounds,
    Capabilities,
    ConnectorError,
    Cursor,
    Gap,
    Page,
    PermissionMissing,
    RateLimited,
    Reread,
    SchemaDrift,
    Unavailable,
)
from connectors.markup import joined, read_html, tidy, unique
from connectors.tree import Element, read_tree
from connectors.walk import Listed, Walk, begin_walk
from monitor.model import Account, Cause, Media, MediaKind, Post, PostKind, Profile
from monitor.settings import Network

USUAL = "https://t.me"
ENGLISH = {"Accept-Language": "en"}  # what the pages say of themselves is read in English
SINGLY = 20  # messages that one look again asks for by themselves; the others are decided another time
LONGEST_RAW = 100_000
CHANGED = "Telegram has changed its pages"
PICTURE = re.compile(r"url\(\s*['\"]?([^'\")]+)['\"]?\s*\)")
PICTURE_ID = re.compile(r"\d{6,}(?:_\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramSettings:
    base_url: str = USUAL

    def problems(self) -> configured.Problems:
        return configured.only(base_url=configured.base_url_mistake(self.base_url, usual=USUAL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A page of a channel. `numbers` are those of every message on it, `times` as well; posts are newest first."""

    profile: Profile
    posts: tuple[Post, ...]
    numbers: tuple[int, ...]
    times: tuple[datetime, ...]
    more: bool  # there are older messages


def channel_of(account: Account) -> str:
    """Return the channel's public name: the handle, or what the address names. Raises AccountNotFound."""
    handle = account.handle.strip().removeprefix("@")
    pasted = addresses.match(handle if "/" in handle else account.url) if "/" in handle or not handle else None
    name = (pasted[1] if pasted[0] == "telegram" else "") if pasted else handle
    if not re.fullmatch(r"\w{4,32}", name, re.ASCII):
        raise AccountNotFound(f"{account.label}: names no public Telegram channel; write its name as in t.me/name")
    return name


# ---------------------------------------------------------------- pages


def parse_preview(page: str, *, name: str, what: str) -> Preview:
    """Map a page of a channel. Raises SchemaDrift without its landmarks, Unavailable when it was cut short.

    Raises AccountNotFound or PermissionMissing for the contact page that stands for a channel without a preview.
    """
    tree = read_tree(page)
    info, history = tree.first(cls="tgme_channel_info"), tree.first(cls="tgme_channel_history")
    if info is None and history is None:
        raise no_preview(tree, what=what)
    if "</html" not in page[-2000:].lower():
        raise Unavailable(f"{what}: the page was cut short")
    blocks = [
        one for one in tree.all("div", cls="tgme_widget_message") if "tgme_widget_message_error" not in one.classes
    ]
    if not blocks and tree.first(cls="tme_no_messages_found") is None and history is None:
        raise SchemaDrift(f"{what}: the page shows neither messages nor that there are none; {CHANGED}")
    found = [(number_of(block, what), time_of(block), block) for block in blocks]
    if any(at is None and not _is_service(block) for _, at, block in found):
        raise SchemaDrift(f"{what}: a message has no time; {CHANGED}")
    posts = [
        post for _, at, block in reversed(found) if at and (post := parse_message(block, at, name=name, what=what))
    ]
    return Preview(
        profile=_profile(tree, blocks, name),
        posts=tuple(posts),
        numbers=tuple(number for number, _, _ in found),
        times=tuple(at for _, at, _ in found if at),
        more=tree.first("a", cls="tme_messages_more", having="data-before") is not None or _has_older(tree),
    )


def _has_older(tree: Element) -> bool:
    return any(link.get("rel") == "prev" and "before=" in link.get("href") for link in tree.all("link"))


def no_preview(tree: Element, *, what: str) -> ConnectorError:
    """Return why a page is no preview: what the contact page says of the name."""
    title, extra = tree.first(cls="tgme_page_title"), tree.first(cls="tgme_page_extra")
    told = tree.first(cls="tgme_page_description")
    words = (told.text if told else "").replace("’", "'").lower()
    if "can't be displayed" in words or "cannot be displayed" in words or "unavailable due to" in words:
        return PermissionMissing(f"{what}: Telegram does not display this channel")
    if title is None and tree.first(cls="tgme_page_icon") is None and told is None:
        return SchemaDrift(f"{what}: the page shows no channel; {CHANGED}")
    if title is None:
        return AccountNotFound(f"{what}: no channel has this name; correct the register")
    counted = (extra.text if extra else "").lower()
    if "subscriber" in counted:
        message = "the channel shows no preview: it is restricted, or saving its content is switched off"
        return PermissionMissing(f"{what}: {message}; ask its administrators")
    return AccountNotFound(f"{what}: is a group, a person or a bot, no channel; correct the register")


def number_of(block: Element, what: str) -> int:
    """Return a message's number in its channel. Raises SchemaDrift."""
    number = block.get("data-post").rpartition("/")[2]
    if not re.fullmatch(r"[0-9]{1,12}", number):
        raise SchemaDrift(f"{what}: a message has no number; {CHANGED}")
    return int(number)


def time_of(block: Element) -> datetime | None:
    """Return when a message was published: the time at its link, not the length of a video."""
    holders = [*block.all(cls="tgme_widget_message_date"), block]
    stated = (one.get("datetime") for holder in holders for one in holder.all("time", having="datetime"))
    try:
        at = datetime.fromisoformat(next(stated, ""))
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def channel_number(blocks: Sequence[Element]) -> str:
    """Return the channel's own number, which stays when its name changes; empty when no message tells it."""
    for block in blocks:
        peer = re.match(r"c(\d{3,})_", block.get("data-peer"))
        if peer:
            return peer[1]
        seen = _unpacked(block.get("data-view")).get("c")
        if isinstance(seen, int) and seen:
            return str(abs(seen))
    return ""


def _unpacked(view: str) -> Mapping[str, object]:
    try:
        found = json.loads(base64.urlsafe_b64decode(view + "=" * (-len(view) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _profile(tree: Element, blocks: Sequence[Element], name: str) -> Profile:
    """Return what a channel says of itself. Its picture's address changes within days, and would look like a hijack."""
    title, about = tree.first(cls="tgme_channel_info_header_title"), tree.first(cls="tgme_channel_info_description")
    username = tree.first(cls="tgme_channel_info_header_username")
    return Profile(
        native_id=channel_number(blocks),
        name=tidy(title.text) if title else "",
        handle=tidy(username.text).removeprefix("@") if username else name,
        bio=read_html(about.markup, base="").text if about else "",
    )


# ---------------------------------------------------------------- messages


def parse_message(block: Element, at: datetime, *, name: str, what: str) -> Post | None:
    """Return a message as a post; None for a pin, which only repeats the beginning of another one."""
    number = number_of(block, what)
    texts = [read_html(one.markup, base="") for one in block.outermost("tgme_widget_message_text", beside=_is_reply)]
    if _is_service(block) and " pinned " in f" {' '.join(one.text for one in texts)} ".lower():
        return None
    preview = block.first("a", cls="tgme_widget_message_link_preview")
    media = unique(_media(block, f"{USUAL}/{name}/{number}"))
    text = joined([*(one.text for one in texts), *_other_words(block, preview)])
    links = unique([*(link for one in texts for link in one.links), *_other_links(block, preview)])
    raw = _raw(block, text=text, links=links, media=media)
    return Post(
        native_id=str(number),
        url=f"{USUAL}/{name}/{number}",
        published_at=at,
        text=text,
        kind=_kind(block),
        media=media,
        links=links,
        raw=raw,
        # Addresses of pictures change while the message does not: it is what else it says that tells versions apart.
        own={key: raw[key] for key in ("text", "links", "kinds", "pictures", "edited")} if media else None,
    )


def _is_reply(one: Element) -> bool:
    return "tgme_widget_message_reply" in one.classes


def _is_service(block: Element) -> bool:
    return "service_message" in block.classes


def _kind(block: Element) -> PostKind:
    if _is_service(block):
        return PostKind.STATUS
    if block.first(cls="tgme_widget_message_forwarded_from") is not None:
        return PostKind.REPOST
    return PostKind.REPLY if any(block.all("a", cls="tgme_widget_message_reply")) else PostKind.ORIGINAL


def is_edited(block: Element) -> bool:
    """Say whether the line below a message says that it was edited; it does not say when."""
    return any(re.match(r"\s*edited\b", one.text) for one in block.all(cls="tgme_widget_message_meta"))


def _other_words(block: Element, preview: Element | None) -> Iterator[str]:
    """Yield what stands beside the text: a poll with its options, names of files and persons, buttons, a card."""
    options = [_plain(one) for one in block.all(cls="tgme_widget_message_poll_option_text")]
    questions = [_plain(one) for one in block.all(cls="tgme_widget_message_poll_question")]
    yield "\n".join([*questions, *options])
    for cls in ("document_title", "contact_name", "contact_phone", "location_title", "location_address", "sticker_alt"):
        yield from (_plain(one) for one in block.all(cls=f"tgme_widget_message_{cls}"))
    yield "\n".join(_plain(one) for one in block.all("a", cls="tgme_widget_message_inline_button"))
    if preview is not None:
        yield "\n".join(
            _plain(one) for cls in ("link_preview_title", "link_preview_description") for one in preview.all(cls=cls)
        )


def _other_links(block: Element, preview: Element | None) -> Iterator[str]:
    buttons = block.all("a", cls="tgme_widget_message_inline_button")
    for one in [*([preview] if preview is not None else []), *buttons]:
        if address := http.absolute("", one.get("href")):
            yield address


def _plain(one: Element) -> str:
    return read_html(one.markup, base="").text


def _media(block: Element, address: str) -> Iterator[Media]:
    """Yield pictures, videos and files. A file's own address is not shown: the message's stands for it."""
    for one in block.walk(beside=_is_reply):
        classes = one.classes
        if "tgme_widget_message_photo_wrap" in classes:
            yield from _picture(one)
        elif "tgme_widget_message_video_player" in classes or "tgme_widget_message_roundvideo_player" in classes:
            yield from _video(one, address)
        elif "tgme_widget_message_document_wrap" in classes:
            title = one.first(cls="tgme_widget_message_document_title")
            yield Media(kind=MediaKind.DOCUMENT, url=one.get("href") or address, text=_plain(title) if title else "")
        elif "tgme_widget_message_sticker" in classes and http.absolute("", one.get("data-webp")):
            yield Media(kind=MediaKind.PICTURE, url=one.get("data-webp"))
        elif "tgme_widget_message_voice" in classes:
            yield Media(kind=MediaKind.VIDEO, url=http.absolute("", one.get("src")) or address)
        elif "message_media_not_supported_label" in classes and "VIEW IN TELEGRAM" not in one.text:
            yield Media(kind=MediaKind.VIDEO, url=address, text=_plain(one))
        elif "link_preview_image" in classes or "link_preview_right_image" in classes:
            yield from _picture(one)


def _picture(one: Element) -> Iterator[Media]:
    found = PICTURE.search(one.get("style"))
    url = http.absolute(f"{USUAL}/", found[1]) if found else ""
    if url:
        yield Media(kind=MediaKind.PICTURE, url=url)


def _video(one: Element, address: str) -> Iterator[Media]:
    thumb, video = one.first(cls="tgme_widget_message_video_thumb"), one.first("video")
    if thumb is not None:
        yield from _picture(thumb)
    yield Media(
        kind=MediaKind.VIDEO, url=http.absolute("", video.get("src")) if video and video.get("src") else address
    )


def _raw(block: Element, *, text: str, links: Sequence[str], media: Sequence[Media]) -> dict[str, object]:
    sources = [_plain(one) for one in block.all(cls="tgme_widget_message_forwarded_from")]
    answers = [one.get("href") for one in block.all("a", cls="tgme_widget_message_reply")]
    pictures = [part for one in block.all(cls="tgme_widget_message_photo_wrap") for part in one.classes]
    return {
        "post": block.get("data-post"),
        "html": block.markup[:LONGEST_RAW],
        "text": text,
        "links": list(links),
        "kinds": [f"{one.kind.value} {one.text}".strip() for one in media],
        "pictures": [part for part in pictures if PICTURE_ID.fullmatch(part)],
        "edited": is_edited(block),
        "forwarded": "; ".join(sources),
        "answers": "; ".join(answers),
    }


# ---------------------------------------------------------------- one message by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """What the embedded form says of a message: the post, or that it is gone, or not shown; else undecided."""

    post: Post | None = None
    gone: bool = False
    hidden: bool = False


def parse_single(page: str, *, name: str, what: str) -> Single:
    """Map the embedded form of a message. Raises AccountNotFound when there is no such channel any more."""
    tree = read_tree(page)
    error = tree.first(cls="tgme_widget_message_error")
    if error is not None:
        return _refused(tidy(error.text).replace("’", "'").lower(), what)
    block = tree.first("div", cls="tgme_widget_message")
    at = time_of(block) if block is not None else None
    if block is None or at is None:
        return Single()
    return Single(post=parse_message(block, at, name=name, what=what))


def _refused(words: str, what: str) -> Single:
    if "post not found" in words or "message not found" in words:
        return Single(gone=True)
    if "with username" in words:
        raise AccountNotFound(f"{what}: no channel has this name any more; correct the register")
    return Single(hidden=any(part in words for part in ("displayed", "private", "restricted", "inaccessible")))


# ---------------------------------------------------------------- the connector


class TelegramConnector:
    """Reads public channels. Thread-safe: only the session is shared."""

    platform: ClassVar[str] = "telegram"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[TelegramSettings]] = TelegramSettings
    credentials: ClassVar[tuple[str, ...]] = ()
    obtain: ClassVar[str] = (
        "Nothing: public channels are read as t.me shows them to everybody. A channel that restricts saving its "
        "content shows nothing there: its administrators must allow it."
    )

    def __init__(self, settings: TelegramSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._base_url = settings.base_url.rstrip("/")
        self._bounds = bounds
        self._session = http.open_session(base_url=self._base_url, network=network, replaces=(USUAL,))

    def resolve(self, account: Account) -> Profile:
        """Return what the channel says of itself; only a message tells its number. Raises ConnectorError."""
        profile = self._preview(account, None, datetime.now(UTC)).profile
        return (
            profile
            if profile.native_id
            else replace(profile, native_id=account.native_id or channel_of(account).lower())
        )

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError."""
        walk = begin_walk(account, cursor, self._bounds, now)
        known = _known_number(cursor)
        shown = self._preview(account, None, now)
        if not shown.numbers and walk.known is not None:
            raise Unavailable(
                f"{account.label}: the page shows no messages, as it does when Telegram is asked too often"
            )
        newest = max([known, *shown.numbers])
        page = walk.take(_listed(shown, walk, known=known, now=now))
        while not page.last:
            yield page
            shown = self._older(account, shown, now)
            page = walk.take(_listed(shown, walk, known=known, now=now))
        yield replace(page, cursor={**page.cursor, "number": newest})

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the messages published in [start, end), read again from the newest down. Raises ConnectorError."""
        shown = self._preview(account, None, now)
        for left in reversed(range(self._bounds.page_limit)):
            ended = not shown.more or not shown.times or min(shown.times) < start
            reached = min([end, *shown.times])
            gap = None if ended or left or reached <= start else Gap(start=start, end=reached, cause=Cause.BURST)
            posts = tuple(post for post in shown.posts if start <= post.published_at < end)
            yield Page(posts=posts, cursor={}, last=ended or not left, gap=gap)
            if ended or not left:
                return
            shown = self._older(account, shown, now)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known messages again: by the pages on which they stand, and those that do not, by themselves.

        Raises ConnectorError. No more than `SINGLY` are asked for by themselves; the others stay undecided.
        """
        waiting = sorted({int(one) for one in native_ids if re.fullmatch(r"[0-9]{1,12}", one)}, reverse=True)
        posts: dict[int, Post] = {}
        absent: list[int] = []
        while waiting:
            shown = self._preview(account, waiting[0] + 1, now)
            here = {int(post.native_id): post for post in shown.posts}
            lowest = min(shown.numbers, default=0) if shown.more else 0
            covered = [one for one in waiting if one >= lowest] or waiting[:1]
            posts |= {one: here[one] for one in covered if one in here}
            absent += [one for one in covered if one not in here]
            waiting = waiting[len(covered) :]
        single = {one: self._single(account, one, now) for one in absent[:SINGLY]}
        posts |= {one: found.post for one, found in single.items() if found.post is not None}
        return Reread(
            posts=tuple(_seen_edited(posts[one], now) for one in sorted(posts, reverse=True)),
            missing=frozenset(str(one) for one, found in single.items() if found.gone),
            hidden=frozenset(str(one) for one, found in single.items() if found.hidden),
        )

    def check(self) -> str:
        return "telegram: public channels need no credential"

    def _preview(self, account: Account, before: int | None, now: datetime) -> Preview:
        name = channel_of(account)
        page = self._get(account, f"/s/{quote(name)}", {} if before is None else {"before": str(before)}, now)
        shown = parse_preview(page, name=name, what=account.label)
        told, known = shown.profile.native_id, account.native_id
        if told and known.isdecimal() and told != known:
            raise AccountNotFound(f"{account.label}: the name now belongs to another channel; correct the register")
        return shown

    def _older(self, account: Account, shown: Preview, now: datetime) -> Preview:
        older = self._preview(account, min(shown.numbers), now)
        if not older.numbers:
            raise Unavailable(f"{account.label}: older messages are not shown now, as when Telegram is asked too often")
        return older

    def _single(self, account: Account, number: int, now: datetime) -> Single:
        name = channel_of(account)
        page = self._get(account, f"/{quote(name)}/{number}", {"embed": "1"}, now)
        return parse_single(page, name=name, what=account.label)

    def _get(self, account: Account, path: str, asked: Mapping[str, str], now: datetime) -> str:
        try:
            response = self._session.get(f"{self._base_url}{path}", params=dict(asked), headers=ENGLISH)
        except requests.RequestException as error:
            raise http.failure(error, what=account.label) from None
        refused = http.refusal(response, what=account.label, now=now)
        if isinstance(refused, http.SiteLimited):  # one site for all channels
            raise RateLimited(str(refused), retry_at=refused.retry_at)
        if refused is not None:
            raise refused
        return response.content.decode("utf-8", errors="replace")


def _known_number(cursor: Cursor | None) -> int:
    number = (cursor or {}).get("number", 0)
    return number if isinstance(number, int) else 0


def _listed(shown: Preview, walk: Walk, *, known: int, now: datetime) -> Listed:
    """Return a page for the walk. Numbers rise with time: a page that reaches below what is known is the last one."""
    reached = walk.since is not None and bool(shown.times) and min(shown.times) < walk.since
    return Listed(
        posts=tuple(_seen_edited(post, now) if int(post.native_id) <= known else post for post in shown.posts),
        times=shown.times,
        ids=frozenset(map(str, shown.numbers)),
        more=shown.more and not reached,
    )


def _seen_edited(post: Post, now: datetime) -> Post:
    """Date the edit of a message that was known before: Telegram says that it was edited, not when."""
    return replace(post, edited_at=max(now, post.published_at)) if post.raw.get("edited") else post
