"""Telegram's pages: a channel's preview with about twenty messages, and one message by itself. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.base import AccountNotFound, ConnectorError, PermissionMissing, SchemaDrift, Unavailable
from connectors.markup import read_html, tidy
from connectors.owners import must_be
from connectors.telegram.posts import CHANGED, channel_of, is_service, number_of, parse_message, time_of
from connectors.tree import Element, read_tree
from monitor.model import Post, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A page of a channel. `numbers` are those of every message on it, `times` as well; posts are newest first."""

    profile: Profile
    posts: tuple[Post, ...]
    numbers: tuple[int, ...]
    times: tuple[datetime, ...]
    more: bool  # there are older messages


def parse_preview(page: str, *, name: str, what: str, known: str = "") -> Preview:
    """Map a page of a channel. Raises SchemaDrift without its landmarks, Unavailable when it was cut short.

    `known` is the channel's own number where there is one. Raises AnotherAccount for the page of another channel,
    AccountNotFound or PermissionMissing for the contact page that stands for a channel without a preview.
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
    profile = _profile(tree, blocks, name)
    must_be_of(profile.native_id, (profile.handle, *map(channel_of, blocks)), name=name, known=known, what=what)
    found = [(number_of(block, what), time_of(block), block) for block in blocks]
    if any(at is None and not is_service(block) for _, at, block in found):
        raise SchemaDrift(f"{what}: a message has no time; {CHANGED}")
    posts = [
        post for _, at, block in reversed(found) if at and (post := parse_message(block, at, name=name, what=what))
    ]
    return Preview(
        profile=profile,
        posts=tuple(posts),
        numbers=tuple(number for number, _, _ in found),
        times=tuple(at for _, at, _ in found if at),
        more=tree.first("a", cls="tme_messages_more", having="data-before") is not None or _has_older(tree),
    )


def must_be_of(told: str, names: Iterable[str], *, name: str, known: str, what: str) -> None:
    """Raise AnotherAccount for another channel's page, AccountNotFound where the name has passed to another channel.

    A channel may go by several names: its number says that it is the same. What it passes on bears its own name.
    """
    if not (told and told == known):
        must_be(what, [name], names)
        if told and known.isdecimal():
            raise AccountNotFound(f"{what}: the name now belongs to another channel; correct the register")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """What the embedded form says of a message: the post, or that it is gone, or not shown; else undecided."""

    post: Post | None = None
    gone: bool = False
    hidden: bool = False


def parse_single(page: str, *, name: str, number: str, what: str, known: str = "") -> Single:
    """Map the embedded form of a message. Raises AccountNotFound when there is no such channel any more."""
    tree = read_tree(page)
    error = tree.first(cls="tgme_widget_message_error")
    if error is not None:
        return _refused(tidy(error.text).replace("’", "'").lower(), what)
    block = tree.first("div", cls="tgme_widget_message")
    at = time_of(block) if block is not None else None
    if block is None or at is None:
        return Single()
    must_be_of(channel_number([block]), [channel_of(block)], name=name, known=known, what=what)
    if str(number_of(block, what)) != number:
        return Single()  # as for a part of an album that is shown as a whole: it says nothing of the one asked for
    return Single(post=parse_message(block, at, name=name, what=what))


def _refused(words: str, what: str) -> Single:
    if "post not found" in words or "message not found" in words:
        return Single(gone=True)
    if "with username" in words:
        raise AccountNotFound(f"{what}: no channel has this name any more; correct the register")
    return Single(hidden=any(part in words for part in ("displayed", "private", "restricted", "inaccessible")))
