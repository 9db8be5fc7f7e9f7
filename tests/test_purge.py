"""Retention: words go when their time is over, the proof stays; what is held or needed is left alone."""

from __future__ import annotations

import json
import random
import resource
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat

import pytest
from builders import NOW, account, agency, finding, post
from installation import Installation
from sqlalchemy import func, insert, select, update

from monitor import cli
from monitor.acts import listening, perform
from monitor.app.daemon import Progress
from monitor.app.service import open_service
from monitor.app.ticks import ticks
from monitor.configuration import load_configuration
from monitor.disclosure import profile_changes
from monitor.escalation import Escalation
from monitor.model import (
    AccountStatus,
    Language,
    Media,
    MediaKind,
    NewNotification,
    NotificationState,
    Profile,
    Removal,
    Resolution,
    Severity,
)
from monitor.problems import ConfigurationError
from monitor.settings import Retention
from monitor.settings.load import load_settings
from monitor.store import audit, holds, life, retention, tables
from monitor.store.accounts import claim_accounts
from monitor.store.alerts import load_alert
from monitor.store.archive import Archive, stretch_of, told_texts
from monitor.store.audit import list_events, verify
from monitor.store.database import open_database, sole_process
from monitor.store.history import StoredHistory
from monitor.store.listings import list_alerts
from monitor.store.media import save_read, waiting_media
from monitor.store.outbox import begin, claim_batch, mark_accepted
from monitor.store.plans import Decision, schedule_digest, write_plans
from monitor.store.posts import Judged, save_page, unseen
from monitor.store.profiles import save_profile
from monitor.store.register import save_register
from monitor.store.reports import week_report
from monitor.store.retention import Purged, purge, would_purge

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
OLD = NOW - 100 * DAY
KEPT = Retention(post_days=90, mail_days=90, audit_days=90)
MARK = "PENANDA"
ACCOUNTS = [account("jpd"), account("kcm", agency="KCM")]


class Store:
    """Two accounts of two agencies, filled as a check fills them."""

    def __init__(self, db):
        self.db = db
        save_register(db, [agency("JPD"), agency("KCM")], ACCOUNTS, now=OLD)
        claimed = claim_accounts(db, now=OLD, lease=HOUR, limit=9, platform="x")
        self.claimed = {one.account.handle: one for one in claimed}

    def save(self, native_id="1", words=MARK, *, by="jpd", at=OLD, rule="", back_catalogue=False, error="", **changes):
        """Store a version of a post; with a rule it is found and alerted."""
        found = (finding(rule, Severity.HIGH),) if rule else ()
        one = post(native_id, words, **{"published_at": OLD, **changes})
        judged = Judged(post=one, findings=found, back_catalogue=back_catalogue, error=error)
        saved = save_page(self.db, self.claimed[by], [judged], rule_set="r", now=at, reread_window=7 * DAY, end=None)
        return one, next(iter(saved.alerts), None)

    def look(self, bio, *, at, by="jpd", name="Jabatan"):
        shown = Profile(native_id="7", name=name, handle="jpd", bio=bio, picture_url=f"https://x/{bio}")
        save_profile(self.db, self.claimed[by], shown, now=at)

    def mail(self, alert_id, *, at=OLD, period="2026-W30", message_id="<a@b>", also_about=()):
        """Plan, render and deliver a mail; without an alert a digest."""
        one = NewNotification(
            step="first",
            template="alert",
            recipient="ketua@jpd.example.my",
            language=Language.MS,
            message_id=message_id,
            also_about=also_about,
        )
        if alert_id is None:
            schedule_digest(self.db, period, [one], now=at)
        else:
            write_plans(
                self.db, [Decision(alert_id=alert_id, notifications=[one], steps=1)], policy=Escalation(), now=at
            )
        (delivery,) = claim_batch(self.db, now=at, lease=HOUR, limit=1)
        about = (alert_id, *also_about) if also_about else ()
        begin(self.db, delivery, MARK.encode(), about=about, now=at, lease=HOUR)
        return delivery

    def resolve(self, alert_id, how=Resolution.FALSE_ALARM):
        life.resolve(self.db, alert_id, resolution=how, by="siti", via="test", now=OLD)

    def purge(self, now=NOW, **how):
        return purge(self.db, KEPT, now=now, **how)

    def texts(self, table="post_version", column="text"):
        return self.all(select(tables.metadata.tables[table].c[column]).order_by(tables.metadata.tables[table].c.id))

    def all(self, query):
        with self.db.read() as connection:
            return list(connection.execute(query).scalars())

    def set(self, table, **values):
        with self.db.write() as connection:
            connection.execute(update(table).values(**values))


