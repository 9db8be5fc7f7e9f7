"""What looks at known posts leave behind: doubts, tombstones, hidden posts, and when to look next."""

from __future__ import annotations

from datetime import timedelta

import pytest
from builders import NOW, account, agency, post
from sqlalchemy import select, update

from monitor.rechecks import Rechecks
from monitor.store import tables
from monitor.store.accounts import LeaseLostError, claim_accounts, claim_these
from monitor.store.listings import list_alerts, list_posts
from monitor.store.posts import Judged, save_page, unseen
from monitor.store.register import save_register
from monitor.store.rereads import (
    Looked,
    Marked,
    claim_rereads,
    due_since,
    forget_expired,
    mark_reread,
    put_off,
    to_reread,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WEEK = 7 * DAY
PATIENT = Rechecks(window=WEEK, confirm=5 * MINUTE)


class Shelf:
    """An account with two posts, and looks at them."""

    def __init__(self, db):
        self.db = db
        save_register(db, [agency()], [account()], now=NOW)
        self.claimed = claim_accounts(db, now=NOW, lease=MINUTE, limit=1, platform="x")[0]
        self.save(post("1", "SULIT"), post("2"))

    def save(self, *posts, now=NOW, back_catalogue=False):
        judged = [Judged(post=one, back_catalogue=back_catalogue) for one in posts]
        return save_page(self.db, self.claimed, judged, rule_set="r", now=now, reread_window=WEEK, end=None)

    def look(self, now=NOW, *, present=(), missing=(), hidden=(), asked=None, rechecks=PATIENT):
        asked = asked or [*present, *missing, *hidden]
        looked = Looked(asked=asked, present=present, missing=missing, hidden=hidden)
        return mark_reread(self.db, self.claimed, looked, now=now, rechecks=rechecks)

    def was_read(self, at):
        with self.db.write() as connection:
            connection.execute(update(tables.account).values(last_ok_at=at))

    def row(self, native_id="1"):
        with self.db.read() as connection:
            query = select(tables.post).where(tables.post.c.native_id == native_id)
            return connection.execute(query).mappings().one()

    def due(self, now, **how):
        return to_reread(self.db, self.claimed.account.id, now=now, window=WEEK, limit=9, **how)


@pytest.fixture
def shelf(db):
    return Shelf(db)


# ---------------------------------------------------------------- deleted


def test_a_deletion_is_believed_at_a_later_look_and_the_evidence_stays(shelf):
    """Fault 22."""
    assert shelf.look(NOW, missing=["1"]) == Marked(doubted=1)
    assert not any(line.deleted for line in list_posts(shelf.db))
    shelf.was_read(NOW + 5 * MINUTE)
    assert shelf.look(NOW + 6 * MINUTE, missing=["1"]) == Marked(deleted=1)
    assert shelf.look(NOW + 7 * MINUTE, missing=["1"]) == Marked()
    line = next(line for line in list_posts(shelf.db) if line.native_id == "1")
    assert (line.deleted, line.text) == (True, "SULIT")
    assert shelf.row()["missing_at"] == NOW  # between when and when it went


def test_two_looks_within_the_same_minutes_are_one(shelf):
    shelf.was_read(NOW + MINUTE)
    for minute in range(5):
        assert shelf.look(NOW + minute * MINUTE, missing=["1"]).deleted == 0
    assert shelf.due(NOW + 9 * MINUTE) == ["1"]


def test_an_account_that_was_not_read_since_loses_no_post(shelf):
    """Gone private, suspended, or a token without its permission: all its posts are missing at once."""
    shelf.was_read(NOW - MINUTE)
    for hour in range(5):
        assert shelf.look(NOW + hour * HOUR, missing=["1", "2"]).deleted == 0
    assert {line.deleted for line in list_posts(shelf.db)} == {False}


def test_a_post_that_is_seen_in_between_is_no_longer_in_doubt(shelf):
    shelf.look(NOW, missing=["1"])
    shelf.look(NOW + 5 * MINUTE, present=["1"])
    shelf.was_read(NOW + HOUR)
    assert shelf.look(NOW + HOUR, missing=["1"]) == Marked(doubted=1)


def test_a_post_that_is_served_again_is_no_longer_in_doubt(shelf):
    shelf.look(NOW, missing=["1"], hidden=["2"])
    again = unseen(shelf.db, shelf.claimed.account.id, [post("1", "SULIT"), post("2")])
    assert [one.native_id for one in again] == ["1", "2"]
    shelf.save(*again, now=NOW + MINUTE)
    assert {(shelf.row(one)["missing_at"], shelf.row(one)["hidden_at"]) for one in "12"} == {(None, None)}
    assert unseen(shelf.db, shelf.claimed.account.id, again) == []


def test_whoever_has_looked_twice_is_believed_at_once(shelf):
    assert shelf.look(missing=["1"], rechecks=Rechecks(window=WEEK)) == Marked(deleted=1)


def test_a_post_that_comes_back_loses_its_tombstone(shelf):
    shelf.look(missing=["1"], rechecks=Rechecks(window=WEEK))
    assert unseen(shelf.db, shelf.claimed.account.id, [post("1", "SULIT")]) == [post("1", "SULIT")]
    shelf.save(post("1", "SULIT"))
    assert not any(line.deleted for line in list_posts(shelf.db))
    assert list_alerts(shelf.db) == []


def test_a_doubt_from_before_the_clock_stepped_back_begins_anew(shelf):
    """I10: nothing is due early, and nothing waits for the old time to return."""
    shelf.look(NOW + DAY, missing=["1"])
    shelf.was_read(NOW + DAY)
    assert shelf.look(NOW, missing=["1"]).deleted == 0
    assert shelf.row()["missing_at"] == NOW
    assert shelf.look(NOW + 5 * MINUTE, missing=["1"]).deleted == 1


def test_a_doubt_is_settled_even_when_the_window_ends_meanwhile(shelf):
    late = NOW + WEEK - MINUTE
    shelf.look(late, missing=["1"])
    assert shelf.due(late + 5 * MINUTE)[0] == "1"


# ---------------------------------------------------------------- hidden, undecided


def test_a_hidden_post_is_no_deleted_one_and_is_looked_for_again(shelf):
    assert shelf.look(hidden=["1"]) == Marked(hidden=1)
    assert shelf.look(NOW + HOUR, hidden=["1"]) == Marked()
    row = shelf.row()
    assert (row["deleted_at"], row["hidden_at"]) == (None, NOW)
    assert row["reread_at"] > NOW + HOUR
    shelf.look(NOW + DAY, present=["1"])
    assert shelf.row()["hidden_at"] is None


def test_a_hidden_post_may_be_deleted_later(shelf):
    shelf.look(hidden=["1"])
    shelf.look(NOW + HOUR, missing=["1"])
    shelf.was_read(NOW + 2 * HOUR)
    assert shelf.look(NOW + 2 * HOUR, missing=["1"]).deleted == 1
    assert shelf.row()["hidden_at"] is None


def test_what_could_not_be_decided_changes_nothing_but_the_next_look(shelf):
    shelf.look(NOW, missing=["1"])
    shelf.look(NOW + HOUR, asked=["1", "2"])
    assert shelf.row("1")["missing_at"] == NOW
    assert shelf.row("2")["missing_at"] is None
    assert shelf.due(NOW + HOUR) == []


# ---------------------------------------------------------------- when to look


def test_recent_posts_are_read_again_and_old_ones_are_not(shelf):
    shelf.save(post("old", published_at=NOW - 2 * WEEK), back_catalogue=True)
    assert shelf.due(NOW) == []
    assert shelf.due(NOW + 10 * MINUTE) == ["1", "2"]
    shelf.look(NOW + 10 * MINUTE, present=["1", "2"])
    assert shelf.due(NOW + 29 * MINUTE) == []
    assert shelf.due(NOW + 30 * MINUTE) == ["1", "2"]
    assert shelf.due(NOW + 9 * DAY) == []


def test_a_live_post_that_appeared_late_is_watched_from_then_on(shelf):
    shelf.save(post("late", published_at=NOW - 2 * WEEK))
    assert "late" in shelf.due(NOW + 10 * MINUTE)


def test_what_could_not_be_asked_stays_due_but_not_at_once(shelf):
    put_off(shelf.db, shelf.claimed, ["1"], until=NOW + 20 * MINUTE)
    assert shelf.due(NOW + 19 * MINUTE) == ["2"]
    assert shelf.due(NOW + 20 * MINUTE) == ["2", "1"]


# ---------------------------------------------------------------- of many accounts


@pytest.fixture
def many(db):
    save_register(db, [agency()], [account(f"jpd{n}") for n in range(4)], now=NOW)
    for claimed in claim_accounts(db, now=NOW, lease=MINUTE, limit=9, platform="x"):
        judged = [Judged(post=post(f"{claimed.account.handle}-{n}")) for n in range(3)]
        save_page(db, claimed, judged, rule_set="r", now=NOW, reread_window=WEEK, end=None)
    return db


def claim_due(db, now, *, limit=100):
    return claim_rereads(db, platform="x", now=now, lease=MINUTE, window=WEEK, limit=limit)


def test_due_posts_of_many_accounts_are_claimed_together_and_each_once(many):
    assert due_since(many, platform="x", now=NOW, window=WEEK, full=100) == (0, None)
    assert due_since(many, platform="x", now=NOW + 11 * MINUTE, window=WEEK, full=100) == (12, NOW + 10 * MINUTE)
    assert due_since(many, platform="x", now=NOW + 11 * MINUTE, window=WEEK, full=5)[0] == 5
    found = claim_due(many, NOW + 11 * MINUTE, limit=7)
    assert sum(len(ids) for _, ids in found) == 7
    rest = claim_due(many, NOW + 11 * MINUTE)
    assert not {one.account.id for one, _ in found} & {one.account.id for one, _ in rest}


def test_a_post_whose_window_has_ended_is_forgotten(many):
    """Else every round would pass over all that were ever left."""
    assert due_since(many, platform="x", now=NOW + 8 * DAY, window=WEEK, full=100) == (0, None)
    assert forget_expired(many, now=NOW + 6 * DAY, window=WEEK) == 0
    assert forget_expired(many, now=NOW + 8 * DAY, window=WEEK) == 12
    with many.read() as connection:
        assert not connection.execute(select(tables.post.c.id).where(tables.post.c.reread_at.is_not(None))).all()


def test_an_account_that_cannot_be_read_now_is_not_asked_for_its_posts(many):
    with many.write() as connection:
        connection.execute(update(tables.account).where(tables.account.c.id == 1).values(cause="permission missing"))
        connection.execute(update(tables.account).where(tables.account.c.id == 2).values(status="paused"))
    assert sorted(one.account.id for one, _ in claim_due(many, NOW + 11 * MINUTE)) == [3, 4]


def test_whoever_has_lost_the_account_writes_no_tombstone(many):
    """I9."""
    (held, ids), *_ = claim_due(many, NOW + 11 * MINUTE)
    assert claim_these(many, [held.account.id], now=NOW + 13 * MINUTE, lease=MINUTE)
    with pytest.raises(LeaseLostError):
        mark_reread(many, held, Looked(asked=ids, missing=ids), now=NOW + HOUR, rechecks=Rechecks(window=WEEK))
    assert not any(line.deleted for line in list_posts(many))
