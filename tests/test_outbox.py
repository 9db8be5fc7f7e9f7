"""The outbox on a real database, with real mail servers where mail leaves."""

import asyncio
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import requests
from builders import NOW, account, agency, finding, post, week_report
from mail_servers import Postbox, hang_up, read_mail, say_goodbye, smtp_server, taken, taken_then_hung_up
from sqlalchemy import func, select, text

from alerts import outbox, writing
from alerts.envelope import Envelope
from alerts.folder import FolderChannel
from alerts.outbox import UNRELAYED_TRIES, Pace, back_off, deliver_due, open_channel
from alerts.planning import Grouping, plan_due
from alerts.policy import Policy, plan, plan_digest
from alerts.smtp import SmtpChannel
from monitor.escalation import Escalation
from monitor.model import AlertKind, AlertState, Cause, Disclosure, Language, NewNotification, Severity
from monitor.settings import Mail, Web
from monitor.store import outbox as store
from monitor.store import plans, tables, undelivered
from monitor.store.accounts import claim_accounts
from monitor.store.alerts import load_alert
from monitor.store.checks import Failure, save_failure
from monitor.store.database import Database, open_database
from monitor.store.listings import list_alerts, mails_of
from monitor.store.opening import open_alert
from monitor.store.outbox import Begun
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register
from monitor.web.console import Console, build
from monitor.web.server import bind, serving

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POLICY = Policy(instance="i", sender_domain="pantau.example.my", operators=("ops@jdn.example.my",))
ENVELOPE = Envelope(sender="Pantau <pantau@pantau.example.my>", slogans=(), post_link=True, public_url="")
LEASE = 5 * MINUTE


APART = Grouping(at_once=True, flood_limit=1000)  # what is tried here is the delivery of many mails


@dataclass
class Office:
    """A database with one account, its outbox, and a clock that tests turn."""

    db: object
    channel: object
    now: object = NOW
    grouping: object = APART

    def breach(self, *native_ids, severity=Severity.HIGH):
        claimed = claim_accounts(self.db, now=self.now + DAY, lease=MINUTE, limit=1, platform="x")[0]
        found = [Judged(post=post(i, f"SULIT {i}"), findings=(finding(severity=severity),)) for i in native_ids]
        save_page(self.db, claimed, found, rule_set="r", now=self.now, reread_window=DAY, end=None)
        with self.db.write() as connection:
            connection.execute(tables.account.update().values(leased_until=None))

    def deliver(self, **options):
        plan_due(self.db, POLICY, now=self.now, grouping=self.grouping)
        return deliver_due(
            self.db,
            self.channel,
            ENVELOPE,
            now=self.now,
            clock=lambda: self.now,
            report=lambda week: week_report(week=week),
            **options,
        )

    def rows(self):
        with self.db.read() as connection:
            mails = tables.notification.outerjoin(tables.rendered_mail)
            query = select(tables.notification, tables.rendered_mail.c.content.label("rendered")).select_from(mails)
            return connection.execute(query.order_by(tables.notification.c.id)).mappings().all()

    def states(self):
        return [row["state"] for row in self.rows()]

    def set_alert(self, state):
        with self.db.write() as connection:
            connection.execute(tables.alert.update().values(state=state.value))

    def claim(self):
        return next(iter(store.claim_batch(self.db, now=self.now, lease=LEASE, limit=1)), None)

    def begin(self, delivery, **options):
        return store.begin(self.db, delivery, b"mail", now=self.now, lease=LEASE, **options)


def open_office(database, channel):
    save_register(database, [agency()], [account()], now=NOW)
    return Office(db=database, channel=channel)


@pytest.fixture
def box():
    return Postbox()


def smtp(port, timeout=5.0):
    sender = "Pantau <pantau@pantau.example.my>"
    settings = Mail(
        transport="smtp",
        host="127.0.0.1",
        port=port,
        security="none",
        sender=sender,
        timeout=timedelta(seconds=timeout),
    )
    return SmtpChannel(settings)


@pytest.fixture
def office(sqlite_db, box):
    with smtp_server(box) as port:
        open_one = open_office(sqlite_db, smtp(port))
        yield open_one
        open_one.channel.close()


@pytest.fixture
def waiting(db, tmp_path):
    """An office on either database, with one planned mail."""
    office = open_office(db, FolderChannel(tmp_path / "mail"))
    office.breach("1")
    plan_due(db, POLICY, now=NOW)
    return office


