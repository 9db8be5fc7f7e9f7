"""Messages of a channel, as its pages show them, as posts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from connectors.base import SchemaDrift
from connectors.links import absolute
from connectors.markup import joined, read_html, unique
from connectors.tree import Element
from monitor.model import Media, MediaKind, Post, PostKind

USUAL = "https://t.me"
LONGEST_RAW = 100_000
CHANGED = "Telegram has changed its pages"
PICTURE = re.compile(r"url\(\s*['\"]?([^'\")]+)['\"]?\s*\)")
PICTURE_ID = re.compile(r"\d{6,}(?:_\d+)?")


def channel_of(block: Element) -> str:
    """Return the name of the channel in which a message stands, whoever said it first."""
    return block.get("data-post").partition("/")[0]


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


def parse_message(block: Element, at: datetime, *, name: str, what: str) -> Post | None:
    """Return a message as a post; None for a pin, which only repeats the beginning of another one."""
    number = number_of(block, what)
    texts = [read_html(one.markup, base="") for one in block.outermost("tgme_widget_message_text", beside=_is_reply)]
    if is_service(block) and " pinned " in f" {' '.join(one.text for one in texts)} ".lower():
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


def is_service(block: Element) -> bool:
    return "service_message" in block.classes


def _kind(block: Element) -> PostKind:
    if is_service(block):
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
        if address := absolute("", one.get("href")):
            yield address


def _plain(one: Element) -> str:
    return read_html(one.markup, base="").text


def _media(block: Element, address: str) -> Iterator[Media]:
    """Yield pictures, videos and files. A file's own address is not shown: the message's stands for it."""
    for one in block.walk(beside=_is_reply):
        classes = one.classes
        if "tgme_widget_message_photo_wrap" in classes:
            yield from picture_of(one)
        elif "tgme_widget_message_video_player" in classes or "tgme_widget_message_roundvideo_player" in classes:
            yield from _video(one, address)
        elif "tgme_widget_message_document_wrap" in classes:
            title = one.first(cls="tgme_widget_message_document_title")
            yield Media(kind=MediaKind.DOCUMENT, url=one.get("href") or address, text=_plain(title) if title else "")
        elif "tgme_widget_message_sticker" in classes and absolute("", one.get("data-webp")):
            yield Media(kind=MediaKind.PICTURE, url=one.get("data-webp"))
        elif "tgme_widget_message_voice" in classes:
            yield Media(kind=MediaKind.VIDEO, url=absolute("", one.get("src")) or address)
        elif "message_media_not_supported_label" in classes and "VIEW IN TELEGRAM" not in one.text:
            yield Media(kind=MediaKind.VIDEO, url=address, text=_plain(one))
        elif "link_preview_image" in classes or "link_preview_right_image" in classes:
            yield from picture_of(one)


def picture_of(one: Element) -> Iterator[Media]:
    found = PICTURE.search(one.get("style"))
    url = absolute(f"{USUAL}/", found[1]) if found else ""
    if url:
        yield Media(kind=MediaKind.PICTURE, url=url)


def _video(one: Element, address: str) -> Iterator[Media]:
    thumb, video = one.first(cls="tgme_widget_message_video_thumb"), one.first("video")
    if thumb is not None:
        yield from picture_of(thumb)
    yield Media(kind=MediaKind.VIDEO, url=absolute("", video.get("src")) if video and video.get("src") else address)


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
