"""The past, read in slices: the back catalogue of new accounts, and what was lost to a burst."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
import structlog
from builders import NOW, first_hole, post
from test_poll import DAY, HOUR, LEAK, MINUTE, Desk, FakePlatform, Marks

from connectors.base import Capabilities, CredentialRefused, Gap, Page, Unavailable
from monitor import coverage
from monitor.backfill import EARLIEST, Stretch, ToDo, after_failure, after_slice, from_json, to_json
from monitor.model import AlertKind, Cause, CoverageKind
from monitor.poll.platform import fill_platform
from monitor.store import tables
from monitor.store.accounts import claim_accounts, held_accounts
from monitor.store.credentials import shut_platforms
from monitor.store.listings import list_alerts, list_posts
from monitor.store.past import read_todo

SECOND = timedelta(seconds=1)

# ---------------------------------------------------------------- what is left

LOST = Stretch(start=NOW - HOUR, end=NOW, shown=(NOW - HOUR, NOW))
OLD = Stretch(start=EARLIEST, end=NOW - DAY, left=250)
BOTH = ToDo(stretches=(OLD, LOST), due=NOW)


def test_posts_that_were_lost_come_before_those_that_are_a_choice():
    assert BOTH.next is LOST


def test_a_slice_goes_on_where_it_ended_and_takes_the_last_second_again():
    left = after_slice(BOTH, OLD, reached=NOW - 3 * DAY, posts=100, now=NOW, pause=MINUTE)
    assert (left.next, left.due) == (LOST, NOW + MINUTE)
    assert left.stretches[-1] == replace(OLD, end=NOW - 3 * DAY + SECOND, left=150)


def test_the_back_catalogue_ends_with_the_number_that_is_wanted():
    only = ToDo(stretches=(OLD,), due=NOW)
    assert after_slice(only, OLD, reached=NOW - 3 * DAY, posts=250, now=NOW, pause=MINUTE) is None


def test_each_failure_waits_longer_and_none_for_ever():
    waits, todo = [], BOTH
    for _ in range(30):
        todo = after_failure(todo, now=NOW, pause=MINUTE, retry_at=None)
        waits.append(todo.due - NOW)
    assert waits[:3] == [MINUTE, 2 * MINUTE, 4 * MINUTE]
    assert waits[-1] == 6 * HOUR
    assert after_failure(BOTH, now=NOW, pause=MINUTE, retry_at=NOW + DAY).due == NOW + DAY


ONCE_MORE = replace(BOTH, stretches=(replace(BOTH.stretches[0], again=NOW, looks=2), *BOTH.stretches[1:]))


@pytest.mark.parametrize("todo", [None, BOTH, ONCE_MORE], ids=["nothing", "a gap and a back catalogue", "once more"])
def test_what_is_left_survives_its_way_through_the_database(todo):
    assert from_json(to_json(todo)) == todo


# ---------------------------------------------------------------- on the way


@dataclass
class Archive(FakePlatform):
    """A platform whose checks show what is live, and whose past is read page by page. `depth` bounds it."""

    past: list = field(default_factory=list)  # newest first
    page: int = 60
    pages: int = 0
    depth: int = 10_000
    breaks: list = field(default_factory=list)
    bottom: bool = False
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(rereads=False, slices=True))

    def pull(self, holder, cursor, *, now):
        for page in super().pull(holder, cursor, now=now):
            yield replace(page, bottom=page.last and self.bottom)

    def backfill(self, holder, start, end, *, now):
        self.calls.append(("backfill", holder.handle))
        inside = [one for one in self.past[: self.depth] if start <= one.published_at < end]
        for begin in range(0, max(1, len(inside)), self.page):
            if self.breaks:
                raise self.breaks.pop(0)
            self.pages += 1
            part = inside[begin : begin + self.page]
            last = begin + self.page >= len(inside)
            is_cut = last and len(self.past) > self.depth
            yield Page(
                posts=tuple(part),
                cursor={},
                last=last,
                gap=Gap(start=start, end=end, cause=Cause.BURST) if is_cut else None,
            )


@pytest.fixture(autouse=True)
def marks(monkeypatch):
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    for place in ("backfill", "check", "platform"):
        monkeypatch.setattr(f"monitor.poll.{place}.log", structlog.wrap_logger(None, wrapper_class=quiet))
    monkeypatch.setattr(
        "monitor.poll.judging.evaluate",
        lambda rules, subject, history=None: tuple(Marks().findings(subject.fields["text"])),
    )
    monkeypatch.setattr(
        "monitor.poll.judging.evaluate_all",
        lambda rules, subjects, histories: [tuple(Marks().findings(one.fields["text"])) for one in subjects],
    )


def older(count, *, begin=2 * DAY, step=HOUR, text="lama"):
    return [post(f"{text}-{n}", f"{text} {n}", published_at=NOW - begin - n * step) for n in range(count)]


@pytest.fixture
def platform():
    return Archive(shown={"jpd": [post("live", "Selamat pagi", published_at=NOW - HOUR)]}, past=older(250))


@pytest.fixture
def desk(db, platform):
    made = Desk(db, platform)
    made.poller = replace(made.poller, polling=replace(made.polling, back_catalogue=200))
    return made


def fill(desk, *, after=timedelta(), everything=False):
    desk.now += after
    return fill_platform(desk.poller, "x", everything=everything)


def left(desk):
    with desk.db.read() as connection:
        return read_todo(connection, 1)


def test_the_first_check_reads_what_is_live_and_leaves_the_rest_for_slices(desk, platform):
    desk.poll()
    assert len(list_posts(desk.db)) == 1
    assert left(desk).next.left == 200
    fill(desk)
    assert len(list_posts(desk.db)) == 121  # two pages of 60
    assert fill(desk) == []  # not at once
    fill(desk, after=MINUTE)
    assert len(list_posts(desk.db)) >= 200
    assert left(desk) is None
    assert fill(desk, after=HOUR) == []


def test_a_check_is_due_between_two_slices_and_does_not_wait_for_the_last(desk, platform):
    desk.poll()
    fill(desk)
    platform.shown["jpd"] = [post("new", "baru", published_at=NOW)]
    assert desk.poll(after=HOUR)[0].saved.new == 1
    assert left(desk) is not None


def test_a_pass_of_its_own_reads_all_of_it(desk, platform):
    desk.poll(everything=True)
    (filled,) = fill(desk, everything=True)
    assert filled.saved.new >= 200
    assert left(desk) is None


def test_a_pass_reads_the_past_of_several_accounts_at_once(db, platform):
    """One account after the other would take ten thousand accounts' first pass hours."""
    desk = Desk(db, platform, handles=("jpd", "jkd", "jkr"))
    both, pages = threading.Barrier(2), platform.backfill

    def together(holder, start, end, *, now):
        if holder.handle != "jkr":
            both.wait(timeout=30)  # broken, and so an internal error, when the other does not come
        yield from pages(holder, start, end, now=now)

    platform.backfill = together
    desk.poll(everything=True)
    filled = fill_platform(desk.poller, "x", everything=True, workers=2)
    assert sorted(one.account.handle for one in filled if one.failure is None) == ["jkd", "jkr", "jpd"]