@pytest.fixture
def store(db):
    return Store(db)


# ---------------------------------------------------------------- posts


def test_the_words_of_an_old_post_go_and_the_proof_stays(store):
    picture = Media(kind=MediaKind.PICTURE, url=f"https://x.com/{MARK}.png", text=MARK)
    one, number = store.save(rule="r/1", media=(picture,), links=(f"https://contoh.com/{MARK}",), raw={"text": MARK})
    store.resolve(number)
    assert store.purge() == Purged(posts=1, entries=store_entries(store))
    with store.db.read() as connection:
        version = connection.execute(select(tables.post_version)).mappings().one()
        medium = connection.execute(select(tables.media)).mappings().one()
        found = connection.execute(select(tables.finding)).mappings().one()
    assert MARK not in repr(version) + repr(medium) + repr(found)
    assert version["content_hash"] == one.content_hash
    assert (version["seen_at"], version["purged_at"]) == (OLD, NOW)
    assert (medium["state"], medium["due_at"]) == ("skipped", None)
    assert (found["rule"], found["spans"]) == ("r/1", [[0, 5]])


def store_entries(store):
    with store.db.read() as connection:
        emptied = select(func.count()).select_from(tables.audit).where(tables.audit.c.payload.is_(None))
        return connection.execute(emptied).scalar_one()


def test_what_is_not_old_enough_stays(store):
    store.save("1", "lama", at=NOW - 91 * DAY)
    store.save("2", "baharu", at=NOW - 89 * DAY)
    assert store.purge().posts == 1
    assert store.texts() == ["", "baharu"]
    assert store.purge(NOW + 2 * DAY).posts == 1
    assert store.purge(NOW + 2 * DAY).posts == 0


def test_nothing_is_purged_by_default(store):
    store.save()
    assert purge(store.db, Retention(), now=NOW + 9999 * DAY) == Purged()


def test_a_purged_post_that_is_served_again_is_no_news_and_its_edit_is(store):
    one, number = store.save(rule="r/1")
    store.resolve(number)
    store.purge()
    holder = store.claimed["jpd"].account.id
    assert unseen(store.db, holder, [one]) == []
    edited = replace(one, text=f"{MARK} baharu")
    assert unseen(store.db, holder, [edited]) == [edited]
    _, again = store.save(words=edited.text, at=NOW, rule="r/1")
    assert again == number, "the same rule on the same post is the same alert"
    assert store.texts() == ["", edited.text]
    assert store.purge(NOW + 100 * DAY).posts == 1


def test_a_poorer_answer_is_no_edit_of_a_purged_post(store):
    """X leaves out what a post quotes when that is gone: with the text purged nobody could tell."""
    one, _ = store.save(words=f"{MARK}\n\npetikan", raw={"id": "1", "text": MARK})
    store.purge()
    poorer = replace(one, text=MARK, own={"id": "1", "text": MARK})
    assert unseen(store.db, store.claimed["jpd"].account.id, [poorer]) == []


def test_an_error_s_traceback_goes_with_the_text_and_that_there_was_one_stays(store):
    store.save(error=f"Traceback …\nValueError: {MARK}")
    store.set(tables.alert, state="resolved")
    store.purge()
    assert store.texts("evaluation", "error") == ["purged"]


def test_a_picture_that_is_being_read_while_its_post_is_purged_leaves_no_text(store):
    picture = Media(kind=MediaKind.PICTURE, url="https://x.com/p.png")
    store.save(media=(picture,))
    (item,) = waiting_media(store.db, now=OLD, limit=9)
    store.purge()
    save_read(store.db, item, MARK, [finding(field="picture:0")], rule_set="r", now=NOW)
    assert store.texts("media") == [""]
    assert len(list_alerts(store.db)) == 1, "what was found counts all the same"


