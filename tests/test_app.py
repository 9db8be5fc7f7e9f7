"""The wiring: ticks that survive, a guardian that does not, the digest once a week, a reload that keeps what works."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest
import structlog
from builders import post
from installation import LEAK, MARKING, Installation, eventually
from mail_servers import read_mail
from sqlalchemy import create_engine

from alerts.planning import Grouping, plan_due
from connectors.base import Capabilities, CredentialRefused, Page, RateLimited
from connectors.http import SiteLimited
from monitor import doctor
from monitor.app import daemon, mails, reload, ticks, watch
from monitor.app.daemon import Progress, Tick, guarded, run
from monitor.app.mails import deliver, plan_due_digest
from monitor.app.once import once
from monitor.app.reload import reload_configuration
from monitor.app.service import open_service
from monitor.app.watch import look_at_budgets
from monitor.configuration import FileWatch, fingerprint, load_configuration
from monitor.model import MALAYSIA, AlertKind, Cause, Profile
from monitor.poll.platform import poll_platform
from monitor.store.accounts import claim_accounts
from monitor.store.alerts import load_alerts
from monitor.store.budget import spent_since
from monitor.store.credentials import shut_platform
from monitor.store.database import Database, DatabaseBusyError, DatabaseUnusableError, sole_process
from monitor.store.listings import list_accounts, list_alerts

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
START = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)  # a Friday in the week 2026-W47
TOML = """[database]
url = "sqlite:///pantau.db"
[mail]
folder = "mail"
[digest]
recipients = ["ict@example.my"]
[connectors.x]
bearer_token = "sandbox"
base_url = "http://127.0.0.1:1/x"
"""


class Silent:
    """A platform on which nobody ever says a thing."""

    platform = "x"
    capabilities = Capabilities(rereads=False)

    def resolve(self, account):
        return Profile(native_id="1", name="JPD", handle="jpd")

    def pull(self, account, cursor, *, now):
        yield Page(posts=(), cursor={"v": 1}, last=True)


@pytest.fixture
def said(monkeypatch):
    """What the application logs, as (event, facts)."""
    lines = []

    def keep(_logger, method, facts):
        lines.append((facts.pop("event"), facts | {"level": method}))
        raise structlog.DropEvent

    for module in (daemon, mails, reload, ticks, watch):
        monkeypatch.setattr(module, "log", structlog.wrap_logger(None, processors=[keep]))
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    monkeypatch.setattr("monitor.poll.check.log", structlog.wrap_logger(None, wrapper_class=quiet))
    monkeypatch.setattr("alerts.outbox.log", structlog.wrap_logger(None, wrapper_class=quiet))
    return lines


@pytest.fixture
def here(tmp_path):
    return Installation(tmp_path, TOML, [("JPD", "x", "jpd", "")]).write()


class Clock:
    def __init__(self, at=START):
        self.at = at

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def configuration(here):
    return load_configuration(here.folder, {}, today=date(2026, 11, 20))


@pytest.fixture
def service(configuration, clock, said):
    with open_service(configuration, clock=clock) as opened:
        opened.platforms["x"] = Silent()
        yield opened


# ---------------------------------------------------------------- opening


def test_what_a_killed_process_held_is_free_when_the_next_one_opens(configuration, clock, said):
    with open_service(configuration, clock=clock) as first:
        assert claim_accounts(first.db, now=START, lease=HOUR, limit=9, platform="x")
    with open_service(configuration, clock=clock) as second:
        assert claim_accounts(second.db, now=START, lease=HOUR, limit=9, platform="x")


def test_a_second_process_is_refused_and_touches_nothing(configuration, clock):
    path = Database(configuration.settings.database.url).path
    refused = pytest.raises(DatabaseBusyError, match="Stop it first")
    with sole_process(path), refused, open_service(configuration, clock=clock):
        pass
    assert not path.exists()


def test_a_folder_that_cannot_be_written_is_named(configuration, clock):
    settings = configuration.settings
    placed = replace(settings, database=replace(settings.database, url="sqlite:////proc/none/pantau.db"))
    with (
        pytest.raises(DatabaseUnusableError, match=r"database\.url: /proc/none/pantau\.db"),
        open_service(replace(configuration, settings=placed), clock=clock),
    ):
        pass


# ---------------------------------------------------------------- the digest


def mails_of(here, template="digest"):
    return here.query(
        f"select period, recipient, state from notification where template = '{template}' order by period"
    )


def test_the_digest_of_a_week_goes_out_exactly_once_also_when_nothing_happened(service, clock, here):
    """Every ten minutes for three weeks, with the clock set back an hour now and then, and a restart's memory."""
    end = START + 21 * DAY
    step = 0
    while clock.at < end:
        plan_due_digest(service)
        step += 1
        clock.at += timedelta(minutes=10) if step % 50 else -HOUR
    deliver(service)
    assert mails_of(here) == [(week, "ict@example.my", "accepted") for week in ("2026-W47", "2026-W48", "2026-W49")]
    assert len(here.mails) == 3


