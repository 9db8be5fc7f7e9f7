"""Telegram as t.me shows it: a channel's preview, oldest message first, its contact page, single messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape

from connectors.sandbox.reply import Question, Reply
from connectors.sandbox.world import Holder, Published, World
from monitor.model import Media, MediaKind

HEAD = '<!DOCTYPE html><html><head><meta charset="utf-8"><title>Telegram</title></head><body>'
FOOT = "</body></html>"


def answer(world: World, question: Question) -> Reply:
    """Answer one request: `/s/name` is the preview, `/name/5?embed=1` a message, `/name` the contact page."""
    steps = [step for step in question.path.split("/") if step]
    if len(steps) == 2 and steps[0] == "s":
        return _preview(world, question, steps[1])
    if len(steps) == 2 and "embed" in question.query:
        return _page(_single(world, steps[0], steps[1]))
    return _page(_contact(world.holder("telegram", steps[0]), steps[0])) if steps else _page("")


def _page(body: str, *, status: int = 200) -> Reply:
    kind = {"content-type": "text/html; charset=utf-8"}
    return Reply(status=status, body=f"{HEAD}{body}{FOOT}".encode(), headers=kind)


def _preview(world: World, question: Question, name: str) -> Reply:
    holder = world.holder("telegram", name)
    if holder is None or holder.abandoned:  # a name without a preview leads to its contact page
        return Reply(status=302, headers={"location": f"{question.base_url}/{name}"})
    posts = sorted(world.timeline("telegram", holder.native_id), key=lambda post: int(post.native_id))
    before = question.query.get("before", "")
    older = [post for post in posts if not before.isdigit() or int(post.native_id) < int(before)]
    shown = older[-world.page_sizes["telegram"] :]
    return _page(_header(holder) + _history(holder, shown, more=len(older) > len(shown)))


def _header(holder: Holder) -> str:
    return (
        '<div class="tgme_channel_info"><div class="tgme_channel_info_header">'
        f'<i class="tgme_page_photo_image"><img src="{escape(holder.picture_url)}"></i>'
        f'<div class="tgme_channel_info_header_title"><span dir="auto">{escape(holder.name)}</span></div>'
        f'<div class="tgme_channel_info_header_username"><a href="https://t.me/{holder.handle}">@{holder.handle}</a></div>'
        f'</div><div class="tgme_channel_info_description">{escape(holder.bio)}</div></div>'
    )


def _history(holder: Holder, shown: Sequence[Published], *, more: bool) -> str:
    link = ""
    if more:
        first = shown[0].native_id
        address = f"/s/{holder.handle}?before={first}"
        link = (
            '<div class="tgme_widget_message_centered js-messages_more_wrap">'
            f'<a href="{address}" class="tme_messages_more js-messages_more" data-before="{first}"></a></div>'
        )
    none = '<div class="tgme_widget_message_centered"><div class="tme_no_messages_found">No posts found</div></div>'
    messages = "".join(_message(post, holder, "time") for post in shown) or none
    return f'<section class="tgme_channel_history js-message_history">{link}{messages}</section>'


def _message(post: Published, holder: Holder, time_class: str) -> str:
    view = base64.urlsafe_b64encode(
        json.dumps({"c": -int(holder.native_id), "p": int(post.native_id)}).encode()
    ).decode()
    address = f"https://t.me/{holder.handle}/{post.native_id}"
    edited = "edited &nbsp;" if len(post.versions) > 1 else ""
    links = "".join(
        f'<br/><a href="{escape(link)}" target="_blank" rel="noopener">{escape(link)}</a>' for link in post.links
    )
    text = escape(post.latest.text, quote=False).replace("\n", "<br/>")
    return (
        '<div class="tgme_widget_message_wrap js-widget_message_wrap">'
        '<div class="tgme_widget_message text_not_supported_wrap js-widget_message"'
        f' data-post="{holder.handle}/{post.native_id}" data-view="{view.rstrip("=")}">'
        '<div class="tgme_widget_message_bubble"><div class="tgme_widget_message_author accent_color">'
        f'<a class="tgme_widget_message_owner_name" href="https://t.me/{holder.handle}"><span dir="auto">'
        f"{escape(holder.name)}</span></a></div>{''.join(_media(one, address) for one in post.media)}"
        f'<div class="tgme_widget_message_text js-message_text" dir="auto">{text}{links}</div>'
        '<div class="tgme_widget_message_footer compact js-message_footer">'
        '<div class="tgme_widget_message_info short js-message_info">'
        '<span class="tgme_widget_message_views">1.2K</span>'
        f'<span class="tgme_widget_message_meta">{edited}<a class="tgme_widget_message_date" href="{address}">'
        f'<time datetime="{post.at.isoformat()}" class="{time_class}">{post.at:%H:%M}</time></a></span>'
        "</div></div></div></div></div>"
    )


def _media(one: Media, address: str) -> str:
    style = f"background-image:url('{escape(one.url)}')"
    if one.kind is MediaKind.PICTURE:
        return f'<a class="tgme_widget_message_photo_wrap" href="{address}" style="width:800px;{style}"></a>'
    if one.kind is MediaKind.VIDEO:
        return (
            f'<a class="tgme_widget_message_video_player js-message_video_player" href="{address}">'
            f'<video src="{escape(one.url)}" class="tgme_widget_message_video js-message_video"></video>'
            '<time class="message_video_duration">0:42</time></a>'
        )
    return (
        f'<a class="tgme_widget_message_document_wrap" href="{address}"><div class="tgme_widget_message_document">'
        f'<div class="tgme_widget_message_document_title" dir="auto">{escape(one.text or one.url)}</div>'
        '<div class="tgme_widget_message_document_extra">12 KB</div></div></a>'
    )


def _single(world: World, name: str, number: str) -> str:
    holder, post = world.holder("telegram", name), world.find("telegram", number)
    if holder is None:
        return _error(f"Channel with username <b>{escape(name)}</b> not found")
    if post is None or post.owner != holder.native_id:
        return _error("Post not found")
    return _message(post, holder, "datetime")


def _error(words: str) -> str:
    return f'<div class="tgme_widget_message_error">{words}</div>'


def _contact(holder: Holder | None, name: str) -> str:
    if holder is None:
        told = f"If you have <strong>Telegram</strong>, you can contact <a>@{escape(name)}</a> right away."
        icon = '<div class="tgme_page_icon"></div>'
        return f'<div class="tgme_page">{icon}<div class="tgme_page_description">{told}</div></div>'
    return (
        f'<div class="tgme_page"><div class="tgme_page_title"><span>{escape(holder.name)}</span></div>'
        '<div class="tgme_page_extra">1 234 subscribers</div></div>'
    )
