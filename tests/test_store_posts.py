import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOW, account, agency, finding, post
from sqlalchemy import func, select

from monitor.escalation import Escalation
from monitor.model import AlertKind, Disclosure, Media, MediaKind, Severity
from monitor.store import tables
from monitor.store.accounts import claim_accounts
from monitor.store.alerts import load_alert
from monitor.store.database import (
    DatabaseUnusableError,
    open_database,
    open_for_listing,
    sole_process,
)
from monitor.store.listings import list_alerts, list_posts
from monitor.store.media import save_read, save_unreadable, waiting_media
from monitor.store.plans import Decision, due_alerts, write_plans
from monitor.store.posts import Judged, save_page, unseen
from monitor.store.register import save_register

MINUTE = timedelta(minutes=1)
WEEK = timedelta(days=7)


@pytest.fixture
def claimed(db):
    save_register(db, [agency()], [account()], now=NOW)
    return claim_accounts(db, now=NOW, lease=MINUTE, limit=1, platform="x")[0]


def save(db, claimed, *judged, now=NOW):
    return save_page(db, claimed, judged, rule_set="r", now=now, reread_window=WEEK, end=None)


def breach(text="SULIT", *rules, native_id="1", severity=Severity.HIGH, **changes):
    found = tuple(finding(rule, severity) for rule in rules or ("mampu-2009/3c/marking",))
    return Judged(post=post(native_id, text, **changes), findings=found)


def count(db, table):
    with db.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_the_same_post_is_stored_once_however_often_it_is_served(db, claimed):
    """Fault 19."""
    assert unseen(db, claimed.account.id, [post(), post(), post("2")]) == [post(), post("2")]
    save(db, claimed, Judged(post=post()), Judged(post=post("2")))
    assert unseen(db, claimed.account.id, [post(), post("2"), post("3")]) == [post("3")]


def test_an_edit_is_a_new_version_and_the_old_one_stays(db, claimed):
    save(db, claimed, Judged(post=post()))
    saved = save(db, claimed, Judged(post=post(text="Dibetulkan", edited_at=NOW + MINUTE)), now=NOW + MINUTE)
    assert (saved.new, saved.edited) == (0, 1)
    (line,) = list_posts(db)
    assert (line.text, line.versions) == ("Dibetulkan", 2)
    assert count(db, tables.post_version) == 2


PICTURE = Media(kind=MediaKind.PICTURE, url="https://pbs.example.my/1.jpg")
OWN = {"id": "1", "text": "tengok ini"}
POORER = {
    "without what it refers to": ({}, []),
    "with other words": ({"own": {**OWN, "text": "lihat"}}, ["1"]),
    "under the id of an edit": ({"own": {**OWN, "id": "2"}}, ["1"]),
    "with more than was known": ({"media": (PICTURE, replace(PICTURE, url="https://pbs.example.my/2.jpg"))}, ["1"]),
    "with more text than was known": ({"text": "tengok ini\n\nSULIT\n\nLAGI"}, ["1"]),
}


@pytest.mark.parametrize(("changes", "expected"), POORER.values(), ids=POORER)
def test_a_known_post_is_no_edit_when_it_is_served_poorer(db, claimed, changes, expected):
    whole = post(text="tengok ini\n\nSULIT", media=(PICTURE,), raw={**OWN, "lang": "in"})
    save(db, claimed, Judged(post=whole))
    again = replace(post(text="tengok ini", own=OWN), **changes)
    assert [one.native_id for one in unseen(db, claimed.account.id, [again])] == expected


def test_an_edit_that_breaks_the_same_rule_opens_no_second_alert(db, claimed):
    """I4."""
    save(db, claimed, breach("SULIT"))
    save(db, claimed, breach("SULIT lagi", edited_at=NOW))
    assert len(list_alerts(db)) == 1
    assert count(db, tables.finding) == 2


