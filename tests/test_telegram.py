"""Telegram's preview pages as they are: every kind of message, pages that are none, and messages by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from builders import account
from hypothesis import given, settings
from hypothesis import strategies as st
from replay import DATA, Answer, Asked, Replay

from connectors import base
from connectors.base import AccountNotFound, ConnectorError, PermissionMissing, RateLimited, SchemaDrift, Unavailable
from connectors.telegram import TelegramConnector, TelegramSettings
from connectors.telegram.connector import SINGLY
from connectors.telegram.pages import Single, parse_preview, parse_single
from connectors.tree import read_tree
from monitor.model import Cause, MediaKind, PostKind
from monitor.settings import Network

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
JPD = account("jpdemo", "telegram", id=1, native_id="1234567890")
PAGE, SINGLE = ((DATA / "telegram" / f"{name}.html").read_text(encoding="utf-8") for name in ("preview", "single"))
EMPTY = '<div class="tgme_channel_info"></div><section class="tgme_channel_history">{}</section></body></html>'
NOTHING = EMPTY.format(
    '<div class="tgme_widget_message_centered"><div class="tme_no_messages_found">No posts</div></div>'
)


def connector(url: str, **bounds: object) -> TelegramConnector:
    bounds = {"back_catalogue": 3200, **bounds}
    return TelegramConnector(
        TelegramSettings(base_url=url), Network(timeout=timedelta(seconds=5)), base.Bounds(**bounds)
    )


def pull(url: str, cursor=None, *, of=JPD, now: datetime = NOW, **how: object) -> list[base.Page]:
    return list(connector(url, **how).pull(of, cursor, now=now))


def message(number: int, text: str = "", *, hour: int | None = None, meta: str = "", inner: str = "") -> str:
    at = NOW - timedelta(hours=300 - number if hour is None else hour)
    return (
        f'<div class="tgme_widget_message" data-post="jpdemo/{number}" data-peer="c1234567890_-1">{inner}'
        f'<div class="tgme_widget_message_text">{text or f"mesej {number}"}</div>'
        f'<span class="tgme_widget_message_meta">{meta}<a class="tgme_widget_message_date">'
        f'<time datetime="{at.isoformat()}"></time></a></span></div>'
    )


def page_of(*messages: str, more: bool = False) -> str:
    link = '<a class="tme_messages_more" data-before="1"></a>' if more else ""
    return EMPTY.format(link + "".join(messages))


def channel(numbers: range, *, size: int = 20, gone: frozenset[int] = frozenset(), **how: str):
    """Serve a channel with these messages, a page's length at a time, and each by itself."""

    def script(asked: Asked) -> Answer:
        if "embed" in asked.query:
            number = int(asked.path.rpartition("/")[2])
            there = number in numbers and number not in gone
            error = '<div class="tgme_widget_message_error">Post not found</div>'
            return Answer(body=(message(number, **how) if there else error).encode())
        before = int(asked.query.get("before", 10**9))
        older = [number for number in numbers if number < before and number not in gone]
        shown = older[-size:]
        return Answer(body=page_of(*(message(n, **how) for n in shown), more=len(older) > size).encode())

    return Replay(script)


# ---------------------------------------------------------------- what messages say


@pytest.fixture(scope="module")
def preview():
    return parse_preview(PAGE, name="jpdemo", what="telegram/jpdemo")


@pytest.fixture(scope="module")
def posts(preview):
    return {int(post.native_id): post for post in preview.posts}


def test_a_channel_says_who_it_is_and_its_number_stays(preview):
    profile = preview.profile
    assert (profile.name, profile.handle) == ("Jabatan Perkhidmatan Demo ✅", "jpdemo")
    assert profile.native_id == "1234567890"
    assert profile.bio == "Saluran rasmi.\nPortal: www.jpd.example.my (https://www.jpd.example.my)"


def test_a_picture_whose_address_changes_by_itself_is_no_change_of_the_profile(preview):
    later = parse_preview(PAGE.replace("AbC_profil", "XyZ"), name="jpdemo", what="telegram/jpdemo").profile
    assert preview.profile.changes_since(later) == frozenset()


def test_a_text_is_read_with_its_lines_emoji_spoilers_and_links(posts):
    post = posts[202]
    assert post.text.splitlines()[0] == "Kaunter bergerak ‼️"
    assert post.text.endswith("#kaunter\nTersembunyi")
    assert post.links == ("https://www.jpd.example.my/jadual?a=1&b=2",)
    assert post.published_at == datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    assert (post.url, post.kind) == ("https://t.me/jpdemo/202", PostKind.ORIGINAL)