def assert_i6(office, box):
    """Distinct Message-IDs accepted by the mail server = outbox rows marked accepted."""
    accepted = [row["message_id"] for row in office.rows() if row["state"] == "accepted"]
    assert sorted(set(box.message_ids())) == sorted(accepted)


# ---------------------------------------------------------------- lease and fence


def test_a_claimed_mail_is_nobody_else_s_until_its_lease_ends(waiting):
    first = waiting.claim()
    assert waiting.claim() is None
    waiting.now += LEASE - MINUTE
    assert waiting.claim() is None
    waiting.now += MINUTE
    second = waiting.claim()
    assert (second.id, second.message_id) == (first.id, first.message_id)
    assert second.fence > first.fence


def test_a_worker_whose_lease_passed_to_another_writes_nothing(waiting):
    """I9, fault 16."""
    late = waiting.claim()
    waiting.now += LEASE
    holder = waiting.claim()
    writes = [
        waiting.begin(late)[0] is Begun.YES,
        store.mark_accepted(waiting.db, late, NOW),
        store.mark_retry(waiting.db, late, NOW, "late"),
        store.mark_uncertain(waiting.db, late, NOW, "late"),
        undelivered.mark_dead(waiting.db, late, NOW, "late"),
        store.cancel(waiting.db, late, NOW),
    ]
    assert writes == [False] * 6
    assert len(list_alerts(waiting.db)) == 1
    assert store.mark_accepted(waiting.db, holder, NOW)
    assert not store.mark_accepted(waiting.db, holder, NOW)


def test_the_longest_due_mail_is_claimed_first(waiting):
    waiting.now += MINUTE
    waiting.breach("2")
    plan_due(waiting.db, POLICY, now=waiting.now, grouping=APART)
    assert [waiting.claim().alert_id for _ in range(2)] == [1, 2]


def test_workers_at_once_claim_each_mail_once(waiting):
    waiting.breach(*map(str, range(2, 22)))
    plan_due(waiting.db, POLICY, now=NOW, grouping=APART)
    claimed = []

    def work():
        while one := waiting.claim():
            claimed.append(one.id)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert sorted(claimed) == list(range(1, 22))


def test_a_mail_written_before_the_clock_stepped_back_is_due(waiting):
    """I10, fault 15."""
    waiting.now -= HOUR
    assert waiting.claim() is not None


def test_what_a_killed_process_was_sending_is_sent_at_the_next_start(waiting):
    """Fault 1: the kernel dropped the lock of the file; nobody waits for the dead one's lease."""
    before = waiting.claim()
    store.release_abandoned(waiting.db, waiting.now)
    assert waiting.claim().message_id == before.message_id


def test_a_killed_process_leaves_no_more_than_the_mail_it_was_handing_over_uncertain(waiting):
    """Fault 1: a whole batch was claimed, one mail of it had begun."""
    waiting.breach("2", "3")
    plan_due(waiting.db, POLICY, now=NOW, grouping=APART)
    batch = store.claim_batch(waiting.db, now=NOW, lease=LEASE, limit=10)
    assert waiting.begin(batch[1])[0] is Begun.YES
    store.release_abandoned(waiting.db, waiting.now)
    again = store.claim_batch(waiting.db, now=NOW, lease=LEASE, limit=10)
    assert [one.uncertain for one in again] == [False, True, False]
    assert again[1].handed_over_at == NOW


def test_the_lease_of_a_mail_begins_anew_when_it_is_handed_over(waiting):
    mail = waiting.claim()
    waiting.now += LEASE - MINUTE
    assert waiting.begin(mail)[0] is Begun.YES
    waiting.now += LEASE - MINUTE
    assert waiting.claim() is None


def test_a_lease_from_before_the_clock_stepped_back_holds_nothing_up(waiting):
    """I10."""
    waiting.now += DAY
    waiting.claim()
    waiting.now -= DAY
    assert waiting.claim() is not None


def test_a_mail_that_was_given_back_keeps_its_place_and_is_not_uncertain(waiting):
    first = waiting.claim()
    store.give_back(waiting.db, [first])
    again = waiting.claim()
    assert (again.id, again.uncertain) == (first.id, False)
    assert waiting.begin(first)[0] is Begun.LOST


def test_a_mail_taken_and_the_next_one_s_beginning_are_one_transaction(waiting):
    waiting.breach("2")
    plan_due(waiting.db, POLICY, now=NOW, grouping=APART)
    first, second = store.claim_batch(waiting.db, now=NOW, lease=LEASE, limit=2)
    assert waiting.begin(first) == (Begun.YES, False)
    assert waiting.begin(second, accepted=first) == (Begun.YES, True)
    assert waiting.states() == ["accepted", "sending"]


