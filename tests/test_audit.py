"""The audit chain (I11): what was written down cannot be changed, taken out or cut off unseen."""

from __future__ import annotations

import getpass
import json
import shutil
import sqlite3
import threading
import tracemalloc
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOW, account, agency, rule, rule_set
from hypothesis import given, settings
from hypothesis import strategies as st
from installation import AGENCY, MARKING, Installation, rows
from sqlalchemy import delete, insert, select, update

from monitor import cli
from monitor.app.daemon import Progress, run
from monitor.app.reload import reload_configuration
from monitor.app.service import open_service
from monitor.app.ticks import ticks
from monitor.configuration import load_configuration
from monitor.escalation import Escalation
from monitor.model import AccountStatus, AlertKind, Disclosure, Severity
from monitor.rules.rule import RuleSet, Status
from monitor.settings import Retention
from monitor.store import audit, in_force, tables
from monitor.store.audit import (
    GENESIS,
    Head,
    Kind,
    Watch,
    append,
    entry_hash,
    head,
    list_events,
    payload_hash,
    read_head,
    verify,
)
from monitor.store.database import open_database
from monitor.store.opening import open_alert
from monitor.store.register import save_register
from monitor.store.retention import purge

MINUTE = timedelta(minutes=1)
TOML = '[database]\nurl = "sqlite:///pantau.db"\n[mail]\nfolder = "mail"\n'


def alert(db, key="k"):
    facts = {"kind": AlertKind.EVALUATION, "severity": Severity.HIGH, "disclosure": Disclosure.NONE}
    with db.write() as connection:
        return open_alert(connection, dedup_key=key, now=NOW, **facts)


def write(db, *events, alert_id=None, at=NOW):
    for number, event in enumerate(events):
        with db.write() as connection:
            append(
                connection,
                event,
                now=at + number * MINUTE,
                actor="siti",
                alert_id=alert_id,
                facts={"nota": f"no {number}"},
            )


def execute(db, statement, **values):
    with db.write() as connection:
        connection.execute(statement, values)


def entries(db):
    with db.read() as connection:
        return connection.execute(select(tables.audit).order_by(tables.audit.c.seq)).mappings().all()


def facts_of(db, event):
    return [dict(one.facts) for one in reversed(list_events(db)) if one.event == event]


def computed_anew(db, first):
    """Do what somebody does who may write to the database and knows this source: make the rest of the chain fit."""
    rows = entries(db)
    previous = rows[first - 2]["hash"] if first > 1 else GENESIS
    for row in rows[first - 1 :]:
        facts = {"seq": row["seq"], "at": row["at"], "event": row["event"], "alert_id": row["alert_id"]}
        previous = entry_hash(previous, **facts, payload=row["payload_hash"])
        execute(db, update(tables.audit).where(tables.audit.c.seq == row["seq"]).values(hash=previous))


@pytest.fixture
def chain(db):
    """Ten entries, some of them about an alert."""
    number = alert(db)
    write(db, *"abcdefghi", alert_id=number)
    return db


# ---------------------------------------------------------------- what is whole


def test_an_empty_chain_is_whole_and_its_head_is_known(db):
    report = verify(db, [Head(seq=0, hash=GENESIS)])
    assert (report.broken, report.entries, report.head) == (None, 0, Head(seq=0, hash=GENESIS))


def test_a_chain_is_whole_and_goes_on_from_every_head_it_ever_had(db):
    heads = [head(db)]
    for event in "abc":
        write(db, event)
        heads.append(head(db))
    report = verify(db, heads)
    assert (report.broken, report.entries, report.head, report.published) == (None, 3, heads[-1], 4)


def test_writers_in_several_threads_make_one_chain(db):
    number = alert(db)

    def work(name):
        for count in range(15):
            write(db, f"{name} {count}", alert_id=number)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    reports = [verify(db) for _ in range(10)]  # beside them
    for thread in threads:
        thread.join()
    report = verify(db)
    assert (report.broken, report.entries) == (None, 61)
    assert [one.broken for one in reports] == [None] * 10