@pytest.mark.parametrize("state", ["open", "acknowledged"])
def test_an_alert_that_is_not_closed_keeps_its_post_with_all_versions(store, state):
    store.save()
    _, number = store.save(words=f"{MARK} 2", rule="r/1")
    store.save("2", "biasa")
    store.set(tables.alert, state=state)
    assert store.purge().posts == 1
    assert store.texts() == [MARK, f"{MARK} 2", ""]
    store.resolve(number)
    assert store.purge().posts == 2


def test_a_post_that_was_reported_as_removed_stays_until_that_is_seen(store):
    _, number = store.save(rule="r/1")
    store.resolve(number, Resolution.POST_REMOVED)
    assert store.purge().posts == 0
    store.set(tables.alert, removal=Removal.CONFIRMED.value)
    assert store.purge().posts == 1


def test_the_back_catalogue_stays_until_its_batch_was_reviewed(store):
    _, number = store.save("1", rule="r/1", back_catalogue=True)
    store.save("2", back_catalogue=True)
    assert store.purge().posts == 1
    assert store.texts() == [MARK, ""]
    store.resolve(number)
    assert store.purge().posts == 1


def test_an_alert_whose_post_was_purged_can_still_be_told(store):
    """A post that returns after a year reopens its alert."""
    one, number = store.save(rule="r/1")
    store.resolve(number)
    assert load_alert(store.db, number).post.content_hash == one.content_hash
    store.purge()
    life.reopen(store.db, number, by="siti", reason="kembali", now=NOW)
    told = load_alert(store.db, number)
    assert (told.post.text, told.rules) == ("", ("r/1",))
    assert told.post.content_hash == one.content_hash, "the proof that a mail names is of what was read"


def test_what_alerts_repeat_of_an_account_goes_once_they_are_closed(store):
    store.look("satu", at=OLD)
    store.look("satu", at=OLD, name=f"{MARK} Crypto")
    store.save(error=f"ValueError: {MARK}")
    assert [MARK in detail for detail in store.texts("alert", "detail")] == [True, True]
    assert store.purge().details == 0
    store.set(tables.alert, state="resolved")
    hold(store)
    assert store.purge().details == 0
    holds.end_hold(store.db, 1, author="a", by="b", now=NOW)
    assert store.purge().details == 2
    assert store.texts("alert", "detail") == ["purged", "purged"]
    assert profile_changes("purged") == []


# ---------------------------------------------------------------- what else reads posts


def test_habits_of_an_account_outlive_the_words(store):
    texts = [
        "Kami akan umumkan dan kongsikan https://jpd-berita.com/a nanti",
        "We will tell you all of that https://b.kedai.com.my/x",
    ]
    for number, words in enumerate(texts):
        store.save(str(number), words, published_at=OLD)
    store.save("9", "x", links=("https://www.pautan.org/9",))
    history = StoredHistory(store.db, store.claimed["jpd"].account, post("new", "x", published_at=NOW))
    before = (history.known_domains(), history.languages(), history.hours())
    assert before[0].domains == {"jpd-berita.com", "kedai.com.my", "pautan.org"}
    assert store.purge().posts == 3
    after = StoredHistory(store.db, store.claimed["jpd"].account, post("new", "x", published_at=NOW))
    assert (after.known_domains(), after.languages(), after.hours()) == before
    assert "/a" not in json.dumps(store.texts(column="links"))


def test_the_digest_counts_the_same_before_and_after(store):
    _, number = store.save(rule="r/1")
    store.mail(number)
    store.resolve(number)
    how = {
        "week": "w",
        "start": OLD - DAY,
        "end": OLD + DAY,
        "now": NOW,
        "patience": HOUR,
        "degraded": (),
        "rule_set": "r",
    }
    before = week_report(store.db, **how)
    assert (before.posts_read, len(before.alerts), len(before.rules)) == (1, 1, 1)
    assert purge(store.db, replace(KEPT, audit_days=0), now=NOW)
    assert replace(week_report(store.db, **how), chain_head=before.chain_head) == before


