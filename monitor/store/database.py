"""Opening the database: the engine's settings, the single writer of SQLite, migrations, and the lock on the file."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import Connection, Engine, Table, create_engine, event, exc, func, insert, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from monitor.store.prepared import Prepared
from monitor.store.tables import meta

WRITER_WAIT_SECONDS = 120  # longer than the 60 s for which a foreign lock on the file is survived
BUSY_MILLISECONDS = 10_000
COMPACTED_UP_TO = 512 << 20  # bytes: some seconds in which nothing else is written
ROOM_TO_COMPACT = 3  # times the size of the file: a copy, and the copy in the WAL
MIGRATIONS = Path(__file__).parent / "migrations"
SETTING_UP = 0x50616E746175  # PostgreSQL's number for a lock that is ours: "Pantau"


class DatabaseBusyError(Exception):
    """Another process works on this database file. The message says what to do."""


class DatabaseUnusableError(Exception):
    """The database cannot be opened, is missing, or is of another version. The message says what to do."""


class Database:
    """Two doors to one database.

    `write()` is a transaction that excludes other writers: SQLite before 3.51.3 can corrupt a WAL file when two
    connections write or checkpoint at once, so there is one writer connection. It stays at hand: to take it from a pool
    and put it back takes longer than most transactions. `read()` is a transaction on its own snapshot; it cannot write.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.url = make_url(url)
        self.read_only = read_only
        self._sqlite = self.url.get_backend_name() == "sqlite"
        self._turn = threading.Lock()
        self._kept: Connection | None = None
        if self._sqlite:
            self._reader = _sqlite_engine(url, pool_size=8, query_only=True)
            self._writer = _sqlite_engine(url, pool_size=1, query_only=False)
        else:
            self._reader = self._writer = _server_engine(url)

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database."""
        return Path(self.url.database) if self._sqlite and self.url.database else None

    @property
    def dialect(self) -> str:
        return self._writer.dialect.name

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        if self.read_only:
            raise DatabaseUnusableError("this command only reads; it may not write to the database")
        if self._sqlite:
            with self._turn_to_write() as connection, connection.begin():
                yield connection
        else:
            with self._writer.begin() as connection:
                yield connection

    @contextmanager
    def _turn_to_write(self) -> Iterator[Connection]:
        """Wait for SQLite's one writer connection. What failed on it may have harmed it: then the next is a new one."""
        if not self._turn.acquire(timeout=WRITER_WAIT_SECONDS):
            raise exc.TimeoutError(f"another thread has been writing for {WRITER_WAIT_SECONDS} s")
        try:
            connection, self._kept = self._kept or self._writer.connect(), None
            try:
                yield connection
            except BaseException:
                connection.invalidate()
                connection.close()
                raise
            self._kept = connection
        finally:
            self._turn.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from setting up the same PostgreSQL database meanwhile; SQLite has `sole_process`.

        The server ends the lock with the connection, so a SIGKILL leaves nothing to clean up.
        """
        if self._sqlite:
            yield
            return
        with self._writer.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(SETTING_UP)))
            yield

    def forget(self, *, up_to: int | None = COMPACTED_UP_TO) -> str:
        """Leave nothing in the SQLite file of what was emptied. Returns what stands in the way, "" when nothing does.

        `secure_delete` overwrites what a row held, yet pages that were split before keep old copies in their unused
        parts. So the file is written anew (VACUUM), and the WAL is cut. Writers wait meanwhile, hence `up_to` bytes.
        """
        if self.path is None:
            return ""
        if up_to is not None and self.path.stat().st_size > up_to:
            return self._cut_wal() or f"the file has more than {up_to >> 20} MiB; stop Pantau, `pantau purge --compact`"
        if shutil.disk_usage(self.path.parent).free < ROOM_TO_COMPACT * self.path.stat().st_size:
            return self._cut_wal() or f"writing it anew takes {ROOM_TO_COMPACT} times its size of free disk"
        return self._compact(self.path.parent) or self._cut_wal()

    def _compact(self, folder: Path) -> str:
        before = os.environ.get("SQLITE_TMPDIR")
        os.environ["SQLITE_TMPDIR"] = str(folder)  # its copy is as well kept as the file, and has room
        try:
            self._alone("VACUUM")
        except sqlite3.Error as error:
            return f"it could not be written anew ({error})"
        finally:
            os.environ.pop("SQLITE_TMPDIR") if before is None else os.environ.update(SQLITE_TMPDIR=before)
        return ""

    def _cut_wal(self) -> str:
        """Move everything from the WAL into the file. Who reads for longer than we wait stands in the way."""
        try:
            busy, *_ = self._alone("PRAGMA busy_timeout=1000", "PRAGMA wal_checkpoint(TRUNCATE)")
            self._alone(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        except sqlite3.Error as error:
            return f"what is new could not be moved into the file ({error})"
        return "somebody reads an older state; the next purge does it again" if busy else ""

    def _alone(self, *statements: str) -> tuple[Any, ...]:
        """Run statements on the writer's connection outside a transaction. Returns the last one's first row."""
        row: tuple[Any, ...] = ()
        with self._turn_to_write() as connection:
            cursor = connection.connection.cursor()
            for statement in statements:
                cursor.execute(statement)
                row = cursor.fetchone() or ()
            cursor.close()
        return row

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self._reader.dispose()
        self._writer.dispose()


def _server_engine(url: str) -> Engine:
    try:
        return create_engine(
            _with_driver(url),
            pool_size=8,
            max_overflow=8,
            pool_timeout=WRITER_WAIT_SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except ImportError as error:
        raise DatabaseUnusableError(_unusable(url, error)) from error


def _with_driver(url: str) -> str:
    """Name the driver that the `postgres` extra installs, so that plain `postgresql://` works."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} else url