def test_an_account_s_slice_is_told_while_others_are_still_read(db, platform):
    """The guardian must not take a slow past for a tick that hangs."""
    desk = Desk(db, platform, handles=("jpd", "jkd"))
    told, pages, seen = threading.Event(), platform.backfill, []

    def slow(holder, start, end, *, now):
        seen.append(holder.handle)
        assert len(seen) == 1 or told.wait(timeout=30)
        yield from pages(holder, start, end, now=now)

    platform.backfill = slow
    desk.poll(everything=True)
    filled = fill_platform(desk.poller, "x", report=lambda _: told.set())
    assert [one.failure for one in filled] == [None, None]


def test_every_page_is_told_of_as_it_comes(desk, platform):
    """An account whose one slice takes longer than the guardian's patience is no tick that hangs."""
    told: list[int] = []
    desk.poller = replace(desk.poller, on_page=lambda: told.append(platform.pages))
    desk.poll(everything=True)
    assert told == [0, 0]  # the two pages of the check
    told.clear()
    platform.past = older(150)
    fill(desk, everything=True)
    assert told[:3] == [1, 2, 3]


def test_the_back_catalogue_is_one_reviewed_batch_and_no_mail(desk, platform):
    platform.past = [replace(one, text=LEAK) for one in older(150)]
    desk.poll(everything=True)
    fill(desk, everything=True)
    (batch,) = list_alerts(desk.db)
    assert batch.kind is AlertKind.BACKLOG
    assert desk.mails_left() == []
    assert desk.count(tables.evaluation) == 151


