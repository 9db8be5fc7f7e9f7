"""The flow of a platform's checks: nobody waits for one that hangs, what brought nothing is written together, a crash
before that reads again."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from builders import NOW, account, agency, post
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError

from connectors.base import Capabilities, Page, RateLimited, Unavailable
from monitor.model import Profile
from monitor.poll import flow
from monitor.poll.platform import poll_platform
from monitor.poll.poller import Poller
from monitor.settings import Polling
from monitor.store import tables
from monitor.store.accounts import claim_accounts
from monitor.store.register import save_register
from monitor.work import Crew, shares

MINUTE = timedelta(minutes=1)


class NoRules:
    hash = "none"
    asking_for_copies = {}  # noqa: RUF012

    def findings(self, text):
        return []


@dataclass
class Platform:
    """A platform that reads alone, and together where `groups` says so; `hooks` run while an account is being read."""

    platform = "x"
    capabilities = Capabilities(rereads=False)
    shown: dict = field(default_factory=dict)
    hooks: dict = field(default_factory=dict)
    together: dict = field(default_factory=dict)  # by handle: its page, or an error for all
    refusal: Exception | None = None
    calls: list = field(default_factory=list)

    def resolve_many(self, holders):
        return {one.id: Profile(native_id=f"id-{one.handle}", name=one.handle, handle=one.handle) for one in holders}

    def pull(self, holder, cursor, *, now):
        self.calls.append(holder.handle)
        self.hooks.get(holder.handle, lambda: None)()
        yield Page(posts=tuple(self.shown.get(holder.handle, ())), cursor={"v": 1, "n": 1}, last=True)


class Sharing(Platform):
    def batches(self, asked, *, now):
        fit = [one for one, _ in asked if one.handle in self.together]
        return [fit] if fit else []

    def pull_many(self, asked, *, now):
        self.calls.append(sorted(one.handle for one, _ in asked))
        if self.refusal is not None:
            raise self.refusal
        return {one.id: page for one, _ in asked if (page := self.together[one.handle]) is not None}


class Desk:
    def __init__(self, db, platform, handles):
        self.db, self.platform, self.now = db, platform, NOW
        save_register(db, [agency()], [account(handle) for handle in handles], now=NOW)
        polling = Polling(min_interval=MINUTE, max_interval=15 * MINUTE)
        connectors = {"x": platform}
        self.poller = Poller(
            db=db, connectors=connectors, rules=NoRules, agency_kinds=dict, polling=polling, clock=lambda: self.now
        )

    def poll(self, *, after=timedelta(), workers=2, everything=True):
        self.now += after
        found = poll_platform(self.poller, "x", everything=everything, workers=workers)
        return {one.account.handle: one for one in found}

    def rows(self):
        with self.db.read() as connection:
            return {row.handle: row for row in connection.execute(select(tables.account))}


def handles(count):
    return [f"a{number:03}" for number in range(count)]


def test_an_account_that_hangs_holds_its_worker_and_nobody_else(sqlite_db):
    others_done = threading.Event()
    platform = Platform()
    desk = Desk(sqlite_db, platform, handles(40))
    read = []

    def note(handle):
        read.append(handle)
        if len(read) == 39:
            others_done.set()

    platform.hooks = {handle: (lambda handle=handle: note(handle)) for handle in handles(40)[1:]}
    platform.hooks["a000"] = lambda: others_done.wait(20)
    assert len(desk.poll(workers=2)) == 40
    assert others_done.is_set()


def test_who_becomes_due_while_another_hangs_is_read_meanwhile(sqlite_db, monkeypatch):
    monkeypatch.setattr(flow, "SETTLE_SECONDS", 0.02)
    monkeypatch.setattr(flow, "ASK_AGAIN_SECONDS", 0.05)
    platform, once, again = Platform(), threading.Event(), threading.Event()
    desk = Desk(sqlite_db, platform, ["slow", "quick"])

    def turn_the_clock():
        assert once.wait(20), "the quick one is not read"
        desk.now = NOW + 20 * MINUTE
        assert again.wait(20), "the quick one is not read a second time"

    def note():
        (once, again)[platform.calls.count("quick") - 1].set()

    platform.hooks = {"slow": turn_the_clock, "quick": note}
    desk.poll(workers=2, everything=False)
    assert platform.calls.count("quick") == 2


def commits(db):
    counted = []
    event.listen(db._writer, "commit", lambda connection: counted.append(1))
    return counted


def test_profiles_that_were_read_together_are_committed_together(sqlite_db):
    desk, counted = Desk(sqlite_db, Platform(), handles(60)), commits(sqlite_db)
    assert len(desk.poll(workers=4)) == 60
    assert len(counted) < 20
    assert {(row.profile_at, row.native_id) for row in desk.rows().values()} == {(NOW, f"id-{n}") for n in handles(60)}


def test_a_profile_that_cannot_be_written_takes_no_other_account_along(sqlite_db):
    desk = Desk(sqlite_db, Platform(), handles(10))
    with sqlite_db.write() as connection:
        poison = "WHEN NEW.handle = 'a003' BEGIN SELECT RAISE(ABORT, 'no'); END"
        connection.execute(text(f"CREATE TRIGGER poison BEFORE INSERT ON profile {poison}"))
    checked = desk.poll()
    assert [handle for handle, one in checked.items() if one.failure] == ["a003"]
    assert {row.native_id for row in desk.rows().values()} == {"", *(f"id-{n}" for n in handles(10) if n != "a003")}


def test_checks_that_bring_nothing_are_committed_together(sqlite_db):
    desk = Desk(sqlite_db, Platform(), handles(60))
    desk.poll(workers=4)
    counted = commits(sqlite_db)
    assert len(desk.poll(after=20 * MINUTE, workers=4)) == 60
    assert len(counted) < 20
    assert {(row.last_ok_at, row.leased_until, row.cursor["n"]) for row in desk.rows().values()} == {
        (desk.now, None, 1)
    }


def test_a_check_with_news_is_committed_by_itself_with_its_cursor(sqlite_db):
    platform = Platform()
    desk = Desk(sqlite_db, platform, ["quiet", "loud"])
    platform.shown["loud"] = [post("1", "baharu", published_at=NOW)]
    done = desk.poll()
    assert {handle: one.saved.new for handle, one in done.items()} == {"quiet": 0, "loud": 1}
    assert {row.last_ok_at for row in desk.rows().values()} == {NOW}


def test_what_could_not_be_written_together_is_read_again(sqlite_db, monkeypatch):
    desk = Desk(sqlite_db, Platform(), handles(10))
    desk.poll()
    full = OperationalError("insert", {}, Exception("database or disk is full"))

    def no_room(*_):
        raise full

    with monkeypatch.context() as broken:
        broken.setattr("monitor.poll.flow.save_checks", no_room)
        done = desk.poll(after=20 * MINUTE)
    (failed,) = [one for one in done.values() if one.failure]
    assert "disk is full" in failed.failure
    assert {row.leased_until for row in desk.rows().values()} == {None}
    assert not [one for one in desk.poll(after=20 * MINUTE).values() if one.failure]


def test_a_check_taken_over_before_it_was_written_is_not_told(sqlite_db, monkeypatch):
    desk = Desk(sqlite_db, Platform(), ["ours", "theirs"])
    desk.poll()

    def take_over(db, ended):
        with db.write() as connection:
            theirs = tables.account.c.handle == "theirs"
            connection.execute(tables.account.update().where(theirs).values(fence=99))
        return save_checks(db, ended)

    save_checks = flow.save_checks
    monkeypatch.setattr("monitor.poll.flow.save_checks", take_over)
    assert desk.poll(after=20 * MINUTE).keys() == {"ours"}
    assert desk.rows()["theirs"].last_ok_at == NOW


def held(desk):
    return [handle for handle, row in desk.rows().items() if row.leased_until is not None]


def test_asked_to_end_it_gives_back_at_once_whom_nobody_has_begun_with(sqlite_db):
    platform = Platform()
    desk = Desk(sqlite_db, platform, handles(100))
    platform.hooks = {"a003": desk.poller.stop.set}
    desk.poll(workers=1)
    assert len(platform.calls) < 10
    assert held(desk) == []


def test_a_database_that_lets_nobody_be_claimed_ends_the_round_and_holds_nobody(sqlite_db, monkeypatch):
    platform = Platform()
    desk = Desk(sqlite_db, platform, handles(30))
    monkeypatch.setattr("monitor.poll.platform.BATCH", 10)
    claim, times = claim_accounts, []

    def locked(*arguments, **options):
        times.append(1)
        if len(times) == 2:
            raise OperationalError("update", {}, Exception("database is locked"))
        return claim(*arguments, **options)

    monkeypatch.setattr("monitor.poll.platform.claim_accounts", locked)
    with pytest.raises(OperationalError):
        desk.poll(workers=2)
    assert held(desk) == []
    assert len(desk.poll(workers=2)) == 30


def test_one_check_that_cannot_be_written_does_not_take_the_others_along(sqlite_db, monkeypatch):
    platform = Platform()
    desk = Desk(sqlite_db, platform, handles(8))
    desk.poll()

    def poisoned(db, checks):
        if any(one.ended.claimed.account.handle == "a004" for one in checks):
            raise ValueError("a time without zone cannot be stored")
        return save_checks(db, checks)

    save_checks = flow.save_checks
    monkeypatch.setattr("monitor.poll.flow.save_checks", poisoned)
    done = desk.poll(after=20 * MINUTE)
    assert [handle for handle, one in done.items() if one.failure] == ["a004"]
    assert "Pantau itself failed" in done["a004"].failure
    assert len([row for row in desk.rows().values() if row.last_ok_at == desk.now]) == 7


def test_while_one_hangs_the_posts_of_the_others_are_looked_at_again(sqlite_db, monkeypatch):
    monkeypatch.setattr(flow, "SETTLE_SECONDS", 0.02)
    looked = threading.Event()
    monkeypatch.setattr("monitor.poll.platform._Visit.look_again", lambda visit: looked.set())
    platform = Platform(hooks={"slow": lambda: looked.wait(20)})
    desk = Desk(sqlite_db, platform, ["slow", "quick"])
    assert len(desk.poll(everything=False)) == 2
    assert looked.is_set()


# ---------------------------------------------------------------- together


def sharing(db, count=5):
    platform = Sharing()
    desk = Desk(db, platform, handles(count))
    desk.poll()
    platform.calls.clear()
    return platform, desk


def page(*posts, n=2):
    return Page(posts=posts, cursor={"v": 1, "n": n}, last=True)


def test_a_first_read_is_never_shared(sqlite_db):
    platform = Sharing(together=dict.fromkeys(handles(3), page()))
    Desk(sqlite_db, platform, handles(3)).poll()
    assert sorted(platform.calls) == handles(3)


def test_who_shares_a_call_is_read_by_it_and_the_others_alone(sqlite_db):
    platform, desk = sharing(sqlite_db)
    platform.together = {"a000": page(), "a001": page(post("7", "baharu", published_at=NOW)), "a002": None}
    done = desk.poll(after=20 * MINUTE)
    assert platform.calls[0] == ["a000", "a001", "a002"]
    assert sorted(platform.calls[1:]) == ["a002", "a003", "a004"]
    assert done["a001"].saved.new == 1
    assert {row.cursor["n"] for handle, row in desk.rows().items() if handle in {"a000", "a001"}} == {2}


def test_a_shared_call_that_fails_leaves_each_to_be_read_alone(sqlite_db):
    platform, desk = sharing(sqlite_db)
    platform.together, platform.refusal = dict.fromkeys(handles(5), page()), Unavailable("x: no answer in time")
    done = desk.poll(after=20 * MINUTE)
    assert not [one for one in done.values() if one.failure]
    assert sorted(platform.calls[1:]) == handles(5)


def test_a_shared_call_that_the_platform_refuses_as_a_whole_is_the_last_one(sqlite_db):
    platform, desk = sharing(sqlite_db)
    platform.together, platform.refusal = dict.fromkeys(handles(5), page()), RateLimited("x: used up")
    done = desk.poll(after=20 * MINUTE)
    assert len(platform.calls) == 1
    assert {one.failure.partition(": ")[2] for one in done.values()} == {"used up"}
    assert {one.asked for one in done.values()} == {False}


# ---------------------------------------------------------------- the crew


def test_a_crew_gives_results_as_they_come_and_never_runs_more_than_its_workers():
    running, most = [], []

    def job(number):
        running.append(number)
        most.append(len(running))
        running.remove(number)
        return number

    with Crew(workers=3, name="test") as crew:
        for number in range(20):
            crew.give(lambda number=number: job(number))
        found = []
        while crew.busy:
            found += crew.take(patience=5)
    assert sorted(found) == list(range(20))
    assert max(most) <= 3


def test_a_crew_that_has_nothing_yet_says_so_after_its_patience():
    go = threading.Event()
    with Crew(workers=1, name="test") as crew:
        crew.give(lambda: go.wait(10))
        assert list(crew.take(patience=0.01)) == []
        go.set()
        assert list(crew.take(patience=10)) == [True]


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ({"x": 10_000}, {"x": 16}),
        ({"x": 900, "facebook": 100}, {"x": 14, "facebook": 2}),
        ({"x": 9_999, "myspace": 1}, {"x": 16, "myspace": 2}),
        ({"x": 5, "rss": 5, "web": 0}, {"x": 8, "rss": 8}),
        ({}, {}),
    ],
    ids=["one platform", "by their accounts", "none goes without", "an empty one needs none", "nobody"],
)
def test_workers_are_shared_out_by_accounts(accounts, expected):
    assert shares(accounts, workers=16) == expected


def test_a_jobs_own_mistake_is_not_swallowed():
    with Crew(workers=1, name="test") as crew:
        crew.give(lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(crew.take(patience=10))
