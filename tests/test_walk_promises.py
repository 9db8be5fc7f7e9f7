"""Listings that promise a further page and show none: an end, or a passing fault. Unless something proves the end, a gap."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count, repeat

import pytest
from builders import NOW, account, post
from test_x import page as answer_of
from test_x import post as tweet

from connectors.base import PAGE_BOUND, Bounds, Gap
from connectors.listing import merged, reread_listed, stretch
from connectors.seen import remembered, window_page
from connectors.walk import Listed, begin_walk, listed, walked
from connectors.x.timeline import Walk as XWalk
from monitor.model import Cause

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
EMPTY_END, EMPTY_MIDDLE = Listed(posts=(), times=(), ids=frozenset(), more=False), listed([], more=True)
JPD = account(registered_at=NOW - 30 * HOUR)


def shown(*minutes, more=True):
    return listed([post(str(m), published_at=NOW - m * MINUTE) for m in minutes], more=more)


def last(*answers, known=60, promises=True):
    """Return the page that ends a walk whose newest known post is so many minutes old."""
    cursor = {"v": 1, "newest": (NOW - known * MINUTE).isoformat()}
    walk = begin_walk(JPD, cursor, Bounds(overlap=10 * MINUTE), NOW, promises=promises)
    pages = [walk.take(one) for one in answers]
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    return pages[-1]


WALKS = {
    "an end without a further promise is one": ([shown(1, 2), shown(3, 60, more=False)], None),
    "an empty end above what is known is a gap down to it": ([shown(1, 2), EMPTY_END], (60, 2)),
    "an empty end below what is known is one": ([shown(1, 2), shown(3, 61), EMPTY_END], None),
    "an empty page among others is a gap": ([shown(1, 2), EMPTY_MIDDLE, shown(8, 61, more=False)], (8, 2)),
    "two of them are one gap": (
        [shown(1), EMPTY_MIDDLE, shown(8), EMPTY_MIDDLE, shown(20, 61, more=False)],
        (20, 1),
    ),
    "an empty first page hides the newest": ([EMPTY_MIDDLE, shown(8, 61, more=False)], (8, 0)),
    "no news at all is none": ([EMPTY_END], None),
}


@pytest.mark.parametrize(("answers", "gap"), WALKS.values(), ids=WALKS)
def test_what_an_empty_page_may_hide_is_named(answers, gap):
    """I1, fault 21."""
    found = last(*answers).gap
    assert (found and (found.start, found.end)) == (gap and tuple(NOW - m * MINUTE for m in gap))


def test_a_listing_that_promises_nothing_may_end_by_an_empty_page_once_it_has_met_what_is_known():
    assert last(shown(1, 2), shown(3, 61), EMPTY_END, promises=False).gap is None
    assert last(shown(1, 2), EMPTY_END, promises=False).gap is not None


def test_an_end_that_an_empty_page_behind_it_tells_is_believed_below_what_is_known_alone():
    ends = replace(shown(3, 61, more=False), hollow_end=True), replace(shown(3, 4, more=False), hollow_end=True)
    assert [last(shown(1, 2), end, promises=False).gap is None for end in ends] == [True, False]


def test_the_cursor_moves_and_remembers_what_may_be_lost():
    page = last(shown(1, 2), EMPTY_END)
    assert page.cursor["newest"] == (NOW - MINUTE).isoformat()
    assert page.cursor["lost_after"] == (NOW - 60 * MINUTE).isoformat()
    assert not page.heals


def walk_from(cursor):
    return begin_walk(JPD, cursor, Bounds(overlap=10 * MINUTE), NOW, promises=True)


def test_a_walk_that_showed_nothing_is_remembered_until_one_shows_something():
    """I1, fault 21: what was published before it may be missing as well, if the next one is cut short."""
    known = {"v": 1, "newest": (NOW - 60 * MINUTE).isoformat()}
    empty = walk_from(known).take(EMPTY_END).cursor
    assert empty == {**known, "empty": True}
    assert walk_from(empty).take(EMPTY_END).cursor == empty
    assert walk_from(empty).take(shown(1, 60, more=False)).cursor == {"v": 1, "newest": (NOW - MINUTE).isoformat()}
    for cursor, begins_there in ((known, False), (empty, True), ({"v": 1, "newest": None}, True), (None, False)):
        walk = walk_from(cursor)
        walk.take(shown(1, 2))
        gap = walk.take(EMPTY_END).gap or Gap(start=None, end=NOW, cause=Cause.BURST)
        assert gap.from_start is begins_there, cursor


def served(*answers):
    """Yield answers, each again when asked to, in the next form it has: a list of answers is one page at several looks."""
    for page in answers:
        looks = iter(page)
        again = True
        while again:
            again = yield next(looks)


def pages(cursor, *answers, promises=False):
    walk = begin_walk(JPD, cursor, Bounds(overlap=10 * MINUTE), NOW, promises=promises)
    return list(walked(walk, served(*answers)))


def test_a_first_pull_asks_again_for_an_empty_page_before_it_believes_that_nothing_follows():
    """I1: nothing is known above which the end could lie, and the live posts below it must not be lost."""
    for empty in (EMPTY_END, EMPTY_MIDDLE):
        found = pages(None, [shown(1, 2)], [empty, empty, shown(3, 4, more=False)])
        assert [len(page.posts) for page in found] == [2, 2]
    (_, end) = pages(None, [shown(1, 2)], [EMPTY_END, EMPTY_END, EMPTY_END])
    assert (end.posts, end.gap, end.last) == ((), None, True)
    assert len(pages(None, [EMPTY_END])) == 1  # the first page of a new account


def test_a_later_pull_asks_again_only_above_what_is_known():
    known = {"v": 1, "newest": (NOW - 60 * MINUTE).isoformat()}
    assert pages(known, [shown(1, 2)], [EMPTY_END, shown(3, 60, more=False)])[-1].gap is None
    assert pages(known, [shown(1, 61)], [EMPTY_END])[-1].gap is None
    assert pages(known, [EMPTY_END])[-1].gap is None


def test_an_end_that_the_page_behind_it_told_is_asked_for_again_as_well():
    hollow = replace(shown(1, 2, more=False), hollow_end=True)
    found = pages(None, [hollow, shown(1, 2)], [shown(3, more=False)])
    assert [len(page.posts) for page in found] == [2, 1]


def test_of_listings_that_are_read_as_one_each_is_asked_again():
    first = served([shown(1, 5)], [EMPTY_END, shown(7, more=False)])
    second = served([shown(2, 6, more=False)])
    ids = [post.native_id for answer in merged(first, second) for post in answer.posts]
    assert ids == ["1", "2", "5", "6", "7"]


def test_a_window_that_showed_nothing_is_remembered_until_one_shows_something():
    def window(cursor, *minutes):
        posts = [post(str(m), published_at=NOW - m * MINUTE) for m in minutes]
        return window_page(remembered(cursor), posts, now=NOW, undated=frozenset(), extra={})

    first = window(None, 60, 61)
    assert window(first.cursor, 1, 2).gap == Gap(start=NOW - HOUR, end=NOW - 2 * MINUTE, cause=Cause.BURST)
    missed = window(window(first.cursor).cursor, 1, 2)
    assert missed.gap == Gap(start=NOW - HOUR, end=NOW - 2 * MINUTE, cause=Cause.BURST, from_start=True)
    assert "empty" not in missed.cursor


def x_walk(start, *answers):
    walk = XWalk(
        start=start, account=JPD, overlap=MINUTE, page_limit=1, back_catalogue=0, live_from=NOW - 30 * HOUR, now=NOW
    )
    return [walk.take(one) for one in answers][-1]


def test_x_remembers_as_well_that_it_showed_nothing():
    known = {"v": 1, "newest_id": tweet(1)["id"], "newest_at": (NOW - HOUR).isoformat(), "found_at": NOW.isoformat()}
    empty = x_walk(known, {"meta": {"result_count": 0}}).cursor
    assert empty == {**known, "empty": True}
    for start, begins_there in ((known, False), (empty, True), ({**known, "settled": True}, True)):
        page = x_walk(start, answer_of(tweet(9), tweet(8), token="a"))
        assert page.gap is not None
        assert page.gap.from_start is begins_there
        assert "empty" not in page.cursor


STRETCHES = {
    "whole": ([shown(1, 2), shown(3, 4, more=False)], True),
    "with an empty page": ([shown(1, 2), EMPTY_MIDDLE, shown(4, more=False)], False),
    "with an empty end": ([shown(1, 2), EMPTY_END], False),
    "of nothing": ([EMPTY_END], True),
}


@pytest.mark.parametrize(("answers", "proven"), STRETCHES.values(), ids=STRETCHES)
def test_a_stretch_is_proven_only_without_empty_pages(answers, proven):
    pages = list(stretch(answers, NOW - HOUR, NOW, promises=True))
    assert (pages[-1].gap is None) is proven


def test_a_listing_that_shows_all_does_not_end_above_what_is_known():
    """I1: what told that there is a further page was lost on the way. Nor need what the checks since then have read be
    all: one of them may have been answered as an earlier one.
    """
    known = {"v": 1, "newest": (NOW - 60 * MINUTE).isoformat()}

    def gap(answer, cursor=known, *, whole=True):
        return begin_walk(JPD, cursor, Bounds(overlap=10 * MINUTE), NOW, whole=whole).take(answer).gap

    assert gap(shown(1, 2, more=False)) == Gap(
        start=NOW - HOUR, end=NOW - 2 * MINUTE, cause=Cause.BURST, from_start=True
    )
    assert gap(shown(1, 2, more=False), whole=False) is None  # it was asked for what is new alone
    assert gap(shown(1, 60, more=False)) is gap(shown(1, 61, more=False)) is None
    assert gap(EMPTY_END) is gap(shown(1, 2, more=False), None) is None
    edited = post("known", published_at=NOW - HOUR, edited_at=NOW)
    assert gap(replace(listed([edited], more=False), times=(NOW,))) is None  # listed by its last change
    mixed = replace(listed([edited, post("new", published_at=NOW - MINUTE)], more=False), times=(NOW, NOW - MINUTE))
    assert gap(mixed) == Gap(
        start=NOW - HOUR, end=NOW - MINUTE, cause=Cause.BURST, from_start=True
    )  # it proves nothing


def test_a_listing_that_gives_up_leaves_the_rest_of_a_stretch_a_gap():
    pages = list(stretch(iter([shown(1, 2), EMPTY_MIDDLE]), NOW - HOUR, NOW))
    assert [page.last for page in pages] == [False, False, True]
    assert pages[-1].gap == Gap(start=NOW - HOUR, end=NOW - 2 * MINUTE, cause=Cause.BURST)


def test_a_server_that_minds_no_cursor_is_not_asked_for_the_same_page_for_ever():
    pages = list(stretch(repeat(shown(1, 2)), NOW - HOUR, NOW))
    assert (len(pages), pages[-1].last, pages[-1].gap is None) == (3, True, False)
    asked = iter(range(99))
    answers = (shown(1, 2) for _ in asked)
    assert not reread_listed(answers, {"x": NOW - HOUR}).missing
    assert next(asked) == 3


def test_a_server_of_empty_pages_is_not_asked_for_ever():
    assert len(list(stretch(repeat(EMPTY_MIDDLE), NOW - HOUR, NOW))) < 100
    asked = iter(range(999))
    assert not reread_listed((EMPTY_MIDDLE for _ in asked), {"x": NOW - HOUR}).missing
    assert next(asked) < 100


def test_in_a_listing_without_end_a_post_that_lies_deeper_than_anybody_reads_is_not_decided():
    asked = count(1)
    answers = (listed([post(str(n), published_at=NOW)], more=True) for n in asked)
    assert not reread_listed(answers, {"x": NOW - HOUR}).missing
    assert next(asked) == PAGE_BOUND + 1


def test_a_known_post_is_looked_up_as_deep_as_it_lies_however_small_the_pages():
    """Fault 22: what lay below the fortieth page was undecided for ever, and its edits were never seen."""
    answers = (shown(n, more=n < 99) for n in range(1, 100))
    answer = reread_listed(answers, {"90": NOW - 90 * MINUTE, "gone": NOW - 80 * MINUTE - 30 * SECOND})
    assert ([one.native_id for one in answer.posts], answer.missing) == (["90"], {"gone"})
    assert next(answers).ids == {"91"}  # no further than it must


def test_what_the_pages_show_above_what_is_sought_is_handed_on():
    """But nothing from below: it may be older than what is watched at all."""
    answer = reread_listed([shown(1, 2), shown(3, 4, 5), shown(6)], {"2": NOW - 2 * MINUTE, "4": NOW - 4 * MINUTE})
    assert [one.native_id for one in answer.posts] == ["2", "4"]
    assert [one.native_id for one in answer.passed] == ["1", "3"]


def test_x_s_promise_of_a_further_page_is_kept_or_is_a_gap():
    begin = {"v": 1, "newest_id": tweet(1)["id"], "newest_at": (NOW - HOUR).isoformat(), "found_at": NOW.isoformat()}
    walk = XWalk(
        start=begin, account=JPD, overlap=MINUTE, page_limit=9, back_catalogue=0, live_from=NOW - 30 * HOUR, now=NOW
    )
    assert not walk.take(answer_of(tweet(9), tweet(8), token="a")).last
    ended = walk.take({"meta": {"result_count": 0}})
    assert ended.last
    assert ended.gap is not None


def test_an_old_post_that_was_edited_is_no_proof_of_having_come_down_to_what_is_known():
    """LinkedIn lists by the last change (fault 21)."""
    edited = [post("edited", published_at=NOW - 99 * MINUTE)], [post("known", published_at=NOW - 60 * MINUTE)]
    pages = [replace(listed(posts, more=True), times=(NOW - 3 * MINUTE,)) for posts in edited]
    assert [last(one, EMPTY_END, promises=False).gap is None for one in pages] == [False, True]
    known = post("known", published_at=NOW - 60 * MINUTE, edited_at=NOW - 3 * MINUTE)
    page = replace(listed([known], more=True), times=(NOW - 3 * MINUTE,))
    assert last(page, EMPTY_END, promises=False).gap is not None


HEALERS = {
    "down to what was known before the loss": ([shown(5, 70, more=False)], True),
    "an empty answer": ([EMPTY_END], False),
    "an end above it": ([shown(5, 50, more=False)], False),
}


@pytest.mark.parametrize(("answers", "heals"), HEALERS.values(), ids=HEALERS)
def test_only_a_walk_that_shows_what_was_known_before_a_loss_heals_it(answers, heals):
    """I1, fault 21: the walk begins below the loss, and a quiet server says nothing of what lies there."""
    moments = {"newest": NOW - 60 * MINUTE, "lost_after": NOW - 65 * MINUTE}
    cursor = {"v": 1, **{key: moment.isoformat() for key, moment in moments.items()}}
    walk = begin_walk(JPD, cursor, Bounds(overlap=10 * MINUTE), NOW)
    page = [walk.take(one) for one in answers][-1]
    assert page.heals is heals
    assert ("lost_after" in page.cursor) is not heals
