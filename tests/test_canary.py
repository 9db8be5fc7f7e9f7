"""The canary: once a Malaysian day by the real path, and an alarm when rules or mail fail it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from builders import alert, rule, rule_set
from installation import Installation, eventually, kill
from mail_servers import read_mail

from alerts.compose import compose_alert
from alerts.envelope import Envelope
from alerts.planning import plan_due
from alerts.policy import Policy, plan
from monitor import canary as canaries
from monitor.app.mails import deliver_all
from monitor.app.once import once
from monitor.app.service import open_service
from monitor.app.watch import watch_canaries
from monitor.configuration import load_configuration
from monitor.model import MALAYSIA, AlertKind, CanaryOutcome, Language, Severity
from monitor.rules.load import load_rules
from monitor.rules.rule import Example, OpinionUse, RuleSet, Status
from monitor.settings import Canary
from monitor.store.canaries import canary_days, list_canaries
from monitor.store.listings import list_alerts

TOML = """[database]
url = "sqlite:///pantau.db"
[mail]
folder = "mail"
[operators]
recipients = ["ops@jpd.example.my"]
[canary]
recipient = "canary@jpd.example.my"
"""
AT = datetime(2026, 11, 24, 7, 30, tzinfo=MALAYSIA)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONG_AGO = AT - 30 * DAY
EVERY_DAY = Canary()


# ---------------------------------------------------------------- when


@pytest.mark.parametrize(
    ("now", "since", "due"),
    [
        pytest.param(AT - timedelta(seconds=1), LONG_AGO, None, id="a second before the hour it is not due"),
        pytest.param(AT, LONG_AGO, date(2026, 11, 24), id="at the hour it is"),
        pytest.param(AT + 16 * HOUR, LONG_AGO, date(2026, 11, 24), id="a daemon that was down then sends it later"),
        pytest.param(AT + 16 * HOUR + 30 * MINUTE, LONG_AGO, None, id="after midnight the new day's is not due yet"),
        pytest.param(AT.astimezone(UTC), LONG_AGO, date(2026, 11, 24), id="the day is Malaysia's, not that of UTC"),
        pytest.param(AT + HOUR, AT + MINUTE, None, id="an installation after the hour begins with the next day"),
    ],
)
def test_a_canary_is_due(now, since, due):
    assert canaries.due_day(now, EVERY_DAY, not_before=since) == due


def test_a_canary_that_is_switched_off_is_never_due():
    assert canaries.due_day(AT, Canary(enabled=False), not_before=LONG_AGO) is None


# ---------------------------------------------------------------- what


def shipped(tmp_path) -> RuleSet:
    return load_rules(Installation(tmp_path, TOML).write().folder / "rules", today=AT.date(), platforms=("x",))


def test_the_text_is_the_example_of_the_gravest_live_rule(tmp_path):
    chosen = canaries.canary_of(shipped(tmp_path))
    assert chosen is not None
    assert (chosen[0].id, chosen[1].text) == ("mampu-2009/4/password", "wifi kata laluan")
    judged = canaries.judge(shipped(tmp_path))
    assert judged.error == ""
    assert judged.evaluated_ms is not None
    assert judged.evaluated_ms >= 0


def plain(**changes):
    example = Example(text="apa-apa", fires=True, key="tests.fire[0]")
    return rule({}, "none", **{"severity": Severity.HIGH, "tests": (example,), **changes})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"status": Status.SHADOW}, id="a shadow rule alerts nobody"),
        pytest.param({"scope": frozenset({"picture"})}, id="a rule for pictures reads no text"),
        pytest.param({"severity": Severity.LOW}, id="a low rule sends no mail"),
        pytest.param({"tests": ()}, id="a rule without example says nothing"),
        pytest.param(
            {"tests": (Example(text="x", fires=True, key="k", history=object()),)},  # type: ignore[arg-type]
            id="an example that needs a history is no plain text",
        ),
    ],
)
def test_rules_that_cannot_be_tried_are_passed_over(changes):
    rules = rule_set(plain(id="guide/1a/other", **changes))
    assert canaries.canary_of(rules) is None
    assert canaries.judge(rules).error == canaries.NOTHING_TO_TRY


def test_a_rule_whose_severity_is_its_own_goes_before_one_that_asks_the_second_opinion():
    sure = plain(id="guide/1a/zz")
    unsure = plain(id="guide/1a/aa", severity=Severity.CRITICAL, opinion=OpinionUse.CONFIRMS)
    chosen = canaries.canary_of(rule_set(unsure, sure))
    assert chosen is not None
    assert chosen[0].id == "guide/1a/zz"


# ---------------------------------------------------------------- the real path


class Clock:
    def __init__(self, at):
        self.at = at

    def __call__(self):
        return self.at


@pytest.fixture
def here(tmp_path):
    return Installation(tmp_path, TOML, [("JPD", "x", "jpd", "")]).write()


@pytest.fixture
def clock():
    return Clock(AT - 3 * DAY)


@pytest.fixture
def opened(here, clock):
    def service():
        return open_service(load_configuration(here.folder, {}, today=AT.date()), clock=clock)

    with service():
        pass  # installed three days ago
    clock.at = AT
    return service


def pass_once(service):
    """What the canary tick, the outbox tick and the canary tick again do."""
    watch_canaries(service)
    deliver_all(service)
    watch_canaries(service)


def test_a_canary_goes_the_whole_way_and_is_nobody_s_alert(opened, here, clock):
    with opened() as service:
        pass_once(service)
        (day,) = [d for d in canary_days(service.db, AT - HOUR, AT + HOUR, now=AT) if d.began_at]
        assert (day.outcome, day.rule) == (CanaryOutcome.ARRIVED, "mampu-2009/4/password")
        assert list_alerts(service.db) == []
        (one,) = list_alerts(service.db, canaries=True)
        assert one.state.value == "resolved"
    (mail,) = here.mails
    message = read_mail(mail.read_bytes())
    assert message["To"] == "canary@jpd.example.my"
    assert "kata laluan" not in mail.read_text()
    assert one.case in message.get_body(("plain",)).get_content()


def test_every_day_exactly_one_through_restarts_and_a_clock_that_is_set(opened, here, clock):
    """Four days, every quarter of an hour, set back or forth by an hour now and then, with a restart each time."""
    end, step = AT + 4 * DAY, 0
    while clock.at < end:
        with opened() as service:
            for _ in range(12):
                pass_once(service)
                step += 1
                clock.at += timedelta(minutes=15)
        clock.at += (HOUR, -HOUR, timedelta())[step // 12 % 3]
    with opened() as service:
        begun = [one.day for one in list_canaries(service.db, since=LONG_AGO, now=clock.at)]
    days = [date(2026, 11, number) for number in (24, 25, 26, 27)]
    assert sorted(one for one in begun if one is not None)[:4] == days
    assert len(set(begun)) == len(begun) == len(here.mails)


def test_rules_that_no_longer_find_it_are_told_to_the_operators_once(opened, here, clock, monkeypatch):
    monkeypatch.setattr(canaries, "evaluate", lambda *_: ())
    with opened() as service:
        for _ in range(3):
            pass_once(service)
            clock.at += HOUR
        (told,) = list_alerts(service.db)
        assert told.kind is AlertKind.CANARY_MISSING
    (mail,) = here.mails
    message = read_mail(mail.read_bytes())
    assert message["To"] == "ops@jpd.example.my"
    words = message.get_body(("plain",)).get_content()
    assert "pantau rules test mampu-2009/4/password" in " ".join(words.split())


def test_rules_that_crash_on_it_are_told_without_the_words_of_the_error(opened, clock, monkeypatch):
    def crash(*_):
        raise ValueError("SECRET-MARKER")

    monkeypatch.setattr(canaries, "evaluate", crash)
    with opened() as service:
        pass_once(service)
        (line,) = list_canaries(service.db, since=LONG_AGO, now=clock.at)
        assert (line.outcome, line.error) == (
            CanaryOutcome.NOT_FIRED,
            "mampu-2009/4/password: the rules raised ValueError",
        )


def test_a_canary_that_the_mail_server_does_not_take_is_told_by_the_hour(opened, here, clock):
    with opened() as service:
        watch_canaries(service)
        plan_due(service.db, service.policy, now=clock.at)  # written down; no server takes it
        clock.at += HOUR + MINUTE
        watch_canaries(service)
        clock.at += 5 * HOUR
        watch_canaries(service)
        (told,) = list_alerts(service.db)
        assert told.kind is AlertKind.CANARY_MISSING


def test_a_pass_of_once_proves_the_way_too(opened, here, clock):
    with opened() as service:
        service.platforms.clear()
        passed = once(service)
        assert (passed.alerts, passed.failures) == ((0, 0), [])
        assert [one.outcome for one in list_canaries(service.db, since=LONG_AGO, now=clock.at)] == [
            CanaryOutcome.ARRIVED
        ]


# ---------------------------------------------------------------- who is told


POLICY = Policy(
    instance="i", sender_domain="example.my", operators=("ops@x.my",), canary="canary@x.my", team_language=Language.EN
)


def test_one_mail_to_the_canary_s_recipient_and_nothing_after_it():
    what = alert(kind=AlertKind.CANARY, agency=None, account=None, post=None, findings=(), severity=Severity.LOW)
    planned = plan(what, POLICY, AT)
    assert [(n.step, n.template, n.recipient) for n in planned.notifications] == [("canary", "canary", "canary@x.my")]
    assert planned.next_action_at is None
    assert planned.reason


def test_a_missing_canary_goes_to_the_operators():
    what = alert(kind=AlertKind.CANARY_MISSING, agency=None, account=None, post=None, findings=())
    planned = plan(what, POLICY, AT)
    assert [(n.template, n.recipient) for n in planned.notifications] == [("canary_missing", "ops@x.my")]


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("kind", [AlertKind.CANARY, AlertKind.CANARY_MISSING])
def test_both_mails_render_in_both_languages(kind, language, tmp_path):
    from builders import delivery

    what = alert(kind=kind, agency=None, account=None, post=None, findings=(), detail="its mail waits")
    envelope = Envelope(sender="Pantau <p@x.my>", slogans=("S",), post_link=True, public_url="https://p.x.my")
    sent = delivery(template=kind.value, step="operators", recipient="a@x.my", language=language)
    message = read_mail(compose_alert(what, sent, envelope, now=AT))
    assert what.case in message.get_body(("html",)).get_content()


# ---------------------------------------------------------------- the command


def test_the_command_sends_one_now_and_says_its_times(here):
    ran = here.run("canary")
    assert ran.code == 0, ran.err
    assert "judged     by mampu-2009/4/password" in ran.out
    assert "s after it began" in ran.out
    assert len(here.mails) == 1
    (row,) = json.loads(here.run("canary", "--json").out)
    assert (row["outcome"], row["day"]) == ("arrived", "")
    assert row["seconds"] >= 0
    table = here.run("canary", "--list").out
    assert "asked for" in table
    assert "%" not in table
    assert here.listed("alerts", "list") == []


def test_beside_a_daemon_the_daemon_sends_it(here):
    daemon = replace(here, toml=TOML + '[web]\nlisten = "127.0.0.1:0"\n', accounts=[]).write().start("run")
    try:
        eventually((here.folder / "pantau.db.sock").exists, what="the daemon listens")
        ran = here.run("canary")
        assert ran.code == 0, ran.err
        assert "accepted" in ran.out
        assert len(here.mails) == 1
    finally:
        kill(daemon)


def test_the_command_fails_when_no_mail_server_takes_it(here):
    closed = TOML.replace('folder = "mail"', 'transport = "smtp"\nhost = "127.0.0.1"\nport = 1\nsecurity = "none"')
    ran = replace(here, toml=closed).write().run("canary")
    assert ran.code == 1
    assert "no mail server has accepted its mail" in ran.err
    assert "127.0.0.1" in ran.err


def test_the_command_fails_when_no_live_rule_fires(here):
    for name in ("3c/marking", "4/password"):
        file = here.folder / "rules" / "mampu-2009" / f"{name}.yaml"
        file.write_text(file.read_text().replace("status: live", "status: shadow"))
    ran = here.run("canary")
    assert ran.code == 1
    assert "no live rule has an example" in ran.err
