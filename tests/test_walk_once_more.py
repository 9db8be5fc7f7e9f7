"""Answers that do not fit together: an earlier answer in the place of a later page, an end that is none. Each part is
true, or was; what was not shown by one answer down to what was known is read once more by the next walk (I1, fault 21).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from builders import NOW, account, post
from test_x import page as answer_of
from test_x import post as tweet

from connectors.base import Bounds
from connectors.walk import Listed, begin_walk, listed
from connectors.x.ids import first_id_of
from connectors.x.timeline import Walk as XWalk

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
JPD = account(registered_at=NOW - 30 * HOUR)
LIVE_FROM = NOW - 54 * HOUR
OVERLAP = 10 * MINUTE
EMPTY_END = Listed(posts=(), times=(), ids=frozenset(), more=False)


def shown(*minutes, more=True):
    return listed([post(str(m), published_at=NOW - m * MINUTE) for m in minutes], more=more)


def ago(minutes):
    return (NOW - minutes * MINUTE).isoformat()


def begun(cursor, *, page_limit=2000):
    return begin_walk(JPD, cursor, Bounds(overlap=OVERLAP, page_limit=page_limit), NOW, whole=True)


def after(cursor, *answers, page_limit=2000):
    """Return the page that ends a walk."""
    walk = begun(cursor, page_limit=page_limit)
    pages = [walk.take(one) for one in answers]
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    return pages[-1]


KNOWN = {"v": 1, "newest": ago(60)}
WALKS = {
    "one answer that came down to what is known": ([shown(1, 2, 60, more=False)], None),
    "nothing new, and the next page": ([shown(60, 61), shown(62, more=False)], None),
    "two answers": ([shown(1, 2), shown(3, 60, more=False)], 60),
    "a second answer of earlier, which stands lower": ([shown(1, 2), shown(61, 62, more=False)], 60),
    "one answer without the post that is known": ([shown(1, 2, 61, more=False)], 60),
    "one answer and an empty end": ([shown(1, 2, 60), EMPTY_END], None),
    "an end above it: what lies in the gap is asked for otherwise": ([shown(1, 2, more=False)], 2),
}


@pytest.mark.parametrize(("answers", "again"), WALKS.values(), ids=WALKS)
def test_what_is_new_is_read_once_more_unless_one_answer_joins_it_to_what_is_known(answers, again):
    cursor = after(KNOWN, *answers).cursor
    assert cursor.get("again") == (again and ago(again))
    assert begun(cursor).since == (
        NOW - (again or 0) * MINUTE if again and again > 11 else begun(cursor).known - OVERLAP
    )


def test_what_is_read_once_more_is_read_down_to_where_the_first_walk_began():
    """It finds the posts that none of the first walk's answers showed; after it nothing is read again."""
    first = after(KNOWN, shown(1, 2), shown(61, 62, more=False))
    second = after(first.cursor, shown(1, 2, 3), shown(4, 5, 60, more=False))
    assert second.cursor == {"v": 1, "newest": ago(1)}
    assert begun(second.cursor).since == NOW - MINUTE - OVERLAP


def test_a_second_reading_that_fails_is_made_again():
    once = after(KNOWN, shown(1, 2), shown(61, 62, more=False)).cursor
    empty = after(once, EMPTY_END).cursor
    assert (empty["again"], empty["empty"]) == (ago(60), True)
    news = after(once, shown(0, more=False))
    assert (news.gap.start, news.gap.from_start, news.cursor["again"]) == (NOW - HOUR, True, ago(60))


def test_a_second_reading_that_ends_above_where_the_first_began_is_a_gap():
    """Walks of many pages fail more often than one that is wrongly ended by its first answer."""
    once = after(KNOWN, shown(1, 2), shown(61, 62, more=False)).cursor
    page = after(once, shown(1, 2, more=False))
    assert (page.gap.start, page.gap.end, page.gap.from_start) == (NOW - HOUR, NOW - 2 * MINUTE, True)
    assert page.cursor["lost_after"] == ago(60)
    x = known_at(1, below=at(60)["id"])
    gap = x_walk(x, answer_of(at(1), at(2)))[0].gap
    assert (gap.start, gap.end, gap.from_start) == (NOW - HOUR, NOW - 2 * MINUTE, True)
    assert x_walk(x, answer_of(at(1), at(2), at(60)))[0].gap is None


def test_what_is_too_much_for_one_walk_is_not_read_from_its_beginning_for_ever():
    """No busy loop: below the cut lies a gap, which the back-fill reads."""
    cut = after(KNOWN, shown(1, 2), shown(3, 4), page_limit=2)
    assert (cut.gap.end, cut.cursor["again"]) == (NOW - 4 * MINUTE, ago(4))
    assert "again" not in after(cut.cursor, shown(1, 2), shown(3, 4), page_limit=2).cursor


FIRST = {
    "an end in the back catalogue": ([shown(1, 99 * 60, more=False)], None),
    "an end above it, as of an account that is new": ([shown(1, 2, more=False)], LIVE_FROM),
    "several answers": ([shown(1, 2), shown(3, 99 * 60, more=False)], LIVE_FROM),
    "posts of the back catalogue alone": ([shown(98 * 60), shown(99 * 60, more=False)], None),
    "nothing": ([EMPTY_END], None),
}


@pytest.mark.parametrize(("answers", "again"), FIRST.values(), ids=FIRST)
def test_of_a_first_pull_what_is_live_is_read_once_more(answers, again):
    """There nothing is known that could tell an end from one that is none."""
    assert after(None, *answers).cursor.get("again") == (again and again.isoformat())