def test_an_edit_that_breaks_another_rule_alerts_again_once_the_first_mail_left(db, claimed):
    save(db, claimed, breach("SULIT"))
    (first,) = due_alerts(db, NOW)
    write_plans(db, [Decision(alert_id=first.id, waiting_reason="told", steps=1)], policy=Escalation(), now=NOW)
    with db.write() as connection:
        connection.execute(tables.alert.update().values(state="acknowledged"))
    save(db, claimed, breach("SULIT 900101", "mampu-2009/3c/marking", "mampu-2009/4/mykad", edited_at=NOW))
    newest, oldest = list_alerts(db)
    assert newest.rules == ("mampu-2009/3c/marking", "mampu-2009/4/mykad")
    assert oldest.case != newest.case


def test_a_finding_too_low_for_a_mail_opens_no_alert_but_is_kept(db, claimed):
    save(db, claimed, breach(severity=Severity.LOW))
    assert list_alerts(db) == []
    assert count(db, tables.finding) == 1


def test_an_alert_is_about_what_is_grave_enough_and_as_silent_as_all_of_it(db, claimed):
    grave = replace(finding("mampu-2009/3a/selling", Severity.MEDIUM), disclosure=Disclosure.FULL)
    weak = replace(finding("mampu-2009/3c/signs-of-disclosure", Severity.LOW), disclosure=Disclosure.NONE)
    save(db, claimed, Judged(post=post(), findings=(grave, weak)))
    (line,) = list_alerts(db)
    assert line.rules == ("mampu-2009/3a/selling",)
    with db.read() as connection:
        (row,) = connection.execute(select(tables.alert.c.id)).all()
    alert = load_alert(db, row.id)
    assert (alert.rules, alert.disclosure) == (("mampu-2009/3a/selling",), Disclosure.NONE)


def test_the_back_catalogue_is_one_batch_that_is_never_mailed(db, claimed):
    for n in range(5):
        save(db, claimed, replace(breach(native_id=str(n)), back_catalogue=True))
    (batch,) = list_alerts(db)
    assert batch.kind is AlertKind.BACKLOG
    assert due_alerts(db, NOW + WEEK) == []


def test_a_post_that_no_rule_could_check_alerts_the_operators(db, claimed):
    """I2, fault 23."""
    save(db, claimed, Judged(post=post(), error="Traceback …\nRuntimeError"), Judged(post=post("2")))
    (alert,) = list_alerts(db)
    assert alert.kind is AlertKind.EVALUATION
    assert count(db, tables.evaluation) == 2


def test_what_a_picture_shows_joins_the_alert_of_its_post(db, claimed):
    picture = Media(kind=MediaKind.PICTURE, url="https://a.my/p.png", text="poster")
    save(db, claimed, replace(breach(), post=post(media=(picture,))))
    (item,) = waiting_media(db, now=NOW, limit=5)
    assert item.field == "picture:0"
    alert_id = save_read(
        db, item, "SULIT", [replace(finding("mampu-2009/3c/copy"), field="picture:0")], rule_set="r", now=NOW
    )
    (alert,) = list_alerts(db)
    assert due_alerts(db, NOW)[0].id == alert_id
    assert len(alert.rules) == 2
    assert waiting_media(db, now=NOW + WEEK, limit=5) == []


def test_a_file_that_cannot_be_fetched_is_tried_four_times_and_then_recorded(db, claimed):
    picture = Media(kind=MediaKind.PICTURE, url="https://a.my/p.png")
    save(db, claimed, Judged(post=post(media=(picture,))))
    tries = 0
    while waiting := waiting_media(db, now=NOW + WEEK, limit=5):
        save_unreadable(db, waiting[0], "no answer", retry_at=NOW)
        tries += 1
    assert tries == 4


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "a\r\nBcc: x@y", "\u202egnp.exe", "👨‍👩‍👧‍👦 🇲🇾", "x" * 60_000, ""],
    ids=["markup", "line breaks", "bidi controls", "emoji", "60 KB", "empty"],
)
def test_texts_are_stored_as_they_were(db, claimed, text):
    save(db, claimed, Judged(post=post(text=text)))
    assert list_posts(db)[0].text == text