def test_the_back_test_leaves_purged_posts_out_as_nothing_could_be_found_there_again(store):
    _, number = store.save("1", rule="r/1")
    store.resolve(number, Resolution.ACCEPTED)
    store.save("2", "baharu", at=NOW)
    store.purge()
    stretch = stretch_of(store.db, since=None, limit=None)
    assert Archive(store.db).piece(stretch).texts == ["baharu"]
    assert told_texts(store.db, ["r/1"]) == {}


def test_a_profile_stays_while_the_alert_of_its_new_name_is_open(store):
    for name, at in (("satu", OLD), ("dua", OLD + DAY), ("tiga", NOW - DAY)):
        store.look("bio", at=at, name=name)
    assert store.purge().profiles == 0


def test_a_profile_goes_when_the_next_one_is_old_and_no_change_is_invented(store):
    for bio, at in (("satu", OLD), ("dua", OLD + DAY), ("tiga", NOW - DAY)):
        store.look(bio, at=at)
    assert store.purge() == Purged(profiles=1, entries=store_entries(store))
    assert store.texts("profile", "name") == ["", "Jabatan", "Jabatan"]
    assert store.texts("profile", "bio") == ["", "dua", "tiga"]
    holder = store.claimed["jpd"].account
    fresh, former = (post("p", published_at=at) for at in (NOW, OLD + DAY))
    assert StoredHistory(store.db, holder, fresh).profile_changes(2 * DAY) == {"bio", "picture"}
    assert StoredHistory(store.db, holder, former).profile_changes(2 * DAY) == set()


# ---------------------------------------------------------------- mails


def test_an_old_mail_goes_when_it_has_ended_and_what_is_known_of_it_stays(store):
    _, number = store.save(rule="r/1")
    mark_accepted(store.db, store.mail(number), OLD)
    assert store.purge().mails == 0, "its alert is open"
    store.resolve(number)
    assert store.purge().mails == 1
    with store.db.read() as connection:
        mail = connection.execute(select(tables.notification)).mappings().one()
        assert connection.execute(select(tables.rendered_mail)).first() is None
    assert (mail["kept"], mail["state"], mail["recipient"]) == (False, "accepted", "ketua@jpd.example.my")


def test_a_mail_that_has_not_ended_or_is_young_stays(store):
    store.mail(None, period="1", message_id="<1@b>")
    mark_accepted(store.db, store.mail(None, period="2", message_id="<2@b>", at=NOW - 89 * DAY), NOW - 89 * DAY)
    assert store.purge().mails == 0


@pytest.mark.parametrize("state", [s for s in NotificationState if s.value in retention.ENDED])
def test_every_way_to_end_ends_a_mail(store, state):
    store.mail(None)
    store.set(tables.notification, state=state.value, ended_at=OLD)
    assert store.purge().mails == 1


def test_a_mail_about_several_alerts_stays_while_one_of_them_is_open(store):
    (_, first), (_, second) = store.save("1", rule="r/1"), store.save("2", rule="r/1")
    mark_accepted(store.db, store.mail(first, also_about=(second,)), OLD)
    store.resolve(first)
    assert store.purge().mails == 0
    store.resolve(second)
    assert store.purge().mails == 1


# ---------------------------------------------------------------- the audit


def test_the_facts_of_old_entries_go_and_the_chain_verifies_with_its_old_heads(store):
    _, number = store.save(rule="r/1")
    published = audit.head(store.db)
    assert store.purge().entries == 1, "the register's; the alert is open"
    store.resolve(number)
    assert store.purge().entries == 2
    report = verify(store.db, [published])
    assert (report.broken, report.purged) == (None, 3)
    assert {one.actor for one in list_events(store.db) if one.event == "alert opened"} == {"purged"}