def test_an_end_that_no_known_post_proves_tells_from_when_on_all_is_said_to_be_shown():
    """A post that an earlier try has stored may disprove it."""
    first = after(None, shown(1, 2, more=False))
    x = x_walk({}, answer_of(at(1), at(2)))[0]
    assert first.since == x.since == LIVE_FROM
    assert after(first.cursor, shown(1, 2, more=False)).since == LIVE_FROM
    assert x_walk(x.cursor, answer_of(at(1), at(2)))[0].since == LIVE_FROM
    assert (
        after(KNOWN, shown(1, 60, more=False)).since is x_walk(known_at(60), answer_of(at(1), at(60)))[0].since is None
    )
    assert after(None, EMPTY_END).since is x_walk({}, answer_of())[0].since is None


def test_a_loss_is_healed_by_several_answers_only_when_a_second_walk_finds_the_same():
    lost = {"v": 1, "newest": ago(58), "lost_after": ago(60)}
    pages = shown(1, 2), shown(59, 60, more=False)
    first = after(lost, *pages)
    second = after(first.cursor, *pages)
    assert (first.heals, first.cursor["again"], second.heals) == (False, ago(60), True)
    assert after(lost, shown(1, 2, 59, 60, more=False)).heals


# ---------------------------------------------------------------- X


def x_walk(start, *answers, page_limit=9):
    walk = XWalk(
        start=start,
        account=JPD,
        overlap=MINUTE,
        page_limit=page_limit,
        back_catalogue=0,
        live_from=LIVE_FROM,
        now=NOW,
    )
    return [walk.take(one) for one in answers][-1], walk


def at(minutes):
    return tweet(1000 - minutes, at=NOW - minutes * MINUTE)


def known_at(minutes, **more):
    found_at = NOW.isoformat()
    return {"v": 1, "newest_id": at(minutes)["id"], "newest_at": ago(minutes), "found_at": found_at, **more}


def test_an_end_on_x_above_the_newest_known_post_is_a_gap():
    """The stretch that is asked for holds it."""
    page, _ = x_walk(known_at(60), answer_of(at(1), at(2)))
    assert (page.gap.start, page.gap.end) == (NOW - HOUR, NOW - 2 * MINUTE)
    assert page.gap.from_start  # the checks since then may have been answered as earlier ones
    assert page.cursor["lost_after"] == at(60)["id"]
    assert x_walk(known_at(60), answer_of(at(1), at(60)))[0].gap is None
    assert x_walk(known_at(60, settled=True), answer_of(at(1), at(2)))[0].gap is None  # nothing known is asked for


def test_an_edit_of_the_newest_known_post_on_x_stands_for_it_but_an_older_one_s_does_not():
    """An edit has an id of its own, and stands where that belongs."""

    def edited(minutes):
        return {**at(1), "edit_history_tweet_ids": [at(minutes)["id"], at(1)["id"]]}

    assert x_walk(known_at(60), answer_of(edited(60)))[0].gap is None
    assert x_walk(known_at(60), answer_of(edited(70)))[0].gap is not None


X_WALKS = {
    "one answer that came down to what is known": (known_at(60), [answer_of(at(1), at(60))], None),
    "two answers": (known_at(60), [answer_of(at(1), token="a"), answer_of(at(60))], at(60)["id"]),
    "one answer where nothing known is asked for": (known_at(60, settled=True), [answer_of(at(1))], at(60)["id"]),
    "a first one in the back catalogue": ({}, [answer_of(at(1), at(99 * 60))], None),
    "a first one above it": ({}, [answer_of(at(1), at(2))], str(first_id_of(LIVE_FROM))),
}


@pytest.mark.parametrize(("start", "answers", "below"), X_WALKS.values(), ids=X_WALKS)
def test_what_is_new_on_x_is_read_once_more_unless_one_answer_joins_it_to_what_is_known(start, answers, below):
    cursor = x_walk(start, *answers)[0].cursor
    assert cursor.get("below") == below
    _, following = x_walk(cursor, answer_of(at(1), at(60)))
    since = int(following.bounds["since_id"])
    assert since == (int(below) - 1 if below else int(at(1)["id"]) - (60_000 << 22))
    assert "below" not in x_walk(cursor, answer_of(at(1), at(60)))[0].cursor


def test_an_empty_answer_on_x_is_no_second_reading_and_what_is_settled_asks_for_nothing_more():
    cursor = known_at(1, below=at(60)["id"])
    assert x_walk(cursor, answer_of())[0].cursor["below"] == at(60)["id"]
    settled = x_walk({**cursor, "found_at": ago(25 * 60)}, answer_of())[0].cursor
    assert (settled["settled"], "below" in settled) == (True, False)


def test_what_is_too_much_for_one_walk_on_x_is_not_read_from_its_beginning_for_ever():
    cut, _ = x_walk(known_at(60), answer_of(at(1), token="a"), answer_of(at(2), token="b"), page_limit=2)
    assert cut.cursor["below"] == at(2)["id"]
    again, _ = x_walk(cut.cursor, answer_of(at(1), token="a"), answer_of(at(2), token="b"), page_limit=2)
    assert "below" not in again.cursor


def test_a_loss_on_x_is_healed_by_several_answers_only_when_a_second_walk_finds_the_same():
    lost = {**known_at(58), "lost_after": at(60)["id"], "below": ""}
    pages = answer_of(at(1), token="a"), answer_of(at(60))

    def healed(cursor):
        walk = XWalk(
            start=cursor, account=JPD, overlap=HOUR, page_limit=9, back_catalogue=0, live_from=LIVE_FROM, now=NOW
        )
        return [walk.take(one) for one in pages][-1]

    first = healed(lost)
    assert (first.heals, first.cursor["below"], healed(first.cursor).heals) == (False, at(60)["id"], True)
