"""Canaries as rows, on both databases: once a day, what became of each, and nobody's alert."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from monitor.escalation import Escalation
from monitor.model import MALAYSIA, AlertKind, AlertState, CanaryOutcome, Language, NewNotification
from monitor.store import outbox, plans, undelivered
from monitor.store.alerts import load_alert
from monitor.store.canaries import (
    canary_days,
    daily_key,
    find_canary,
    has_canary,
    list_canaries,
    save_canary,
    settle_canaries,
)
from monitor.store.database import fact
from monitor.store.listings import count_alerts, list_alerts

DAY = date(2026, 11, 24)
AT = datetime(2026, 11, 24, 7, 30, tzinfo=MALAYSIA)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def begin(db, day=DAY, at=AT, error=""):
    return save_canary(db, daily_key(day), day=day, evaluated_ms=2.5, rule="mampu-2009/3c/marking", error=error, now=at)


def mailed(db, at, *, day=DAY):
    """Write the canary's mail down and claim it, as the outbox tick does."""
    number = next(one for one in list_alerts(db, canaries=True) if one.kind is AlertKind.CANARY).case
    alert_id = int(number.rpartition("-")[2])
    mail = NewNotification(
        step="canary",
        template="canary",
        recipient="pantau@example.my",
        language=Language.MS,
        message_id=f"<{day}@example.my>",
    )
    decided = plans.Decision(alert_id=alert_id, notifications=[mail], waiting_reason="canary", steps=1)
    plans.write_plans(db, [decided], policy=Escalation(), now=at)
    (claimed,) = outbox.claim_batch(db, now=at, lease=MINUTE, limit=1)
    return claimed


def test_a_day_s_canary_begins_once_however_often_it_is_asked_for(db):
    assert begin(db)
    assert not begin(db, at=AT + MINUTE)
    assert not begin(db, at=AT - HOUR)
    assert has_canary(db, daily_key(DAY))
    assert not has_canary(db, daily_key(DAY + timedelta(days=1)))
    assert len(list_canaries(db, since=AT - timedelta(days=1), now=AT)) == 1


def test_a_canary_is_nobody_s_alert(db):
    begin(db)
    assert list_alerts(db) == []
    assert count_alerts(db, since=AT - HOUR) == (0, 0)
    assert [one.kind for one in list_alerts(db, canaries=True)] == [AlertKind.CANARY]


def test_an_accepted_mail_resolves_the_canary_and_its_time_is_kept(db):
    begin(db)
    claimed = mailed(db, AT + MINUTE)
    assert find_canary(db, daily_key(DAY), now=AT + MINUTE).outcome is CanaryOutcome.WAITING
    outbox.mark_accepted(db, claimed, AT + 2 * MINUTE)
    assert settle_canaries(db, now=AT + 3 * MINUTE) == []
    ended = load_alert(db, claimed.alert_id)
    assert (ended.state, ended.resolved_at, ended.next_action_at) == (AlertState.RESOLVED, AT + 2 * MINUTE, None)
    (day,) = canary_days(db, AT - HOUR, AT + HOUR, now=AT + HOUR)
    assert (day.outcome, day.seconds, day.evaluated_ms) == (CanaryOutcome.ARRIVED, 120.0, 2.5)


def test_a_canary_that_nobody_took_within_the_hour_is_told_once_and_withdrawn_when_it_comes(db):
    begin(db)
    claimed = mailed(db, AT + MINUTE)
    outbox.mark_retry(db, claimed, AT + 3 * HOUR, "451 later")
    assert settle_canaries(db, now=AT + HOUR) == []
    assert settle_canaries(db, now=AT + HOUR + MINUTE) == [daily_key(DAY)]
    assert settle_canaries(db, now=AT + 2 * HOUR) == []
    (told,) = list_alerts(db)
    assert (told.kind, told.state) == (AlertKind.CANARY_MISSING, AlertState.OPEN)
    (again,) = outbox.claim_batch(db, now=AT + 3 * HOUR, lease=MINUTE, limit=1)
    outbox.mark_accepted(db, again, AT + 3 * HOUR)
    settle_canaries(db, now=AT + 3 * HOUR)
    assert list_alerts(db)[0].state is AlertState.RESOLVED
    assert find_canary(db, daily_key(DAY), now=AT + 3 * HOUR).outcome is CanaryOutcome.LATE


def test_a_refused_canary_has_its_dead_letter_and_no_second_alert(db):
    begin(db)
    claimed = mailed(db, AT + MINUTE)
    undelivered.mark_dead(db, claimed, AT + 2 * MINUTE, "550 no such user")
    settle_canaries(db, now=AT + 3 * MINUTE)
    settle_canaries(db, now=AT + 3 * HOUR)
    assert [one.kind for one in list_alerts(db)] == [AlertKind.DEAD_LETTER]
    (day,) = canary_days(db, AT - HOUR, AT + HOUR, now=AT + HOUR)
    assert day.outcome is CanaryOutcome.MISSING


def test_rules_that_do_not_find_the_canary_are_told_at_once_and_no_mail_of_it_leaves(db):
    begin(db, error="no finding")
    assert [one.kind for one in list_alerts(db, canaries=True)] == [AlertKind.CANARY_MISSING]
    (day,) = canary_days(db, AT - HOUR, AT + HOUR, now=AT + HOUR)
    assert (day.outcome, day.error) == (CanaryOutcome.NOT_FIRED, "no finding")


def test_the_days_of_a_week_name_the_silent_ones_and_neither_the_future_nor_the_time_before_pantau(db):
    fact(db, "installed_at", datetime(2026, 11, 18, 3, tzinfo=UTC).isoformat())
    begin(db, day=date(2026, 11, 20), at=datetime(2026, 11, 20, 7, 30, tzinfo=MALAYSIA))
    start = datetime(2026, 11, 16, tzinfo=MALAYSIA)
    now = datetime(2026, 11, 22, 6, tzinfo=MALAYSIA)
    days = canary_days(db, start, start + timedelta(weeks=1), now=now)
    assert [(d.day.day, d.outcome) for d in days] == [
        (19, CanaryOutcome.NOT_RUN),
        (20, CanaryOutcome.MISSING),
        (21, CanaryOutcome.NOT_RUN),
    ]


@pytest.mark.parametrize("back", [HOUR, timedelta(days=1)])
def test_a_clock_that_steps_back_makes_no_canary_late(db, back):
    begin(db)
    mailed(db, AT + MINUTE)
    assert settle_canaries(db, now=AT - back) == []
    assert list_alerts(db) == []
    assert find_canary(db, daily_key(DAY), now=AT - back).outcome is CanaryOutcome.WAITING


def test_a_canary_asked_for_by_hand_raises_no_alarm_of_its_own(db):
    save_canary(db, "canary:asked:1", day=None, evaluated_ms=1.0, rule="r", error="", now=AT)
    settle_canaries(db, now=AT + 2 * HOUR)
    assert list_alerts(db) == []
    assert canary_days(db, AT - HOUR, AT + HOUR, now=AT + HOUR) == []
    assert [one.day for one in list_canaries(db, since=AT, now=AT)] == [None]
