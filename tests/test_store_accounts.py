from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOW, account, agency, finding, first_hole, post
from sqlalchemy import func, select, update

from monitor import coverage as intervals
from monitor.coverage import Hole
from monitor.model import AccountStatus, AlertKind, Cause, CoverageKind, Profile, Verdict
from monitor.rechecks import Rechecks
from monitor.store import tables
from monitor.store.accounts import LeaseLostError, claim_accounts, release
from monitor.store.blind import open_blind_alerts
from monitor.store.checks import Ended, Failure, ReadEnd, save_failure
from monitor.store.coverage import coverage_of, to_interval
from monitor.store.credentials import open_platform, shut_platform, shut_platforms
from monitor.store.listings import list_accounts, list_alerts
from monitor.store.plans import due_alerts
from monitor.store.posts import Brought, Judged, save_checks, save_page
from monitor.store.profiles import save_profile, save_profiles
from monitor.store.register import list_agencies, responsible, save_register

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def register(db, *accounts, agencies=(), now=NOW):
    return save_register(db, agencies or [agency()], accounts or [account()], now=now)


def claim(db, now=NOW, **options):
    return claim_accounts(db, now=now, lease=10 * MINUTE, limit=100, platform="x", **options)


def fail(db, claimed, now, cause=Cause.UNAVAILABLE, **options):
    facts = {
        "error": "no answer",
        "interval": MINUTE,
        "next_check_at": now,
        "retry_at": None,
        "blind_after": 2 * 60 * MINUTE,
    }
    save_failure(db, Failure(claimed=claimed, cause=cause, now=now, **{**facts, **options}))


def read(db, claimed, now, judged=(), hole=None):
    end = ReadEnd(cursor={"v": 1}, hole=hole, interval=MINUTE, next_check_at=now + MINUTE)
    return save_page(db, claimed, judged, rule_set="r", now=now, reread_window=7 * DAY, end=end)


def stretches(db):
    with db.read() as connection:
        rows = connection.execute(select(tables.coverage).order_by(tables.coverage.c.start)).mappings()
        return [to_interval(row) for row in rows]


def rows_of(db):
    with db.read() as connection:
        return connection.execute(select(tables.account).order_by(tables.account.c.id)).all()


def test_importing_the_same_register_again_changes_nothing(db):
    assert register(db)
    assert not register(db, now=NOW + DAY)


def test_a_new_head_does_not_change_who_was_responsible_last_month(db):
    register(db)
    register(db, agencies=[agency(head_name="Baharu", head_email="baharu@jpd.example.my")], now=NOW + 10 * DAY)
    with db.read() as connection:
        then, later = responsible(connection, "JPD", NOW), responsible(connection, "JPD", NOW + 11 * DAY)
    assert then.contacts.head_name == "Datuk Aminah binti Osman"
    assert later.contacts.head_email == "baharu@jpd.example.my"


def test_head_since_dates_the_new_head(db):
    register(db)
    register(db, agencies=[agency(head_name="Baharu", since=NOW - 5 * DAY)], now=NOW)
    with db.read() as connection:
        assert responsible(connection, "JPD", NOW - 4 * DAY).contacts.head_name == "Baharu"
        assert responsible(connection, "JPD", NOW - 6 * DAY).contacts.head_name != "Baharu"


def test_a_corrected_address_of_the_same_head_counts_at_once(db):
    register(db)
    register(db, agencies=[agency(head_email="betul@jpd.example.my")], now=NOW + DAY)
    (one,) = list_agencies(db, NOW - DAY)
    assert one.contacts.head_email == "betul@jpd.example.my"


@pytest.mark.parametrize("name", ["Ketua Setiausaha", ""])
def test_another_address_from_a_later_day_on_is_another_head_even_of_the_same_name(db, name):
    register(db, agencies=[agency(head_name=name, head_email="lama@jpd.example.my", since=NOW - 700 * DAY)])
    register(db, agencies=[agency(head_name=name, head_email="baharu@jpd.example.my", since=NOW - 14 * DAY)])
    with db.read() as connection:
        then, later = responsible(connection, "JPD", NOW - 30 * DAY), responsible(connection, "JPD", NOW)
    assert (then.contacts.head_email, later.contacts.head_email) == ("lama@jpd.example.my", "baharu@jpd.example.my")