def test_an_empty_past_is_believed_at_the_third_look(desk, platform):
    """An answer may be wrongly empty."""
    platform.past = []
    desk.poll()
    fill(desk)
    fill(desk, after=MINUTE)
    assert platform.pages == 1  # what made it seem so may last
    for _ in range(9):
        fill(desk, after=HOUR)
    assert (platform.pages, left(desk)) == (3, None)


def test_a_listing_that_ends_with_its_first_check_is_a_first_look_at_an_empty_past(desk, platform):
    platform.past, platform.bottom = [], True
    desk.poll()
    for _ in range(9):
        fill(desk, after=HOUR)
    assert (platform.pages, left(desk)) == (2, None)


def test_a_pass_asks_once_for_a_past_that_is_empty_and_leaves_the_rest_to_those_that_follow(desk, platform):
    """To ask again in the same moment would meet the same fault."""
    whole, platform.past = platform.past, []
    desk.poll(everything=True)
    fill(desk, everything=True)
    assert (platform.pages, held_accounts(desk.db, now=desk.now)) == (1, 0)
    platform.past = whole
    desk.poll(after=HOUR, everything=True)
    fill(desk, everything=True)
    assert len(list_posts(desk.db)) >= 200
    assert left(desk) is None


def test_a_pass_asks_at_once_again_for_what_was_lost(behind, platform):
    whole, pages = platform.past, platform.backfill
    platform.past = []

    def better(*asked, **more):
        found, platform.past = list(pages(*asked, **more)), whole
        yield from found

    platform.backfill = better
    fill(behind, everything=True)
    assert (coverage.gaps(behind.stretches()), left(behind)) == ((), None)
    assert held_accounts(behind.db, now=behind.now) == 0


def test_no_back_catalogue_is_read_where_none_is_wanted(desk, platform):
    desk.poller = replace(desk.poller, polling=replace(desk.polling, back_catalogue=0))
    desk.poll()
    assert left(desk) is None


def burst(desk, platform, *, lost=150):
    """Let a check lose posts to a burst, which the platform can still be asked for."""
    platform.past = [*older(lost, begin=-50 * MINUTE, step=SECOND, text=LEAK), *platform.shown["jpd"]]
    platform.gap = Gap(start=NOW, end=NOW + 51 * MINUTE, cause=Cause.BURST)
    desk.poll(after=HOUR)
    platform.gap = None


@pytest.fixture
def behind(desk, platform):
    """Read up to now, with nothing left of the back catalogue."""
    desk.poller = replace(desk.poller, polling=replace(desk.polling, back_catalogue=0))
    desk.poll()
    burst(desk, platform)
    return desk


def test_what_was_lost_does_not_wait_until_an_empty_past_is_asked_for_again(desk, platform):
    platform.past = []
    desk.poll()
    fill(desk)
    fill(desk, after=HOUR)  # in vain again: the next time in two hours
    burst(desk, platform)
    assert coverage.gaps(desk.stretches()) != ()
    for _ in range(4):
        fill(desk, after=MINUTE)
    assert coverage.gaps(desk.stretches()) == ()