def test_what_an_uncertain_mail_left_open_stays_open_after_a_certain_refusal(office, box):
    box.faults = [hang_up, "451 later"]
    office.breach("1")
    for _ in range(2):
        office.deliver()
        office.now += 10 * MINUTE
    assert office.states() == ["uncertain"]


# ---------------------------------------------------------------- planning


def test_an_alert_is_planned_once_whatever_happens_later(waiting):
    assert plan_due(waiting.db, POLICY, now=NOW + HOUR) == 0
    again = plan(replace(load_alert(waiting.db, 1), steps=0), POLICY, NOW).notifications
    plans.write_plans(
        waiting.db, [plans.Decision(alert_id=1, notifications=again, steps=1)], policy=Escalation(), now=NOW
    )
    assert len(waiting.rows()) == 1


def test_an_alert_says_what_it_waits_for(waiting):
    """I5."""
    assert "first mail to the head" in load_alert(waiting.db, 1).waiting_reason


def test_more_alerts_than_one_query_returns_are_all_planned(office):
    office.breach(*map(str, range(120)))
    assert plan_due(office.db, POLICY, now=NOW, grouping=APART) == 120
    assert len(office.rows()) == 120


def test_an_alert_whose_plan_cannot_be_written_holds_up_no_other(office):
    office.breach("1", "2", "3")
    broken = (
        "CREATE TRIGGER broken BEFORE INSERT ON notification WHEN NEW.alert_id = 2 BEGIN SELECT RAISE(ABORT, ''); END"
    )
    with office.db.write() as connection:
        connection.execute(text(broken))
    assert plan_due(office.db, POLICY, now=NOW, grouping=APART) == 2
    assert [row["alert_id"] for row in office.rows()] == [1, 3]
    with office.db.write() as connection:
        connection.execute(text("DROP TRIGGER broken"))
    assert plan_due(office.db, POLICY, now=NOW, grouping=APART) == 1


def test_an_alert_that_grew_worse_while_others_were_planned_with_it_holds_up_none(office, monkeypatch):
    office.breach("1", "2", "3")
    look = plans.last_steps

    def raised_meanwhile(*arguments):
        with office.db.write() as connection:
            connection.execute(tables.alert.update().where(tables.alert.c.id == 2).values(severity=Severity.CRITICAL))
        monkeypatch.setattr(plans, "last_steps", look)
        return look(*arguments)

    monkeypatch.setattr(plans, "last_steps", raised_meanwhile)
    assert plan_due(office.db, POLICY, now=NOW, grouping=APART) == 2
    assert [row["alert_id"] for row in office.rows()] == [1, 3]


# ---------------------------------------------------------------- delivery


def test_a_mail_is_accepted_once_and_its_answer_is_kept(office, box):
    office.breach("1")
    sent = office.deliver()
    assert (sent.accepted, sent.failures) == (1, [])
    assert "250 OK, taken" in sent.delivered[0]
    assert office.deliver().accepted == 0
    ((recipient, content),) = box.mails
    assert recipient == "ketua@jpd.example.my"
    assert "PTU-2026-000001" in read_mail(content).get_body(("plain",)).get_content()
    assert_i6(office, box)


def test_nothing_leaves_after_the_acknowledgement(office, box):
    """I7."""
    office.breach("1")
    plan_due(office.db, POLICY, now=NOW, grouping=APART)
    office.set_alert(AlertState.ACKNOWLEDGED)
    sent = office.deliver()
    assert (sent.cancelled, sent.accepted) == (1, 0)
    assert office.states() == ["cancelled"]
    assert office.rows()[0]["rendered"] is None
    assert box.sessions == 0


def test_nothing_leaves_when_the_acknowledgement_comes_while_the_mail_is_written(office, box, monkeypatch):
    """I7, fault 10: acknowledged between the claim and the sending."""
    office.breach("1")
    write = writing.compose_alert

    def acknowledge_meanwhile(*args, **options):
        office.set_alert(AlertState.ACKNOWLEDGED)
        return write(*args, **options)

    monkeypatch.setattr(writing, "compose_alert", acknowledge_meanwhile)
    assert office.deliver().cancelled == 1
    assert box.mails == []


