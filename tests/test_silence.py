from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from builders import account, agency, post
from sqlalchemy import update

from monitor.cli.coverage import _coverage_row, _gaps
from monitor.model import MALAYSIA, Verdict
from monitor.reports import Silent
from monitor.silence import fallen_silent
from monitor.store import tables
from monitor.store.accounts import claim_accounts
from monitor.store.checks import ReadEnd
from monitor.store.coverage import coverage_of
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register

NOW = datetime(2026, 11, 24, 12, tzinfo=MALAYSIA)  # a Tuesday
DAY = timedelta(days=1)


def posted(*days_ago):
    return [NOW - days * DAY for days in days_ago]


def working_days(begin, end):
    return posted(*(n for n in range(begin, end) if (NOW - n * DAY).weekday() < 5))


CASES = {
    "whoever posts every day and is silent for a week": (posted(*range(8, 60)), 7),
    "whoever posts on working days, over a weekend": (working_days(4, 60), None),
    "whoever posts on working days, for two weeks": (working_days(15, 60), 14),
    "whoever posts twice a week, for ten days": (posted(*range(11, 90, 4)), None),
    "whoever posts twice a week, for seven weeks": (posted(*range(48, 120, 4)), 47),
    "whoever has posted once": (posted(30), None),
    "whoever is new and posted for a week": (posted(*range(9, 16)), None),
    "whoever never posted": ([], None),
    "a long pause that has happened before": (posted(*range(13, 20), *range(31, 60)), None),
    "a burst of a hundred posts on one day is one sign of life": (posted(*([40] * 100), 60), None),
    "whoever posts every day and was read an hour ago": (posted(*range(60)), None),
    "posts from the future prove nothing": ([*posted(*range(8, 60)), NOW + 400 * DAY], 7),
}


@pytest.mark.parametrize(("times", "days"), CASES.values(), ids=CASES)
def test_silence_is_measured_by_the_account_s_own_habit(times, days):
    """Fault 21."""
    found = fallen_silent(times, NOW)
    assert (found.days if found else None) == days


def test_a_silence_says_since_when_and_what_was_usual():
    silence = fallen_silent(posted(*range(8, 60)), NOW)
    assert silence == Silent(since=NOW - 8 * DAY, days=7, active=52, of=52)


def test_an_honest_year_of_working_days_is_never_taken_for_silence():
    """No nightly noise: holidays of up to a week twice a year, and every weekend."""
    year = [NOW - n * DAY for n in range(400) if (NOW - n * DAY).weekday() < 5 and n % 180 not in range(5)]
    noise = [n for n in range(300) if fallen_silent([at for at in year if at <= NOW - n * DAY], NOW - n * DAY)]
    assert noise == []


# ---------------------------------------------------------------- in the listings

HOUR = timedelta(hours=1)
NEXT = ReadEnd(cursor={}, hole=None, interval=HOUR, next_check_at=NOW + HOUR)


def stored(db, times, *, end=NEXT):
    """Register an account a hundred days ago, which published at these times and is read until now."""
    save_register(db, [agency()], [account()], now=NOW - 100 * DAY)
    (claimed,) = claim_accounts(db, now=NOW, lease=HOUR, limit=1, platform="x")
    judged = [Judged(post=post(str(n), published_at=at)) for n, at in enumerate(times)]
    save_page(db, claimed, judged, rule_set="r", now=NOW, reread_window=7 * DAY, end=end)


def week_of(db):
    (week,) = coverage_of(db, start=NOW - 7 * DAY, end=NOW + HOUR / 2, patience=HOUR)
    return week


def test_the_coverage_names_an_account_that_was_read_and_showed_nothing(db):
    """HTTP 200 with an empty list, day after day."""
    stored(db, posted(*range(8, 60)))
    week = week_of(db)
    assert (week.verdict, week.silent.days) == (Verdict.FULL, 7)
    assert any("nothing new for 7 days" in line for line in _gaps(week))
    assert list(_coverage_row(week))[-2:] == ["gaps", "silent_since"]


def test_an_account_that_cannot_be_read_is_blind_and_not_silent(db):
    stored(db, posted(*range(8, 60)), end=None)
    assert week_of(db).silent is None


def test_an_account_as_usual_has_no_more_in_its_row_than_ever(db):
    stored(db, posted(*range(60)))
    week = week_of(db)
    assert (week.silent, week.vanished) == (None, 0)
    assert list(_coverage_row(week))[-1] == "gaps"


@pytest.mark.parametrize(("deleted", "vanished"), [(15, 15), (13, 0), (0, 0)], ids=["all", "all but one", "none"])
def test_an_account_whose_recent_posts_are_all_deleted_at_once_is_named(db, deleted, vanished):
    stored(db, posted(*range(60)))
    with db.write() as connection:
        gone = tables.post.c.published_at >= NOW - (deleted - 0.5) * DAY
        connection.execute(update(tables.post).where(gone).values(deleted_at=NOW - HOUR))
    assert week_of(db).vanished == vanished