def test_a_gap_is_named_until_all_of_it_was_read_and_then_closed(behind):
    """I1, I8, fault 20."""
    assert [gap.cause for gap in coverage.gaps(behind.stretches())] == [Cause.BURST]
    fill(behind)
    assert [gap.cause for gap in coverage.gaps(behind.stretches())] == [Cause.BURST]  # the first slice is not all
    fill(behind, after=MINUTE)
    assert len(coverage.gaps(behind.stretches())) == 1  # nor need several answers fit together
    for _ in range(2):
        fill(behind, after=MINUTE)
    assert coverage.gaps(behind.stretches()) == ()
    assert first_hole(behind.stretches(), NOW) is None
    assert len(list_posts(behind.db)) == 151
    assert {line.kind for line in list_alerts(behind.db)} == {AlertKind.POST}  # live, however late
    behind.poll(after=HOUR)
    assert first_hole(behind.stretches(), NOW) is None


def test_a_listing_that_goes_by_another_time_is_not_left_in_its_middle(behind, platform):
    """LinkedIn lists by the last change: the newest post may stand behind a hundred older ones (I1)."""
    platform.capabilities = Capabilities(rereads=True)
    *lost, known = platform.past
    platform.past = [*lost[1:], lost[0], known]
    fill(behind)
    fill(behind, after=MINUTE)
    assert coverage.gaps(behind.stretches()) == ()
    assert len(list_posts(behind.db)) == 151


def test_a_post_from_below_that_stands_above_cuts_no_slice_short(behind, platform):
    """On X an edited post stands where its edit belongs, with the time of when it was first published."""
    *lost, known = platform.past
    pages = platform.backfill
    early = replace(lost[5], native_id="early", published_at=NOW + SECOND, edited_at=lost[5].published_at)
    platform.past = [*lost[:5], early, *lost[5:], known]

    def told(holder, start, end, *, now):
        for page in pages(holder, start, end, now=now):
            yield replace(page, reached=min((one.edited_at or one.published_at for one in page.posts), default=None))

    platform.backfill = told
    for _ in range(5):
        fill(behind, after=MINUTE)
    assert coverage.gaps(behind.stretches()) == ()
    assert len(list_posts(behind.db)) == 152


def test_a_slice_that_pantaus_end_cuts_short_is_read_anew(behind, platform):
    todo, pages = left(behind), platform.backfill

    def ending(holder, start, end, *, now):
        for page in pages(holder, start, end, now=now):
            behind.poller.stop.set()
            yield page

    platform.backfill = ending
    fill(behind)
    assert left(behind) == todo
    assert len(list_posts(behind.db)) == 61  # what was shown is kept


def test_what_the_platform_no_longer_gives_back_stays_a_gap(behind, platform):
    platform.depth = 100
    for _ in range(9):
        fill(behind, after=MINUTE)
    assert [(gap.kind, gap.cause) for gap in coverage.gaps(behind.stretches())] == [(CoverageKind.GAP, Cause.BURST)]
    assert left(behind) is None  # and is not asked for again
    assert len(list_posts(behind.db)) == 101


def test_a_gap_that_a_check_has_healed_itself_is_not_read_again(behind, platform):
    platform.heals = True
    behind.poll(after=HOUR)
    assert left(behind) is None
    assert coverage.gaps(behind.stretches()) == ()


def test_answers_that_do_not_fit_together_close_no_gap(behind, platform):
    """I1, fault 21: a later page of an earlier time stands lower, and the posts above it are shown by none."""
    whole, pages = platform.past, platform.backfill
    platform.past = [*whole[:60], *whole[120:]]

    def stale(*asked, **more):
        found, platform.past = list(pages(*asked, **more)), whole
        yield from found

    platform.backfill, platform.capabilities = stale, Capabilities(rereads=True)
    fill(behind)
    assert (len(list_posts(behind.db)), len(coverage.gaps(behind.stretches()))) == (91, 1)
    for _ in range(2):
        fill(behind, after=MINUTE)
    assert (len(list_posts(behind.db)), coverage.gaps(behind.stretches()), left(behind)) == (151, (), None)