def test_what_no_database_stores_as_text_is_written_down_all_the_same(db):
    with db.write() as connection:
        append(connection, "alert acknowledged", now=NOW, actor="si\udce9ti", facts={"note": "a\x00b\udfff"})
    assert verify(db).broken is None
    assert list_events(db)[0].facts == {"note": "a\x00b\udfff"}


def test_a_long_chain_takes_no_more_memory_than_a_short_one(sqlite_db):
    def peak():
        tracemalloc.start()
        assert verify(sqlite_db).broken is None
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    long_chain(sqlite_db, 2_000)
    short = peak()
    long_chain(sqlite_db, 5_000)
    assert peak() < short * 1.3


def long_chain(db, number):
    """Append many entries at once, as `append` makes them."""
    with db.write() as connection:
        end = audit.head_in(connection)
        previous, made = end.hash, []
        for seq in range(end.seq + 1, end.seq + number + 1):
            payload = json.dumps({"actor": "pantau", "number": seq})
            sealed = payload_hash("00", payload)
            previous = entry_hash(previous, seq=seq, at=NOW, event="e", alert_id=None, payload=sealed)
            made.append(
                {
                    "seq": seq,
                    "at": NOW,
                    "event": "e",
                    "payload": payload,
                    "salt": "00",
                    "payload_hash": sealed,
                    "hash": previous,
                }
            )
        connection.execute(insert(tables.audit), made)


# ---------------------------------------------------------------- what is not


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("at", NOW + timedelta(microseconds=1), Kind.CHANGED),
        ("event", "f ", Kind.CHANGED),
        ("alert_id", None, Kind.CHANGED),
        ("payload", '{"actor": "ahmad", "nota": "no 5"}', Kind.PAYLOAD),
        ("salt", "00", Kind.PAYLOAD),
        ("payload_hash", "00", Kind.CHANGED),
        ("hash", "00", Kind.CHANGED),
        ("payload", None, Kind.PAYLOAD),
        ("salt", None, Kind.PAYLOAD),
    ],
)
def test_a_change_of_an_entry_is_found_where_it_is(chain, column, value, kind):
    execute(chain, update(tables.audit).where(tables.audit.c.seq == 6).values({column: value}))
    broken = verify(chain).broken
    assert (broken.seq, broken.kind) == (6, kind)


def test_an_entry_about_another_alert_is_found(chain):
    other = alert(chain, "other")
    execute(chain, update(tables.audit).where(tables.audit.c.seq == 6).values(alert_id=other))
    assert verify(chain).broken.kind is Kind.CHANGED


def test_an_entry_taken_out_of_the_middle_is_missed(chain):
    execute(chain, delete(tables.audit).where(tables.audit.c.seq.in_([4, 5])))
    broken = verify(chain).broken
    assert (broken.seq, broken.kind) == (4, Kind.MISSING)
    assert "4 to 5" in broken.words


def test_entries_that_close_the_gap_of_one_taken_out_are_found(chain):
    execute(chain, delete(tables.audit).where(tables.audit.c.seq == 4))
    for seq in range(5, 11):
        execute(chain, update(tables.audit).where(tables.audit.c.seq == seq).values(seq=seq - 1))
    assert verify(chain).broken.seq == 4


def test_two_entries_that_changed_places_are_found(chain):
    for old, new in ((4, 99), (7, 4), (99, 7)):
        execute(chain, update(tables.audit).where(tables.audit.c.seq == old).values(seq=new))
    broken = verify(chain).broken
    assert (broken.seq, broken.kind) == (4, Kind.CHANGED)


def copied(db, number, **changes):
    row = dict(entries(db)[number - 1]) | changes
    with db.write() as connection:
        connection.execute(insert(tables.audit).values(**row))


def test_an_entry_put_in_between_is_found(chain):
    for seq in range(10, 4, -1):
        execute(chain, update(tables.audit).where(tables.audit.c.seq == seq).values(seq=seq + 1))
    copied(chain, 4, seq=5)
    assert verify(chain).broken.seq == 5


