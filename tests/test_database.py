"""The two doors of a database: one writer at a time, and nothing of a transaction that failed."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import exc, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from monitor.store import database
from monitor.store.database import DatabaseUnusableError, open_database, open_for_listing
from monitor.store.tables import meta


def put(db, *keys, then=lambda connection: None):
    with db.write() as connection:
        for key in keys:
            connection.execute(insert(meta).values(key=key, value="1"))
        then(connection)


def count(db):
    with db.read() as connection:
        return connection.execute(select(func.count()).select_from(meta)).scalar_one()


def test_writers_take_turns_and_every_one_s_row_is_there(db):
    before = count(db)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put(db, f"k{number}"), range(40)))
    assert count(db) - before == 40


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_goes(db):
    put(db, "k")
    before = count(db)
    with pytest.raises(IntegrityError):
        put(db, "other", "k")
    with pytest.raises(ZeroDivisionError):
        put(db, "another", then=lambda _: 1 / 0)
    assert count(db) == before
    put(db, "later")
    assert count(db) == before + 1


def test_who_waits_too_long_for_another_writer_is_told_so(sqlite_db, monkeypatch):
    monkeypatch.setattr(database, "WRITER_WAIT_SECONDS", 0.05)
    begun, done = threading.Event(), threading.Event()

    def hold():
        with sqlite_db.write():
            begun.set()
            done.wait(20)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        begun.wait(20)
        with pytest.raises(exc.TimeoutError):
            put(sqlite_db, "k")
        done.set()
        held.result()
    put(sqlite_db, "k")


def test_whatever_was_set_on_a_connection_that_failed_is_gone_with_it(sqlite_db):
    def patience(connection):
        return connection.connection.cursor().execute("PRAGMA busy_timeout").fetchone()[0]

    def fail(connection):
        connection.connection.cursor().execute("PRAGMA busy_timeout=7")
        assert patience(connection) == 7
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        put(sqlite_db, then=fail)
    with sqlite_db.write() as connection:
        assert patience(connection) == database.BUSY_MILLISECONDS


def test_a_connection_that_broke_is_replaced(sqlite_db):
    with pytest.raises(exc.ProgrammingError):
        put(sqlite_db, then=lambda connection: connection.connection.driver_connection.close())
    put(sqlite_db, "k")
    assert count(sqlite_db) > 0


def test_a_database_that_was_closed_opens_again(sqlite_db):
    put(sqlite_db, "k")
    sqlite_db.close()
    put(sqlite_db, "l")


def test_the_versions_that_are_known_are_those_of_the_migrations():
    revisions = [one.revision for one in ScriptDirectory(str(database.MIGRATIONS)).walk_revisions()]
    assert database.known_versions() == revisions[::-1]


def test_tables_that_are_up_to_date_are_opened_without_alembic(tmp_path):
    url = f"sqlite:///{tmp_path}/pantau.db"
    open_database(url).close()
    opened = f"import sys; from monitor.store import database; database.open_database({url!r}).close()"
    told = subprocess.run(
        [sys.executable, "-c", f"{opened}; print('alembic' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert told.stdout == "False\n"


@pytest.mark.parametrize("opened", [open_database, open_for_listing])
def test_the_tables_of_a_newer_pantau_are_refused_with_what_to_do(tmp_path, opened):
    url = f"sqlite:///{tmp_path}/pantau.db"
    db = open_database(url)
    with db.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    db.close()
    with pytest.raises(DatabaseUnusableError, match=r"9999, made by a newer Pantau.*install the newer one again"):
        opened(url)


@pytest.mark.parametrize("opened", [open_database, open_for_listing])
def test_postgresql_without_its_driver_says_what_to_install(monkeypatch, opened):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseUnusableError, match=r"install pantau\[postgres\]"):
        opened("postgresql://nobody@127.0.0.1/pantau")


def test_what_is_stored_is_readable_to_our_user_alone(tmp_path):
    db = open_database(f"sqlite:///{tmp_path}/var/pantau.db")
    put(db, "k")
    assert {one.name: one.stat().st_mode & 0o077 for one in (tmp_path / "var").glob("pantau.db*")} == {
        "pantau.db": 0,
        "pantau.db-wal": 0,
        "pantau.db-shm": 0,
    }
    db.close()