def test_a_post_from_the_future_is_stored(db, claimed):
    save(db, claimed, breach(published_at=NOW + timedelta(days=4000)))
    assert list_posts(db)[0].published_at.year == 2037
    assert due_alerts(db, NOW)[0].agency.contacts.head_name


def test_a_second_process_on_the_same_sqlite_file_is_refused_with_its_number(tmp_path):
    """Fault 13."""
    path = tmp_path / "pantau.db"
    code = (
        "import sys, pathlib; from monitor.store.database import sole_process, DatabaseBusyError\n"
        "try:\n    sole_process(pathlib.Path(sys.argv[1])).__enter__()\n"
        "except DatabaseBusyError as error: print(error); sys.exit(7)"
    )
    with sole_process(path):
        second = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert second.returncode == 7
    assert f"process {os.getpid()}" in second.stdout
    with sole_process(path):
        pass


def test_sqlite_is_opened_with_the_settings_that_lose_nothing(sqlite_db):
    with sqlite_db.write() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_a_listing_cannot_write_and_a_missing_database_is_no_error(sqlite_url):
    assert open_for_listing(sqlite_url) is None
    open_database(sqlite_url).close()
    listing = open_for_listing(sqlite_url)
    with listing.read() as connection, pytest.raises(Exception, match="readonly"):
        connection.execute(tables.meta.insert().values(key="a", value="b"))
    listing.close()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "x.db").write_bytes(b"not a database, long enough to be looked at")
    with pytest.raises(DatabaseUnusableError, match=r"database\.url: .*x\.db.*cannot be opened"):
        open_database(f"sqlite:///{tmp_path}/x.db")


def test_a_database_error_repeats_no_text_of_a_post(db, claimed):
    """I12."""
    save(db, claimed, Judged(post=post()))
    with pytest.raises(Exception) as caught, db.write() as connection:  # noqa: PT012
        row = {"post_id": 1, "number": 1, "seen_at": NOW, "text": "RAHSIA-MARKER", "language": "", "links": []}
        connection.execute(tables.post_version.insert().values(**row, content_hash="", raw={}))
    assert "RAHSIA-MARKER" not in str(caught.value).replace("Key (post_id, number)", "")


def test_a_reader_does_not_wait_for_a_writer(sqlite_db, tmp_path):
    with sqlite_db.write() as connection:
        connection.execute(tables.meta.insert().values(key="a", value="b"))
        with sqlite_db.read() as other:
            assert other.execute(select(tables.meta)).all() == []


def test_a_foreign_lock_on_the_file_is_waited_out(sqlite_db):
    """Fault 11: somebody holds the file for a moment; the write comes through."""
    foreign = sqlite3.connect(sqlite_db.path, isolation_level=None, check_same_thread=False)
    foreign.execute("BEGIN IMMEDIATE")
    import threading

    threading.Timer(0.3, lambda: (foreign.execute("COMMIT"), foreign.close())).start()
    with sqlite_db.write() as connection:
        connection.execute(tables.meta.insert().values(key="a", value="b"))


def test_what_varies_in_a_picture_s_address_is_no_edit():
    def seen(url):
        return post(media=(Media(kind=MediaKind.PICTURE, url=url),)).content_hash

    assert seen("https://scontent-a.xx.fbcdn.net/v/1_n.jpg?oh=1") == seen(
        "https://scontent-b.xx.fbcdn.net/v/1_n.jpg?oh=2"
    )
    assert seen("https://scontent-a.xx.fbcdn.net/v/1_n.jpg") != seen("https://scontent-a.xx.fbcdn.net/v/2_n.jpg")
