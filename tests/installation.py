"""A whole installation in a folder: configuration, register, rules, and `pantau` as a process of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

AGENCY = {
    "code": "JPD",
    "name": "Jabatan Perkhidmatan Demo",
    "kind": "department",
    "state": "PJY",
    "language": "ms",
    "head_salutation": "Y.Bhg. Datuk",
    "head_name": "Rekaan binti Contoh",
    "head_title": "Ketua Pengarah",
    "head_email": "ketua@jpd.example.my",
    "deputy_email": "timbalan@jpd.example.my",
    "ictso_email": "ictso@jpd.example.my",
    "comms_email": "",
    "head_since": "",
}
OPERATOR = "pentadbir@jpd.example.my"
INSTRUMENT = """id: mampu-2009
title: {ms: "Pekeliling", en: "Circular"}
clauses:
  3c: {ms: "tidak melibatkan penyebaran maklumat terperinci", en: "no spreading of detailed information"}
  "4": {ms: "sebarang perbuatan mendedahkan maklumat jabatan", en: "any act of disclosing departmental information"}
"""
MARKING = """id: mampu-2009/3c/marking
version: 1
status: live
title: {ms: "Penandaan", en: "Marking"}
clause: {instrument: mampu-2009, ref: 3c}
severity: high
disclosure: none
scope: [text, picture, document]
parts:
  mark: {phrases: [SULIT], case: exact}
  paper: {phrases: [minit]}
condition: mark near 60 paper
tests:
  fire: [{text: "SULIT minit"}]
  quiet: [{text: "minit"}]
"""
PASSWORD = (
    MARKING.replace("3c/marking", "4/password")
    .replace("ref: 3c", 'ref: "4"')
    .replace("severity: high", "severity: critical")
    .replace("mark: {phrases: [SULIT], case: exact}", "mark: {phrases: [kata laluan]}")
    .replace("paper: {phrases: [minit]}", "paper: {phrases: [wifi]}")
    .replace('"SULIT minit"', '"wifi kata laluan"')
)
LEAK = "SULIT\nMinit Mesyuarat Bil. 3/2026"


def rows(columns: Sequence[str], *records: Sequence[str]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([columns, *records])
    return out.getvalue()


@dataclass
class Installation:
    """`toml` is what stands in pantau.toml, `accounts` the rows of accounts.csv: agency, platform, handle, url."""

    folder: Path
    toml: str
    accounts: list[tuple[str, str, str, str]] = field(default_factory=list)
    agencies: list[dict[str, str]] = field(default_factory=lambda: [AGENCY])

    def write(self) -> Installation:
        register, rules = self.folder / "register", self.folder / "rules" / "mampu-2009"
        for place in (register, rules / "3c", rules / "4"):
            place.mkdir(parents=True, exist_ok=True)
        (self.folder / "pantau.toml").write_text(self.toml, encoding="utf-8")
        agencies = rows(list(AGENCY), *[list(one.values()) for one in self.agencies])
        (register / "agencies.csv").write_text(agencies, encoding="utf-8")
        columns = ("agency", "platform", "handle", "url", "status", "note")
        accounts = rows(columns, *[(*one, "active", "") for one in self.accounts])
        (register / "accounts.csv").write_text(accounts, encoding="utf-8")
        (rules / "instrument.yaml").write_text(INSTRUMENT, encoding="utf-8")
        (rules / "3c" / "marking.yaml").write_text(MARKING, encoding="utf-8")
        (rules / "4" / "password.yaml").write_text(PASSWORD, encoding="utf-8")
        return self

    @property
    def database(self) -> Path:
        return self.folder / "pantau.db"

    @property
    def mails(self) -> list[Path]:
        return sorted((self.folder / "mail").glob("*.eml"))

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PANTAU_")}
        return subprocess.Popen(
            [sys.executable, "-m", "monitor", "--config", str(self.folder), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            **options,
        )

    def run(self, *arguments: str, given: str | None = None) -> Ran:
        process = self.start(*arguments, stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL)
        try:
            out, err = process.communicate(given, timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Ran(code=process.returncode, out=out, err=err)

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        ran = self.run(*arguments, "--json")
        assert ran.code == 0, ran.err
        found: list[dict[str, Any]] = json.loads(ran.out)
        return found

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Look into the database without starting a process, as a test that starts many must."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            return connection.execute(sql).fetchall()


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)


def eventually(condition: Callable[[], Any], *, within: float = 60.0, what: str = "") -> Any:
    """Return the condition's first true value; fail after `within` seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {within} s: {what or condition}")