@pytest.mark.parametrize("seq", [0, -7])
def test_an_entry_put_before_the_first_is_found(chain, seq):
    copied(chain, 4, seq=seq)
    broken = verify(chain).broken
    assert (broken.seq, broken.kind) == (seq, Kind.FOREIGN)


def test_an_entry_put_at_the_end_is_found_unless_it_was_appended_as_pantau_does(chain):
    copied(chain, 4, seq=11)
    assert verify(chain).broken.seq == 11


def test_a_cut_tail_is_caught_against_a_published_head_and_only_there(chain):
    published = head(chain)
    execute(chain, delete(tables.audit).where(tables.audit.c.seq > 7))
    assert verify(chain).broken is None
    broken = verify(chain, [published]).broken
    assert (broken.seq, broken.kind) == (8, Kind.CUT)
    assert "the chain ends at 7, and a head at 10 was published" in broken.words


def test_a_cut_tail_that_grew_again_is_caught(chain):
    published = head(chain)
    execute(chain, delete(tables.audit).where(tables.audit.c.seq > 7))
    write(chain, *"xyzw")
    assert verify(chain).broken is None
    broken = verify(chain, [published]).broken
    assert (broken.seq, broken.kind) == (10, Kind.REWRITTEN)


def test_a_chain_computed_anew_is_caught_against_a_published_head(chain):
    published = [head(chain)]
    execute(chain, update(tables.audit).where(tables.audit.c.seq == 5).values(event="something harmless"))
    computed_anew(chain, 5)
    assert verify(chain).broken is None
    assert verify(chain, published).broken.kind is Kind.REWRITTEN


def test_an_emptied_chain_is_caught_against_a_published_head(chain):
    published = head(chain)
    execute(chain, delete(tables.audit))
    assert verify(chain, [published]).broken.kind is Kind.CUT


# ---------------------------------------------------------------- any byte, any place (SQLite, where bytes can be reached)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A file with a chain: entries with and without an alert, emptied ones, and the record of the purge."""
    folder = tmp_path_factory.mktemp("chain")
    db = open_database(f"sqlite:///{folder / 'chain.db'}")
    number = alert(db)
    execute(db, update(tables.alert).values(state="resolved"))
    write(db, "mel dihantar", "é", "c", alert_id=number)
    purge(db, Retention(audit_days=35), now=NOW + timedelta(days=36))
    write(db, "d", "e", "f", alert_id=number)
    report = verify(db)
    assert (report.broken, report.entries, report.purged) == (None, 8, 4)
    published = head(db)
    db.close()
    return folder / "chain.db", published


COLUMNS = ("seq", "at", "event", "alert_id", "payload", "salt", "payload_hash", "hash")
VALUES = st.none() | st.integers(-3, 12) | st.floats(-2, 12) | st.text(max_size=4) | st.binary(max_size=4)


def copy_of(source, folder):
    """Return a fresh copy of the file, without what SQLite may have left beside the last one."""
    for old in folder.glob("copy.db*"):
        old.unlink()
    return shutil.copy(source, folder / "copy.db")


def verified(file, published):
    db = open_database(f"sqlite:///{file}")
    try:
        return verify(db, [published])
    finally:
        db.close()