def test_the_digest_waits_for_its_hour_in_malaysia(service, clock, here):
    clock.at = datetime(2026, 11, 23, 7, 59, tzinfo=MALAYSIA)
    assert plan_due_digest(service) == 0
    clock.at += timedelta(minutes=1)
    assert plan_due_digest(service) == 1
    assert plan_due_digest(service) == 0


def test_a_daemon_that_was_down_at_the_hour_still_sends_it(service, clock, here):
    clock.at = datetime(2026, 11, 26, 15, 0, tzinfo=MALAYSIA)
    assert plan_due_digest(service) == 1
    assert mails_of(here) == [("2026-W47", "ict@example.my", "pending")]


def test_a_recipient_added_on_tuesday_gets_the_next_week_s_digest(configuration, clock, here):
    clock.at = datetime(2026, 11, 20, 9, 0, tzinfo=MALAYSIA)
    with open_service(configuration, clock=clock) as service:
        clock.at = datetime(2026, 11, 23, 8, 0, tzinfo=MALAYSIA)
        assert plan_due_digest(service) == 1
    more = replace(configuration.settings.digest, recipients=("ict@example.my", "baharu@example.my"))
    grown = replace(configuration, settings=replace(configuration.settings, digest=more))
    with open_service(grown, clock=clock) as service:
        clock.at = datetime(2026, 11, 24, 10, 0, tzinfo=MALAYSIA)
        assert plan_due_digest(service) == 0
        clock.at = datetime(2026, 11, 30, 8, 0, tzinfo=MALAYSIA)
        assert plan_due_digest(service) == 2
    told = [("2026-W47", "ict@example.my"), ("2026-W48", "baharu@example.my"), ("2026-W48", "ict@example.my")]
    assert sorted(row[:2] for row in mails_of(here)) == told


# ---------------------------------------------------------------- ticks and the guardian


def test_a_tick_that_raises_is_logged_and_comes_again_while_the_others_run(service, said, monkeypatch):
    """Fault 11: an exception in a tick ends neither the tick nor the scheduler."""
    seen = {"bad": 0, "good": 0}

    def bad():
        seen["bad"] += 1
        raise RuntimeError("raised once inside a tick")

    def good():
        seen["good"] += 1

    fast = timedelta(milliseconds=30)
    planned = [Tick(name="bad", every=fast, body=bad), Tick(name="good", every=fast, body=good)]
    progress = Progress()
    daemon = threading.Thread(target=run, args=(service, planned, progress))
    daemon.start()
    eventually(lambda: seen["bad"] > 3 and seen["good"] > 3)
    assert progress.failed == {"bad"}
    assert progress.stalled() == []
    service.stop.set()
    daemon.join(10)
    assert [facts["tick"] for event, facts in said if event == "tick failed"][:2] == ["bad", "bad"]


def test_a_database_that_goes_on_failing_is_told_of_in_one_line_a_minute(said, monkeypatch):
    """On a full disk each tick wrote its traceback every second, often onto that disk; none named the disk."""

    def write():
        with create_engine("sqlite://").begin() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            connection.exec_driver_sql("CREATE TABLE post (id INTEGER)")

    progress = Progress()
    body = guarded(Tick(name="poll:x", every=MINUTE, body=write), progress)
    body()
    body()
    assert progress.failed == {"poll:x"}
    (event, facts), where = said
    assert (event, facts["tick"]) == ("tick failed", "poll:x")
    assert "(database or disk is full); look at its disk's free space" in facts["reason"]
    assert "exc_info" not in facts
    assert facts["level"] == "error"
    assert where[1]["level"] == "debug"
    monkeypatch.setattr(daemon, "SAID_AGAIN_SECONDS", 0.0)
    body()
    assert [event for event, _ in said].count("tick failed") == 2


def test_the_guardian_ends_a_process_whose_tick_gets_nowhere(service, said, monkeypatch):
    stuck = threading.Event()
    planned = [
        Tick(name="stuck", every=timedelta(seconds=1), body=lambda: stuck.wait(20)),
        Tick(name="good", every=timedelta(milliseconds=100), body=lambda: None),
    ]
    monkeypatch.setattr(daemon, "GOODBYE_SECONDS", 0.1)
    monkeypatch.setattr(Progress, "stalled", lambda self: stalled_after(self, timedelta(seconds=2)))
    code = run(service, planned, Progress())
    stuck.set()
    assert code == 1
    assert [facts["ticks"] for event, facts in said if event.startswith("no progress")] == [["stuck"]]