def test_a_mail_written_in_company_is_looked_at_again_when_its_own_turn_comes(office, box, monkeypatch):
    """I7: mails are written some in one go; the answer to all of them comes while the first is sent."""
    office.breach("1", "2", "3")
    send = SmtpChannel.send

    def acknowledge_meanwhile(*args, **options):
        office.set_alert(AlertState.ACKNOWLEDGED)
        return send(*args, **options)

    monkeypatch.setattr(SmtpChannel, "send", acknowledge_meanwhile)
    sent = office.deliver()
    assert (sent.accepted, sent.cancelled, len(box.mails)) == (1, 2, 1)


def test_more_mails_than_are_written_in_one_go_all_leave_in_their_order(office, box):
    office.breach(*(str(number) for number in range(outbox.WRITTEN_AT_ONCE + 3)))
    assert office.deliver().accepted == outbox.WRITTEN_AT_ONCE + 3
    assert box.message_ids() == [row["message_id"] for row in office.rows()]


def test_a_retry_is_not_sent_after_the_acknowledgement(office, box):
    """I7."""
    box.faults = ["451 later"]
    office.breach("1")
    office.deliver()
    office.set_alert(AlertState.ACKNOWLEDGED)
    office.now += DAY
    assert office.deliver().cancelled == 1
    assert box.mails == []


@pytest.mark.parametrize("fault", [taken_then_hung_up, hang_up], ids=["taken", "not taken"])
def test_a_lost_answer_is_uncertain_and_sent_again_with_the_same_message_id(office, box, fault):
    """Fault 2, I6."""
    box.faults = [fault]
    office.breach("1")
    assert office.deliver().retried == 1
    assert office.states() == ["uncertain"]
    assert office.deliver().accepted == 0, "not before the back-off"
    office.now += MINUTE
    assert office.deliver().accepted == 1
    first, second = box.handed_over
    assert first == second
    assert_i6(office, box)


def test_a_250_later_than_the_time_out_is_sent_again_with_the_same_bytes(sqlite_db, box):
    """Fault 3, I6."""
    never = asyncio.Event()

    async def silent(server):
        box.mails.append(("late", server.envelope.content))
        await never.wait()

    box.faults = [silent]
    with smtp_server(box) as port:
        office = open_office(sqlite_db, smtp(port, timeout=0.2))
        office.breach("1")
        office.deliver()
        assert office.states() == ["uncertain"]
        office.now += MINUTE
        office.channel = smtp(port)
        office.deliver()
        office.channel.close()
    (_, first), (_, second) = box.mails
    assert first == second
    assert_i6(office, box)


def test_421_and_451_for_an_hour_end_in_one_mail(office, box):
    """Fault 4, I6."""
    box.faults = [say_goodbye, "421 4.3.2 busy", "451 4.3.0 later", "451 4.3.0 later"]
    office.breach("1")
    end = office.now + 3 * HOUR
    while office.now < end:
        office.deliver()
        office.now += MINUTE
    assert office.states() == ["accepted"]
    assert len(box.mails) == 1
    assert len(set(box.handed_over)) == 1
    assert_i6(office, box)


def test_a_refused_recipient_is_a_dead_letter_and_the_operators_are_told(office, box):
    """Fault 5."""
    box.refused = {"ketua@jpd.example.my": "550 5.1.1 no such user"}
    office.breach("1")
    sent = office.deliver()
    assert (sent.dead, office.states()) == (1, ["dead"])
    assert "550 5.1.1 no such user" in sent.failures[0]
    assert office.deliver().accepted == 2
    (recipient, content), (next_in_line, _) = sorted(box.mails)
    assert (recipient, next_in_line) == ("ops@jdn.example.my", "timbalan@jpd.example.my")
    words = read_mail(content).get_body(("plain",)).get_content()
    assert "PTU-2026-000001" in words
    assert "550 5.1.1 no such user" in " ".join(words.split())
    assert Counter(one.kind for one in list_alerts(office.db)) == {AlertKind.POST: 1, AlertKind.DEAD_LETTER: 1}


def test_the_death_of_a_dead_letter_s_own_mail_opens_no_further_alert(office, box):
    box.refused = dict.fromkeys(("ketua@jpd.example.my", "ops@jdn.example.my"), "550 no")
    office.breach("1")
    for _ in range(6):
        office.deliver()
    told = [(row["template"], row["recipient"].partition("@")[0], row["state"]) for row in office.rows()]
    assert sorted(told) == [
        ("alert", "ketua", "dead"),
        ("dead_letter", "ops", "dead"),
        ("dead_letter", "timbalan", "accepted"),
        ("escalation", "timbalan", "accepted"),
    ]
    assert len(list_alerts(office.db)) == 2