def test_pictures_stand_in_styles_and_an_album_is_one_post(posts):
    assert [media.url for media in posts[203].media] == ["https://cdn1.telesco.pe/file/satu.jpg"]
    assert [(media.kind, media.url.rpartition("/")[2]) for media in posts[204].media] == [
        (MediaKind.PICTURE, "dua.jpg"),
        (MediaKind.PICTURE, "tiga.jpg"),
        (MediaKind.VIDEO, "klip.mp4?token=abc"),
    ]
    assert posts[204].text == "Album"
    assert 205 not in posts


def test_kinds_are_told_apart_and_what_a_reply_answers_is_not_its_text(posts):
    assert {number: post.kind for number, post in posts.items() if post.kind is not PostKind.ORIGINAL} == {
        201: PostKind.STATUS,
        206: PostKind.REPOST,
        207: PostKind.REPLY,
        213: PostKind.STATUS,
    }
    assert (posts[206].text, posts[206].raw["forwarded"]) == (
        "Berita agensi lain",
        "Forwarded from Agensi Lain (https://t.me/agensilain/9)",
    )
    assert (posts[207].text, posts[207].media) == ("Pembetulan jadual", ())


def test_a_poll_is_read_with_its_options_and_a_file_by_its_name(posts):
    assert posts[208].text == "Lokasi mana?\nPutrajaya\nIpoh & Taiping"
    (file,) = posts[209].media
    assert (file.kind, file.url, file.text) == (
        MediaKind.DOCUMENT,
        "https://t.me/jpdemo/209",
        "Minit Mesyuarat SULIT.pdf",
    )
    assert posts[209].text == "Minit Mesyuarat SULIT.pdf"


def test_a_link_s_card_and_buttons_are_read(posts):
    assert posts[210].text.splitlines()[-2:] == ["Tajuk berita", "Huraian berita"]
    assert "Daftar" in posts[210].text
    assert posts[210].links == ("https://berita.example.my/1", "https://borang.jpd.example.my")


def test_what_telegram_shows_only_in_its_app_is_named(posts):
    (unseen,) = posts[211].media
    assert (unseen.url, unseen.text) == ("https://t.me/jpdemo/211", "Please open Telegram to view this post")


def test_a_pin_is_no_post_but_a_change_of_the_name_is(posts, preview):
    assert 212 not in posts
    assert 212 in preview.numbers
    assert posts[213].text == "Channel name was changed to «Solana Airdrop»"


def test_a_message_that_is_shown_under_another_number_says_nothing_of_the_one_asked_for():
    """A part of an album may be shown as the whole, under the number of its first."""
    assert parse_single(SINGLE, name="jpdemo", number="204", what="telegram/jpdemo") == Single()


def test_a_message_by_itself_is_the_same_message_though_its_picture_has_another_address(posts):
    post = parse_single(SINGLE, name="jpdemo", number="203", what="telegram/jpdemo").post
    assert post.media[0].url != posts[203].media[0].url
    assert post.own == posts[203].own
    assert post.own["edited"] is True


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page.replace(">Poster<", ">SULIT<"),
        lambda page: page.replace("5109473995509140547", "5109473995509140548"),
    ],
)
def test_other_words_or_another_picture_are_another_version(posts, change):
    assert parse_single(change(SINGLE), name="jpdemo", number="203", what="telegram/jpdemo").post.own != posts[203].own


# ---------------------------------------------------------------- pages that are none


def contact(*, title: str = "", extra: str = "", told: str = "") -> str:
    heading = f'<div class="tgme_page_title"><span>{title}</span></div>' if title else ""
    return (
        f'<html><body><div class="tgme_page"><div class="tgme_page_icon"></div>{heading}'
        f'<div class="tgme_page_extra">{extra}</div><div class="tgme_page_description">{told}</div></div></body></html>'
    )


CONTACTS = {
    "a name that nobody has": (contact(told="If you have Telegram, you can contact @x right away."), AccountNotFound),
    "a channel without a preview": (contact(title="JPD", extra="1 234 subscribers"), PermissionMissing),
    "a group": (contact(title="JPD", extra="250 members, 3 online"), AccountNotFound),
    "a person": (contact(title="Encik Rekaan", extra="@rekaan"), AccountNotFound),
    "a channel that broke Telegram's terms": (
        contact(title="JPD", told="This channel can’t be displayed because it violated Telegram's Terms of Service."),
        PermissionMissing,
    ),
    "a page of something else": ("<html><body>Selamat datang</body></html>", SchemaDrift),
    "nothing": ("", SchemaDrift),
}