@dataclass
class Ended(Archive):
    """A platform whose first pull breaks off after its first page, and whose later ones end by theirs."""

    def pull(self, holder, cursor, *, now):
        if not self.pages:
            self.pages = 1
            yield Page(posts=tuple(self.past), cursor={}, last=False)
            raise Unavailable("x/jpd: no answer in time")
        yield Page(posts=tuple(self.shown["jpd"]), cursor={"v": 1}, last=True, since=NOW - DAY)


def begun(db, past, *more):
    platform = Ended(shown={"jpd": [*more, post("new", "baharu", published_at=NOW + 50 * MINUTE)]}, past=past)
    platform.capabilities = Capabilities(rereads=False)
    desk = Desk(db, platform)
    desk.poll()
    desk.poll(after=HOUR)
    return desk, platform


def test_a_first_walk_that_ends_above_posts_of_an_earlier_try_is_a_gap(db):
    """I1, fault 21: walks of many pages fail more often than one that is wrongly ended by its first answer."""
    desk, platform = begun(db, older(3, begin=HOUR))
    assert [gap.cause for gap in coverage.gaps(desk.stretches())] == [Cause.BURST]
    assert first_hole(desk.stretches(), NOW) is None
    platform.past = [*platform.shown["jpd"], post("lost", "hilang", published_at=NOW + MINUTE), *platform.past]
    whole, platform.past = platform.past, platform.past[:2]
    fill(desk)
    assert coverage.gaps(desk.stretches()) != ()  # that shows nothing from below either
    platform.past = whole
    for _ in range(2):
        fill(desk, after=MINUTE)
    assert (coverage.gaps(desk.stretches()), len(list_posts(db))) == ((), 5)


def test_an_old_post_that_was_edited_does_not_hide_that_a_first_walk_ended_above(db):
    """On X it stands where its edit belongs."""
    early = post("early", "awal", published_at=NOW - 3 * HOUR, edited_at=NOW + 51 * MINUTE)
    desk, _ = begun(db, older(3, begin=HOUR), early)
    assert [gap.end for gap in coverage.gaps(desk.stretches())] == [NOW + 50 * MINUTE]


def test_posts_of_the_back_catalogue_disprove_no_first_walk(db):
    """How many of them it reads is a choice."""
    desk, _ = begun(db, older(3, begin=2 * DAY))
    assert coverage.gaps(desk.stretches()) == ()


def test_what_was_lost_is_not_read_once_more_for_ever(behind, platform):
    """No busy loop, were it that each reading brought a post that was not there before."""
    platform.capabilities = Capabilities(rereads=True)
    pages, begun = platform.backfill, []

    def growing(*asked, **more):
        begun.append(asked)
        number = len(begun)
        platform.past.insert(0, post(f"baharu {number}", f"baharu {number}", published_at=NOW + number * SECOND))
        platform.past.sort(key=lambda one: one.published_at, reverse=True)
        yield from pages(*asked, **more)

    platform.backfill = growing
    fill(behind, everything=True)
    assert (len(begun), coverage.gaps(behind.stretches()), left(behind)) == (4, (), None)


def test_one_answer_that_shows_all_that_was_lost_closes_the_gap_at_once(behind, platform):
    platform.page = 200
    fill(behind)
    assert (platform.pages, coverage.gaps(behind.stretches())) == (1, ())


def test_two_gaps_are_closed_each_by_its_own_walk(behind, platform):
    platform.gap = Gap(start=NOW + HOUR, end=NOW + 2 * HOUR - MINUTE, cause=Cause.BURST)
    behind.poll(after=HOUR)
    platform.gap = None
    assert len(coverage.gaps(behind.stretches())) == 2
    seen = []
    for _ in range(5):
        fill(behind, after=MINUTE)
        seen.append(len(coverage.gaps(behind.stretches())))
        assert first_hole(behind.stretches(), NOW) is None
    assert (seen[-1], left(behind)) == (0, None)
    assert 1 in seen


