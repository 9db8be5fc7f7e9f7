"""Real servers to read from, where `tests/peers/install` has put them: what they answer is nobody's idea of an answer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from conftest import unavailable

HERE = Path(__file__).parent / "peers"
PACKAGES = Path(os.environ.get("TEST_PEERS") or HERE.parent.parent / ".peers").resolve()
PASSWORD = "kata-laluan-ujian"


def node() -> str:
    """Return the program that runs the peers; skips the test where they are not installed."""
    found = shutil.which("node")
    if found is None or not (PACKAGES / ".installed").exists():
        unavailable("no peers: Node.js 20 or newer, then tests/peers/install (packages of npm, a minute)")
    return str(found)


@contextmanager
def running(script: str, folder: Path, *more: str) -> Iterator[dict[str, Any]]:
    """Run a peer that says in one line of JSON where it answers, and ends with its standard input.

    All that it writes lies in `folder`.
    """
    complaints = folder / "stderr"
    with (
        complaints.open("w") as stderr,
        subprocess.Popen(
            [node(), str(HERE / script), str(PACKAGES), str(folder), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=PACKAGES,
            env={**os.environ, "LOG_ENABLED": "false", "TMPDIR": str(folder)},
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, f"the peer did not start: {complaints.read_text()[-2000:]}"
            yield json.loads(line)
        finally:
            process.stdin.close()
            process.wait(timeout=20)


@dataclass
class Person:
    """An account on a PDS, used as an app uses it."""

    url: str
    handle: str
    did: str
    token: str = field(repr=False)
    admin: str = field(repr=False)  # the server's administrator's password

    def call(self, method: str, body: object | None = None, **how: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.post(f"{self.url}/xrpc/{method}", json=body, headers=headers, timeout=20, **how)
        assert answer.ok, f"{method}: {answer.text}"
        return answer.json() if answer.content else {}

    def write(self, collection: str, record: dict[str, Any], *, key: str | None = None) -> str:
        """Sign a record and return its uri; with a `key`, in the place of the one that is there."""
        given = {"repo": self.did, "collection": collection, "record": {"$type": collection, **record}}
        way = "createRecord" if key is None else "putRecord"
        uri: str = self.call(f"com.atproto.repo.{way}", given | ({} if key is None else {"rkey": key}))["uri"]
        return uri

    def post(self, text: str, *, at: datetime, key: str | None = None, **more: Any) -> str:
        return self.write("app.bsky.feed.post", {"text": text, "createdAt": at.isoformat(), **more}, key=key)

    def delete(self, uri: str) -> None:
        _, _, repo, collection, key = uri.split("/")
        self.call("com.atproto.repo.deleteRecord", {"repo": repo, "collection": collection, "rkey": key})

    def reference(self, uri: str) -> dict[str, str]:
        """Return what a reply, a quotation or a repost refers to a record by."""
        _, _, repo, collection, key = uri.split("/")
        asked = {"repo": repo, "collection": collection, "rkey": key}
        url = f"{self.url}/xrpc/com.atproto.repo.getRecord"
        return {"uri": uri, "cid": requests.get(url, params=asked, timeout=20).json()["cid"]}

    def upload(self, content: bytes, kind: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        url = f"{self.url}/xrpc/com.atproto.repo.uploadBlob"
        blob: dict[str, Any] = requests.post(url, data=content, headers=headers, timeout=20).json()["blob"]
        return blob

    def take_down(self) -> None:
        """Do what a moderator does to a whole account."""
        subject = {"$type": "com.atproto.admin.defs#repoRef", "did": self.did}
        given = {"subject": subject, "takedown": {"applied": True, "ref": "1"}}
        url = f"{self.url}/xrpc/com.atproto.admin.updateSubjectStatus"
        assert requests.post(url, json=given, auth=("admin", self.admin), timeout=20).ok


def join(url: str, name: str, *, admin: str = "pentadbir") -> Person:
    """Open an account on a PDS."""
    given = {"handle": f"{name}.test", "email": f"{name}@example.my", "password": PASSWORD}
    answer = requests.post(f"{url}/xrpc/com.atproto.server.createAccount", json=given, timeout=30).json()
    return Person(url=url, handle=answer["handle"], did=answer["did"], token=answer["accessJwt"], admin=admin)