def test_a_feed_that_moves_is_the_same_account_and_two_of_one_name_are_two(db):
    register(db, account("berita", "rss", url="http://jpd.example.my/rss"))
    changes = register(db, account("berita", "rss", url="https://jpd.example.my/rss"))
    assert (changes.accounts_added, changes.accounts_changed, changes.accounts_missing) == (0, 1, 0)
    two = [account("berita", "rss", url=f"https://jpd.example.my/{name}") for name in ("rss", "atom")]
    assert register(db, *two).accounts_added == 1
    assert [line.account.url for line in list_accounts(db)] == [one.url for one in reversed(two)]


def test_an_account_that_left_the_file_stays_monitored_and_is_counted(db):
    register(db, account("a"), account("b"))
    changes = register(db, account("a"))
    assert changes.accounts_missing == 1
    assert len(claim(db)) == 2


def test_paused_accounts_are_not_read(db):
    register(db, account("a", status=AccountStatus.PAUSED))
    assert claim(db) == []


def test_a_claimed_account_is_not_claimed_again_until_its_lease_ends(db):
    register(db)
    assert len(claim(db)) == 1
    assert claim(db, NOW + 9 * MINUTE) == []
    assert len(claim(db, NOW + 10 * MINUTE)) == 1


def test_a_worker_whose_lease_has_passed_writes_nothing(db):
    """I9."""
    register(db)
    (old,) = claim(db)
    (new,) = claim(db, NOW + 11 * MINUTE)
    with pytest.raises(LeaseLostError):
        read(db, old, NOW + 12 * MINUTE, [Judged(post=post())])
    with pytest.raises(LeaseLostError):
        fail(db, old, NOW + 12 * MINUTE)
    assert stretches(db) == []
    read(db, new, NOW + 12 * MINUTE)
    assert len(stretches(db)) == 1


def ended(claimed, now, **options):
    end = ReadEnd(cursor={"v": 1}, hole=None, interval=MINUTE, next_check_at=now + MINUTE, **options)
    return Brought(ended=Ended(claimed=claimed, end=end, now=now), rechecks=Rechecks(window=7 * DAY))


def test_checks_without_news_commit_together_as_each_would_alone(db):
    register(db, *(account(handle=name) for name in ("a", "b", "c")))
    first, second, third = claim(db)
    fail(db, second, NOW + MINUTE)
    later = NOW + 10 * MINUTE
    assert len(save_checks(db, [ended(one, later) for one in (first, second, third)])) == 3
    assert [(i.kind, i.start, i.end) for i in stretches(db)] == [(CoverageKind.READ, NOW, later)] * 3
    assert {row.cursor["v"] for row in rows_of(db)} == {1}
    assert [(row.failures, row.last_ok_at, row.leased_until) for row in rows_of(db)] == [(0, later, None)] * 3


def test_of_checks_that_commit_together_the_one_taken_over_meanwhile_is_left_out(db):
    register(db, *(account(handle=name) for name in ("a", "b")))
    _, second = claim(db)
    later = NOW + 20 * MINUTE
    (taken, _) = claim(db, now=later)  # the lease is over, another worker has both
    assert save_checks(db, [ended(taken, later), ended(second, later)]).keys() == {taken.account.id}
    assert [row.last_ok_at for row in rows_of(db)] == [later, None]


def test_an_account_given_back_is_due_at_once(db):
    register(db)
    release(db, claim(db)[0])
    assert len(claim(db)) == 1


def test_a_clock_that_stepped_back_stalls_nothing(db):
    """I10: what was checked "in the future" is due."""
    register(db)
    read(db, claim(db)[0], NOW)
    assert len(claim(db, NOW - 60 * MINUTE)) == 1


def test_everything_ignores_the_schedule_but_not_the_platform_s_own_word(db):
    register(db, account("a"), account("b"))
    first, second = claim(db)
    read(db, first, NOW)
    fail(db, second, NOW, Cause.RATE_LIMIT, retry_at=NOW + 60 * MINUTE)
    assert [c.account.handle for c in claim(db, NOW + 1 * MINUTE / 2, everything=True)] == ["a"]


def test_a_read_writes_coverage_from_registration_and_clears_the_failure(db):
    register(db)
    fail(db, claim(db)[0], NOW + MINUTE)
    assert list_accounts(db)[0].reading == "failing"
    read(db, claim(db, NOW + 2 * MINUTE)[0], NOW + 2 * MINUTE)
    (line,) = list_accounts(db)
    assert (line.reading, line.cause, line.error) == ("ok", None, "")
    (only,) = stretches(db)
    assert (only.kind, only.start, only.end) == (CoverageKind.READ, NOW, NOW + 2 * MINUTE)