def test_a_purge_is_written_down_with_its_counts_each_batch_in_its_own_transaction(store, monkeypatch):
    monkeypatch.setitem(retention.BATCH, "posts", 2)
    for number in range(5):
        store.save(str(number))
    touched = []
    assert store.purge(touch=lambda: touched.append(1)).posts == 5
    told = [dict(one.facts) for one in reversed(list_events(store.db)) if one.event == audit.PURGED]
    assert [one.get("posts") for one in told] == [2, 2, 1, None]
    assert told[0]["before"] == (NOW - 90 * DAY).isoformat()
    assert len(touched) == 4


def test_a_purge_that_is_cut_off_goes_on_the_next_time_and_what_it_did_is_written_down(store, monkeypatch):
    monkeypatch.setitem(retention.BATCH, "posts", 2)
    for number in range(5):
        store.save(str(number))

    def killed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.purge(touch=killed)
    assert verify(store.db).broken is None
    assert [one.facts["posts"] for one in list_events(store.db) if one.event == audit.PURGED] == [2]
    assert store.purge().posts == 3


def test_a_purge_that_is_asked_to_stop_says_that_there_is_more(store, monkeypatch):
    monkeypatch.setitem(retention.BATCH, "posts", 2)
    for number in range(5):
        store.save(str(number))
    answers = chain([False], repeat(True))
    assert store.purge(stopped=lambda: next(answers)) == Purged(posts=2, more=True)


def test_copies_go_at_the_end_of_a_purge_that_was_made_in_parts(sqlite_db, monkeypatch):
    store, parts = Store(sqlite_db), []
    monkeypatch.setattr(sqlite_db, "forget", lambda **how: parts.append(how) or "")
    store.save()
    assert store.purge(within=timedelta()).more
    answers = chain([False], repeat(True))
    assert store.purge(stopped=lambda: next(answers)) == Purged(posts=1, more=True)
    assert parts == []
    assert store.purge(now=OLD) == Purged()
    assert len(parts) == 1
    store.purge(now=OLD)
    assert len(parts) == 1


def test_how_much_would_be_purged_is_known_before(store):
    _, number = store.save(rule="r/1")
    store.resolve(number)
    mark_accepted(store.db, store.mail(None), OLD)
    for name in ("satu", "dua"):
        store.look(name, at=OLD)
    expected = would_purge(store.db, KEPT, now=NOW)
    assert expected == Purged(posts=1, profiles=1, mails=1, entries=5)
    assert store.texts() == [MARK]
    assert store.purge() == expected


# ---------------------------------------------------------------- legal holds


def hold(store, **what):
    return holds.add_hold(
        store.db, author="Penasihat Undang-undang", reason="siasatan 7/2026", by="siti", now=OLD, **what
    )


def filled(store):
    """Old data of both agencies, all closed: a post, two profiles and a mail each, and a digest."""
    for handle in ("jpd", "kcm"):
        _, number = store.save(by=handle, rule="r/1")
        for name in ("satu", "dua"):
            store.look(name, at=OLD, by=handle)
        mark_accepted(store.db, store.mail(number, message_id=f"<{handle}@b>"), OLD)
        store.resolve(number)
    mark_accepted(store.db, store.mail(None), OLD)


@pytest.mark.parametrize("what", ["agency", "account_id"])
def test_held_data_stays_and_the_rest_goes(store, what):
    filled(store)
    held = hold(store, **{what: "JPD" if what == "agency" else store.claimed["jpd"].account.id})
    done = store.purge()
    assert (done.posts, done.profiles, done.mails) == (1, 1, 1), "of the other agency; the digest tells of both"
    assert store.texts() == [MARK, ""]
    opened = [one.actor for one in reversed(list_events(store.db)) if one.event == "alert opened"]
    assert opened == ["pantau", "purged"]
    assert "purged" not in [one.actor for one in list_events(store.db) if one.event == "register changed"]
    holds.end_hold(store.db, held.id, author="x", by="siti", now=NOW)
    done = store.purge()
    assert (done.posts, done.profiles, done.mails) == (1, 1, 2)


def test_a_hold_on_everything_keeps_everything(store):
    filled(store)
    hold(store)
    assert store.purge() == Purged()
    assert would_purge(store.db, KEPT, now=NOW) == Purged()


