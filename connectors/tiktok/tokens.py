"""TikTok's tokens: who has consented, and what keeps a consent alive. The only place that writes a credential.

An access token is good for two hours. It is renewed with a refresh token, and each renewal gives a new one and ends the
old one: whoever loses the newest has to ask the agency for its consent again. So the newest is on disk before the new
access token is used, and one process at a time renews (the daemon, `pantau doctor` and `pantau once` share the file).

A file of the folder is named after an account and holds its refresh token; once renewed, both tokens as JSON.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.base import ConnectorMisconfigured
from monitor.settings import Secret

EARLY = timedelta(minutes=10)  # renewed so long before the end
LONGEST_FILE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Grant:
    """What a consent gives. `expires_at`: the end of the access token, `ends_at`: of the consent; None: nobody said."""

    refresh_token: str = ""
    access_token: str = ""
    expires_at: datetime | None = None
    ends_at: datetime | None = None

    def is_fresh(self, now: datetime) -> bool:
        return bool(self.access_token) and (self.expires_at is None or now < self.expires_at - EARLY)


Renew = Callable[[str], Grant]  # refresh token → what the platform gives for it; raises ConnectorError


class Tokens:
    """Finds the token of an account, and renews it where that is possible. Thread-safe through the files' locks."""

    def __init__(self, *, access_token: Secret, refresh_token: Secret, folder: Path, renews: bool) -> None:
        self._static = Grant(
            access_token=access_token.reveal().strip(), refresh_token=refresh_token.reveal().strip() if renews else ""
        )
        self._folder = folder
        self._renews = renews

    def access_token(self, username: str, now: datetime, renew: Renew) -> str:
        """Return the token to ask with; empty when nothing is configured for the account. Raises ConnectorError."""
        path = self._path(username)
        if path is None:
            return self._static.access_token
        grant = self._kept(path)
        return grant.access_token if grant.is_fresh(now) else self._renewed(path, grant.access_token, now, renew)

    def after_refusal(self, username: str, refused: str, now: datetime, renew: Renew) -> str:
        """Return another token than the one that was refused; empty when there is none."""
        path = self._path(username)
        if path is None:
            return ""
        token = self._renewed(path, refused, now, renew, is_refused=True)
        return token if token != refused else ""

    def has_own(self, username: str) -> bool:
        """Say whether the account has a consent of its own, apart from one that is configured for all."""
        path = self._path(username)
        return path is not None and not path.name.startswith(".")

    def first_end(self) -> datetime | None:
        """Return when the first of the consents ends that renewals have told an end of. Raises ConnectorError."""
        own = [self._folder / name for name in self.known()]
        grants = [self._kept(path) for path in (*own, self._path("")) if path is not None]
        return min((grant.ends_at for grant in grants if grant.ends_at), default=None)

    def known(self) -> tuple[str, ...]:
        """Return the names of the accounts that have a file of their own."""
        try:
            names = sorted(one.name for one in self._folder.iterdir() if one.is_file())
        except OSError:
            return ()
        return tuple(name for name in names if self._renews and not name.startswith("."))

    def _path(self, username: str) -> Path | None:
        """Return where the account's grant is kept; None when there is but a token that cannot be renewed."""
        if self._renews and re.fullmatch(r"[\w.]*\w[\w.]*", username, re.ASCII):
            for name in {username, username.casefold()}:
                if not name.startswith(".") and (self._folder / name).is_file():
                    return self._folder / name
        if not self._static.refresh_token:
            return None
        mark = hashlib.sha256(self._static.refresh_token.encode()).hexdigest()[:16]
        return self._folder / f".configured-{mark}"

    def _kept(self, path: Path) -> Grant:
        try:
            text = path.read_text(encoding="utf-8")[:LONGEST_FILE].strip()
        except FileNotFoundError:
            return self._static
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(path, f"cannot be read ({getattr(error, 'strerror', None) or 'no text'})") from None
        grant = _grant(text)
        if not grant.refresh_token:
            raise _unusable(path, "holds no refresh token; write the account's into it, alone and on one line")
        return grant

    def _renewed(self, path: Path, stale: str, now: datetime, renew: Renew, *, is_refused: bool = False) -> str:
        with self._held(path):
            grant = self._kept(path)  # another process may have renewed it meanwhile
            if grant.access_token != stale and grant.is_fresh(now):
                return grant.access_token
            if grant.is_fresh(now) and not is_refused:
                return grant.access_token
            with _prepared(path) as write:
                fresh = renew(grant.refresh_token)
                kept = Grant(
                    access_token=fresh.access_token,
                    expires_at=fresh.expires_at,
                    ends_at=fresh.ends_at,
                    refresh_token=fresh.refresh_token or grant.refresh_token,
                )
                write(_written(kept))
            return kept.access_token

    @contextmanager
    def _held(self, path: Path) -> Iterator[None]:
        """Hold the account's lock, over all processes of this machine."""
        lock = path.with_name(f".{path.name.removeprefix('.')}.lock")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unusable(path, f"cannot be locked ({error.strerror})") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _grant(text: str) -> Grant:
    """Read a file: JSON as written here, else a refresh token alone."""
    if not text.startswith("{"):
        return Grant(refresh_token=text) if re.fullmatch(r"[!-~]+", text) else Grant()
    try:
        held = json.loads(text)
        return Grant(
            refresh_token=str(held["refresh_token"]),
            access_token=str(held["access_token"]),
            expires_at=_moment(held.get("expires_at")),
            ends_at=_moment(held.get("ends_at")),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return Grant()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _written(grant: Grant) -> str:
    times = {"expires_at": grant.expires_at, "ends_at": grant.ends_at}
    told = {key: at.isoformat() for key, at in times.items() if at is not None}
    return json.dumps({"access_token": grant.access_token, "refresh_token": grant.refresh_token, **told})


@contextmanager
def _prepared(path: Path) -> Iterator[Callable[[str], None]]:
    """Yield what replaces a file, whole or not at all. That it can be written is known before anything is renewed."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        os.write(handle, b" " * 4096)  # room on the disk is there when the tokens come
        os.fsync(handle)
    except OSError as error:
        raise _unusable(path, f"cannot be written ({error.strerror}); nothing was renewed") from None

    def write(text: str) -> None:
        os.pwrite(handle, text.encode(), 0)
        os.ftruncate(handle, len(text.encode()))
        os.fsync(handle)
        Path(name).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    try:
        yield write
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)


def _unusable(path: Path, why: str) -> ConnectorMisconfigured:
    return ConnectorMisconfigured(f"connectors.tiktok.tokens: {path}: {why}")
