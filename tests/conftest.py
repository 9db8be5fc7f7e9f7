"""Databases for the tests: SQLite always, PostgreSQL where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from monitor.store.database import Database, open_database

EVERYTHING = "TEST_EVERYTHING"


def unavailable(reason: str) -> None:
    """Skip for a missing system package; where everything is promised (.ci/run) that is a failure."""
    if os.environ.get(EVERYTHING):
        pytest.fail(f"{reason}, although {EVERYTHING} is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Start a PostgreSQL of our own on a free port; yields the address of its server without a database."""
    if given := os.environ.get("TEST_POSTGRES"):
        yield given.rstrip("/")
        return
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(p) for p in [shutil.which("initdb")] if p]
    if not found:
        unavailable("PostgreSQL is not installed (Debian package: postgresql)")
    programs = found[-1].parent
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="pantau-pg-"))
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "pantau", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
        user=user,
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    options = ["-p", str(port), "-h", "127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([programs / "postgres", "-D", data, *options], user=user, cwd=folder, stderr=log)
    url = f"postgresql://pantau@127.0.0.1:{port}"
    try:
        _wait_for(programs, port)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(programs: Path, port: int) -> None:
    question = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    for _ in range(200):
        if subprocess.run(question, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise TimeoutError("PostgreSQL did not come up")


def _driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(scope="session")
def postgres_admin(postgres_server: str) -> Iterator[Engine]:
    engine = create_engine(_driver(f"{postgres_server}/postgres"), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@contextmanager
def _created(admin: Engine, template: str = "template1") -> Iterator[str]:
    name = f"pantau_{uuid.uuid4().hex}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield name
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def postgres_url(postgres_server: str, postgres_admin: Engine) -> Iterator[str]:
    """A database without a table."""
    with _created(postgres_admin) as name:
        yield f"{postgres_server}/{name}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'pantau.db'}"


# Migrating takes longer than most tests: it is done once, and copied.


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str, postgres_admin: Engine) -> Iterator[str]:
    with _created(postgres_admin) as name:
        open_database(f"{postgres_server}/{name}").close()
        yield name


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("migrated") / "pantau.db"
    open_database(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def postgres_db(postgres_server: str, postgres_admin: Engine, migrated_postgres: str) -> Iterator[Database]:
    with _created(postgres_admin, migrated_postgres) as name:
        database = open_database(f"{postgres_server}/{name}")
        yield database
        database.close()


@pytest.fixture
def sqlite_db(sqlite_url: str, migrated_sqlite: Path) -> Iterator[Database]:
    shutil.copy(migrated_sqlite, sqlite_url.removeprefix("sqlite:///"))
    database = open_database(sqlite_url)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    """An empty database, once on SQLite and once on PostgreSQL."""
    database: Database = request.getfixturevalue(f"{request.param}_db")
    return database
