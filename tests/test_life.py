"""The life of an alert after its opening: every change is written once, and stands in the audit."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOW, account, agency, finding, post
from sqlalchemy import select

from alerts.planning import plan_due
from alerts.policy import Policy
from monitor.model import AlertKind, AlertState, Profile, Removal, Resolution, Severity
from monitor.rechecks import Rechecks
from monitor.store import life, tables
from monitor.store.accounts import claim_accounts
from monitor.store.alerts import load_alert
from monitor.store.audit import events_of
from monitor.store.listings import list_alerts
from monitor.store.posts import Judged, save_page
from monitor.store.profiles import save_profile
from monitor.store.register import registered, save_register
from monitor.store.rereads import Looked, mark_reread, to_reread

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POLICY = Policy(instance="i", sender_domain="example.my", security_team=("pasukan@csirt.example.my",))
LEAK = "SULIT: minit mesyuarat jawatankuasa yang belum diumumkan"
SEEN = Profile(native_id="7", name="Jabatan Demo", handle="jpd")


class Desk:
    """A database with one account whose posts are saved, seen again and found missing."""

    def __init__(self, db):
        self.db, self.now = db, NOW
        save_register(db, [agency()], [account()], now=NOW)

    def claimed(self):
        with self.db.write() as connection:
            connection.execute(tables.account.update().values(leased_until=None))
        return claim_accounts(self.db, now=self.now + DAY, lease=HOUR, limit=1, platform="x")[0]

    def publish(self, native_id="1", text=LEAK, *, broken=True, **changes):
        found = (finding(),) if broken else ()
        judged = [Judged(post=post(native_id, text, published_at=self.now, **changes), findings=found)]
        save_page(self.db, self.claimed(), judged, rule_set="r", now=self.now, reread_window=DAY, end=None)

    def see(self, *seen, missing=()):
        looked = Looked(asked=[*seen, *missing], present=seen, missing=missing)
        mark_reread(self.db, self.claimed(), looked, now=self.now, rechecks=Rechecks(window=DAY))

    def alert(self, number=1):
        return load_alert(self.db, number)

    def resolve(self, resolution=Resolution.POST_REMOVED, number=1):
        return life.resolve(self.db, number, resolution=resolution, by="Siti", via="test", now=self.now)

    def events(self, number=1):
        return [one.event for one in events_of(self.db, number)]


@pytest.fixture
def desk(db):
    made = Desk(db)
    made.publish()
    return made


def acknowledge(desk, **changes):
    given = {"by": "Siti", "deadline": desk.now + DAY, "via": "test", "now": desk.now}
    return life.acknowledge(desk.db, 1, **{**given, **changes})


def test_an_acknowledgement_is_written_once(desk):
    assert acknowledge(desk, note="sedang disemak") is life.Answer.DONE
    taken = desk.alert()
    assert (taken.state, taken.owner, taken.note) == (AlertState.ACKNOWLEDGED, "Siti", "sedang disemak")
    assert taken.next_action_at == taken.deadline == NOW + DAY
    assert acknowledge(desk, by="Ali") is life.Answer.ALREADY
    assert desk.alert() == taken
    assert desk.events() == ["alert opened", "alert acknowledged"]


def test_a_closed_alert_is_not_acknowledged(desk):
    desk.resolve(Resolution.FALSE_ALARM)
    assert acknowledge(desk) is life.Answer.CLOSED
    assert desk.alert().state is AlertState.RESOLVED


def test_a_resolution_can_be_corrected_and_repeated_without_effect(desk):
    assert desk.resolve(Resolution.ACCEPTED) is life.Answer.DONE
    assert desk.resolve(Resolution.ACCEPTED) is life.Answer.ALREADY
    assert desk.resolve(Resolution.FALSE_ALARM) is life.Answer.DONE
    assert desk.alert().resolution is Resolution.FALSE_ALARM
    assert desk.events() == ["alert opened", "alert resolved", "alert resolved"]


def test_past_its_deadline_an_acknowledged_alert_tells_its_people_anew(desk):
    plan_due(desk.db, POLICY, now=NOW)
    acknowledge(desk)
    plan_due(desk.db, POLICY, now=NOW + 23 * HOUR)
    assert desk.alert().state is AlertState.ACKNOWLEDGED
    plan_due(desk.db, POLICY, now=NOW + 25 * HOUR)
    again = desk.alert()
    assert (again.state, again.round, again.steps) == (AlertState.OPEN, 1, 1)
    assert again.reopened_for == "the acknowledgement ran out (Siti)"
    assert "alert reopened" in desk.events()


def test_an_alert_answered_while_it_is_planned_is_left_alone(desk):
    """I7."""
    acknowledge(desk)
    before = desk.alert()
    assert plan_due(desk.db, POLICY, now=NOW + HOUR) == 0
    assert desk.alert() == before


def test_unknown_alerts_are_named(desk):
    with pytest.raises(LookupError, match="no alert with id 9"):
        life.reopen(desk.db, 9, by="Siti", reason="x", now=NOW)


# ---------------------------------------------------------------- removed posts


def test_a_post_reported_as_removed_is_read_again_until_its_deletion_is_seen(desk):
    desk.now += 30 * DAY  # long after anybody looked at it for edits
    desk.resolve()
    assert desk.alert().removal is Removal.REPORTED
    number = registered(desk.db)[0].id
    assert to_reread(desk.db, number, now=desk.now, window=DAY, limit=10) == ["1"]
    desk.see("1")
    assert desk.alert().state is AlertState.RESOLVED
    desk.now += HOUR - timedelta(minutes=1)
    assert to_reread(desk.db, number, now=desk.now, window=DAY, limit=10) == []
    desk.now += timedelta(minutes=1)
    assert to_reread(desk.db, number, now=desk.now, window=DAY, limit=10) == ["1"]
    desk.see(missing=["1"])
    assert desk.alert().removal is Removal.CONFIRMED
    assert desk.events()[-1] == "removal confirmed"
    assert to_reread(desk.db, number, now=desk.now + DAY, window=DAY, limit=10) == []


def test_a_post_that_is_still_there_reopens_its_alert(desk):
    desk.resolve()
    desk.now += 2 * HOUR
    desk.see("1")
    again = desk.alert()
    assert (again.state, again.reopened_for, again.round) == (AlertState.OPEN, "the post is still there", 1)
    assert again.next_action_at == desk.now


def test_a_post_that_was_corrected_instead_is_as_good_as_removed(desk):
    desk.resolve()
    desk.now += 2 * HOUR
    desk.publish(text="Mesyuarat telah diadakan", broken=False)
    assert (desk.alert().state, desk.alert().removal) == (AlertState.RESOLVED, Removal.CONFIRMED)


def test_a_post_that_is_back_reopens_its_alert(desk):
    desk.resolve()
    desk.see(missing=["1"])
    desk.now += 5 * DAY
    desk.publish()
    assert (desk.alert().state, desk.alert().reopened_for) == (AlertState.OPEN, "the post is back")
    assert len(list_alerts(desk.db)) == 1


def test_the_same_text_in_another_post_reopens_the_alert_and_opens_none_beside(desk):
    desk.resolve()
    desk.see(missing=["1"])
    desk.now += 5 * DAY
    desk.publish("2")
    again = desk.alert()
    assert (again.state, again.reopened_for) == (AlertState.OPEN, "the same text was published again")
    assert again.post.native_id == "2"
    assert len(list_alerts(desk.db)) == 1


def test_another_text_is_another_alert(desk):
    desk.resolve()
    desk.publish("2", "SULIT: kertas cadangan bagi tahun hadapan, lampiran kedua")
    assert [one.state for one in list_alerts(desk.db)] == [AlertState.OPEN, AlertState.RESOLVED]


def test_a_false_alarm_is_no_promise_of_removal(desk):
    desk.resolve(Resolution.FALSE_ALARM)
    desk.now += 2 * HOUR
    desk.see("1")
    assert desk.alert().state is AlertState.RESOLVED


# ---------------------------------------------------------------- silences


def test_a_silenced_alert_is_told_to_nobody_and_stays_in_the_list(desk):
    number = registered(desk.db)[0].id
    life.add_silence(
        desk.db, author="Siti", reason="latihan", expires_at=NOW + DAY, rule="", account_id=number, now=NOW
    )
    plan_due(desk.db, POLICY, now=NOW)
    silent = desk.alert()
    assert silent.state is AlertState.SUPPRESSED
    assert silent.waiting_reason == "silenced by Siti: latihan"
    assert life.reopen(desk.db, 1, by="Ali", reason="penting", now=NOW) is life.Answer.DONE
    desk.now = NOW + 2 * DAY
    plan_due(desk.db, POLICY, now=desk.now)
    assert desk.alert().steps == 1


def test_a_silence_that_has_ended_covers_nothing(desk):
    number = registered(desk.db)[0].id
    made = life.add_silence(
        desk.db, author="Siti", reason="latihan", expires_at=NOW + DAY, rule="", account_id=number, now=NOW
    )
    assert life.end_silence(desk.db, made.id, by="Siti", now=NOW) is life.Answer.DONE
    assert life.end_silence(desk.db, made.id, by="Siti", now=NOW) is life.Answer.ALREADY
    plan_due(desk.db, POLICY, now=NOW)
    assert desk.alert().state is AlertState.OPEN


# ---------------------------------------------------------------- profiles


@pytest.mark.parametrize(
    ("after", "severity"),
    [
        pytest.param(replace(SEEN, name="Shib"), Severity.HIGH, id="another name"),
        pytest.param(replace(SEEN, handle="jpd_rasmi"), Severity.HIGH, id="another handle"),
        pytest.param(replace(SEEN, name="Jabatan Demo Malaysia (Rasmi)"), Severity.MEDIUM, id="a longer name"),
        pytest.param(replace(SEEN, name="JABATAN DEMO 🇲🇾"), None, id="a flag is no other name"),
        pytest.param(replace(SEEN, bio="Selamat Hari Merdeka", picture_url="https://p/2"), None, id="bio and picture"),
    ],
)
def test_an_account_that_is_renamed_is_an_alert(db, after, severity):
    desk = Desk(db)
    save_profile(db, desk.claimed(), SEEN, now=NOW)
    save_profile(db, desk.claimed(), after, now=NOW + HOUR)
    save_profile(db, desk.claimed(), after, now=NOW + 2 * HOUR)
    found = list_alerts(db)
    assert [(one.kind, one.severity) for one in found] == ([(AlertKind.PROFILE, severity)] if severity else [])
    with db.read() as connection:
        details = list(connection.execute(select(tables.alert.c.detail)).scalars())
    assert all("→" in detail for detail in details)