def tampered(raw, data):
    """Change one value of one entry, by a byte or altogether. Returns whether it is another one then."""
    seq = data.draw(st.integers(1, 8), label="entry")
    column = data.draw(st.sampled_from(COLUMNS), label="column")
    look = f"SELECT {column}, typeof({column}) FROM audit WHERE rowid = ?"
    value, kind = raw.execute(look, (seq,)).fetchone()
    new, cast = data.draw(VALUES, label="new value"), "?"
    if kind == "text" and data.draw(st.booleans(), label="one byte"):
        stored = bytearray(value.encode())
        stored[data.draw(st.integers(0, len(stored) - 1), label="place")] = data.draw(st.integers(0, 255), label="byte")
        new, cast = bytes(stored), "CAST(? AS TEXT)"
    try:
        raw.execute(f"UPDATE audit SET {column} = {cast} WHERE seq = ?", (new, seq))
    except sqlite3.Error:
        return False  # the table itself refuses it
    raw.text_factory = bytes
    there = raw.execute(look, (seq,)).fetchone()
    before = (value.encode() if isinstance(value, str) else value, kind.encode())
    return there != before


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_changed_byte_in_any_column_is_caught(kept, data, tmp_path_factory):
    source, published = kept
    file = copy_of(source, tmp_path_factory.getbasetemp())
    with closing(sqlite3.connect(file)) as raw, raw:
        changed = tampered(raw, data)
    assert (verified(file, published).broken is not None) == changed


@settings(max_examples=60, deadline=None)
@given(order=st.lists(st.integers(1, 8), max_size=10))
def test_entries_in_another_order_or_number_are_caught(kept, order, tmp_path_factory):
    source, published = kept
    file = copy_of(source, tmp_path_factory.getbasetemp())
    with closing(sqlite3.connect(file)) as raw, raw:
        columns = ", ".join(COLUMNS[1:])
        stored = {row[0]: row[1:] for row in raw.execute(f"SELECT seq, {columns} FROM audit")}
        raw.execute("DELETE FROM audit")
        marks = ", ".join("?" * len(COLUMNS))
        for seq, one in enumerate(order, start=1):
            raw.execute(f"INSERT INTO audit (seq, {columns}) VALUES ({marks})", (seq, *stored[one]))
    assert (verified(file, published).broken is None) == (order == list(range(1, 9)))


# ---------------------------------------------------------------- purged payloads


def old_chain(db):
    write(db, *"abcde", at=NOW - timedelta(days=50))
    write(db, "now")


def test_a_purge_keeps_the_chain_verifiable_and_the_old_heads_hold(db):
    old_chain(db)
    published = head(db)
    assert purge(db, Retention(audit_days=40), now=NOW).entries == 5
    report = verify(db, [published])
    assert (report.broken, report.entries, report.purged) == (None, 7, 5)
    assert {one.actor for one in list_events(db) if one.event in set("abcde")} == {"purged"}


def test_payloads_that_were_emptied_by_no_purge_are_told(db):
    old_chain(db)
    purge(db, Retention(audit_days=40), now=NOW)
    execute(db, update(tables.audit).where(tables.audit.c.seq == 6).values(payload=None, salt=None))
    broken = verify(db).broken
    assert (broken.seq, broken.kind) == (6, Kind.EMPTIED)


def test_the_record_of_a_purge_is_never_emptied(db):
    old_chain(db)
    purge(db, Retention(audit_days=40), now=NOW)
    purge(db, Retention(audit_days=40), now=NOW + timedelta(days=400))
    assert verify(db).broken is None
    assert sum(one["entries"] for one in facts_of(db, audit.PURGED)) == 6
    execute(db, update(tables.audit).where(tables.audit.c.seq == 7).values(payload=None, salt=None))
    assert verify(db).broken.seq == 7


# ---------------------------------------------------------------- beside a daemon


def test_a_watch_walks_in_portions_and_follows_what_is_appended(chain):
    watch = Watch()
    for _ in range(4):
        assert watch.look(chain, now=NOW, most=3) is None
    write(chain, "x", "y")
    execute(chain, update(tables.audit).where(tables.audit.c.seq == 12).values(event="z"))
    assert watch.look(chain, now=NOW).seq == 12
    assert watch.look(chain, now=NOW).seq == 12, "it keeps to it"


@pytest.mark.parametrize(("begin", "kind"), [(10, Kind.CUT), (9, Kind.REWRITTEN)])
def test_a_watch_knows_the_head_it_has_seen(chain, begin, kind):
    watch = Watch()
    watch.look(chain, now=NOW)
    execute(chain, delete(tables.audit).where(tables.audit.c.seq >= begin))
    if kind is Kind.REWRITTEN:
        write(chain, "x", "y", "z")
    assert watch.look(chain, now=NOW).kind is kind