def test_a_refused_recipient_holds_nobody_else_up(office, box):
    box.refused = {"ketua@jpd.example.my": "450 greylisted"}
    office.breach("1", severity=Severity.CRITICAL)
    sent = office.deliver()
    assert (sent.retried, sent.accepted) == (1, 1)
    assert [recipient for recipient, _ in box.mails] == ["timbalan@jpd.example.my"]


def test_a_mail_that_cannot_be_written_is_tried_again_and_the_others_go(office, box, monkeypatch):
    """Fault 23."""
    office.breach("1", "2")
    load = store.load_alerts

    def poison(db, deliveries):
        if any(one.alert_id == 1 for one in deliveries):
            raise ValueError("SULIT 1 cannot be told")
        return load(db, deliveries)

    monkeypatch.setattr(store, "load_alerts", poison)
    sent = office.deliver()
    assert (sent.accepted, sent.retried) == (1, 1)
    assert "SULIT" not in "".join(sent.failures), "I12: the error may quote a post"
    assert "ValueError" in sent.failures[0]
    monkeypatch.setattr(store, "load_alerts", load)
    office.now += MINUTE
    assert office.deliver().accepted == 1


def test_whatever_a_server_does_each_mail_is_taken_and_none_is_forgotten(office, box):
    """I6: every second mail fails in one way or another, some of them repeatedly."""
    ways = [taken_then_hung_up, "451 later", hang_up, say_goodbye, "421 busy"]
    box.faults = [fault for way in ways * 3 for fault in (way, taken)]
    office.breach(*map(str, range(20)))
    for _ in range(40):
        office.deliver()
        office.now += 5 * MINUTE
    assert office.states() == ["accepted"] * 20
    assert_i6(office, box)
    doubled = [message_id for message_id, times in Counter(box.message_ids()).items() if times > 1]
    assert len(doubled) <= 3, "only where the answer was lost after the mail was taken"


def test_every_try_sends_the_same_bytes(office, box):
    box.faults = ["451 later"]
    office.breach("1")
    office.deliver()
    rendered = office.rows()[0]["rendered"]
    office.now += DAY
    office.deliver()
    assert box.mails[0][1] == rendered


def test_a_stop_ends_the_run_between_two_mails(office, box):
    office.breach("1", "2", "3")
    stop = threading.Event()
    taken = Postbox.handle_DATA

    async def stopping(self, *args):
        stop.set()
        return await taken(self, *args)

    box.handle_DATA = stopping.__get__(box)
    assert office.deliver(stop=stop).accepted == 1
    assert office.states() == ["accepted", "pending", "pending"]


def test_a_run_begins_no_mail_after_its_time_and_leaves_nothing_uncertain(office, box):
    office.breach("1", "2", "3")
    assert office.deliver(within=timedelta(0)).accepted == 1  # it always gets somewhere
    assert office.states() == ["accepted", "pending", "pending"]
    assert office.deliver(within=HOUR).accepted == 2
    assert len(box.mails) == 3


def test_a_run_sends_no_more_than_its_limit(office):
    office.breach("1", "2", "3")
    assert office.deliver(limit=2).accepted == 2


# ---------------------------------------------------------------- mails about several alerts


@pytest.fixture
def shared(office):
    """A mail about three alerts."""
    office.breach("1", "2", "3")
    plan_due(office.db, POLICY, now=NOW)
    return office


@pytest.fixture
def written_about(monkeypatch):
    """Which alerts each mail was written about."""
    seen = []
    write = writing.compose_group

    def compose(alerts, delivery, envelope, *, now):
        seen.append([alert.id for alert in alerts])
        return write(alerts, delivery, envelope, now=now)

    monkeypatch.setattr(writing, "compose_group", compose)
    return seen


def close_alert(office, number):
    with office.db.write() as connection:
        closed = tables.alert.update().where(tables.alert.c.id == number)
        connection.execute(closed.values(state=AlertState.ACKNOWLEDGED.value))


def test_a_mail_about_several_alerts_goes_as_long_as_one_of_them_is_open(shared, box, written_about):
    close_alert(shared, 1)
    close_alert(shared, 3)
    assert shared.deliver().accepted == 1
    assert written_about == [[2]]


def test_a_mail_about_several_alerts_is_cancelled_when_all_of_them_are_closed(shared, box):
    """I7."""
    shared.set_alert(AlertState.ACKNOWLEDGED)
    assert shared.deliver().cancelled == 1
    assert box.mails == []