def test_a_hold_is_written_down_with_who_ordered_it_and_never_emptied(store):
    held = hold(store, agency="JPD")
    assert (
        holds.end_hold(store.db, held.id, author="Penasihat", reason="ditutup", by="ali", now=OLD) is life.Answer.DONE
    )
    assert holds.end_hold(store.db, held.id, author="x", by="y", now=OLD) is life.Answer.ALREADY
    store.purge()
    ended, begun = [one for one in list_events(store.db) if "hold" in one.event]
    assert (begun.actor, begun.facts["author"], begun.facts["reason"]) == (
        "siti",
        "Penasihat Undang-undang",
        "siasatan 7/2026",
    )
    assert (ended.actor, ended.facts["reason"]) == ("ali", "ditutup")


def test_an_account_that_moves_to_another_agency_stays_under_hold(store):
    store.save()
    hold(store, agency="JPD")
    save_register(store.db, [], [account("jpd", agency="KCM", status=AccountStatus.RETIRED)], now=OLD)
    assert store.purge().posts == 0
    (_, followed) = holds.list_holds(store.db)
    assert followed.account_id == store.claimed["jpd"].account.id
    assert "moved away from JPD" in followed.reason


@pytest.mark.parametrize("wrong", [{"reason": " "}, {"agency": "JPD", "account_id": 1}])
def test_a_hold_that_makes_no_sense_is_refused(store, wrong):
    with pytest.raises(ValueError, match="hold"):
        holds.add_hold(store.db, **{"author": "a", "reason": "b", "by": "c", "now": OLD, **wrong})


def test_a_hold_that_is_put_while_a_purge_runs_counts_from_the_next_batch_on(store, monkeypatch):
    monkeypatch.setitem(retention.BATCH, "posts", 1)
    for number in range(3):
        store.save(str(number))
    put = []
    store.purge(touch=lambda: put or put.append(hold(store)))
    assert store.texts() == ["", MARK, MARK]


# ---------------------------------------------------------------- nothing is left (SQLite)


def bytes_on_disk(db):
    return b"".join(path.read_bytes() for path in sorted(db.path.parent.glob("pantau.db*")))


def test_nothing_of_what_was_purged_is_left_in_the_file(sqlite_db):
    """Short and long texts (which fill pages of their own) between others that stay, and every other place of words."""
    store = Store(sqlite_db)
    for number in range(120):
        old = number % 3 > 0
        words = f"{MARK if old else 'TINGGAL'} {number} " * (1 if number % 2 else 700)
        picture = Media(kind=MediaKind.PICTURE, url=f"https://x.com/{words[:40]}.png", text=words[:90])
        changes = {"media": (picture,), "links": (f"https://contoh.com/{words[:40]}",), "raw": {"text": words}}
        store.save(str(number), words, at=OLD if old else NOW, **changes)
    for item in waiting_media(sqlite_db, now=NOW, limit=500):
        save_read(sqlite_db, item, f"{MARK} dibaca" if "PENANDA" in item.url else "TINGGAL", [], rule_set="r", now=OLD)
    store.look(MARK, at=OLD)
    store.look("dua", at=OLD)
    mark_accepted(sqlite_db, store.mail(None), OLD)
    with sqlite_db.write() as connection:
        audit.append(connection, "alert acknowledged", now=OLD, actor=MARK, facts={"note": MARK * 2000})
        connection.execute(insert(tables.meta).values(key="other", value="TINGGAL"))
    assert MARK.encode() in bytes_on_disk(sqlite_db)
    done = store.purge()
    assert (done.posts, done.profiles, done.mails) == (80, 1, 1)
    left = bytes_on_disk(sqlite_db)
    assert MARK.encode() not in left
    assert left.count(b"TINGGAL") > 40


