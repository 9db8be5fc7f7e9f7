"""What holds while Pantau is well, on both databases: the chain's newest part, alerts that move, mail that leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from builders import NOW
from sqlalchemy import delete, insert, select, update

from monitor.model import AlertKind, AlertState, Disclosure, Language, NewNotification, Severity
from monitor.store import audit, outbox
from monitor.store.alerts import open_alert
from monitor.store.tables import alert as alerts
from monitor.store.tables import audit as entries
from monitor.store.watch import ChainBrokenError, idle_alerts, mail_stuck_since, verify_newest

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def happen(db, times=3):
    with db.write() as connection:
        for number in range(times):
            audit.append(connection, "rules changed", now=NOW, facts={"number": number})


def change(db, seq, **values):
    with db.write() as connection:
        connection.execute(update(entries).where(entries.c.seq == seq).values(**values))


def test_a_chain_verifies_part_by_part(db):
    assert verify_newest(db).seq == 0
    happen(db)
    assert verify_newest(db) == audit.head(db)
    happen(db, 2)
    assert verify_newest(db).seq == 5


def test_what_was_verified_is_not_read_again_but_its_end_must_still_be_there(db):
    happen(db)
    verify_newest(db)
    change(db, 1, event="something else")  # the full `audit verify` finds this one
    happen(db, 1)
    assert verify_newest(db).seq == 4


@pytest.mark.parametrize(
    ("seq", "values", "said"),
    [
        pytest.param(2, {"payload": '{"actor": "x"}'}, "entry 2 was changed", id="other facts"),
        pytest.param(2, {"event": "rules kept"}, "does not verify at entry 2", id="another event"),
        pytest.param(3, {"at": NOW + MINUTE}, "does not verify at entry 3", id="another time"),
        pytest.param(1, {"payload_hash": "0" * 64}, "entry 1 was changed", id="another hash"),
    ],
)
def test_a_new_part_that_was_changed_does_not_verify(db, seq, values, said):
    happen(db)
    change(db, seq, **values)
    with pytest.raises(ChainBrokenError, match=said):
        verify_newest(db)


def test_an_entry_taken_out_does_not_verify(db):
    happen(db)
    with db.write() as connection:
        connection.execute(delete(entries).where(entries.c.seq == 2))
    with pytest.raises(ChainBrokenError, match="has no entry 2"):
        verify_newest(db)


def test_an_emptied_payload_leaves_the_chain_verifiable(db):
    happen(db)
    change(db, 2, payload=None, salt=None)
    assert verify_newest(db).seq == 3


def test_a_chain_whose_end_was_cut_or_written_anew_is_found(db):
    happen(db)
    verify_newest(db)
    with db.write() as connection:
        connection.execute(delete(entries).where(entries.c.seq == 3))
    with pytest.raises(ChainBrokenError, match="was cut: entry 3"):
        verify_newest(db)
    happen(db, 1)  # another third entry: the chain is whole, and not the one that was verified
    with pytest.raises(ChainBrokenError, match="written anew: entry 3"):
        verify_newest(db)


def opened(db, key="k", **values):
    with db.write() as connection:
        number = open_alert(
            connection,
            dedup_key=key,
            kind=AlertKind.DEAD_LETTER,
            severity=Severity.HIGH,
            disclosure=Disclosure.NONE,
            now=NOW,
        )
        if values:
            connection.execute(update(alerts).where(alerts.c.id == number).values(**values))
        return connection.execute(select(alerts.c.case).where(alerts.c.id == number)).scalar_one()


def test_an_alert_with_neither_a_next_action_nor_a_reason_is_idle(db):
    opened(db, "moves")
    opened(db, "ends", next_action_at=None, waiting_reason="nobody is configured")
    opened(db, "closed", next_action_at=None, state=AlertState.RESOLVED.value)
    idle = opened(db, "idle", next_action_at=None)
    assert idle_alerts(db, now=NOW + MINUTE, patience=HOUR) == [idle]


def test_an_alert_whose_next_action_is_long_overdue_is_idle(db):
    late = opened(db)
    assert idle_alerts(db, now=NOW + HOUR, patience=HOUR) == []
    assert idle_alerts(db, now=NOW + HOUR + MINUTE, patience=HOUR) == [late]


def mail(db, name, now):
    wanted = NewNotification(
        step="digest", template="digest", recipient="a@b.my", language=Language.MS, message_id=f"<{name}@b.my>"
    )
    outbox.schedule_digest(db, name, [wanted], now=now)


def test_mail_is_stuck_when_it_waits_for_an_hour_and_none_leaves(db):
    assert mail_stuck_since(db, now=NOW, patience=HOUR) is None
    mail(db, "one", NOW)
    mail(db, "two", NOW + MINUTE)
    assert mail_stuck_since(db, now=NOW + HOUR - MINUTE, patience=HOUR) is None
    assert mail_stuck_since(db, now=NOW + HOUR + MINUTE, patience=HOUR) == NOW
    claimed = outbox.claim(db, now=NOW + HOUR, lease=MINUTE)
    outbox.mark_accepted(db, claimed, NOW + HOUR)
    assert mail_stuck_since(db, now=NOW + HOUR + 2 * MINUTE, patience=HOUR) is None  # the backlog drains
    assert mail_stuck_since(db, now=NOW + 3 * HOUR, patience=HOUR) == NOW + MINUTE


def test_a_long_chain_is_verified_in_portions(db, monkeypatch):
    monkeypatch.setattr("monitor.store.watch.AT_ONCE", 4)
    happen(db, 9)
    assert verify_newest(db).seq == 9
    with db.write() as connection:
        connection.execute(insert(entries).values(**_forged(connection)))
    with pytest.raises(ChainBrokenError, match="does not verify at entry 10"):
        verify_newest(db)


def _forged(connection):
    last = connection.execute(select(entries).where(entries.c.seq == 9)).mappings().one()
    return {**last, "seq": 10}