def test_a_watch_finds_within_a_day_what_was_changed_behind_it(chain):
    watch = Watch()
    watch.look(chain, now=NOW)
    execute(chain, update(tables.audit).where(tables.audit.c.seq == 2).values(event="x"))
    assert watch.look(chain, now=NOW + timedelta(hours=23)) is None
    watch.look(chain, now=NOW + timedelta(hours=24))
    assert watch.look(chain, now=NOW + timedelta(hours=24, minutes=1)).seq == 2


def test_a_watch_is_not_disturbed_by_a_purge(db):
    old_chain(db)
    watch = Watch()
    watch.look(db, now=NOW, most=3)
    purge(db, Retention(audit_days=40), now=NOW)
    assert [watch.look(db, now=NOW + timedelta(days=day)) for day in range(4)] == [None] * 4


def test_a_broken_chain_is_a_trouble_that_the_dead_man_address_is_not_called_over(here):
    configuration = load_configuration(here.folder, {}, today=NOW.date())
    with open_service(configuration) as service:
        (tick,) = [one for one in ticks(service, Progress()) if one.name == "audit"]
        tick.body()
        assert not any("record" in one for one in service.troubles)
        execute(service.db, delete(tables.audit).where(tables.audit.c.seq == 3))
        tick.body()
        assert any("the record of what happened does not hold: entry 3: cut tail" in one for one in service.troubles)


# ---------------------------------------------------------------- heads


def test_a_head_is_read_as_it_is_printed_also_shortened(db):
    write(db, "a")
    printed = str(head(db))
    assert read_head(f" {printed}\n") == head(db)
    assert verify(db, [read_head(printed[:20] + "…")]).broken is None
    assert verify(db, [read_head(printed.upper())]).broken is None


@pytest.mark.parametrize(
    "words", ["", "12", "12:", "x:" + "0" * 64, "12:zz", "12:0123", "-1:" + "0" * 64, "1:" + "0" * 65]
)
def test_what_is_no_head_is_refused_with_what_one_looks_like(words):
    with pytest.raises(ValueError, match="the number of entries, a colon, and the hash"):
        read_head(words)


# ---------------------------------------------------------------- the register


def test_what_enters_the_register_is_written_down_once_and_nothing_when_nothing_changes(db):
    save_register(db, [agency()], [account()], now=NOW, actor="siti")
    save_register(db, [agency()], [account()], now=NOW + MINUTE, actor="siti")
    (entry,) = [one for one in list_events(db) if one.event == "register changed"]
    assert entry.actor == "siti"
    assert entry.facts["agencies added"]["JPD"]["head_name"] == "Datuk Aminah binti Osman"
    assert entry.facts["accounts added"] == {"x/jpd": {"agency": "JPD", "status": "active"}}


def test_a_new_head_is_written_down_with_the_old_one(db):
    save_register(db, [agency()], [], now=NOW)
    save_register(db, [agency(head_name="Encik Baharu", head_email="baharu@jpd.example.my")], [], now=NOW + MINUTE)
    changed = facts_of(db, "register changed")[-1]["agencies changed"]["JPD"]
    assert changed["head_name"] == ["Datuk Aminah binti Osman", "Encik Baharu"]
    assert changed["head_email"] == ["ketua@jpd.example.my", "baharu@jpd.example.my"]
    assert changed["since"] == [None, (NOW + MINUTE).isoformat()]
    assert "deputy_email" not in changed


def test_a_corrected_address_and_another_name_of_the_agency_are_written_down(db):
    save_register(db, [agency()], [], now=NOW)
    save_register(db, [replace(agency(deputy_email="betul@jpd.example.my"), name="Nama Baharu")], [], now=NOW)
    changed = facts_of(db, "register changed")[-1]["agencies changed"]["JPD"]
    assert changed == {
        "name": ["Jabatan JPD", "Nama Baharu"],
        "deputy_email": ["timbalan@jpd.example.my", "betul@jpd.example.my"],
    }