@pytest.mark.parametrize(("page", "error"), CONTACTS.values(), ids=CONTACTS)
def test_what_is_no_preview_is_told_apart(page, error):
    with pytest.raises(error):
        parse_preview(page, name="jpdemo", what="telegram/jpdemo")


BROKEN = {
    "a message without a number": PAGE.replace("jpdemo/202", "jpdemo/"),
    "a message without a time": PAGE.replace("2026-11-20T02:00:00+00:00", "semalam"),
    "a channel without messages or a word on that": '<html><div class="tgme_channel_info"></div></html>',
}


@pytest.mark.parametrize("page", BROKEN.values(), ids=BROKEN)
def test_a_page_is_never_no_news_with(page):
    with pytest.raises(SchemaDrift):
        parse_preview(page, name="jpdemo", what="telegram/jpdemo")


def test_a_page_that_ends_in_the_middle_is_unavailable():
    with pytest.raises(Unavailable):
        parse_preview(PAGE[:9000], name="jpdemo", what="telegram/jpdemo")


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="<>/= \"'abdiv&;#x-!\n", max_size=200), st.integers(0, 12_000))
def test_whatever_stands_in_a_page_is_an_answer_or_one_of_our_errors(noise, place):
    try:
        shown = parse_preview(PAGE[:place] + noise + PAGE[place:], name="jpdemo", what="telegram/jpdemo")
        assert all(post.native_id.isdecimal() for post in shown.posts)
    except ConnectorError:
        return


def test_a_page_that_is_nested_without_end_is_read_in_line():
    tree = read_tree("<div>" * 5_000 + "x" + "</div>" * 5_000)
    assert tree.text == "x"
    assert tree.markup.count("<div>") == 5_000


def test_ends_that_are_left_out_are_where_html_has_them():
    items = [one.text for one in read_tree("<ul><li>a<li>b</ul><p>c<p>d").all() if one.tag in {"li", "p"}]
    assert items == ["a", "b", "c", "d"]


# ---------------------------------------------------------------- the way through pages


def numbers(pages: list[base.Page]) -> list[int]:
    return [int(post.native_id) for page in pages for post in page.posts]


def test_a_channel_is_walked_from_the_newest_to_the_first():
    with channel(range(1, 51)) as replay:
        pages = pull(replay.url)
    assert numbers(pages) == list(range(50, 0, -1))
    assert [asked.query.get("before") for asked in replay.asked] == [None, "31", "11"]
    assert all(asked.headers["accept-language"] == "en" for asked in replay.asked)


def test_an_idle_channel_costs_one_page():
    with channel(range(1, 51)) as replay:
        cursor = pull(replay.url)[-1].cursor
        replay.asked.clear()
        (page,) = pull(replay.url, cursor)
    assert (page.last, page.gap, len(replay.asked)) == (True, None, 1)


def test_no_messages_where_some_are_known_is_no_news_of_none():
    with channel(range(1, 5)) as replay:
        cursor = pull(replay.url)[-1].cursor
        replay.script = lambda _: Answer(body=NOTHING.encode())
        with pytest.raises(Unavailable, match="too often"):
            pull(replay.url, cursor)
        (first,) = pull(replay.url)
    assert (first.posts, first.last) == ((), True)


def test_a_walk_that_is_shown_nothing_more_ends_as_a_failure():
    pages = iter([page_of(message(30), message(31), more=True), NOTHING])
    with Replay(lambda _: Answer(body=next(pages).encode())) as replay, pytest.raises(Unavailable):
        pull(replay.url)


def test_a_server_that_always_shows_the_same_page_is_left():
    same = page_of(message(30), message(31), more=True)
    with Replay(lambda _: Answer(body=same.encode())) as replay:
        pages = pull(replay.url)
    assert pages[-1].last
    assert len(replay.asked) < 5


def test_an_edit_is_dated_by_when_it_was_seen_on_a_message_that_was_known():
    with channel(range(1, 3)) as replay:
        cursor = pull(replay.url)[-1].cursor
    with channel(range(1, 4), text="disunting", meta="edited ") as replay:
        (page,) = pull(replay.url, cursor, now=NOW + timedelta(hours=1))
    assert {int(post.native_id): post.edited_at for post in page.posts} == {
        1: NOW + timedelta(hours=1),
        2: NOW + timedelta(hours=1),
        3: None,
    }


def test_a_name_that_another_channel_took_over_is_not_read_for_it():
    other = account("jpdemo", "telegram", id=1, native_id="999")
    with channel(range(1, 5)) as replay, pytest.raises(AccountNotFound, match="another channel"):
        pull(replay.url, of=other)