def stalled_after(progress, limit):
    oldest = time.monotonic() - limit.total_seconds()
    return sorted(name for name, at in progress.touched.items() if at < oldest)


def test_a_long_tick_that_touches_is_alive_and_a_stopped_process_is_forgiven():
    progress = Progress()
    progress.begin("poll:x")
    limit = timedelta(milliseconds=20)
    time.sleep(0.03)  # the passing of time is the subject
    assert progress.stalled(limit) == ["poll:x"]
    progress.touch("poll:x")
    assert progress.stalled(limit) == []
    time.sleep(0.03)
    progress.forgive()
    assert progress.stalled(limit) == []
    progress.end("poll:x")
    assert progress.started == {}


def test_a_clock_set_back_stalls_no_tick(service, clock, said, monkeypatch):
    """I10: APScheduler alone would wait until the old time returns."""
    ran = []
    planned = [Tick(name="hourly", every=HOUR, body=lambda: ran.append(1))]
    service.clock = clock
    clock.at = datetime.now(UTC)
    daemon = threading.Thread(target=run, args=(service, planned, Progress()))
    daemon.start()
    eventually(lambda: len(ran) == 1)
    clock.at -= 2 * HOUR
    eventually(lambda: len(ran) == 2, what="the tick after the step")
    service.stop.set()
    daemon.join(10)
    assert any(event == "the clock was set" for event, _ in said)


# ---------------------------------------------------------------- reload


def test_a_mistake_in_a_changed_rule_or_register_keeps_all_of_the_old_and_names_it(service, here, said):
    rule = here.folder / "rules" / "mampu-2009" / "3c" / "marking.yaml"
    before = service.configuration
    rule.write_text(MARKING.replace("condition: mark", "condition: mrak"))
    (here.folder / "register" / "accounts.csv").write_text("agency,platform,handle\nJPD,twiter,a\n")
    reload_configuration(service)
    assert service.configuration is before
    problems = " ".join(facts["problem"] for event, facts in said if "not reloaded" in event)
    assert "marking.yaml" in problems
    assert "twiter" in problems
    assert {line.account.handle for line in list_accounts(service.db)} == {"jpd"}


def test_a_reload_goes_by_the_malaysian_day_as_a_start_does(service, here, clock, said):
    ended = "exceptions: [{name: a, covers: [surat], reason: r, owner: o, expires: 2026-11-20}]\ntests:"
    rule = here.folder / "rules" / "mampu-2009" / "3c" / "marking.yaml"
    rule.write_text(MARKING.replace("tests:", ended))
    clock.at = datetime(2026, 11, 20, 16, 1, tzinfo=UTC)  # in Malaysia the 21st has begun
    reload_configuration(service)
    assert ["the exception ended on 2026-11-20" in facts["problem"] for _, facts in said] == [True]


def test_an_account_on_a_platform_new_to_the_register_is_taken_over(service, here, said):
    here.accounts.append(("JPD", "myspace", "jpdlama", ""))
    here.write()
    reload_configuration(service)
    assert "myspace" in service.platforms
    assert {line.account.handle for line in list_accounts(service.db)} == {"jpd", "jpdlama"}


def test_a_change_is_seen_from_before_the_files_were_read_until_it_was_taken_over(here):
    watch = FileWatch(here.folder, fingerprint(here.folder))
    assert not watch.changed()
    (here.folder / "rules" / "new.yaml").write_text("id: x")
    assert watch.changed()
    assert watch.changed()  # nobody has taken it over: a crash in between is tried again
    watch.settle()
    assert not watch.changed()


# ---------------------------------------------------------------- one pass


def test_months_of_passes_leaves_every_account_s_time_tiled_and_the_database_small(service, clock, here):
    """I13 in small: 100 days of one pass a day; rows grow with posts and gaps, not with passes."""
    for _ in range(100):
        once(service)
        clock.at += DAY
    tables = ("coverage", "profile", "alert where kind <> 'canary'", "canary")
    counts = [here.query(f"select count(*) from {table}")[0][0] for table in tables]
    assert counts == [1, 1, 0, 99]
    assert len(here.mails) == 14 + 3 + 99  # a digest a week, a letter a month, a canary a day


class Resting(Silent):
    """Every read of an account meets a limit of its own, or of the whole platform."""

    def __init__(self, limit):
        self.limit = limit
        self.asked = 0

    def pull(self, account, cursor, *, now):
        self.asked += 1
        if self.limit is not None:
            raise self.limit
        return super().pull(account, cursor, now=now)

    def check(self):
        raise self.limit


