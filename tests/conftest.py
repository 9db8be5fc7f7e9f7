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
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

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


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    name = f"pantau_{uuid.uuid4().hex}"
    engine = create_engine(_driver(f"{postgres_server}/postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield f"{postgres_server}/{name}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'pantau.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database, once on SQLite and once on PostgreSQL."""
    database = open_database(request.getfixturevalue(f"{request.param}_url"))
    yield database
    database.close()


@pytest.fixture
def sqlite_db(sqlite_url: str) -> Iterator[Database]:
    database = open_database(sqlite_url)
    yield database
    database.close()
