"""How budgets set the pace of a platform, what is written down of them, and who is told when they will not last."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from builders import NOW, account, agency
from sqlalchemy import null, select, update
from test_poll import Desk, FakePlatform, marks, said  # noqa: F401 (marks is a fixture)

from connectors.base import Allowance, Capabilities, RateLimited
from connectors.http import Meter
from monitor.budget import CREDENTIAL, PRIOR, Forecast, Grant, next_month
from monitor.model import AlertKind, AlertState, Cause
from monitor.store import budget, tables
from monitor.store.accounts import claim_accounts, release
from monitor.store.listings import list_alerts
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TEN = tuple(f"akaun{n}" for n in range(10))


@dataclass
class Billed(FakePlatform):
    """A platform that tells of its budgets, and takes a call for each thing it is asked."""

    told: tuple = ()
    month: dict = field(default_factory=dict)
    cost: dict = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)

    def _ask(self, what, holder):
        self.meter.count()
        super()._ask(what, holder)

    def allowances(self):
        return self.told

    def monthly(self):
        return self.month

    def spent(self):
        return self.cost


@pytest.fixture
def platform():
    return Billed()


@pytest.fixture
def desk(sqlite_db, platform):
    desk = Desk(sqlite_db, platform, handles=TEN)
    desk.poller.meters["x"] = platform.meter
    return desk


def calls(limit, *, window=15 * MINUTE, left=None, at=NOW):
    return Allowance(
        name="calls", limit=limit, remaining=limit if left is None else left, resets_at=at + window, window=window
    )


def intervals(desk):
    with desk.db.read() as connection:
        rows = connection.execute(select(tables.account.c.next_check_at, tables.account.c.last_check_at))
        return [due - last for due, last in rows]


def let_time_pass(desk, *, hours):
    for _ in range(hours * 12):
        desk.poll(after=5 * MINUTE)


# ---------------------------------------------------------------- the pace


def test_the_calls_and_reads_of_a_day_are_written_down(desk):
    desk.poll()
    desk.poll(after=HOUR)
    assert budget.spent_since(desk.db, "x", NOW) == {
        "calls": 30,  # each profile once
        "calls to read accounts": 30,
        "accounts read": 20,
    }
    assert budget.calls_per_read(desk.db, "x", NOW) == 1.5


def test_without_a_budget_accounts_of_one_rate_are_read_at_the_typical_interval(desk):
    let_time_pass(desk, hours=2)
    assert {round(one / MINUTE, 1) for one in intervals(desk)} == {7.5}


def test_a_short_budget_stretches_the_intervals_and_no_account_is_left_out(desk, platform):
    platform.told = (calls(5),)  # in a quarter of an hour: for ten accounts that are to be read in it
    let_time_pass(desk, hours=6)
    shortest = 10 / (0.85 * 5) * 15 * MINUTE  # where a read takes one call
    assert all(shortest <= one <= 1.2 * shortest for one in intervals(desk))
    pulls = [handle for what, handle in platform.calls if what == "pull"]
    assert min(map(pulls.count, TEN)) >= max(map(pulls.count, TEN)) - 1 > 5


def test_a_scarcity_that_the_next_window_ends_stretches_nothing(desk, platform):
    platform.told = (calls(1000),)
    desk.poll()
    platform.told = (calls(1000, left=0),)
    desk.poll(after=5 * MINUTE)
    desk.poll(after=5 * MINUTE)
    assert max(intervals(desk)) <= desk.polling.max_interval


def test_percentages_set_a_pace_once_an_hour_of_calls_was_counted(desk, platform):
    platform.told = (calls(100, left=50, window=HOUR),)
    desk.poll()
    assert budget.grants(desk.db) == []
    let_time_pass(desk, hours=2)
    (grant,) = budget.grants(desk.db)
    assert grant.limit == pytest.approx(2 * 10 * (HOUR / (7.5 * MINUTE)), rel=0.5)


@pytest.mark.parametrize("step", [-HOUR, HOUR, -400 * DAY, 400 * DAY], ids=str)
def test_a_step_of_the_clock_neither_stops_nor_hurries_the_reading(desk, platform, step):
    platform.told = (calls(1000),)
    let_time_pass(desk, hours=1)
    desk.poll(after=step)
    before = len(platform.calls)
    let_time_pass(desk, hours=1)
    pulls = [what for what, _ in platform.calls[before:] if what == "pull"]
    assert 10 * 60 / 15 <= len(pulls) <= 10 * 60 / 3


@dataclass
class Limited(Billed):
    """A platform that lets so many calls through in each quarter of an hour, and refuses the rest."""

    limit: int = 1000
    now: object = None
    used: dict = field(default_factory=dict)  # by window
    refused: list = field(default_factory=list)

    def _ask(self, what, holder):
        now = self.now()
        window = now.replace(minute=now.minute // 15 * 15, second=0)
        self.used[window] = self.used.get(window, 0) + 1
        left = max(0, self.limit - self.used[window])
        ends = window + 15 * MINUTE
        self.told = (replace(calls(self.limit, left=left), resets_at=ends),)
        if self.used[window] > self.limit:
            self.refused.append(now)
            raise RateLimited("x: 429", retry_at=ends)
        super()._ask(what, holder)


@pytest.mark.parametrize(("limit", "short"), [(20, False), (8, True)], ids=["suffices", "does not"])
def test_a_budget_is_planned_so_that_it_is_not_used_up_and_a_shortage_is_said_before(sqlite_db, limit, short):
    """Fault 17: budget kept, the accounts share it, the forecast said so."""
    platform = Limited(limit=limit)
    desk = Desk(sqlite_db, platform, handles=TEN)
    platform.now, desk.poller.meters["x"] = (lambda: desk.now), platform.meter
    let_time_pass(desk, hours=2)  # the first reads take a call more: profiles
    platform.refused.clear()
    platform.calls.clear()
    let_time_pass(desk, hours=10)
    pulls = [handle for what, handle in platform.calls if what == "pull"]
    assert len(platform.refused) <= (3 if short else 0)  # without a plan it would be each window
    assert max(map(pulls.count, TEN)) - min(map(pulls.count, TEN)) <= 1
    expected = (
        desk.polling.max_interval if not short else 10 / (0.85 * limit) * 15 * MINUTE + 5 * MINUTE
    )  # looked each 5
    assert min(map(pulls.count, TEN)) >= 10 * HOUR / expected - 1
    noted = budget.note_forecasts(desk.db, forecasts(desk.db, desk.now), desk.now)
    assert noted.opened == (("x:calls",) if short else ())


@dataclass
class Percent(Billed):
    """A platform that tells of a rolling hour's budget in percent alone, as Meta's do."""

    limit: int = 60
    now: object = None
    times: list = field(default_factory=list)
    highest: list = field(default_factory=list)

    def _ask(self, what, holder):
        now = self.now()
        self.times = [*(at for at in self.times if now - at < HOUR), now]
        percent = 100 * len(self.times) / self.limit
        self.highest.append(round(percent))
        self.told = (replace(calls(100, left=100 - round(percent), window=HOUR), resets_at=now + HOUR),)
        super()._ask(what, holder)


def test_a_budget_that_is_told_in_percent_is_planned_for_as_well(sqlite_db):
    platform = Percent()
    desk = Desk(sqlite_db, platform, handles=TEN)
    platform.now, desk.poller.meters["x"] = (lambda: desk.now), platform.meter
    let_time_pass(desk, hours=2)
    assert max(platform.highest) > 95  # eighty calls an hour, while nothing is known
    let_time_pass(desk, hours=2)
    platform.highest.clear()
    let_time_pass(desk, hours=6)
    assert 60 < max(platform.highest) < 95
    assert max(intervals(desk)) <= desk.polling.max_interval


# ---------------------------------------------------------------- what goes first


def rereads(platform):
    return sum(what == "reread" for what, _ in platform.calls)


def pulls(platform):
    return sum(what == "pull" for what, _ in platform.calls)


@pytest.mark.parametrize(("limit", "least", "most"), [(100, 0.05, 1.0), (5, 0.05, 0.1)], ids=["ample", "short"])
def test_known_posts_are_looked_at_again_by_what_live_reading_leaves_and_by_a_share_at_least(
    desk, platform, limit, least, most
):
    platform.shown = {handle: [said("Hebahan", handle)] for handle in TEN}
    platform.told = (calls(limit),)
    let_time_pass(desk, hours=8)
    assert least < rereads(platform) / pulls(platform) <= most


def test_where_it_is_the_month_s_budget_that_is_short_nothing_is_looked_at_again(desk, platform):
    platform.shown = {handle: [said("Hebahan", handle)] for handle in TEN}
    platform.month, platform.cost = {"posts": 100.0}, {"posts": 10.0}
    desk.poll()
    with desk.db.write() as connection:
        yesterday = {"platform": "x", "name": "posts", "day": f"{NOW - DAY:%Y-%m-%d}", "amount": 60.0}
        connection.execute(tables.spending.insert().values(yesterday))
        connection.execute(update(tables.account).values(registered_at=NOW - 9 * DAY))
    let_time_pass(desk, hours=3)
    assert (pulls(platform) > 10, rereads(platform)) == (True, 0)


def test_the_month_s_own_limit_stops_the_reading_and_says_which_it_is(desk, platform):
    platform.month, platform.cost = {"posts": 500.0}, {"posts": 500.0}
    desk.poll()
    before = len(platform.calls)
    results = desk.poll(after=HOUR)
    assert len(platform.calls) == before
    assert {one.cause for one in results} == {Cause.RATE_LIMIT}
    assert "the month's limit of posts (500) is used up; raise it in [connectors.x]" in results[0].failure


def test_in_the_next_month_it_is_read_again(desk, platform):
    platform.month, platform.cost = {"posts": 500.0}, {"posts": 500.0}
    desk.poll()
    desk.poll(after=HOUR)
    results = desk.poll(after=8 * DAY)
    assert [one.failure for one in results] == [None] * 10


# ---------------------------------------------------------------- who is told


def x_month(*, spent, limit=10_000.0):
    at = next_month(NOW)
    return Grant(platform="x", name="posts", limit=limit, remaining=limit - spent, resets_at=at, seen_at=NOW)


def forecasts(db, now=NOW):
    return budget.forecasts(db, now, longest=15 * MINUTE)


@pytest.fixture
def registered(db):
    save_register(db, [agency()], [account(handle) for handle in TEN], now=NOW - 20 * DAY)
    return db


def test_a_month_s_forecast_is_made_of_the_days_that_were_spent(registered):
    for day in range(1, 6):
        budget.save_spending(registered, "x", {"posts": 400.0}, [], NOW - day * DAY)
    budget.save_spending(registered, "x", {"posts": 3000.0}, [x_month(spent=8800)], NOW)  # today's are not over
    (forecast,) = forecasts(registered)
    assert forecast.ends_at == NOW + 3 * DAY
    assert forecast.accounts == 10


def test_before_a_day_has_passed_a_forecast_goes_by_what_the_accounts_post(registered):
    with registered.write() as connection:
        connection.execute(update(tables.account).values(posting_rate=40.0))
    budget.save_spending(registered, "x", {}, [x_month(spent=9_000)], NOW)
    assert forecasts(registered)[0].ends_at == NOW + 2.5 * DAY


def test_a_platform_without_accounts_needs_no_budget(db):
    budget.save_spending(db, "x", {}, [x_month(spent=10_000)], NOW)
    assert forecasts(db) == []


def test_what_was_spent_is_kept_for_two_months(db):
    for day in range(0, 100, 10):
        budget.save_spending(db, "x", {"calls": 1.0}, [], NOW + day * DAY)
    assert budget.spent_since(db, "x", NOW) == {"calls": 7}


SHORT = Forecast(platform="x", name="posts", limit=100, needed=150, ends_at=NOW + DAY, resets_at=NOW + 5 * DAY)
GOOD = Forecast(platform="x", name="posts", limit=100, needed=50, resets_at=NOW + 5 * DAY)


def kinds(db):
    return [alert.kind for alert in list_alerts(db)]


def test_one_alert_is_opened_however_often_it_is_looked_at(db):
    for hour in range(5):
        budget.note_forecasts(db, [SHORT], NOW + hour * HOUR)
    assert kinds(db) == [AlertKind.FORECAST]
    assert list_alerts(db)[0].platform == "x"


def test_when_it_fits_again_the_alert_ends_and_a_later_shortage_is_another_one(db):
    assert budget.note_forecasts(db, [SHORT], NOW).opened == ("x:posts",)
    assert budget.note_forecasts(db, [GOOD], NOW + HOUR).recovered == ("x:posts",)
    assert budget.note_forecasts(db, [GOOD], NOW + 2 * HOUR) == budget.Noted()
    assert budget.note_forecasts(db, [SHORT], NOW + 3 * HOUR).opened == ("x:posts",)
    assert len(kinds(db)) == 2


def test_whoever_resolved_it_is_not_told_again_while_it_lasts(db):
    budget.note_forecasts(db, [SHORT], NOW)
    with db.write() as connection:
        resolved = {"state": AlertState.RESOLVED.value, "resolved_at": NOW, "next_action_at": None}
        connection.execute(update(tables.alert).values(**resolved))
    assert budget.note_forecasts(db, [SHORT], NOW + DAY) == budget.Noted()
    budget.note_forecasts(db, [GOOD], NOW + 2 * DAY)
    with db.read() as connection:
        assert connection.execute(select(tables.alert.c.next_action_at)).scalar_one() is None


def test_a_credential_that_ends_is_told_two_weeks_before_and_a_new_one_ends_that(registered):
    budget.save_end(registered, "x", NOW + 10 * DAY, NOW)
    assert budget.note_forecasts(registered, forecasts(registered), NOW).opened == (f"x:{CREDENTIAL}",)
    budget.save_end(registered, "x", NOW + 70 * DAY, NOW + DAY)
    later = NOW + DAY
    assert budget.note_forecasts(registered, forecasts(registered, later), later).recovered == (f"x:{CREDENTIAL}",)
    budget.save_end(registered, "x", None, later)  # nothing was renewed since the start
    assert forecasts(registered, later)[0].ends_at == NOW + 70 * DAY
    budget.save_end(registered, "x", None, NOW + 71 * DAY)  # it lives on: it has no end after all
    assert forecasts(registered, NOW + 71 * DAY) == []


def test_credentials_are_asked_about_once_a_day_whatever_the_clock_does(db):
    assert budget.is_time(db, NOW)
    budget.was_done(db, NOW)
    assert [budget.is_time(db, NOW + at) for at in (HOUR, DAY, -2 * DAY)] == [False, True, True]
    budget.was_done(db, NOW + DAY)
    assert not budget.is_time(db, NOW + DAY)


def test_a_new_account_is_believed_to_post_as_usual_and_a_known_one_as_it_did(desk, platform):
    platform.shown["akaun1"] = [said("Hebahan", str(n), 60.0 * n) for n in range(1, 200)]
    desk.poll()
    with desk.db.read() as connection:
        rates = dict(connection.execute(select(tables.account.c.handle, tables.account.c.posting_rate)).all())
    assert rates["akaun0"] == PRIOR
    assert 15 < rates["akaun1"] < 24


def test_where_the_past_is_read_in_slices_it_tells_the_rate_once_it_is_there(sqlite_db, platform):
    platform.capabilities = Capabilities(rereads=False, slices=True)
    desk = Desk(sqlite_db, platform)

    def rate():
        with desk.db.read() as connection:
            return connection.execute(select(tables.account.c.posting_rate)).scalar_one()

    desk.poll()
    desk.poll(after=HOUR)
    assert rate() is None
    with desk.db.write() as connection:  # what reading the past does
        connection.execute(update(tables.account).values(backfill=null()))
        texts = [Judged(post=said("Lama", str(n), 60.0 * n), back_catalogue=True) for n in range(1, 100)]
    (claimed,) = claim_accounts(desk.db, now=desk.now + HOUR, lease=HOUR, limit=1, platform="x")
    save_page(desk.db, claimed, texts, rule_set="r", now=desk.now, reread_window=HOUR, end=None)
    release(desk.db, claimed)
    desk.poll(after=2 * HOUR)
    assert 14 < rate() < 24