LIMITS = pytest.mark.parametrize("kind", [SiteLimited, RateLimited], ids=["the account's own", "the platform's"])


@LIMITS
def test_an_account_that_rests_by_the_platform_s_word_is_named_by_each_pass(service, clock, kind):
    resting = service.platforms["x"] = Resting(kind("x/jpd: asks for patience", retry_at=START + HOUR))
    once(service)
    clock.at += MINUTE
    passed = once(service)
    assert resting.asked == 1
    (named,) = passed.failures
    assert named.startswith("x")
    assert "asks for patience; not asked before 2026-11-20 02:00:00 UTC" in named
    resting.limit = None
    clock.at += HOUR
    assert once(service).failures == []


def test_a_degraded_platform_s_resting_account_is_shown_and_is_no_failure(service, clock):
    resting = service.platforms["x"] = Resting(SiteLimited("x/jpd: asks for patience", retry_at=START + HOUR))
    resting.capabilities = Capabilities(rereads=False, degraded=True)
    once(service)
    passed = once(service)
    assert passed.failures == []
    assert "asks for patience" in passed.degraded[0]


@LIMITS
def test_an_account_that_rests_for_long_is_one_blind_alert_and_its_recovery_is_told(service, clock, here, kind):
    """No check reaches it, and so no failure of it is written any more."""
    resting = service.platforms["x"] = Resting(kind("x/jpd: asks for patience", retry_at=START + 5 * HOUR))
    for _ in range(5):
        once(service)
        clock.at += HOUR
    assert [(alert.kind, alert.opened_at) for alert in list_alerts(service.db)] == [("blind", START + 2 * HOUR)]
    resting.limit = None
    once(service)
    assert [alert.state for alert in list_alerts(service.db)] == ["resolved"]
    assert here.query("select distinct template, state from notification order by 1") == [
        ("blind", "accepted"),
        ("recovery", "accepted"),
    ]


def test_the_daemon_looks_at_what_rests_with_its_platform_also_where_no_check_of_it_has_failed(service, clock, here):
    """A platform that rests is asked by nobody: an account that was read before it refused fails no check."""
    here.accounts.append(("JPD", "x", "lain", ""))
    here.write()
    reload_configuration(service)
    poll = partial(poll_platform, service.poller(), "x")
    resting = service.platforms["x"] = Resting(None)
    poll()
    resting.limit = RateLimited("x/jpd: asks for patience", retry_at=START + 9 * HOUR)
    shut_platform(
        service.db,
        "x",
        cause=Cause.RATE_LIMIT,
        error="asks for patience",
        retry_at=START + 9 * HOUR,
        probe_at=START + 9 * HOUR,
        now=START,
    )
    blind = next(tick for tick in ticks.ticks(service, Progress()) if tick.name == "blind")
    for _ in range(9):
        poll()
        blind.body()
        clock.at += HOUR
    poll()  # refused again: the same blindness, not another
    clock.at += 3 * HOUR
    blind.body()
    alerts = list_alerts(service.db)
    assert [(alert.kind, alert.account) for alert in alerts] == [("blind", "lain"), ("blind", "jpd")]
    assert {line.cause for line in list_accounts(service.db)} == {Cause.RATE_LIMIT}
    assert here.query("select distinct cause from coverage where kind = 'gap'") == [("rate limit",)]


def test_a_dead_credential_makes_no_account_blind(service, clock):
    service.platforms["x"] = Resting(CredentialRefused("x/jpd: the token is refused"))
    once(service)
    service.platforms["x"].limit = RateLimited("x/jpd: asks for patience", retry_at=START + 9 * HOUR)
    for _ in range(5):
        clock.at += HOUR
        once(service)
    assert [alert.kind for alert in list_alerts(service.db)] == ["credential"]


class Leaks(Silent):
    """An account with many leaks."""

    def __init__(self, number):
        self.number = number

    def pull(self, account, cursor, *, now):
        posts = tuple(post(str(n), f"{LEAK} {n}", published_at=now) for n in range(self.number))
        yield Page(posts=posts, cursor={"v": 1}, last=True)


def test_a_pass_delivers_all_that_is_due(service, here):
    service.platforms["x"] = Leaks(90)
    assert once(service).sent.accepted == 90
    assert len(here.mails) == 90