def test_it_is_written_anew_when_one_was_closed_while_it_was_written(shared, box, written_about, monkeypatch):
    """I7, fault 10."""
    write = writing.compose_group

    def close_one_meanwhile(*args, **options):
        close_alert(shared, 2)
        return write(*args, **options)

    monkeypatch.setattr(writing, "compose_group", close_one_meanwhile)
    assert shared.deliver().accepted == 1
    assert written_about == [[1, 2, 3], [1, 3]]


def test_it_is_written_anew_after_a_refusal_when_another_set_is_open_by_then(shared, box, written_about):
    box.faults = ["451 later"]
    shared.deliver()
    close_alert(shared, 3)
    shared.now += HOUR
    assert shared.deliver().accepted == 1
    assert written_about == [[1, 2, 3], [1, 2]]


def test_an_uncertain_one_goes_again_as_the_same_bytes_whatever_was_closed(shared, box, written_about):
    box.faults = [taken_then_hung_up]
    shared.deliver()
    close_alert(shared, 3)
    shared.now += HOUR
    assert shared.deliver().accepted == 1
    (_, first), (_, second) = box.mails
    assert first == second
    assert written_about == [[1, 2, 3]]


# ---------------------------------------------------------------- one connection, and a pace


def test_runs_that_follow_each_other_share_a_connection(office, box):
    for native_id in ("1", "2", "3"):
        office.breach(native_id)
        office.deliver()
    assert (len(box.mails), box.sessions) == (3, 1)


def test_a_pace_spaces_the_mails(office, box):
    office.breach("1", "2", "3")
    began = time.monotonic()
    assert office.deliver(pace=Pace(600)).accepted == 3
    assert time.monotonic() - began >= 0.2


def test_a_stop_does_not_wait_for_the_pace_and_leaves_nothing_uncertain(office, box, monkeypatch):
    office.breach("1", "2")
    stop = threading.Event()
    send = SmtpChannel.send

    def stop_soon(*args, **options):
        threading.Timer(0.1, stop.set).start()
        return send(*args, **options)

    monkeypatch.setattr(SmtpChannel, "send", stop_soon)
    began = time.monotonic()
    assert office.deliver(pace=Pace(1), stop=stop).accepted == 1
    assert time.monotonic() - began < 10
    assert office.states() == ["accepted", "pending"]


# ---------------------------------------------------------------- mails that reached nobody


def next_action(office, number=1):
    return load_alert(office.db, number).next_action_at


def test_a_refused_mail_makes_its_alert_s_next_step_due_at_once(office, box):
    box.refused = {"ketua@jpd.example.my": "550 5.1.1 no such user"}
    office.breach("1")
    plan_due(office.db, POLICY, now=NOW)
    office.now += MINUTE
    deliver_due(office.db, office.channel, ENVELOPE, now=office.now, clock=lambda: office.now, report=None)
    assert next_action(office) == office.now


def test_a_returned_mail_is_told_to_the_operators_and_hastens_its_alert(office, box):
    office.breach("1")
    office.deliver()
    office.now += HOUR
    (mail,) = office.rows()
    assert undelivered.mark_bounced(office.db, mail["message_id"], "5.1.1 unknown user", office.now)
    assert not undelivered.mark_bounced(office.db, mail["message_id"], "5.1.1 unknown user", office.now)
    assert office.states() == ["bounced"]
    assert next_action(office) == office.now
    office.deliver()
    told = [content for recipient, content in box.mails if recipient == "ops@jdn.example.my"]
    assert len(told) == 1
    assert "5.1.1 unknown user" in read_mail(told[0]).get_body(("plain",)).get_content()


def test_a_returned_mail_about_a_closed_alert_hastens_nothing(office):
    office.breach("1")
    office.deliver()
    office.set_alert(AlertState.ACKNOWLEDGED)
    before = next_action(office)
    undelivered.mark_bounced(office.db, office.rows()[0]["message_id"], "full", office.now + HOUR)
    assert next_action(office) == before


def test_a_mail_that_is_not_ours_cannot_come_back(office):
    assert not undelivered.mark_bounced(office.db, "<somebody@else.my>", "5.1.1", NOW)


# ---------------------------------------------------------------- the server is down (fault 7)


@contextmanager
def down(office):
    """The mail server is gone for a while: nothing listens on the port."""
    before = office.channel
    with smtp_server(Postbox()) as port:
        pass
    office.channel = smtp(port)
    yield
    office.channel = before


