"""Pull → evaluate → save with a connector of a few lines, on real databases."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import ClassVar

import pytest
import structlog
from builders import NOW, account, agency, finding, first_hole, post
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from connectors.base import (
    AccountNotFound,
    Capabilities,
    CredentialRefused,
    Gap,
    Page,
    RateLimited,
    Reread,
    Unavailable,
)
from monitor import coverage
from monitor.escalation import Escalation
from monitor.model import AlertKind, Cause, CoverageKind, Media, MediaKind, Profile, Severity
from monitor.poll.platform import poll_platform
from monitor.poll.poller import Poller
from monitor.settings import Polling
from monitor.store import tables
from monitor.store.accounts import claim_accounts
from monitor.store.coverage import to_interval
from monitor.store.listings import list_alerts, list_posts
from monitor.store.plans import Decision, due_alerts, write_plans
from monitor.store.register import registered, save_register

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LEAK = "SULIT minit"


class Marks:
    """Rules of one line: a text with SULIT breaks one, with KATA LALUAN another; POISON breaks the rule itself."""

    hash = "marks"
    asking_for_copies: ClassVar[dict] = {}
    poison = ValueError("POISON 900101-14-5555 must not be repeated")

    def findings(self, text):
        if "POISON" in text:
            raise self.poison
        found = [finding()] if "SULIT" in text else []
        return [*found, *([finding("mampu-2009/4/password", Severity.CRITICAL)] if "KATA LALUAN" in text else [])]


@dataclass
class FakePlatform:
    """A platform of two pages a pull; whatever stands in `failures` is raised first."""

    shown: dict[str, list] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    failures: list = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    between_pages: object = None
    gap: Gap | None = None
    heals: bool = False
    cursor: dict = field(default_factory=lambda: {"v": 1})
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(rereads=True))
    dead: Exception | None = None  # what the platform says to everybody
    met_without_a_call: dict[str, Exception] = field(default_factory=dict)  # by handle

    def resolve(self, holder):
        self._ask("resolve", holder)
        return Profile(native_id=f"id-{holder.handle}", name=holder.handle, handle=holder.handle)

    def pull(self, holder, cursor, *, now):
        self._ask("pull", holder)
        posts = self.shown.get(holder.handle, [])
        yield Page(posts=tuple(posts[:2]), cursor={}, last=False)
        if self.between_pages is not None:
            self.between_pages()
        yield Page(posts=tuple(posts[2:]), cursor=self.cursor, last=True, gap=self.gap, heals=self.heals)

    def reread(self, holder, native_ids, *, now):
        self._ask("reread", holder)
        present = {one.native_id: one for one in self.shown.get(holder.handle, [])}
        found = tuple(present[one] for one in native_ids if one in present and one not in self.gone)
        return Reread(posts=found, missing=frozenset(native_ids) & self.gone)

    def check(self):
        self.calls.append(("check", ""))
        if self.dead is not None:
            raise self.dead
        return "the token is accepted"

    def _ask(self, what, holder):
        if isinstance(self.met_without_a_call.get(holder.handle), Exception):
            raise self.met_without_a_call[holder.handle]
        self.calls.append((what, holder.handle))
        if self.dead is not None:
            raise self.dead
        if self.failures:
            failure = self.failures[0] if self.failures[-1] is ... else self.failures.pop(0)
            if failure is not None:
                raise failure


class Desk:
    """A poller over a fake platform, with hands on the clock."""

    def __init__(self, db, platform, *, handles=("jpd",)):
        self.db = db
        self.platform = platform
        self.now = NOW
        self.polling = Polling()
        save_register(db, [agency()], [account(handle) for handle in handles], now=NOW)
        self.poller = Poller(
            db=db,
            connectors={"x": platform},
            rules=Marks,
            agency_kinds=dict,
            polling=self.polling,
            clock=lambda: self.now,
        )

    def poll(self, *, after=timedelta(), everything=False):
        self.now += after
        return poll_platform(self.poller, "x", everything=everything)

    def count(self, table, *where):
        with self.db.read() as connection:
            return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()

    def stretches(self, account_id=1):
        with self.db.read() as connection:
            rows = connection.execute(
                select(tables.coverage)
                .where(tables.coverage.c.account_id == account_id)
                .order_by(tables.coverage.c.start)
            ).mappings()
            return [to_interval(row) for row in rows]

    def kinds(self):
        return sorted(alert.kind.value for alert in list_alerts(self.db))

    def mails_left(self):
        """Pretend that every due alert was planned; returns their kinds."""
        due = due_alerts(self.db, self.now)
        for alert in due:
            write_plans(
                self.db,
                [Decision(alert_id=alert.id, waiting_reason="told", steps=1)],
                policy=Escalation(),
                now=self.now,
            )
        return [alert.kind.value for alert in due]


@pytest.fixture(autouse=True)
def marks(monkeypatch):
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)  # tracebacks on purpose, many of them
    monkeypatch.setattr("monitor.poll.check.log", structlog.wrap_logger(None, wrapper_class=quiet))
    monkeypatch.setattr(
        "monitor.poll.judging.evaluate",
        lambda rules, subject, history=None: tuple(rules.findings(subject.fields["text"])),
    )
    monkeypatch.setattr(
        "monitor.poll.judging.evaluate_all",
        lambda rules, subjects, histories: [tuple(rules.findings(one.fields["text"])) for one in subjects],
    )


@pytest.fixture
def platform():
    return FakePlatform()


@pytest.fixture
def desk(db, platform):
    return Desk(db, platform)


def said(text, native_id="1", minutes_ago=1.0, **changes):
    return post(native_id, text, published_at=NOW - minutes_ago * MINUTE, **changes)


# ---------------------------------------------------------------- what is read is stored, once


def test_every_post_served_is_stored_once_with_one_evaluation(desk, platform):
    platform.shown["jpd"] = [said(f"Hantaran {n}", str(n), n) for n in range(5)]
    (first,) = desk.poll()
    (second,) = desk.poll(after=HOUR)
    assert (first.saved.new, second.saved.new, second.saved.edited) == (5, 0, 0)
    assert len(list_posts(desk.db)) == 5
    assert desk.count(tables.post_version) == desk.count(tables.evaluation) == 5


def test_an_account_that_is_not_due_is_not_asked(desk, platform):
    desk.poll()
    platform.calls.clear()
    assert desk.poll(after=MINUTE / 2) == []
    assert platform.calls == []
    assert len(desk.poll(after=MINUTE)) == 1


def test_what_a_platform_no_longer_gives_back_is_an_open_named_gap(desk, platform):
    desk.poll()
    platform.gap = Gap(start=NOW + MINUTE, end=NOW + 30 * MINUTE, cause=Cause.BURST)
    desk.poll(after=HOUR)
    gaps = coverage.gaps(desk.stretches())
    assert [(gap.kind, gap.cause) for gap in gaps] == [(CoverageKind.GAP, Cause.BURST)]
    assert first_hole(desk.stretches(), NOW) is None


def test_a_later_walk_that_reads_what_was_lost_closes_the_gap(desk, platform):
    desk.poll()
    platform.gap = Gap(start=NOW + MINUTE, end=NOW + 30 * MINUTE, cause=Cause.BURST)
    desk.poll(after=HOUR)
    platform.gap, platform.heals = None, True
    desk.poll(after=HOUR)
    assert coverage.gaps(desk.stretches()) == ()
    assert first_hole(desk.stretches(), NOW) is None


def test_coverage_tiles_whatever_happens_to_the_reads(desk, platform):
    """I8, over reads, failures, bursts and clocks that jump."""
    outcomes = [None, Unavailable("x/jpd: no answer"), AccountNotFound("x/jpd: gone"), None, RuntimeError("bug"), None]
    met = set()
    for number in range(60):
        failure = outcomes[number * 7 % len(outcomes)]
        platform.failures = [failure, failure] if failure else []
        at = desk.now
        platform.gap = Gap(start=None, end=at - MINUTE, cause=Cause.BURST) if number % 11 == 5 else None
        desk.poll(after=timedelta(minutes=number % 9 * 20) - (HOUR if number % 13 == 7 else timedelta()))
        stretches = desk.stretches()
        assert first_hole(stretches, NOW) is None
        met |= {stretch.kind for stretch in stretches}
    assert met == set(CoverageKind)


def test_nul_and_lone_surrogates_are_stored_place_for_place(desk, platform):
    media = (Media(kind=MediaKind.VIDEO, url="https://x.com/v", text="a\x00b"),)
    platform.shown["jpd"] = [said("satu\x00dua \ud83d", media=media, raw={"text": ["satu\x00dua \ud83d"]})]
    (checked,) = desk.poll()
    assert checked.failure is None
    assert list_posts(desk.db)[0].text == "satu\ufffddua \ufffd"


# ---------------------------------------------------------------- one transaction, one holder


def test_a_page_is_one_transaction_and_its_failure_loses_nothing(desk, platform):
    platform.shown["jpd"] = [said("a", "1"), said("b", "2"), said(LEAK, "3")]
    platform.cursor = {"v": object()}  # cannot be stored: breaks the last page's commit at its very end
    (failed,) = desk.poll()
    assert failed.cause is Cause.INTERNAL
    assert {line.native_id for line in list_posts(desk.db)} == {"1", "2"}
    assert desk.count(tables.alert) == 0
    platform.cursor = {"v": 1}
    desk.poll(after=HOUR)
    assert {line.native_id for line in list_posts(desk.db)} == {"1", "2", "3"}
    assert desk.kinds() == ["post"]


def test_a_walk_longer_than_a_lease_keeps_its_account(desk, platform):
    """A burst in small pages: were it taken over each time, it would never be read to its end."""
    claimable = []

    def slow_pages(*_, **__):
        platform.pull = type(platform).pull.__get__(platform)  # due again at once, and then as quick as ever
        for number in range(3):
            desk.now += 6 * MINUTE
            taken = claim_accounts(desk.db, now=desk.now, lease=MINUTE, limit=9, platform="x", everything=True)
            claimable.extend(taken)
            yield Page(posts=(said("a", str(number)),), cursor={"v": 1}, last=number == 2)

    platform.pull = slow_pages
    checked = desk.poll()[0]
    assert claimable == []
    assert (checked.failure, checked.saved.new) == (None, 3)


def test_a_worker_whose_lease_has_passed_to_another_writes_nothing_more(desk, platform):
    """I9: stopped past its lease between two pages, it finds its account taken over."""
    platform.shown["jpd"] = [said("a", "1"), said("b", "2"), said(LEAK, "3")]

    def taken_over():
        later = desk.now + 11 * MINUTE
        assert claim_accounts(desk.db, now=later, lease=10 * MINUTE, limit=9, platform="x", everything=True)

    platform.between_pages = taken_over
    assert desk.poll() == []
    assert {line.native_id for line in list_posts(desk.db)} == {"1", "2"}
    assert desk.count(tables.account, tables.account.c.last_check_at.is_not(None)) == 0
    assert desk.stretches() == []
    platform.between_pages = None
    desk.poll(after=22 * MINUTE)
    assert len(list_posts(desk.db)) == 3


def test_an_end_between_two_pages_gives_the_account_back_at_once(desk, platform):
    platform.shown["jpd"] = [said("a", "1"), said("b", "2"), said("c", "3")]

    class StopsEarly(FakePlatform):
        def pull(self, holder, cursor, *, now):
            desk.poller.stop.set()
            return super().pull(holder, cursor, now=now)

    early = StopsEarly(shown=platform.shown)
    stopped = replace(desk.poller, connectors={"x": early})
    assert poll_platform(stopped, "x") == []
    assert len(list_posts(desk.db)) == 2
    desk.poller.stop.clear()
    desk.poll()
    assert len(list_posts(desk.db)) == 3


# ---------------------------------------------------------------- alerts


def test_a_poison_post_is_quarantined_tells_the_operators_and_stops_no_other(desk, platform):
    platform.shown["jpd"] = [said("POISON 900101-14-5555", "1"), said(LEAK, "2"), said("c", "3")]
    (checked,) = desk.poll()
    assert checked.failure is None
    assert len(list_posts(desk.db)) == 3
    assert desk.kinds() == ["evaluation", "post"]
    with desk.db.read() as connection:
        error = connection.execute(
            select(tables.evaluation.c.error).where(tables.evaluation.c.error != "")
        ).scalar_one()
    assert "ValueError" in error
    assert "findings" in error  # the place in the code
    assert "900101" not in error
    platform.shown["jpd"].append(said("POISON lagi", "4"))
    desk.poll(after=HOUR)
    assert desk.kinds() == ["evaluation", "post"]  # one alert for a rule set and account, not one for each post


def test_a_leak_is_one_alert_however_often_it_is_read(desk, platform):
    platform.shown["jpd"] = [said(LEAK)]
    for _ in range(4):
        desk.poll(after=HOUR)
    assert desk.kinds() == ["post"]
    assert desk.mails_left() == ["post"]


def test_an_edit_that_leaves_what_is_broken_unchanged_is_a_version_and_no_alert(desk, platform):
    platform.shown["jpd"] = [said(LEAK)]
    desk.poll()
    desk.mails_left()
    platform.shown["jpd"] = [said(f"{LEAK} dibetulkan", edited_at=NOW)]
    (checked,) = desk.poll(after=HOUR)
    assert checked.saved.edited == 1
    assert desk.kinds() == ["post"]
    assert desk.mails_left() == []
    assert desk.count(tables.post_version) == desk.count(tables.evaluation) == 2


def test_an_edit_that_breaks_something_new_joins_the_alert_that_nobody_was_told_of(desk, platform):
    platform.shown["jpd"] = [said(LEAK)]
    desk.poll()
    platform.shown["jpd"] = [said(f"{LEAK} KATA LALUAN", edited_at=NOW)]
    desk.poll(after=HOUR)
    (alert,) = due_alerts(desk.db, desk.now)
    assert alert.severity is Severity.CRITICAL
    assert len(alert.findings) == 2


def test_older_posts_of_a_new_account_are_one_batch_and_no_mail(desk, platform):
    platform.shown["jpd"] = [
        said(LEAK, "1", 25 * 60),
        said(LEAK, "2", 40 * 60),
        said("KATA LALUAN", "3", 99 * 60),
        said(LEAK, "live", 23 * 60),
    ]
    desk.poll()
    assert desk.kinds() == ["backlog", "post"]
    (alert,) = due_alerts(desk.db, desk.now)
    assert alert.kind is AlertKind.POST
    assert alert.post.native_id == "live"


def test_a_post_from_the_future_is_live(desk, platform):
    platform.shown["jpd"] = [said(LEAK, "1", -5 * 365 * 24 * 60)]
    desk.poll()
    assert desk.mails_left() == ["post"]


def test_an_old_post_that_appears_late_in_a_known_account_is_live(desk, platform):
    """What is older than registration by the window is back catalogue; all else is not, however late it appears."""
    desk.poll()
    platform.shown["jpd"] = [said(LEAK, "1", -60)]
    desk.poll(after=3 * DAY)
    assert desk.mails_left() == ["post"]


# ---------------------------------------------------------------- edits and deletions


def test_the_daemon_believes_a_deletion_when_a_later_look_confirms_it(desk, platform):
    platform.shown["jpd"] = [said(LEAK, "1"), said("b", "2")]
    desk.poll()
    platform.shown["jpd"] = [said("b", "2")]
    platform.gone = {"1"}
    assert desk.poll(after=HOUR)[0].saved.deleted == 0
    assert desk.poll(after=6 * MINUTE)[0].saved.deleted == 1
    assert {line.native_id: line.deleted for line in list_posts(desk.db)} == {"1": True, "2": False}
    assert desk.count(tables.post_version) == 2


def test_a_pass_of_its_own_looks_twice_and_believes_it(desk, platform):
    platform.shown["jpd"] = [said(LEAK, "1"), said("b", "2")]
    desk.poll(everything=True)
    platform.gone = {"1"}
    platform.shown["jpd"] = [said("b", "2")]
    assert desk.poll(after=HOUR, everything=True)[0].saved.deleted == 1
    assert platform.calls.count(("reread", "jpd")) == 2


def test_a_post_that_this_very_pass_has_read_is_not_deleted(desk, platform):
    """An edited post of X may be known by its newest id alone: the look-up of its first one finds nothing."""
    platform.shown["jpd"] = [said("a", "1"), said("b", "2"), said("c", "3")]
    desk.poll()
    platform.gone = {"1", "3"}
    (checked,) = desk.poll(after=HOUR)
    assert (checked.failure, checked.saved.deleted) == (None, 0)
    assert not any(line.deleted for line in list_posts(desk.db))


def test_where_posts_are_looked_up_in_the_listing_the_times_of_their_publication_are_told(db):
    class Listing(FakePlatform):
        def reread_listed(self, holder, published, *, now):
            self.calls.append(("listed", holder.handle))
            return Reread(missing=frozenset(one for one, at in published.items() if at < NOW - 5 * MINUTE))

    platform = Listing(shown={"jpd": [said(LEAK, "1", 10), said("b", "2", 1)]})
    desk = Desk(db, platform)
    desk.poll()
    platform.shown["jpd"] = []
    desk.poll(after=HOUR, everything=True)
    assert {line.native_id: line.deleted for line in list_posts(db)} == {"1": True, "2": False}
    assert [what for what, _ in platform.calls if what in {"reread", "listed"}] == ["listed", "listed"]


def test_what_a_listing_shows_in_passing_is_kept_as_well(db):
    """I1: what a fault hid before, or made look deleted."""

    class Listing(FakePlatform):
        passed: tuple = ()

        def reread_listed(self, holder, published, *, now):
            known = {one.native_id: one for one in self.shown[holder.handle]}
            found = tuple(known[one] for one in published if one in known and one not in self.gone)
            return Reread(posts=found, missing=self.gone & set(published), passed=self.passed)

    platform = Listing(shown={"jpd": [said("a", "1", 2), said("b", "2", 1)]})
    desk = Desk(db, platform)
    desk.poll()
    whole, platform.gone, platform.shown["jpd"] = platform.shown["jpd"], {"1"}, [said("b", "2", 1)]
    desk.poll(after=HOUR)
    desk.poll(after=HOUR)
    assert {line.native_id: line.deleted for line in list_posts(db)} == {"1": True, "2": False}
    platform.gone, platform.passed = set(), (whole[0], said("c", "3", 1))
    desk.poll(after=24 * HOUR)
    assert {line.native_id: line.deleted for line in list_posts(db)} == {"1": False, "2": False, "3": False}


def test_who_polls_by_the_second_sees_a_deletion_within_half_a_minute(desk, platform):
    second = timedelta(seconds=1)
    quick = replace(desk.polling, min_interval=2 * second, max_interval=5 * second)
    quick = replace(quick, recheck_waits=(10 * second, HOUR), recheck_confirm=5 * second)
    desk.poller = replace(desk.poller, polling=quick)
    platform.shown["jpd"] = [said(LEAK, "1", 0)]
    desk.poll()
    platform.gone, platform.shown = {"1"}, {}
    deleted = [desk.poll(after=5 * second)[0].saved.deleted for _ in range(6)]
    assert sum(deleted) == 1


def test_a_failed_look_for_edits_is_named_and_the_read_stands(desk, platform):
    platform.shown["jpd"] = [said("a")]
    desk.poll()
    platform.failures = [None, Unavailable("x/jpd: no answer in time")]
    (checked,) = desk.poll(after=HOUR)
    assert "could not be read again" in checked.failure
    assert checked.cause is None
    assert coverage.gaps(desk.stretches()) == ()


# ---------------------------------------------------------------- failures


def test_an_account_that_goes_blind_is_one_alert_and_its_recovery_is_told(desk, platform):
    desk.poll()
    platform.failures = [Unavailable("x/jpd: no answer in time"), ...]
    desk.poll(after=HOUR)
    assert desk.kinds() == []
    desk.poll(after=3 * HOUR)
    desk.poll(after=3 * HOUR)
    assert desk.kinds() == ["blind"]
    (alert,) = due_alerts(desk.db, desk.now)
    assert alert.since == NOW  # when it was last read
    assert desk.mails_left() == ["blind"]
    platform.failures = []
    desk.poll(after=HOUR)
    (told,) = due_alerts(desk.db, desk.now)
    assert told.recovered_at == desk.now
    assert coverage.gaps(desk.stretches()) == ()  # what was served since closes the hole


def test_a_bug_in_a_connector_is_named_without_its_words_and_the_account_is_due_again(desk, platform):
    platform.failures = [RuntimeError("token=EAAB0secret")]
    (checked,) = desk.poll()
    assert checked.cause is Cause.INTERNAL
    assert "EAAB0secret" not in checked.failure
    assert desk.poll(after=HOUR)[0].failure is None


@pytest.fixture
def many(db, platform, monkeypatch):
    """More accounts than a batch holds."""
    monkeypatch.setattr("monitor.poll.platform.BATCH", 20)
    return Desk(db, platform, handles=[f"jpd{n:03}" for n in range(50)])


def test_a_dead_credential_stops_all_its_accounts_after_the_first_refusal_and_is_one_alert(many, platform):
    platform.dead = CredentialRefused("x: the bearer token is refused")
    checked = many.poll()
    assert [what for what, _ in platform.calls] == ["resolve", "check"]
    assert len(checked) == 50
    assert {one.cause for one in checked} == {Cause.CREDENTIAL}
    assert sum(one.asked for one in checked) == 1
    assert many.kinds() == ["credential"]
    # Nobody asks until it is time; then one account tries, and the alert is still the same.
    assert many.poll(after=MINUTE) == []
    platform.calls.clear()
    many.poll(after=HOUR)
    assert len(platform.calls) == 1
    many.poll(after=5 * HOUR)
    assert many.kinds() == ["credential"]
    assert many.mails_left() == ["credential"]
    platform.dead = None
    many.poll(after=HOUR)
    many.poll(after=HOUR)
    assert many.mails_left() == ["credential"]  # that it works again
    assert many.kinds() == ["credential"]
    assert many.count(tables.account, tables.account.c.last_ok_at.is_not(None)) == 50


REFUSED = CredentialRefused("x/jpd000: X refuses the bearer token")
SILENT = Unavailable("x/jpd000: X answered (HTTP 503)")
LIMITED = RateLimited("x/jpd000: the rate limit is used up")
NO_NAME = AccountNotFound("x/jpd000: is no X username")


def test_a_refusal_that_the_platform_takes_back_at_once_stops_the_accounts_for_a_moment_and_alerts_nobody(
    many, platform
):
    """Fault 18: a 401 may be a passing fault, like any answer."""
    platform.failures = [REFUSED]
    assert {one.cause for one in many.poll()} == {Cause.CREDENTIAL}
    assert many.poll(after=MINUTE / 2) == []
    many.poll(after=2 * MINUTE)
    assert many.count(tables.account, tables.account.c.last_ok_at.is_not(None)) == 50
    assert many.kinds() == []


@pytest.mark.parametrize(("everything", "kinds"), [(False, []), (True, ["credential"])], ids=["daemon", "pass"])
def test_where_the_credential_itself_cannot_be_asked_about_a_pass_believes_the_refusal(
    many, platform, monkeypatch, everything, kinds
):
    def silent():
        raise SILENT

    monkeypatch.setattr(platform, "check", silent)
    platform.failures = [REFUSED]
    many.poll(everything=everything)
    assert many.kinds() == kinds


@pytest.mark.parametrize("then", [REFUSED, SILENT, LIMITED], ids=["said again", "never taken back", "rate limits"])
def test_a_refusal_of_accounts_alone_is_a_dead_credential_once_it_lasts(many, platform, then):
    platform.failures = [REFUSED]
    many.poll()
    platform.failures = [then, ...]
    assert many.kinds() == []
    for _ in range(1 if then is REFUSED else 20):
        many.poll(after=MINUTE)
    assert many.kinds() == ["credential"]


@pytest.mark.parametrize("between", [SILENT, LIMITED, RuntimeError("a bug")], ids=["503", "rate limit", "a bug"])
def test_what_proves_nothing_between_two_refusals_is_neither_a_recovery_nor_a_second_alert(many, platform, between):
    """Fault 18: 401, then something else, then 401 is one dead credential."""
    for met in (REFUSED, between, REFUSED):
        platform.dead = met
        many.poll(after=5 * HOUR, everything=True)
        many.poll(after=5 * HOUR)
    assert many.kinds() == ["credential"]
    assert many.mails_left() == ["credential"]
    assert [alert.recovered_at for alert in due_alerts(many.db, many.now)] == []
    platform.dead = None
    many.poll(after=HOUR, everything=True)
    (told,) = due_alerts(many.db, many.now)
    assert told.recovered_at == many.now


def test_a_platform_that_is_down_is_not_asked_by_every_account_of_a_dead_credential(many, platform):
    platform.dead = REFUSED
    many.poll()
    platform.calls.clear()
    platform.dead = SILENT
    checked = many.poll(after=HOUR, everything=True)
    assert len(platform.calls) <= 3
    assert len(checked) == 50
    assert {one.cause for one in checked} == {Cause.UNAVAILABLE, Cause.CREDENTIAL}


def test_an_error_without_a_call_opens_no_platform_and_the_next_account_tries(many, platform):
    platform.met_without_a_call = {"jpd000": NO_NAME}
    for _ in range(4):
        platform.dead = REFUSED
        many.poll(after=HOUR, everything=True)
    assert many.kinds() == ["credential"]
    assert many.mails_left() == ["credential"]
    platform.dead = None
    many.poll(after=HOUR, everything=True)
    assert many.mails_left() == ["credential"]  # that it works again
    assert many.count(tables.account, tables.account.c.last_ok_at.is_not(None)) == 49


def test_where_every_account_is_refused_for_itself_the_platform_is_asked_about_the_credential(desk, platform):
    platform.dead = REFUSED
    desk.poll()
    desk.mails_left()
    platform.met_without_a_call = {"jpd": NO_NAME}
    desk.poll(after=HOUR, everything=True)
    assert desk.mails_left() == []
    platform.dead = None
    desk.poll(after=HOUR, everything=True)
    assert desk.mails_left() == ["credential"]
    assert platform.calls.count(("check", "")) == 3


def test_a_platform_s_refusal_names_no_other_account(many, platform):
    platform.dead = REFUSED
    checked = many.poll()
    assert {one.failure for one in checked} == {f"x/jpd{n:03}: X refuses the bearer token" for n in range(50)}
    (alert,) = due_alerts(many.db, many.now)
    assert alert.detail == "x: X refuses the bearer token"


def test_what_was_stored_before_a_failure_counts(desk, platform):
    platform.shown["jpd"] = [said(LEAK, "1"), said("b", "2"), said("c", "3")]

    def broken():
        raise Unavailable("x/jpd: X answered (HTTP 503)")

    platform.between_pages = broken
    (checked,) = desk.poll()
    assert checked.cause is Cause.UNAVAILABLE
    assert checked.saved.new == len(list_posts(desk.db)) == 2
    assert len(checked.saved.alerts) == 1


def test_a_database_that_fails_stops_the_fetching_is_named_and_recovers_by_itself(many, platform, monkeypatch):
    """Fault 12: what cannot be kept is not fetched; nothing is lost when there is room again."""
    platform.shown = {f"jpd{n:03}": [said("a", str(n))] for n in range(50)}
    full = OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))

    def no_room(*_arguments, **_options):
        raise full

    with monkeypatch.context() as broken:
        broken.setattr("monitor.poll.flow.save_checks", no_room)
        broken.setattr("monitor.poll.check.save_failure", no_room)
        (checked,) = many.poll()
    assert "database or disk is full" in checked.failure
    assert "INSERT" not in checked.failure
    assert len(platform.calls) < 20  # the first account's profile and posts, and whom the worker had in hand
    many.poll(after=HOUR)
    assert len(list_posts(many.db)) == 50


def test_the_platform_s_own_time_is_kept_and_then_one_account_tries_first(many, platform):
    free_at = NOW + 20 * MINUTE
    platform.failures = [RateLimited("x: the rate limit is used up", retry_at=free_at), ...]
    many.poll()
    platform.calls.clear()
    for everything in (False, True):
        assert many.poll(after=5 * MINUTE, everything=everything) == []
    assert platform.calls == []
    many.poll(after=11 * MINUTE)
    assert len(platform.calls) == 1
    platform.failures = []
    assert many.kinds() == []
    assert len(many.poll(after=HOUR)) == 50


def test_the_clock_set_back_stalls_no_account(desk, platform):
    """I10: what was written in the future is due."""
    desk.poll()
    assert len(desk.poll(after=-HOUR)) == 1
    assert len(desk.poll(after=2 * MINUTE)) == 1


def test_accounts_keep_their_ids_and_profiles_are_read_once_a_day(desk, platform):
    desk.poll()
    desk.poll(after=HOUR)
    assert platform.calls.count(("resolve", "jpd")) == 1
    desk.poll(after=DAY)
    assert platform.calls.count(("resolve", "jpd")) == 2
    assert registered(desk.db)[0].native_id == "id-jpd"