def test_a_flood_of_alerts_of_one_agency_is_a_few_mails_that_name_every_case(service, here):
    """Fault 25."""
    service.platforms["x"] = Leaks(250)
    assert once(service).sent.accepted == 2
    words = "".join(read_mail(mail.read_bytes()).get_body(("plain",)).get_content() for mail in here.mails)
    for alert in list_alerts(service.db):
        assert alert.case in words


def test_a_pass_asked_to_end_delivers_no_further_mail_and_the_next_one_goes_on(service, here):
    service.platforms["x"] = Leaks(5)
    send = service.channel.send

    def stops_after(mail, **whose):
        service.stop.set()
        return send(mail, **whose)

    service.channel.send = stops_after
    assert once(service).sent.accepted == 1
    service.stop.clear()
    service.channel.send = send
    assert once(service).sent.accepted == 4
    assert len(here.mails) == 5


def test_the_daemon_s_mails_go_out_in_portions_and_each_is_progress(service, here, monkeypatch):
    monkeypatch.setattr(ticks, "MAILS_AT_ONCE", 3)
    service.platforms["x"] = Leaks(7)
    progress = Progress()
    touched = []
    monkeypatch.setattr(Progress, "touch", lambda _self, name: touched.append(name))
    poll_platform(service.poller(), "x")
    plan_due(service.db, service.policy, now=service.clock(), grouping=Grouping(at_once=True))
    next(tick for tick in ticks.ticks(service, progress) if tick.name == "outbox").body()
    assert len(here.mails) == 7
    assert touched.count("outbox") >= 2


@pytest.mark.parametrize("tick", ["poll:x", "past:x"])
def test_each_page_that_is_read_is_progress(service, tick, monkeypatch):
    """One account's long past, or long first read, must not be taken for a tick that hangs."""
    for name in ("poll_platform", "fill_platform"):
        monkeypatch.setattr(ticks, name, lambda poller, *_, **__: poller.on_page())
    progress = Progress()
    next(one for one in ticks.ticks(service, progress) if one.name == tick).body()
    assert progress.touched.keys() == {tick}


def test_an_alert_of_the_pass_is_planned_and_delivered_in_the_same_pass(service, clock, here):
    service.platforms["x"] = Leaks(1)
    passed = once(service)
    assert passed.failures == []
    assert passed.sent.accepted == 1
    assert len(here.mails) == 1
    assert [alert.first_mail_at for alert in list_alerts(service.db)] == [clock.at]
    assert once(service).sent.accepted == 0
    # I5, I6: nobody waits without a reason, and what the folder holds is what is marked accepted.
    assert here.query("select count(*) from alert where next_action_at is null and waiting_reason = ''") == [(0,)]
    accepted = {row[0].strip("<>").partition("@")[0] for row in here.query("select message_id from notification")}
    assert accepted == {path.stem for path in here.mails}


# ---------------------------------------------------------------- budgets and credentials


class Ending(Silent):
    """A platform whose credential ends, and which is asked so often until when it is good."""

    ends: datetime | None = START + 10 * DAY
    failure: Exception | None = None
    asked = 0

    def expires_at(self):
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.ends


def test_a_credential_that_ends_soon_is_told_once_and_asked_about_once_a_day(service, clock):
    platform = Ending()
    service.platforms["x"] = platform
    for _ in range(3):
        look_at_budgets(service)
        clock.at += HOUR
    assert platform.asked == 1
    assert [(one.kind, one.platform) for one in list_alerts(service.db)] == [(AlertKind.FORECAST, "x")]
    platform.ends, clock.at = START + 90 * DAY, clock.at + DAY
    look_at_budgets(service)
    assert load_alerts(service.db, [1])[1].recovered_at == clock.at


def test_a_platform_that_does_not_tell_until_when_keeps_what_it_told(service, clock, said):
    platform = Ending()
    service.platforms["x"] = platform
    look_at_budgets(service)
    platform.failure, clock.at = CredentialRefused("x: 401"), clock.at + DAY
    look_at_budgets(service)
    assert ("not known until when a credential is good", "info") in [(line, facts["level"]) for line, facts in said]
    assert load_alerts(service.db, [1])[1].recovered_at is None


def test_what_is_read_through_the_wiring_is_counted(service):
    service.platforms["x"] = Silent()
    poll_platform(service.poller(), "x", everything=True)
    assert spent_since(service.db, "x", START)["accounts read"] == 1
    assert service.meters["x"].calls == 0


def test_doctor_tells_how_budgets_and_credentials_will_last(service, configuration, clock):
    assert list(doctor._budgets(configuration, START)) == []
    service.platforms["x"] = Ending()
    look_at_budgets(service)
    (line,) = doctor._budgets(configuration, START)
    assert (line.state, line.subject, line.message) == ("note", "x", "the credential ends on 2026-11-30")