def test_a_retired_account_is_written_down(db):
    save_register(db, [agency()], [account()], now=NOW)
    save_register(db, [], [account(status=AccountStatus.RETIRED)], now=NOW)
    assert facts_of(db, "register changed")[-1] == {"accounts changed": {"x/jpd": {"status": ["active", "retired"]}}}


# ---------------------------------------------------------------- rules, policy, processes


def rules(*ids, digest="a", **changes):
    return RuleSet([replace(rule({}, "a"), id=name, **changes) for name in ids], digest) if ids else rule_set()


def test_a_rule_set_is_written_down_when_it_is_another_one(db, monkeypatch):
    monkeypatch.setattr("builders.parse", lambda text: None)
    first, second = rules("g/1", "g/2"), rules("g/2", "g/3", digest="b", version=2, status=Status.SHADOW)
    for one in (first, first, second, second):
        in_force.note_in_force(db, one, Escalation(), now=NOW)
    begun, changed = facts_of(db, in_force.RULES_CHANGED)
    assert begun == {"old": "", "new": first.hash, "rules": 2}
    assert changed == {
        "old": first.hash,
        "new": second.hash,
        "rules": 2,
        "added": {"g/3": [2, "shadow"]},
        "removed": {"g/1": [1, "live"]},
        "changed": {"g/2": [[1, "live"], [2, "shadow"]]},
    }


def test_a_rule_set_is_compared_also_after_its_entry_was_purged(db, monkeypatch):
    monkeypatch.setattr("builders.parse", lambda text: None)
    in_force.note_in_force(db, rules("g/1"), Escalation(), now=NOW - timedelta(days=50))
    purge(db, Retention(audit_days=40), now=NOW)
    in_force.note_in_force(db, rules("g/1"), Escalation(), now=NOW)
    in_force.note_in_force(db, rules("g/1", "g/2", digest="b"), Escalation(), now=NOW)
    assert facts_of(db, in_force.RULES_CHANGED)[1:][0]["added"] == {"g/2": [1, "live"]}


def test_a_policy_is_written_down_and_kept_for_who_asks_what_its_hash_stands_for(db):
    policies = [Escalation(), Escalation(), Escalation(repeat=timedelta(hours=5)), Escalation()]
    for one in policies:
        in_force.note_in_force(db, rules(), one, now=NOW)
    hashes = [(one["old"], one["new"]) for one in facts_of(db, in_force.POLICY_CHANGED)]
    first, second = policies[0].hash, policies[2].hash
    assert hashes == [("", first), (first, second), (second, first)]
    with db.read() as connection:
        kept = dict(
            connection.execute(select(tables.escalation_policy.c.hash, tables.escalation_policy.c.content)).all()
        )
    assert kept == {one.hash: one.as_json() for one in policies}


@pytest.fixture
def here(tmp_path):
    return Installation(tmp_path / "config", TOML, [("JPD", "rss", "", "https://jpd.example.my/feed")]).write()


def test_start_and_reload_write_down_register_rules_and_policy(here):
    configuration = load_configuration(here.folder, {}, today=NOW.date())
    with open_service(configuration, clock=lambda: NOW) as service:
        assert {one.event for one in list_events(service.db)} == {
            "register changed",
            in_force.RULES_CHANGED,
            in_force.POLICY_CHANGED,
        }
        (here.folder / "rules/mampu-2009/3c/marking.yaml").write_text(MARKING.replace("version: 1", "version: 2"))
        (here.folder / "policy.toml").write_text('repeat = "12h"')
        reload_configuration(service)
        reload_configuration(service)
        assert facts_of(service.db, in_force.RULES_CHANGED)[1]["changed"] == {
            "mampu-2009/3c/marking": [[1, "live"], [2, "live"]]
        }
        assert len(facts_of(service.db, in_force.POLICY_CHANGED)) == 2
        assert len(list_events(service.db)) == 5