def test_an_address_that_the_server_does_not_relay_to_holds_up_no_other(office, box):
    """An external address in the register, and a server that sends to its own domains alone."""
    box.refused = {"ketua@jpd.example.my": "554 5.7.1 Relay access denied"}
    office.breach("1", severity=Severity.CRITICAL)
    office.deliver()
    assert office.states() == ["pending", "accepted"]
    for _ in range(UNRELAYED_TRIES):
        office.now += HOUR
        office.breach(f"{office.now:%H%M}", severity=Severity.CRITICAL)
        office.deliver()
    assert office.rows()[0]["state"] == "dead"
    assert [one.kind for one in list_alerts(office.db) if one.kind is AlertKind.DEAD_LETTER]


def test_a_server_that_relays_to_nobody_loses_no_mail(office, box):
    box.refused = {f"{who}@jpd.example.my": "554 5.7.1 Relay access denied" for who in ("ketua", "timbalan", "ictso")}
    box.refused["ops@jdn.example.my"] = "554 5.7.1 Relay access denied"
    office.breach("1", severity=Severity.CRITICAL)
    for _ in range(2 * UNRELAYED_TRIES):
        office.deliver()
        office.now += HOUR
    assert set(office.states()) == {"pending"}
    box.refused = {}
    office.deliver()
    assert set(office.states()) == {"accepted"}


def test_three_days_without_a_mail_server_end_in_every_mail_once_and_in_order(office, box):
    """Fault 7."""
    tries = 0
    with down(office):
        for number in range(36):
            office.breach(str(number))
            tries += len(office.deliver().failures)
            office.now += 2 * HOUR
    assert tries == 36, "one try each time, not one for each mail that waits"
    for _ in range(20):
        office.deliver(limit=10)
    cases = [
        read_mail(content).get_body(("plain",)).get_content().partition("PTU-2026-")[2][:6] for _, content in box.mails
    ]
    assert cases == [f"{number:06d}" for number in range(1, 37)]
    assert_i6(office, box)


def test_while_the_server_is_down_it_is_asked_by_one_mail_and_at_growing_intervals(office):
    office.breach("1", "2", "3")
    asked = []
    with down(office):
        for minute in range(120):
            if office.deliver().failures:
                asked.append(minute)
            office.now += MINUTE
    assert asked == [0, 1, 6, 21, 36, 51, 66, 81, 96, 111]
    assert [row["attempts"] for row in office.rows()] == [10, 0, 0]


def test_a_server_that_is_back_gets_its_mail_within_a_quarter_of_an_hour(office, box):
    office.breach("1", "2")
    with down(office):
        for _ in range(60):
            office.deliver()
            office.now += 10 * MINUTE
    for _ in range(15):
        office.deliver()
        office.now += MINUTE
    assert len(box.mails) == 2


def test_once_does_not_wait_for_a_back_off(office, box):
    box.faults = ["451 later"]
    office.breach("1")
    office.deliver()
    with down(office):
        office.breach("2")
        office.deliver()
    store.retry_now(office.db, office.now)
    assert office.deliver().accepted == 2


def test_a_hold_from_before_the_clock_stepped_back_holds_nothing(office, box):
    """I10."""
    office.breach("1")
    with down(office):
        office.deliver()
    office.now -= DAY
    assert office.deliver().accepted == 1


# ---------------------------------------------------------------- recoveries and digests


def blind(office):
    claimed = claim_accounts(office.db, now=office.now, lease=MINUTE, limit=1, platform="x")[0]
    save_failure(
        office.db,
        Failure(
            claimed=claimed,
            cause=Cause.NOT_FOUND,
            error="no such account",
            now=office.now,
            interval=MINUTE,
            next_check_at=office.now,
            retry_at=None,
            blind_after=timedelta(0),
        ),
    )


def recover(office):
    from monitor.store import opening

    with office.db.write() as connection:
        opening.recover(connection, now=office.now, account_ids=[1])


def test_a_blind_account_and_its_recovery_are_each_told_once(office, box):
    blind(office)
    assert office.deliver().accepted == 2
    office.now += HOUR
    recover(office)
    assert office.deliver().accepted == 2
    office.now += HOUR
    assert office.deliver().accepted == 0
    assert Counter(recipient for recipient, _ in box.mails) == {"ketua@jpd.example.my": 2, "ops@jdn.example.my": 2}
    assert list_alerts(office.db)[0].state is AlertState.RESOLVED


def test_a_recovery_before_the_first_mail_left_takes_it_back(office, box):
    blind(office)
    plan_due(office.db, POLICY, now=office.now, grouping=APART)
    recover(office)
    sent = office.deliver()
    assert (sent.cancelled, sent.accepted) == (2, 2)
    assert {read_mail(content)["Subject"].split()[-3] for _, content in box.mails} == {"SEMULA"}


