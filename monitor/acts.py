"""What a person may do to the database by the command line, beside a daemon or without one.

One process writes to a SQLite file. So while a daemon runs it does what it is asked through a socket beside the file,
which only its own user may open; without a daemon the command does the same itself.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from monitor.model import Resolution
from monitor.settings import Retention
from monitor.store import holds, life, retention
from monitor.store.canaries import ask_canary
from monitor.store.database import Database, DatabaseBusyError, open_database, sole_process

log = structlog.get_logger(__name__)

LONGEST_REQUEST = 64 * 1024
SECONDS_TO_ASK = 10.0
PURGE_AT_ONCE = timedelta(seconds=5)  # of one request: other commands wait for it
SECONDS_TO_ANSWER = 120.0  # longer than a foreign lock on the database is waited for

Answer = dict[str, Any]
Act = Callable[[Database, Mapping[str, Any], datetime], Answer]


class ActRefusedError(Exception):
    """What was asked cannot be done. The message says why."""


def _acknowledge(db: Database, asked: Mapping[str, Any], now: datetime) -> Answer:
    deadline = datetime.fromisoformat(asked["deadline"])
    answer = life.acknowledge(
        db, asked["alert"], by=asked["by"], deadline=deadline, note=asked["note"], via="command line", now=now
    )
    return {"answer": answer.value}


def _resolve(db: Database, asked: Mapping[str, Any], now: datetime) -> Answer:
    resolution = Resolution(asked["resolution"])
    answer = life.resolve(
        db, asked["alert"], resolution=resolution, by=asked["by"], note=asked["note"], via="command line", now=now
    )
    return {"answer": answer.value}


def _reopen(db: Database, asked: Mapping[str, Any], now: datetime) -> Answer:
    return {"answer": life.reopen(db, asked["alert"], by=asked["by"], reason=asked["reason"], now=now).value}


def _silence(db: Database, asked: Mapping[str, Any], now: datetime) -> Answer:
    made = life.add_silence(
        db,
        author=asked["by"],
        reason=asked["reason"],
        expires_at=datetime.fromisoformat(asked["until"]),
        rule=asked["rule"],
        account_id=asked["account"],
        now=now,
    )
    return {"silence": made.id}


def _end_silence(db: Database, asked: Mapping[str, Any], now: datetime) -> Answer:
    return {"answer": life.end_silence(db, asked["silence"], by=asked["by"], now=now).value}


def _canary(db: Database, asked: Mapping[str, Any], now: datetime) -> Answer:
    ask_canary(db, asked["key"], now=now)
    return {}


def _hold(db: Database, asked: Mapping[str, Any], now: datetime) -> Answer:
    made = holds.add_hold(
        db,
        author=asked["author"],
        reason=asked["reason"],
        agency=asked["agency"],
        account_id=asked["account"],
        by=asked["by"],
        now=now,
    )
    return {"hold": made.id}


def _end_hold(db: Database, asked: Mapping[str, Any], now: datetime) -> Answer:
    who = {"author": asked["author"], "reason": asked["reason"], "by": asked["by"]}
    return {"answer": holds.end_hold(db, asked["hold"], **who, now=now).value}


def _purge(db: Database, asked: Mapping[str, Any], now: datetime) -> Answer:
    """Purge for a while; who asks goes on asking as long as there is `more`."""
    return asdict(retention.purge(db, Retention(**asked), now=now, within=PURGE_AT_ONCE))


ACTS: Mapping[str, Act] = {
    "acknowledge": _acknowledge,
    "resolve": _resolve,
    "reopen": _reopen,
    "silence": _silence,
    "end silence": _end_silence,
    "canary": _canary,
    "hold": _hold,
    "end hold": _end_hold,
    "purge": _purge,
}


def perform(url: str, act: str, asked: Mapping[str, Any]) -> Answer:
    """Do what is asked, or have the daemon do it that holds the SQLite file.

    Raises ActRefusedError, DatabaseBusyError when the file is held by something that does not listen, and
    DatabaseUnusableError.
    """
    path = Database(url).path
    try:
        with sole_process(path), closing(open_database(url)) as db:
            return _done(db, act, asked)
    except DatabaseBusyError:
        assert path is not None
        return _ask(path, act, asked)


def _done(db: Database, act: str, asked: Mapping[str, Any]) -> Answer:
    try:
        return ACTS[act](db, asked, datetime.now(UTC))
    except (LookupError, ValueError) as error:
        raise ActRefusedError(str(error.args[0]) if error.args else act) from error


def _ask(path: Path, act: str, asked: Mapping[str, Any]) -> Answer:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(SECONDS_TO_ANSWER)
        try:
            with _short(_socket_of(path)) as name:
                line.connect(name)
        except OSError as error:
            raise DatabaseBusyError(
                f"{path}: another pantau works on this database and does not listen for commands; "
                "when it is `pantau once`, wait for its end"
            ) from error
        line.sendall(json.dumps({"act": act, "asked": dict(asked)}).encode() + b"\n")
        try:
            answer = json.loads(_line(line))
        except (OSError, ValueError) as error:
            raise ActRefusedError("the daemon did not answer; look whether it was done before you ask again") from error
    if "refused" in answer:
        raise ActRefusedError(answer["refused"])
    done: Answer = answer["done"]
    return done


def _socket_of(path: Path) -> Path:
    return path.with_name(path.name + ".sock")


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Return another name of the path: sockets take 107 bytes, folders may be deeper."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _line(line: socket.socket) -> bytes:
    """Return what comes up to the line's end. Raises ValueError for more than anyone may ask."""
    got = b""
    while not got.endswith(b"\n") and (more := line.recv(4096)):
        got += more
        if len(got) > LONGEST_REQUEST:
            raise ValueError("a request of more than 64 KiB")
    return got


@contextmanager
def listening(db: Database) -> Iterator[None]:
    """Do what commands ask, until the end of the block. On PostgreSQL they need nobody: nothing listens."""
    if db.path is None:
        yield
        return
    place = _socket_of(db.path)
    place.unlink(missing_ok=True)  # of a daemon that was killed: the file's lock says that it is gone
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as taken:
        os.fchmod(taken.fileno(), 0o600)  # before the bind: the name never has wider rights
        with _short(place) as name:
            taken.bind(name)
        place.chmod(0o600)
        taken.listen(8)
        thread = threading.Thread(target=_serve, args=(taken, db), name="commands", daemon=True)
        thread.start()
        try:
            yield
        finally:
            place.unlink(missing_ok=True)
            taken.shutdown(socket.SHUT_RDWR)
            thread.join(SECONDS_TO_ASK)


def _serve(taken: socket.socket, db: Database) -> None:
    while True:
        try:
            line, _ = taken.accept()
        except OSError:  # shut down
            return
        with line:
            try:
                line.settimeout(SECONDS_TO_ASK)
                line.sendall(json.dumps(_answer(db, _line(line))).encode() + b"\n")
            except (OSError, ValueError) as error:  # whoever asked has gone, or asked too much
                log.warning("a command could not be answered", reason=type(error).__name__)


def _answer(db: Database, request: bytes) -> Answer:
    try:
        asked = json.loads(request)
        return {"done": _done(db, asked["act"], asked["asked"])}
    except ActRefusedError as error:
        return {"refused": str(error)}
    except Exception:
        log.exception("a command failed")
        return {"refused": "the daemon failed at it; its log has the traceback"}