def test_a_daemon_s_start_and_end_are_written_down_with_its_version(here):
    configuration = load_configuration(here.folder, {}, today=NOW.date())
    with open_service(configuration) as service:
        service.stop.set()
        progress = Progress()
        assert run(service, ticks(service, progress), progress) == 0
        (begun,), (ended,) = facts_of(service.db, in_force.STARTED), facts_of(service.db, in_force.STOPPED)
        assert begun["version"] == ended["version"]
        assert ended["code"] == 0
        assert verify(service.db).broken is None


# ---------------------------------------------------------------- the command line


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
    number = alert(db)
    write(db, *"abc", alert_id=number)
    write(db, "general")
    yield db
    db.close()


def test_verify_says_that_it_is_whole_and_ends_with_0(pantau, stored):
    code, said, _ = pantau("audit", "verify")
    assert code == 0
    assert "whole: 5 entries" in said
    assert str(head(stored)) in said


def test_verify_says_where_it_is_broken_and_ends_with_1(pantau, stored):
    execute(stored, update(tables.audit).where(tables.audit.c.seq == 3).values(event="x"))
    code, _, wrong = pantau("audit", "verify")
    assert code == 1
    assert "entry 3: changed entry" in wrong
    code, said, _ = pantau("audit", "verify", "--json")
    (report,) = json.loads(said)
    assert (code, report["whole"], report["broken"]["seq"], report["broken"]["kind"]) == (1, False, 3, "changed entry")


def test_verify_compares_with_every_head_that_is_given(pantau, stored):
    code, printed, _ = pantau("audit", "head")
    assert (code, printed.strip()) == (0, str(head(stored)))
    assert pantau("audit", "verify", "--head", printed.strip(), "--head", f"0:{GENESIS}")[0] == 0
    code, _, wrong = pantau("audit", "verify", "--head", printed.strip(), "--head", "9:" + "0" * 64)
    assert code == 1
    assert "cut tail" in wrong
    code, _, wrong = pantau("audit", "verify", "--head", "9")
    assert code == 2
    assert "--head: '9': expected a head" in wrong


def test_without_a_database_nothing_is_broken_unless_a_head_was_published(pantau):
    assert pantau("audit", "verify")[0] == 0
    assert pantau("audit", "head")[1].strip() == f"0:{GENESIS}"
    assert pantau("audit", "verify", "--head", "9:" + "0" * 64)[0] == 1


def test_list_tells_what_happened_newest_first_and_can_be_narrowed(pantau, stored):
    _, said, _ = pantau("audit", "list", "--json")
    found = json.loads(said)
    assert [one["event"] for one in found] == ["general", "c", "b", "a", "alert opened"]
    assert found[1] == {
        "seq": 4,
        "happened_at": (NOW + 2 * MINUTE).isoformat(),
        "event": "c",
        "case": "PTU-2026-000001",
        "actor": "siti",
        "facts": {"nota": "no 2"},
    }
    _, said, _ = pantau("audit", "list", "--case", "ptu-2026-000001", "--since", "2026-11-24T04:01:00+00:00", "--json")
    assert [one["event"] for one in json.loads(said)] == ["c", "b"]
    code, said, _ = pantau("audit", "list")
    assert (code, "general" in said) == (0, True)
    assert pantau("audit", "list", "--case", "PTU-1")[0] == 2
    assert pantau("audit", "list", "--since", "yesterday")[0] == 2


def test_an_import_is_written_down_with_who_did_it(pantau, here, tmp_path):
    file = tmp_path / "agencies.csv"
    file.write_text(rows(list(AGENCY), list((AGENCY | {"head_name": "Baharu"}).values())))
    assert pantau("agencies", "import", str(file))[0] == 0
    (entry,) = json.loads(pantau("audit", "list", "--json")[1])
    assert (entry["event"], entry["actor"]) == ("register changed", getpass.getuser())