def test_coverage_tiles_over_a_long_life_of_reads_failures_and_bursts(db):
    register(db)
    now = NOW
    for step in range(40):
        now += 10 * MINUTE
        (claimed,) = claim(db, now)
        if step % 7 == 3:
            fail(db, claimed, now, Cause.UNAVAILABLE if step % 2 else Cause.NOT_FOUND)
        else:
            hole = Hole(start=None, end=now - MINUTE, cause=Cause.BURST) if step % 11 == 5 else None
            read(db, claimed, now, hole=hole)
    found = stretches(db)
    assert first_hole(found, NOW) is None
    assert {i.cause for i in found if i.cause} == {Cause.BURST}


def test_an_account_unreadable_for_two_hours_is_one_alert_and_its_recovery_is_told(db):
    register(db)
    for hours in range(5):
        now = NOW + hours * 60 * MINUTE
        fail(db, claim(db, now)[0], now, Cause.NOT_FOUND)
    (alert,) = list_alerts(db)
    assert alert.kind is AlertKind.BLIND
    (due,) = due_alerts(db, now)
    assert due.recovered_at is None
    now += MINUTE
    read(db, claim(db, now)[0], now)
    (due,) = due_alerts(db, now)
    assert due.recovered_at == now


def test_a_dead_credential_is_one_alert_not_one_for_each_account(db):
    """Fault 18."""
    register(db, *(account(f"a{n}") for n in range(5)))
    for hours in range(4):
        now = NOW + hours * 60 * MINUTE
        for claimed in claim(db, now):
            fail(db, claimed, now, Cause.CREDENTIAL)
        shut_platform(db, "x", cause=Cause.CREDENTIAL, error="refused", retry_at=None, probe_at=now, now=now)
    (alert,) = list_alerts(db)
    assert (alert.kind, alert.platform) == (AlertKind.CREDENTIAL, "x")
    assert {line.reading for line in list_accounts(db)} == {"failing"}
    open_platform(db, "x", now=now)
    assert shut_platforms(db) == {}


def test_profiles_of_many_are_kept_together_but_of_accounts_that_another_worker_has(db):
    """I9."""
    register(db, account("jpd"), account("jpn"), account("kkm"))
    claimed = claim(db)
    release(db, claimed[2])
    claim(db)  # by another worker
    shown = [Profile(native_id=f"id-{one.account.handle}", name="Jabatan", handle="") for one in claimed]
    jpd, jpn, _ = (one.account.id for one in claimed)
    assert save_profiles(db, list(zip(claimed, shown, strict=True)), now=NOW) == {jpd: False, jpn: False}
    shown[1] = replace(shown[1], name="Shib")
    assert save_profiles(db, list(zip(claimed, shown, strict=True)), now=NOW) == {jpd: False, jpn: True}
    assert [alert.account for alert in list_alerts(db)] == ["jpn"]


def test_profile_snapshots_are_kept_when_they_change(db):
    register(db)
    (claimed,) = claim(db)
    first = Profile(native_id="7", name="Jabatan", handle="jpd")
    assert not save_profile(db, claimed, first, now=NOW)
    assert not save_profile(db, claimed, first, now=NOW)
    assert save_profile(db, claimed, replace(first, name="Shib"), now=NOW)
    with db.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.profile)).scalar_one() == 2


def test_coverage_listing_tells_a_failing_account_from_a_healthy_one_at_once(db):
    register(db, account("well"), account("ill"))
    ill, well = sorted(claim(db), key=lambda c: c.account.handle)
    now = NOW + MINUTE
    read(db, well, now)
    fail(db, ill, now, Cause.PERMISSION)
    ill_week, well_week = coverage_of(db, start=NOW - DAY, end=now, patience=30 * MINUTE)
    assert (well_week.verdict, well_week.covered) == (Verdict.FULL, 1.0)
    assert (ill_week.verdict, ill_week.covered) == (Verdict.BLIND, 0.0)
    assert ill_week.gaps[0].cause is Cause.PERMISSION