def test_a_digest_is_written_down_once_for_recipient_and_week(office, box):
    told = plan_digest("2026-W47", replace(POLICY, security_team=("a@csirt.my", "b@csirt.my")))
    assert plans.schedule_digest(office.db, "2026-W47", told, now=NOW) == 2
    assert plans.schedule_digest(office.db, "2026-W47", told, now=NOW + DAY) == 0
    assert office.deliver().accepted == 2
    assert office.deliver().accepted == 0
    assert sorted(recipient for recipient, _ in box.mails) == ["a@csirt.my", "b@csirt.my"]


def test_a_digest_nobody_takes_tells_the_operators(office, box):
    box.refused = {"a@csirt.my": "550 no"}
    plans.schedule_digest(
        office.db, "2026-W47", plan_digest("2026-W47", replace(POLICY, security_team=("a@csirt.my",))), now=NOW
    )
    office.deliver()
    office.deliver()
    ((recipient, content),) = box.mails
    assert recipient == "ops@jdn.example.my"
    assert "2026-W47" in read_mail(content)["Subject"]


# ---------------------------------------------------------------- channels


def test_the_back_off_grows_to_an_hour_and_stays_there():
    assert [back_off(n) for n in range(6)] == [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, HOUR, HOUR]


def test_the_configuration_chooses_the_channel(tmp_path):
    folder = open_channel(Mail(folder=tmp_path / "mail"))
    assert isinstance(folder, FolderChannel)
    assert isinstance(open_channel(Mail(transport="smtp", host="localhost")), SmtpChannel)


def test_a_folder_that_cannot_be_written_keeps_the_mails(sqlite_db, tmp_path):
    """Fault 12."""
    (tmp_path / "file").write_text("in the way")
    office = open_office(sqlite_db, FolderChannel(tmp_path / "file" / "mail"))
    office.breach("1")
    sent = office.deliver()
    assert (sent.retried, office.states()) == (1, ["pending"])
    assert "mail.folder" in sent.failures[0]
    office.channel = FolderChannel(tmp_path / "mail")
    office.now += MINUTE
    assert office.deliver().accepted == 1
    assert [line.state.value for line in mails_of(office.db, 1)] == ["accepted"]


# ---------------------------------------------------------------- links


def test_a_scanner_that_fetches_every_link_of_a_mail_acknowledges_nothing(office, box, monkeypatch):
    """Fault 8: GET shows, it never acts."""
    pages = build(
        Console(
            db=office.db,
            web=Web(),
            patience=HOUR,
            degraded=set,
            stalled=list,
            clock=lambda: office.now,
        )
    )
    with serving(pages, bind(Web(listen="127.0.0.1:0"))) as address:
        office.breach("1")
        envelope = replace(ENVELOPE, public_url=address.rstrip("/"), post_link=False)
        monkeypatch.setattr(f"{__name__}.ENVELOPE", envelope)
        office.deliver()
        ((_, content),) = box.mails
        links = set(re.findall(r'href="([^"]+)"', read_mail(content).get_body(("html",)).get_content()))
        assert [requests.get(link, timeout=5).status_code for link in links] == [200]
    (alert,) = list_alerts(office.db)
    assert alert.state is AlertState.OPEN


def test_several_processes_that_plan_the_same_alert_at_once_write_its_mails_down_once(postgres_url):
    """Each process has connections of its own; they meet at the same alert in the same moment."""
    first = open_database(postgres_url)
    mails = [
        NewNotification(step="first", template="alert", recipient="a@b.my", language=Language.MS, message_id="<1@b.my>")
    ]
    with first.write() as connection:
        opened = {"kind": AlertKind.EVALUATION, "severity": Severity.MEDIUM, "disclosure": Disclosure.NONE, "now": NOW}
        number = open_alert(connection, dedup_key="k", **opened)
    others = [Database(postgres_url) for _ in range(4)]
    gate = threading.Barrier(len(others))

    def at_once(db: Database) -> int:
        gate.wait()
        plans.write_plans(
            db, [plans.Decision(alert_id=number, notifications=mails, steps=1)], policy=Escalation(), now=NOW
        )
        with db.write() as connection:
            return open_alert(connection, dedup_key="new", **opened)

    with ThreadPoolExecutor(len(others)) as pool:
        numbers = set(pool.map(at_once, others))
    with first.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.notification)).scalar_one() == 1
    assert len(numbers) == 1
    for db in (first, *others):
        db.close()
