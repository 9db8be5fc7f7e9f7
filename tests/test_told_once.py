"""Nobody is told twice, and nobody is forgotten: where several alerts, several processes or an upgrade come together."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOW, alert, alert_line, finding, post
from sqlalchemy import column, event, func, insert, select
from sqlalchemy import table as sa_table
from test_life import DAY, LEAK, POLICY, Desk

from alerts.overdue import is_overdue
from alerts.planning import plan_due
from alerts.policy import plan
from monitor.model import (
    AlertKind,
    AlertState,
    Cause,
    Disclosure,
    LastStep,
    NotificationState,
    Resolution,
    Severity,
)
from monitor.settings import Retention
from monitor.store import life, plans, tables
from monitor.store import outbox as store
from monitor.store.alerts import load_alert
from monitor.store.database import Database, open_database, upgrade
from monitor.store.opening import open_alert, recover
from monitor.store.posts import Judged, save_page
from monitor.store.retention import would_purge

MINUTE = timedelta(minutes=1)
OTHER = "mampu-2009/3f/personal-data"
SECOND = "SULIT: satu lagi minit mesyuarat yang belum diumumkan"


@pytest.fixture
def desk(db):
    return Desk(db)


def mails(db):
    """Return (id, alert, recipient, step, state) of every mail, in the order in which they were written."""
    one = tables.notification.c
    with db.read() as connection:
        rows = connection.execute(select(one.alert_id, one.recipient, one.step, one.state).order_by(one.id))
        return [tuple(row) for row in rows]


def take_all(db, now=NOW):
    for claimed in store.claim_batch(db, now=now, lease=MINUTE, limit=50):
        assert store.mark_accepted(db, claimed, now)


def edit(desk, native_id, *findings, text=LEAK + ", kini dengan senarai nama"):
    judged = [Judged(post=post(native_id, text, published_at=desk.now), findings=findings)]
    save_page(desk.db, desk.claimed(), judged, rule_set="r", now=desk.now, reread_window=DAY, end=None)


def test_what_an_edit_adds_to_an_alert_that_was_told_in_anothers_mail_is_told(desk):
    desk.publish("1")
    desk.publish("2", text=SECOND)
    plan_due(desk.db, POLICY, now=NOW)
    assert len(mails(desk.db)) == 1
    take_all(desk.db)
    edit(desk, "2", finding(), finding(OTHER))
    assert OTHER in load_alert(desk.db, 3).rules
    plan_due(desk.db, POLICY, now=NOW + MINUTE)
    assert [mail[0] for mail in mails(desk.db)] == [1, 3]


def told_in(db, number):
    """Return how many mails tell of an alert."""
    mail, shared = tables.notification.c, tables.notification_alert.c
    in_others = select(shared.notification_id).where(shared.alert_id == number)
    with db.read() as connection:
        either = (mail.alert_id == number) | mail.id.in_(in_others)
        return connection.execute(select(func.count()).select_from(tables.notification).where(either)).scalar_one()


def test_two_processes_that_plan_the_same_alert_tell_of_each_once(desk, monkeypatch):
    """On PostgreSQL several daemons plan: the second one read what is due before the first one wrote."""
    desk.publish("1")
    look = plans.due_alerts

    def late(db, now, *, limit):
        due = look(db, now, limit=limit)
        monkeypatch.setattr(plans, "due_alerts", look)
        plan_due(db, POLICY, now=now)  # the other process
        return due

    monkeypatch.setattr(plans, "due_alerts", late)
    plan_due(desk.db, POLICY, now=NOW)
    assert desk.alert().steps == 1
    desk.publish("2", text=SECOND)
    plan_due(desk.db, POLICY, now=NOW + MINUTE)
    assert (told_in(desk.db, 1), told_in(desk.db, 2)) == (1, 1)


def test_an_alert_whose_mail_is_written_already_takes_no_other_into_it(desk):
    """Its mail keeps its Message-ID when it is planned anew, so whoever joined it then would be in no mail."""
    edit(desk, "1", finding(severity=Severity.MEDIUM))
    plan_due(desk.db, POLICY, now=NOW)
    desk.publish("2", text="SULIT: minit yang ketiga, juga belum diumumkan kepada sesiapa")
    plan_due(desk.db, POLICY, now=NOW)  # the second waits for the interval
    edit(desk, "1", finding(severity=Severity.MEDIUM), finding(OTHER), text=SECOND)
    assert desk.alert(2).post.native_id == "2"
    plan_due(desk.db, POLICY, now=NOW + MINUTE)
    assert (told_in(desk.db, 1), told_in(desk.db, 2)) == (1, 1)


def test_an_alert_that_became_critical_while_it_was_planned_is_planned_anew(desk, monkeypatch):
    desk.publish("1")
    write = plans.write_plans

    def late(*arguments, **named):
        monkeypatch.setattr(plans, "write_plans", write)
        edit(desk, "1", finding(), finding(OTHER, Severity.CRITICAL))
        write(*arguments, **named)

    monkeypatch.setattr(plans, "write_plans", late)
    plan_due(desk.db, POLICY, now=NOW)
    plan_due(desk.db, POLICY, now=NOW)
    assert [mail[1] for mail in mails(desk.db)] == ["ketua@jpd.example.my", "timbalan@jpd.example.my"]
    assert desk.alert().next_action_at == NOW + timedelta(minutes=30)


def test_who_still_waits_for_a_mail_gets_no_second_one_because_another_address_refused():
    """A mail server that says "later" to one address and "never" to another."""
    blind = alert(kind=AlertKind.BLIND, cause=Cause.UNAVAILABLE, steps=1, findings=(), post=None)
    last = LastStep(
        waiting=True,
        accepted_at=None,
        failed=True,
        on_the_way=frozenset({"pasukan@csirt.example.my"}),
        refused=frozenset({"ketua@jpd.example.my"}),
    )
    assert plan(blind, POLICY, NOW, (), last).notifications == ()


def test_an_alert_whose_last_step_has_nobody_reminds_whoever_can_be_reached():
    last = LastStep(waiting=False, accepted_at=NOW - 9 * DAY, failed=False)
    reminded = plan(alert(steps=5), replace(POLICY, security_team=()), NOW, (), last).notifications
    assert [(mail.step, mail.template, mail.recipient) for mail in reminded] == [
        ("step-6", "reminder", "timbalan@jpd.example.my"),
        ("step-6", "reminder", "ictso@jpd.example.my"),
    ]


def blind_alert(connection, key="blind:1"):
    return open_alert(
        connection,
        dedup_key=key,
        kind=AlertKind.BLIND,
        severity=Severity.HIGH,
        disclosure=Disclosure.NONE,
        agency="JPD",
        account_id=1,
        cause=Cause.UNAVAILABLE,
        since=NOW,
        now=NOW,
    )


@pytest.mark.parametrize("silenced", [False, True], ids=["before the first mail was planned", "silenced"])
def test_a_recovery_is_told_to_nobody_when_nobody_was_told_of_the_blindness(desk, silenced):
    if silenced:
        life.add_silence(
            desk.db, author="Siti", reason="kerja baik pulih", expires_at=NOW + DAY, rule="", account_id=1, now=NOW
        )
    with desk.db.write() as connection:
        blind_alert(connection)
    if silenced:
        plan_due(desk.db, POLICY, now=NOW)
        assert desk.alert().state is AlertState.SUPPRESSED
    with desk.db.write() as connection:
        recover(connection, account_ids=[1], now=NOW + MINUTE)
    plan_due(desk.db, POLICY, now=NOW + MINUTE)
    assert mails(desk.db) == []
    assert desk.alert().state is AlertState.RESOLVED


def test_an_alert_that_is_open_again_takes_no_mail_from_the_others_that_share_it(desk):
    desk.publish("1")
    desk.publish("2", text=SECOND)
    plan_due(desk.db, POLICY, now=NOW)
    desk.resolve(Resolution.FALSE_ALARM, 1)
    life.reopen(desk.db, 1, by="Ali", reason="bukan penggera palsu", now=NOW)
    assert [mail[3] for mail in mails(desk.db)] == [NotificationState.PENDING.value]


# ---------------------------------------------------------------- upgrades


def at_revision(path, revision):
    db = Database(f"sqlite:///{path}")
    with db.write() as connection:
        upgrade(connection, revision)
    return db


def write_old(db, number, kind, mail, **changes):
    """Write an alert and its mail as the version before did."""
    before, ended = NOW - 30 * DAY, None if mail == "pending" else NOW - 29 * DAY
    one = {
        "id": number,
        "case": f"PTU-2026-{number:06d}",
        "dedup_key": f"{kind.value}:{number}",
        "kind": kind.value,
        "state": "open",
        "severity": int(Severity.HIGH),
        "disclosure": 0,
        "detail": "",
        "opened_at": before,
        "waiting_reason": "first mail to the head; waiting for someone to look at it",
    }
    sent = {
        "alert_id": number,
        "period": "",
        "step": "first",
        "template": "alert",
        "recipient": "ketua@jpd.example.my",
        "language": "ms",
        "message_id": f"<pantau.{number}@x>",
        "state": mail,
        "created_at": before,
        "due_at": before,
        "fence": 0,
        "attempts": 1,
        "error": "",
        "ended_at": ended,
        "accepted_at": ended if mail == "accepted" else None,
    }
    with db.write() as connection:
        for name, row in (("alert", {**one, **changes}), ("notification", sent)):
            if row["state"]:
                types = {c.name: c.type for c in tables.metadata.tables[name].c}
                table = sa_table(name, *(column(key, types[key]) for key in row))
                connection.execute(insert(table).values(**row))


def test_what_was_told_before_the_upgrade_is_neither_told_again_nor_forgotten(tmp_path):
    path = tmp_path / "old.db"
    old = at_revision(path, "0003")
    write_old(old, 1, AlertKind.POST, "accepted")
    write_old(old, 2, AlertKind.POST, "pending")
    write_old(old, 3, AlertKind.POST, "dead")
    write_old(old, 4, AlertKind.BLIND, "accepted")
    write_old(old, 5, AlertKind.DEAD_LETTER, "accepted")
    write_old(old, 6, AlertKind.POST, "")
    write_old(old, 7, AlertKind.POST, "", next_action_at=NOW)
    write_old(old, 8, AlertKind.POST, "accepted", state="resolved")
    old.close()
    db = open_database(f"sqlite:///{path}")
    with db.read() as connection:
        one = tables.alert.c
        stands = {row.id: row for row in connection.execute(select(one.id, one.steps, one.next_action_at))}
    assert {n: row.steps for n, row in stands.items()} == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 0, 7: 0, 8: 0}
    assert {n for n, row in stands.items() if row.next_action_at is not None} == {2, 3, 4, 7}
    assert stands[4].next_action_at - stands[2].next_action_at == 7 * DAY
    plan_due(db, POLICY, now=stands[2].next_action_at)
    assert sorted(mail[2] for mail in mails(db) if mail[0] == 1) == ["first"]
    assert {mail[0] for mail in mails(db) if mail[2] == "step-2"} == set()  # no contacts, and the second still waits
    db.close()


def test_an_alert_without_a_next_step_is_overdue_until_somebody_answers():
    old = alert_line(steps=1, next_action_at=None)
    assert is_overdue(old, NOW)
    assert not is_overdue(replace(old, state=AlertState.RESOLVED), NOW)
    assert not is_overdue(replace(old, kind=AlertKind.DEAD_LETTER), NOW)


@pytest.mark.parametrize("query", ["due alerts", "first mails", "a recovery"])
def test_what_every_tick_and_check_asks_is_found_by_an_index(tmp_path, query):
    db, asked = open_database(f"sqlite:///{tmp_path / 'a.db'}"), []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        asked.append((statement, parameters))

    for engine in (db._reader, db._writer):
        event.listen(engine, "before_cursor_execute", note)
    if query == "due alerts":
        plans.due_alerts(db, NOW)
    elif query == "first mails":
        plans.first_mails(db, since=NOW - DAY, until=NOW)
    else:
        with db.write() as connection:
            recover(connection, account_ids=[1], now=NOW)
    statement, parameters = next(one for one in asked if one[0].startswith(("SELECT", "UPDATE")))
    with db.read() as connection:
        steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert [step for step in steps if step.startswith("SCAN") and "INDEX" not in step] == []
    db.close()


def test_a_mail_that_was_rendered_before_the_upgrade_goes_again_as_the_same_bytes(tmp_path):
    path = tmp_path / "old.db"
    old = at_revision(path, "0010")
    write_old(old, 1, AlertKind.POST, "uncertain")
    write_old(old, 2, AlertKind.POST, "accepted")
    write_old(old, 3, AlertKind.POST, "pending")
    with old.write() as connection:
        connection.exec_driver_sql("UPDATE notification SET rendered = CAST('mail ' || id AS BLOB) WHERE id < 3")
        connection.exec_driver_sql("UPDATE notification SET ended_at = NULL WHERE state = 'uncertain'")
    old.close()
    db = open_database(f"sqlite:///{path}")
    claimed = store.claim_batch(db, now=NOW, lease=MINUTE, limit=9)
    assert [(one.id, one.rendered) for one in claimed] == [(1, b"mail 1"), (3, None)]
    with db.read() as connection:
        kept = connection.execute(select(tables.rendered_mail)).all()
    assert kept == [(1, b"mail 1"), (2, b"mail 2")]
    assert would_purge(db, Retention(mail_days=1), now=NOW).mails == 0, "its alert is open"
    with db.write() as connection:
        connection.execute(tables.alert.update().values(state="resolved"))
    assert would_purge(db, Retention(mail_days=1), now=NOW).mails == 1