def test_coverage_listing_says_that_an_account_waits_for_calls(db):
    register(db)
    (claimed,) = claim(db)
    read(db, claimed, NOW)
    with db.write() as connection:
        connection.execute(update(tables.account).values(next_check_at=NOW + 180 * MINUTE))
    (week,) = coverage_of(db, start=NOW - DAY, end=NOW + 120 * MINUTE, patience=30 * MINUTE)
    assert [(one.start, one.cause) for one in week.gaps] == [(NOW, Cause.RATE_LIMIT)]


def test_findings_of_the_same_page_commit_with_coverage_and_cursor(db):
    """I3: after a failure inside the transaction nothing of it is there."""
    register(db)
    (claimed,) = claim(db)
    bad = replace(finding(), spans=((0, object()),))  # cannot be stored as JSON
    with pytest.raises(Exception, match=r"JSON|serializable"):
        read(db, claimed, NOW + MINUTE, [Judged(post=post(), findings=(bad,))])
    with db.read() as connection:
        for table in (tables.post, tables.post_version, tables.alert, tables.finding, tables.coverage):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


HOURS = 60 * MINUTE
UNTIL = NOW + 9 * HOURS


@pytest.mark.parametrize(
    ("own", "platform_s", "after", "alerts"),
    [
        pytest.param(UNTIL, None, 3 * HOURS, 1, id="an account that rests for itself goes blind"),
        pytest.param(UNTIL, None, 1 * HOURS, 0, id="not before its time"),
        pytest.param(NOW + MINUTE, None, 3 * HOURS, 0, id="one whose rest is over is looked at by its next check"),
        pytest.param(None, Cause.RATE_LIMIT, 3 * HOURS, 1, id="an account rests with its platform"),
        pytest.param(None, Cause.CREDENTIAL, 3 * HOURS, 0, id="a dead credential is one alert in all"),
        pytest.param(UNTIL, Cause.CONFIGURATION, 3 * HOURS, 0, id="and so is a mistake of ours, whatever else is met"),
    ],
)
def test_resting_accounts_go_blind(db, own, platform_s, after, alerts):
    register(db)
    (claimed,) = claim(db)
    if own is not None:
        fail(db, claimed, NOW, Cause.RATE_LIMIT, retry_at=own)
    else:
        read(db, claimed, NOW)
    if platform_s is not None:
        shut_platform(db, "x", cause=platform_s, error="no", retry_at=UNTIL, probe_at=UNTIL, now=NOW)
    for later in (after, after + MINUTE):
        open_blind_alerts(db, now=NOW + later, blind_after=2 * HOURS)
    assert [line.kind for line in list_alerts(db) if line.kind is AlertKind.BLIND] == [AlertKind.BLIND] * alerts
    if alerts:
        (alert,) = due_alerts(db, NOW + after)
        assert (alert.cause, alert.since) == (Cause.RATE_LIMIT, NOW)
        assert intervals.gaps(stretches(db))[-1].cause is Cause.RATE_LIMIT


def test_an_account_that_went_blind_at_rest_and_fails_again_is_not_alerted_twice(db):
    register(db)
    (claimed,) = claim(db)
    read(db, claimed, NOW)
    shut_platform(db, "x", cause=Cause.RATE_LIMIT, error="no", retry_at=UNTIL, probe_at=UNTIL, now=NOW)
    assert open_blind_alerts(db, now=NOW + 3 * HOURS, blind_after=2 * HOURS) == 1
    (again,) = claim(db, now=UNTIL)
    fail(db, again, UNTIL)
    assert len(list_alerts(db)) == 1
    (again,) = claim(db, now=UNTIL + HOURS)
    read(db, again, UNTIL + HOURS)
    (told,) = due_alerts(db, UNTIL + HOURS)
    assert told.recovered_at == UNTIL + HOURS


def test_a_rate_limit_does_not_outrank_a_dead_credential_and_a_refusal_keeps_its_beginning(db):
    def met(cause, hour):
        at = NOW + hour * HOURS
        return shut_platform(db, "x", cause=cause, error=cause.value, retry_at=None, probe_at=at + MINUTE, now=at)

    met(Cause.CREDENTIAL, 0)
    standing = met(Cause.RATE_LIMIT, 1)
    assert (standing.cause, standing.error, standing.since) == (Cause.CREDENTIAL, "credential refused", NOW)
    assert standing.probe_at == NOW + HOURS + MINUTE
    assert met(Cause.CREDENTIAL, 2).since == NOW
    assert shut_platforms(db)["x"].since == NOW
    assert [line.kind for line in list_alerts(db)] == [AlertKind.CREDENTIAL]
