"""Known posts of many accounts looked at again together: what a call holds, what a failure leaves, who believes what."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
import structlog
from builders import NOW, post
from test_poll import HOUR, MINUTE, Desk, FakePlatform, Marks

from connectors.base import CredentialRefused, Page, RateLimited, Reread, Unavailable
from monitor.model import Cause
from monitor.poll.reread import PORTION
from monitor.store import tables
from monitor.store.accounts import claim_accounts
from monitor.store.credentials import shut_platforms
from monitor.store.listings import list_posts

SECOND = timedelta(seconds=1)
HANDLES = [f"jpd{n:02}" for n in range(30)]


@dataclass
class ManyAtOnce(FakePlatform):
    """A platform that reads the posts of many accounts in one call. `hidden` are not for us any more."""

    hidden: set[str] = field(default_factory=set)
    asked: list[list[str]] = field(default_factory=list)  # the ids of each call
    newest: dict = field(default_factory=dict)  # what the last call told of newest versions, of all accounts
    refuses: list = field(default_factory=list)  # what the next calls raise
    spoiled: dict = field(default_factory=dict)  # by handle: what is said of one account alone
    passed: tuple = ()  # what else each answer shows
    while_asked: object = None
    quiet: bool = False  # the timelines are empty, as X's are when there is nothing new

    def pull(self, holder, cursor, *, now):
        self._ask("pull", holder)
        if not self.quiet:
            yield from FakePlatform(shown=self.shown).pull(holder, cursor, now=now)
        else:
            yield Page(posts=(), cursor=self.cursor, last=True)

    def reread_many(self, wanted, *, now):
        self.asked.append([one for each in wanted for one in each.native_ids])
        self.newest = {native_id: one for each in wanted for native_id, one in each.newest.items()}
        if self.while_asked is not None:
            self.while_asked()
        if self.refuses:
            raise self.refuses.pop(0)
        return {each.account.id: self.spoiled.get(each.account.handle) or self._answer(each) for each in wanted}

    def _answer(self, wanted):
        ids = frozenset(wanted.native_ids)
        known = {one.native_id: one for one in self.shown.get(wanted.account.handle, [])}
        present = tuple(known[one] for one in ids if one in known and one not in self.gone | self.hidden)
        return Reread(posts=present, missing=ids & self.gone, hidden=ids & self.hidden, passed=self.passed)

    def reread(self, holder, native_ids, *, now):
        raise AssertionError("one by one")


@pytest.fixture(autouse=True)
def marks(monkeypatch):
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    for place in ("reread", "check", "platform"):
        monkeypatch.setattr(f"monitor.poll.{place}.log", structlog.wrap_logger(None, wrapper_class=quiet))
    monkeypatch.setattr(
        "monitor.poll.judging.evaluate",
        lambda rules, subject, history=None: tuple(Marks().findings(subject.fields["text"])),
    )
    monkeypatch.setattr(
        "monitor.poll.judging.evaluate_all",
        lambda rules, subjects, histories: [tuple(Marks().findings(one.fields["text"])) for one in subjects],
    )


@pytest.fixture
def platform():
    return ManyAtOnce(shown={name: [post(f"{name}-{n}", f"{name} {n}") for n in range(3)] for name in HANDLES})


@pytest.fixture
def desk(sqlite_db, platform):
    made = Desk(sqlite_db, platform, handles=HANDLES)
    made.poll()
    platform.calls.clear()
    return made


def quietly(desk):
    desk.platform.quiet = True
    return desk


def rows(desk, column):
    with desk.db.read() as connection:
        return dict(connection.execute(tables.post.select().with_only_columns(tables.post.c.native_id, column)).all())


def test_posts_of_many_accounts_are_looked_at_in_one_call(desk, platform):
    quietly(desk).poll(after=11 * MINUTE)
    assert [len(ids) for ids in platform.asked] == [90]
    desk.poll(after=MINUTE)
    assert len(platform.asked) == 1  # nothing is due


def test_a_few_due_posts_wait_a_little_for_others_to_fill_the_call(desk, platform):
    quietly(desk).poll(after=10 * MINUTE + SECOND)
    assert platform.asked == []
    desk.poll(after=MINUTE)
    assert len(platform.asked) == 1


def test_an_edit_is_a_version_and_a_deletion_is_believed_the_second_time(desk, platform):
    platform.shown["jpd07"][1] = post("jpd07-1", "SULIT", edited_at=NOW)
    platform.gone, platform.hidden = {"jpd03-0"}, {"jpd05-2"}
    quietly(desk)
    first = desk.poll(after=12 * MINUTE)
    assert sum(one.saved.edited for one in first) == 1
    assert sum(one.saved.deleted for one in first) == 0
    assert desk.kinds() == ["post"]
    desk.poll(after=10 * MINUTE)
    assert sorted(line.native_id for line in list_posts(desk.db) if line.deleted) == ["jpd03-0"]
    assert [one for one, at in rows(desk, tables.post.c.hidden_at).items() if at] == ["jpd05-2"]


def test_a_post_is_looked_for_again_by_the_id_of_its_newest_version(desk, platform):
    edited, same, _ = platform.shown["jpd07"]
    platform.shown["jpd07"][0] = replace(edited, text="disunting", raw={"id": "9"}, edited_at=NOW)
    platform.shown["jpd07"][1] = replace(same, raw={"id": same.native_id})
    desk.poll(after=12 * MINUTE)
    desk.poll(after=HOUR)
    assert platform.newest == {edited.native_id: "9"}


def test_a_passing_fault_takes_no_post_for_deleted(desk, platform):
    platform.gone = {"jpd03-0"}
    quietly(desk).poll(after=12 * MINUTE)
    platform.gone = set()
    desk.poll(after=10 * MINUTE)
    platform.gone = {"jpd03-0"}
    desk.poll(after=HOUR)
    assert not any(line.deleted for line in list_posts(desk.db))


def test_an_account_gone_private_loses_no_post(desk, platform):
    """All its posts are missing at once, and it cannot be read: for as long as that lasts nothing is believed."""
    platform.gone = {f"jpd03-{n}" for n in range(3)}
    quietly(desk).poll(after=12 * MINUTE)
    platform.failures = [Unavailable("x/jpd03: no answer"), ...]
    for _ in range(6):
        desk.poll(after=HOUR)
    assert not any(line.deleted for line in list_posts(desk.db))


def test_a_failed_look_is_named_leaves_the_posts_due_and_is_not_repeated_every_second(desk, platform):
    platform.refuses = [Unavailable("x: known posts: no answer in time")] * 9
    failed = [one for one in quietly(desk).poll(after=12 * MINUTE) if one.failure]
    assert len(failed) == 30
    assert "recent posts could not be read again" in failed[0].failure
    assert {one.cause for one in failed} == {None}  # the accounts themselves were read
    calls = len(platform.asked)  # more than one where some accounts were still being read at the first
    for _ in range(50):
        desk.poll(after=SECOND)
    assert len(platform.asked) == calls
    platform.refuses = []
    desk.poll(after=2 * MINUTE)
    assert len(platform.asked) > calls


def test_one_account_s_failure_is_its_own(desk, platform):
    platform.spoiled = {"jpd04": Unavailable("facebook/jpd04: no answer")}
    failed = [one for one in quietly(desk).poll(after=12 * MINUTE) if one.failure]
    assert [one.account.handle for one in failed] == ["jpd04"]
    due = rows(desk, tables.post.c.reread_at)
    assert due["jpd04-0"] <= desk.now + MINUTE < due["jpd05-0"]


@pytest.mark.parametrize(
    ("refusal", "cause"),
    [
        pytest.param(CredentialRefused("x: refused"), Cause.CREDENTIAL, id="a dead credential"),
        pytest.param(RateLimited("x: used up", retry_at=NOW + 2 * HOUR), Cause.RATE_LIMIT, id="a rate limit"),
    ],
)
def test_a_refusal_of_the_whole_platform_stops_the_platform(desk, platform, refusal, cause):
    platform.refuses = [refusal]
    quietly(desk).poll(after=12 * MINUTE)
    assert shut_platforms(desk.db)["x"].cause is cause
    desk.poll(after=SECOND)
    assert len(platform.asked) == 1


def test_a_round_is_bounded(sqlite_db):
    posts = {name: [post(f"{name}-{n}") for n in range(80)] for name in HANDLES}
    many = Desk(sqlite_db, ManyAtOnce(shown=posts), handles=HANDLES)
    many.poll()
    quietly(many).poll(after=12 * MINUTE)
    assert sum(map(len, many.platform.asked)) == PORTION
    many.poll(after=SECOND)
    many.poll(after=SECOND)
    assert Counter(one for ids in many.platform.asked for one in ids).most_common(1)[0][1] == 1
    assert sum(map(len, many.platform.asked)) == 2400


def test_whoever_loses_an_account_in_the_middle_writes_nothing_of_it(desk, platform):
    """I9."""

    def taken_over():
        later = desk.now + 11 * MINUTE
        assert claim_accounts(desk.db, now=later, lease=MINUTE, limit=99, platform="x", everything=True)

    platform.gone, platform.while_asked = {"jpd03-0"}, taken_over
    quietly(desk).poll(after=12 * MINUTE)
    assert set(rows(desk, tables.post.c.missing_at).values()) == {None}


def test_accounts_are_given_back_after_the_look(desk, platform):
    quietly(desk).poll(after=12 * MINUTE)
    assert desk.count(tables.account, tables.account.c.leased_until.is_not(None)) == 0


def test_a_pass_looks_twice_at_what_is_missing_and_at_nothing_else(desk, platform):
    platform.gone = {"jpd03-0"}
    quietly(desk)
    checked = desk.poll(after=HOUR, everything=True)
    assert sorted(map(len, platform.asked)) == [1, 90]
    assert len(checked) == 30
    assert sum(one.saved.deleted for one in checked) == 1


def test_what_is_shown_in_passing_is_kept_where_many_are_looked_at_at_once_too(desk, platform):
    """I1: a second look at what is missing lost it."""
    platform.gone, platform.passed = {"jpd03-0"}, (post("hidden so far"),)
    desk.poll(after=12 * MINUTE)
    assert "hidden so far" in {line.native_id for line in list_posts(desk.db)}


def test_what_a_pass_was_shown_itself_is_not_deleted(desk, platform):
    platform.gone = {"jpd03-0"}
    checked = desk.poll(after=HOUR, everything=True)
    assert sum(one.saved.deleted for one in checked) == 0


def test_a_failed_look_of_a_pass_is_named_with_its_account(desk, platform):
    platform.spoiled = {"jpd04": Unavailable("x/jpd04: no answer")}
    checked = quietly(desk).poll(after=HOUR, everything=True)
    assert [one.account.handle for one in checked if one.failure] == ["jpd04"]


def test_a_bug_in_one_answer_harms_no_other(desk, platform):
    platform.spoiled = {"jpd04": "no answer at all"}
    checked = quietly(desk).poll(after=12 * MINUTE)
    (failed,) = [one for one in checked if one.failure]
    assert "Pantau itself failed" in failed.failure
    assert replace(failed, failure=None).saved.deleted == 0


@dataclass
class FewAtOnce(FakePlatform):
    """A platform that looks at two posts a time, and shows them in its list at first alone."""

    looked_at: list[str] = field(default_factory=list)

    def pull(self, holder, cursor, *, now):
        shown = self.shown if cursor is None else {}
        yield from FakePlatform(shown=shown).pull(holder, cursor, now=now)

    def reread(self, holder, native_ids, *, now):
        self.looked_at += native_ids[:2]
        found = FakePlatform(shown=self.shown).reread(holder, native_ids[:2], now=now)
        return replace(found, left=frozenset(native_ids[2:]))


def test_what_was_too_much_for_one_look_comes_first_at_the_next(sqlite_db):
    """Always the same ones were looked at, and edits of the others were never seen."""
    few = FewAtOnce(shown={"jpd": [post(f"{n}", f"jpd {n}") for n in range(5)]})
    desk = Desk(sqlite_db, few)
    desk.poll()
    for _ in range(3):
        desk.poll(after=11 * MINUTE)
    assert sorted(few.looked_at[:5]) == ["0", "1", "2", "3", "4"]


@dataclass
class Blinking(FewAtOnce):
    """A platform whose every first look finds nothing: an empty list by a passing fault."""

    def reread(self, holder, native_ids, *, now):
        self.looked_at.append(" ".join(native_ids))
        if len(self.looked_at) % 2:
            return Reread(missing=frozenset(native_ids))
        return FakePlatform(shown=self.shown).reread(holder, native_ids, now=now)


def test_what_a_second_look_at_once_shows_is_not_in_doubt(sqlite_db):
    """I1: two faults at two looks buried a living post."""
    desk = Desk(sqlite_db, Blinking(shown={"jpd": [post(f"{n}", f"jpd {n}") for n in range(3)]}))
    desk.poll()
    for _ in range(3):
        desk.poll(after=11 * MINUTE)
    assert set(rows(desk, tables.post.c.missing_at).values()) == {None}