def test_a_channel_without_messages_goes_by_its_name_until_it_has_one():
    new = account("JPDemo", "telegram")
    with Replay(lambda _: Answer(body=NOTHING.encode())) as replay:
        assert connector(replay.url).resolve(new).native_id == "jpdemo"
    named = account("jpdemo", "telegram", native_id="jpdemo")
    with channel(range(1, 5)) as replay:
        assert len(pull(replay.url, of=named)[-1].posts) == 4


def test_telegram_s_patience_is_one_for_all_channels():
    busy = Answer(status=429, headers={"Retry-After": "60"})
    with Replay(lambda _: busy) as replay, pytest.raises(RateLimited) as refused:
        pull(replay.url)
    assert (refused.value.whole_platform, refused.value.retry_at) == (True, NOW + timedelta(minutes=1))


NAMES = {
    "a handle": account("@jpdemo", "telegram"),
    "an address": account("", "telegram", url="https://t.me/s/jpdemo"),
    "an address as handle": account("https://t.me/jpdemo/12", "telegram"),
}


@pytest.mark.parametrize("one", NAMES.values(), ids=NAMES)
def test_a_channel_is_named_by(one):
    with channel(range(1, 3)) as replay:
        pull(replay.url, of=one)
        assert replay.paths == ["/s/jpdemo"]


@pytest.mark.parametrize("one", [account("+AbCdEf123", "telegram"), account("", "telegram", url="https://t.me/c/12/3")])
def test_what_names_no_public_channel_is_not_asked_for(one):
    with channel(range(1, 3)) as replay, pytest.raises(AccountNotFound, match=r"t\.me/name"):
        pull(replay.url, of=one)


def test_a_stretch_of_the_past_is_read_and_what_is_beyond_reach_is_a_gap():
    start, end = NOW - timedelta(hours=290), NOW - timedelta(hours=270)
    with channel(range(1, 100)) as replay:
        pages = list(connector(replay.url).backfill(JPD, start, end, now=NOW))
        cut = list(connector(replay.url, page_limit=2).backfill(JPD, start, end, now=NOW))
    assert numbers(pages) == list(range(29, 9, -1))
    assert (pages[-1].last, pages[-1].gap) == (True, None)
    assert (cut[-1].last, cut[-1].gap.start, cut[-1].gap.end) == (True, start, end)
    assert cut[-1].gap.cause is Cause.BURST


# ---------------------------------------------------------------- messages read again


def test_known_messages_are_read_again_by_pages_and_the_missing_by_themselves():
    with channel(range(1, 60), gone=frozenset({12, 40})) as replay:
        answer = connector(replay.url).reread(JPD, [str(n) for n in (12, 13, 40, 41, 59)], now=NOW)
    assert [post.native_id for post in answer.posts] == ["59", "41", "13"]
    assert (answer.missing, answer.hidden) == ({"12", "40"}, frozenset())
    assert [path for path in replay.paths if "/s/" not in path] == ["/jpdemo/40", "/jpdemo/12"]


SINGLES = {
    "Post not found": ({"7"}, frozenset()),
    "This channel can’t be displayed because it violated Telegram's Terms of Service.": (frozenset(), {"7"}),
    "Channel is private": (frozenset(), {"7"}),
    "Please try again later": (frozenset(), frozenset()),
}


@pytest.mark.parametrize(("words", "verdict"), SINGLES.items())
def test_a_message_by_itself_is_gone_hidden_or_undecided(words, verdict):
    error = f'<div class="tgme_widget_message_error">{words}</div>'.encode()
    with Replay(lambda asked: Answer(body=error if "embed" in asked.query else NOTHING.encode())) as replay:
        answer = connector(replay.url).reread(JPD, ["7"], now=NOW)
    assert (answer.missing, answer.hidden) == verdict


def test_a_channel_that_is_gone_has_no_missing_messages():
    error = b'<div class="tgme_widget_message_error">Channel with username <b>jpdemo</b> not found</div>'
    script = lambda asked: Answer(body=error if "embed" in asked.query else NOTHING.encode())  # noqa: E731
    with Replay(script) as replay, pytest.raises(AccountNotFound):
        connector(replay.url).reread(JPD, ["7"], now=NOW)


def test_no_look_again_asks_for_more_single_messages_than_its_bound():
    with Replay(lambda _: Answer(body=NOTHING.encode())) as replay:
        answer = connector(replay.url).reread(JPD, [str(n) for n in range(1, 60)], now=NOW)
    assert len([path for path in replay.paths if "/s/" not in path]) == SINGLY
    assert (answer.posts, answer.missing) == ((), frozenset())