def test_no_copy_is_left_in_the_unused_parts_of_pages_that_were_split(sqlite_db):
    """Rows that grow after others were put beside them: `secure_delete` alone leaves copies of them."""
    store, chance = Store(sqlite_db), random.Random(1)
    for number in range(250):
        words = f"{MARK if number % 2 else 'TINGGAL'} {number} " * chance.choice([1, 3, 20, 100, 400])
        picture = Media(kind=MediaKind.PICTURE, url=f"https://x.com/{number}", text=words[:60])
        store.save(str(number), words, at=OLD if number % 2 else NOW, media=(picture,), raw={"text": words})
        mark_accepted(sqlite_db, store.mail(None, period=str(number), message_id=f"<{number}@b>"), OLD)
        if number % 3 == 0:
            (item,) = waiting_media(sqlite_db, now=NOW, limit=1)
            save_read(sqlite_db, item, MARK * chance.choice([1, 100, 2000]), [], rule_set="r", now=OLD)
    store.set(tables.media, text="")
    store.purge()
    assert MARK.encode() not in bytes_on_disk(sqlite_db)


@pytest.mark.parametrize(("up_to", "room", "words"), [(1, 3, "more than 0 MiB"), (None, 10**9, "free disk")])
def test_a_file_that_cannot_be_written_anew_says_why(sqlite_db, monkeypatch, up_to, room, words):
    monkeypatch.setattr("monitor.store.database.ROOM_TO_COMPACT", room)
    assert words in sqlite_db.forget(up_to=up_to)


def test_a_full_disk_stands_in_the_way_and_ends_no_purge(sqlite_db):
    """Fault 12: what is new waits in the WAL, and nothing is lost."""
    Store(sqlite_db).save("1", MARK * 50_000, at=NOW)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sqlite_db.path.stat().st_size, hard))
    try:
        left = sqlite_db.forget(up_to=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left.startswith("what is new could not be moved into the file")
    assert sqlite_db.forget() == ""
    with sqlite_db.read() as connection:
        assert connection.execute(select(tables.post_version.c.text)).scalar_one() == MARK * 50_000


def test_a_reader_that_takes_long_does_not_hold_the_purge_up(sqlite_db):
    store = Store(sqlite_db)
    store.save()
    with sqlite_db.read() as connection:
        connection.execute(select(tables.post)).all()
        assert "somebody reads" in store.purge().left
    assert store.purge() == Purged(), "nothing more is due, and the copies go now"
    assert MARK.encode() not in bytes_on_disk(sqlite_db)


# ---------------------------------------------------------------- once a day, and by command


@pytest.mark.parametrize(
    ("hours", "due"),
    [
        pytest.param([0], [False], id="a first start waits for a day"),
        pytest.param([0, 1, 23.9], [False, False, False], id="not before a day has passed"),
        pytest.param([0, 24], [False, True], id="after a day"),
        pytest.param([0, 70], [False, True], id="after a weekend without Pantau"),
        pytest.param([0, 24 * 365, 24 * 365 + 1], [False, False, False], id="a clock that jumps ahead purges nothing"),
        pytest.param([0, 24 * 365, 24 * 366], [False, False, True], id="… until it has stood there for a day"),
        pytest.param([0, -5, 1, 19], [False, False, False, True], id="a clock that was set back counts from there"),
    ],
)
def test_the_daily_purge(db, hours, due):
    assert [retention.is_time(db, now=NOW + timedelta(hours=hour)) for hour in hours] == due


TOML = """[database]
url = "sqlite:///pantau.db"
[mail]
folder = "mail"
[retention]
post_days = 90
"""


@pytest.fixture
def here(tmp_path):
    return Installation(tmp_path / "config", TOML, [("JPD", "rss", "", "https://jpd.example.my/feed")]).write()


def test_the_daemon_purges_once_a_day(here):
    at = [OLD]
    configuration = load_configuration(here.folder, {}, today=NOW.date())
    with open_service(configuration, clock=lambda: at[0]) as service:
        (claimed,) = claim_accounts(service.db, now=OLD, lease=HOUR, limit=1, platform="rss")
        judged = [Judged(post=post("1", MARK))]
        save_page(service.db, claimed, judged, rule_set="r", now=OLD, reread_window=DAY, end=None)
        (tick,) = [one for one in ticks(service, Progress()) if one.name == "purge"]
        seen = []
        for day in range(93):
            at[0] = OLD + day * DAY
            tick.body()
            with service.db.read() as connection:
                seen.append(connection.execute(select(tables.post_version.c.text)).scalar_one())
        assert (seen[90], seen[91]) == (MARK, "")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("post_days = 30", "retention.post_days: is at least 35"),
        ("audit_days = 1", "retention.audit_days: is at least 35"),
        ("mail_days = -1", "retention.mail_days: a negative number"),
        ("post_days = 40\n[polling]\nrecheck_window = '60d'", "is not longer than polling.recheck_window"),
        ("mail_days = 999999", "holds more than 36500 days"),
    ],
)
def test_a_retention_that_would_break_something_is_refused(tmp_path, table, words):
    (tmp_path / "pantau.toml").write_text(f"[retention]\n{table}\n")
    with pytest.raises(ConfigurationError) as told:
        load_settings(tmp_path, {})
    assert words in str(told.value.problems[0])