def _sqlite_engine(url: str, *, pool_size: int, query_only: bool) -> Engine:
    # hide_parameters: an error must not repeat a post's text in a log.
    engine = create_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=WRITER_WAIT_SECONDS, hide_parameters=True
    )

    begin = Prepared(text("BEGIN" if query_only else "BEGIN IMMEDIATE"))

    @event.listens_for(engine, "connect")
    def _settings(dbapi: Any, _entry: ConnectionPoolEntry) -> None:
        dbapi.isolation_level = None  # we say BEGIN ourselves; pysqlite's guess would begin too late
        cursor = dbapi.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        if not query_only:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA secure_delete=ON")  # what a purge empties is overwritten, not merely unlinked
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        if query_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        begin.run(connection)

    return engine


def present_version(connection: Connection) -> str | None:
    """Return the version of the tables. None: there are none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().first()
    return version


def known_versions() -> list[str]:
    """Return the versions of the tables that this Pantau knows, the newest last: each has a file named after it."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the tables to a version. Alembic is imported for that alone: it takes as long as all of SQLAlchemy."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def open_database(url: str) -> Database:
    """Open for work: create what is missing and bring the tables up to date. Raises DatabaseUnusableError."""
    database = Database(url)
    try:
        if database.path is not None:
            database.path.parent.mkdir(parents=True, exist_ok=True)
            database.path.touch(mode=0o600)  # it holds what leaked: for our user alone, like what SQLite puts beside it
        with database.alone(), database.write() as connection:
            present = present_version(connection)
            _refuse_newer(present)
            if present != known_versions()[-1]:
                upgrade(connection)
    except (SQLAlchemyError, OSError, ImportError) as error:
        database.close()
        raise DatabaseUnusableError(_unusable(url, error)) from error
    except DatabaseUnusableError:
        database.close()
        raise
    return database


def open_for_listing(url: str) -> Database | None:
    """Open beside a running daemon, to read only. None when there is no database yet. Raises DatabaseUnusableError."""
    database = Database(url, read_only=True)
    if database.path is not None and not database.path.exists():
        return None
    try:
        with database.read() as connection:
            present = present_version(connection)
    except (SQLAlchemyError, OSError, ImportError) as error:
        raise DatabaseUnusableError(_unusable(url, error)) from error
    if present is None:
        return None
    _refuse_newer(present)
    if present != (wanted := known_versions()[-1]):
        raise DatabaseUnusableError(
            f"database.url: its tables are of version {present}, this Pantau needs {wanted}; "
            "`pantau once` or `pantau run` brings them up to date"
        )
    return database


def _refuse_newer(present: str | None) -> None:
    """Raise DatabaseUnusableError for tables that a newer Pantau made: this one does not know what they mean."""
    known = known_versions()
    if present is not None and present not in known:
        raise DatabaseUnusableError(
            f"database.url: its tables are of version {present}, made by a newer Pantau than this one, which knows"
            f" {known[-1]}; install the newer one again, or restore the backup from before it"
        )


def _unusable(url: str, error: Exception) -> str:
    shown = make_url(url).render_as_string(hide_password=True)
    if isinstance(error, ImportError):
        return f"database.url: {shown}: the driver is not installed; install pantau[postgres] ({error})"
    first = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return (
        f"database.url: {shown}: cannot be opened ({first}); check the path, its rights and free space, or the server"
    )


@contextmanager
def sole_process(path: Path | None) -> Iterator[None]:
    """Hold the lock of a SQLite file while working on it. Raises DatabaseBusyError. PostgreSQL (None) needs none.

    The kernel drops the lock with the process, so a SIGKILL leaves nothing to clean up.
    """
    if path is None:
        yield
        return
    with _lock_file(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            raise DatabaseBusyError(
                f"{path}: another pantau (process {owner}) works on this database; SQLite allows one at a time. "
                "Stop it first, or move to PostgreSQL (database.url) for several."
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _lock_file(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(path.name + ".lock").open("a+")
    except OSError as error:
        raise DatabaseUnusableError(
            f"database.url: {path}: cannot be opened ({error.strerror}); check the path and its rights"
        ) from error


def explained(error: SQLAlchemyError) -> str:
    """Return a sentence on a database that failed in the middle of the work; it repeats no post's text."""
    first = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
    return f"the database failed ({first}); look at its disk's free space, its rights, or its server. Nothing is lost."


def insert_if_new(connection: Connection, table: Table) -> Any:
    """Return an insert that does nothing when a row with a unique value of it is there, also one of this very moment.

    A look first and an insert then would fail where several processes find the same thing to write down.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def fact(db: Database, key: str, default: str) -> str:
    """Return a fact about this installation (its identity, its age); `default` is written down at the first use."""
    known = select(meta.c.value).where(meta.c.key == key)
    with db.write() as connection:
        value = connection.execute(known).scalars().first()
        if value is None:
            connection.execute(insert(meta).values(key=key, value=default))
        return str(default if value is None else value)


def known_fact(db: Database, key: str) -> str | None:
    """Return a fact about this installation without writing one down."""
    with db.read() as connection:
        value: str | None = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalars().first()
    return value