def test_an_answer_that_is_wrongly_empty_closes_no_gap(behind, platform):
    """Fault 21: only a post from below the stretch proves that all of it was shown."""
    whole, platform.past = platform.past, []
    fill(behind)
    assert len(coverage.gaps(behind.stretches())) == 1
    platform.past = whole
    for _ in range(4):
        fill(behind, after=MINUTE)
    assert coverage.gaps(behind.stretches()) == ()
    assert len(list_posts(behind.db)) == 151


def test_a_newest_post_that_was_taken_back_leaves_no_gap_for_ever(desk, platform):
    """Agencies delete a post to publish it anew; then an older one from below the stretch has to prove the same."""
    desk.poller = replace(desk.poller, polling=replace(desk.polling, back_catalogue=0))
    platform.shown["jpd"].append(post("older", "Selamat malam", published_at=NOW - 12 * HOUR))
    desk.poll()
    burst(desk, platform)
    platform.past = [one for one in platform.past if one.native_id != "live"]
    for _ in range(6):
        fill(desk, after=MINUTE)
    assert (coverage.gaps(desk.stretches()), left(desk)) == ((), None)


def test_a_past_that_stays_empty_leaves_its_gap_open(behind, platform):
    platform.past = []
    for _ in range(9):
        fill(behind, after=MINUTE)
    assert (len(coverage.gaps(behind.stretches())), left(behind)) == (1, None)
    assert platform.pages == 3


# ---------------------------------------------------------------- failures


def test_a_failed_slice_is_named_and_tried_again_later_with_what_is_left(behind, platform):
    platform.breaks = [Unavailable("x/jpd: no answer in time")]
    (failed,) = fill(behind)
    assert "earlier posts could not be read: x/jpd: no answer" in failed.failure
    assert fill(behind, after=SECOND) == []
    for _ in range(5):
        fill(behind, after=MINUTE)
    assert coverage.gaps(behind.stretches()) == ()


def test_a_dead_credential_stops_it_and_nothing_is_asked_while_the_platform_rests(behind, platform):
    platform.breaks = [CredentialRefused("x: refused")] * 9
    fill(behind)
    assert shut_platforms(behind.db)["x"].cause is Cause.CREDENTIAL
    assert fill(behind, after=HOUR) == []
    assert len(platform.breaks) == 8


@pytest.mark.parametrize(("everything", "kinds"), [(False, []), (True, [AlertKind.CREDENTIAL])], ids=["daemon", "pass"])
def test_a_refusal_that_only_the_past_has_met_is_believed_after_a_pass(behind, platform, everything, kinds):
    """Fault 18: after a pass nobody may ask for a long time."""
    platform.breaks = [CredentialRefused("x: refused")] * 9
    platform.dead = Unavailable("x: no answer in time")
    fill(behind, everything=everything)
    assert [alert.kind for alert in list_alerts(behind.db) if alert.kind is AlertKind.CREDENTIAL] == kinds


def test_a_bug_in_a_connector_ends_no_daemon(behind, platform):
    platform.breaks = [RuntimeError("token=EAAB0secret")]
    (failed,) = fill(behind)
    assert "EAAB0" not in failed.failure
    assert left(behind) is not None


def test_whoever_loses_the_account_closes_no_gap(behind, platform):
    """I9."""
    pages = platform.backfill

    def taken_over(holder, start, end, *, now):
        later = behind.now + HOUR
        assert claim_accounts(behind.db, now=later, lease=MINUTE, limit=9, platform="x", everything=True)
        yield from pages(holder, start, end, now=now)

    platform.backfill = taken_over
    assert fill(behind, everything=True) == []
    assert len(coverage.gaps(behind.stretches())) == 1
    assert len(list_posts(behind.db)) == 1


def test_an_account_that_cannot_be_read_now_waits_with_its_past(behind, platform):
    platform.failures = [Unavailable("x/jpd: no answer")]
    behind.poll(after=HOUR)
    assert fill(behind) == []
    behind.poll(after=HOUR)
    assert fill(behind)