@pytest.fixture
def pantau(here, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["pantau", "--config", str(here.folder), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def stored(here):
    db = open_database(f"sqlite:///{here.database}")
    store = Store(db)
    store.save()
    yield store
    db.close()


def test_purge_says_how_much_and_does_it(pantau, stored):
    assert "versions of posts  1 would be emptied" in pantau("purge", "--dry-run")[1]
    assert stored.texts() == [MARK]
    assert "versions of posts  1 emptied" in pantau("purge")[1]
    assert stored.texts() == [""]


def test_a_file_is_written_anew_on_demand_and_not_under_a_daemon(pantau, stored):
    code, said, _ = pantau("purge", "--compact")
    assert (code, "written anew" in said) == (0, True)
    with sole_process(stored.db.path):
        assert pantau("purge", "--compact")[0] == 1


def test_purge_without_a_limit_says_so(pantau, here, stored):
    (here.folder / "pantau.toml").write_text(TOML.partition("[retention]")[0])
    code, said, _ = pantau("purge")
    assert (code, stored.texts()) == (0, [MARK])
    assert said == "[retention] keeps everything for good: nothing is ever purged\n"


def test_a_daemon_purges_and_holds_when_a_command_asks(pantau, stored):
    with sole_process(stored.db.path), listening(stored.db):
        assert pantau("hold", "add", "--account", "x/jpd", "--reason", "siasatan 7")[0] == 0
        assert "versions of posts  0 emptied" in pantau("purge")[1]
        assert pantau("hold", "end", "1")[0] == 0
        assert "versions of posts  1 emptied" in pantau("purge")[1]


def test_holds_are_put_listed_and_ended(pantau, stored):
    assert pantau("hold", "add", "--agency", "jpd", "--reason", "Perintah 7", "--author", "Peguam")[0] == 0
    assert pantau("hold", "add", "--all", "--reason", "Audit")[0] == 0
    first, second = json.loads(pantau("hold", "list", "--json")[1])
    assert (first["covers"], first["author"], first["reason"]) == ("JPD", "Peguam", "Perintah 7")
    assert second["covers"] == "everything"
    assert pantau("hold", "end", "1", "--reason", "selesai") == (0, "hold 1 has ended\n", "")
    assert pantau("hold", "end", "1")[1] == "hold 1 had ended before\n"
    assert [one["hold"] for one in json.loads(pantau("hold", "list", "--json")[1])] == [2]
    assert [one["hold"] for one in json.loads(pantau("hold", "list", "--all", "--json")[1])] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "--reason", "x"], "give one of"),
        (["add", "--reason", "x", "--all", "--agency", "JPD"], "give one of"),
        (["add", "--reason", " ", "--all"], "--reason: is empty"),
        (["add", "--reason", "x", "--agency", "JPX"], "no registered agency; did you mean JPD?"),
        (["add", "--reason", "x", "--account", "x/jpe"], "no registered account; did you mean x/jpd?"),
        (["end", "7"], "no hold has the number 7"),
    ],
)
def test_a_hold_that_cannot_be_is_named(pantau, stored, arguments, words):
    code, _, said = pantau("hold", *arguments)
    assert (code, words in said) == (2, True)


def test_asking_for_a_purge_tells_its_counts(stored):
    url = f"sqlite:///{stored.db.path}"
    assert perform(url, "purge", {"post_days": 90, "mail_days": 0, "audit_days": 0})["posts"] == 1
