"""A year in minutes: the daemon's own ticks under a clock that is turned, on a sandbox that fails, with people who answer.

`Year(…).run()` returns what was measured; `broken()` names every invariant of faults.md that does not hold.
"""

from __future__ import annotations

import gc
import os
import random
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from installation import AGENCY, LEAK, Installation
from mail_servers import Postbox, hang_up, read_mail, smtp_server, taken_then_hung_up
from sqlalchemy import func, select

from alerts import outbox
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World
from monitor.app.daemon import Progress, guarded
from monitor.app.service import open_service
from monitor.app.ticks import ticks
from monitor.configuration import load_configuration
from monitor.model import Resolution
from monitor.store import life, tables
from monitor.store.audit import head, verify
from monitor.store.clock import undo_lead
from monitor.store.database import Database

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(hours=6)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SETTLED = timedelta(days=3)  # two polls and the longest fault: what is older must be stored, or lie in a gap
PLANTED = "PENANDA-7313"  # in every leak; no mail of a rule that discloses nothing may hold it
CODE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
TICKS = ("poll:x", "outbox", "blind", "digest", "canary", "audit", "memory")
TOML = """[database]
url = "sqlite:///pantau.db"
[mail]
transport = "smtp"
host = "127.0.0.1"
port = {port}
security = "none"
sender = "Pantau <pantau@pantau.example.my>"
timeout = "5s"
[digest]
recipients = ["pasukan@csirt.example.my"]
[operators]
recipients = ["ops@jdn.example.my"]
[polling]
min_interval = "12h"
max_interval = "24h"
blind_after = "4d"
[network]
allow = ["127.0.0.1/32"]
[connectors.x]
bearer_token = "sandbox"
base_url = "{origin}/x"
"""


@dataclass(frozen=True)
class Post:
    handle: str
    native_id: str
    at: datetime
    leaks: bool


@dataclass(frozen=True)
class Sample:
    """What the process and its database took at one moment, without the world that it watches and our own notes.

    `world_mb` is what these take: they are in the same process, and grow with every post and mail.
    """

    day: int
    memory_mb: float
    world_mb: float
    handles: int
    wal_mb: float


@dataclass
class Year:
    folder: Path
    accounts: int
    days: int
    seed: int = 1
    faults: bool = True
    now: datetime = BEGIN
    published: list[Post] = field(default_factory=list)
    deleted: dict[str, datetime] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    heads: list[Any] = field(default_factory=list)

    def run(self) -> None:
        self.dice = random.Random(self.seed)
        self.world, self.box = World(), Postbox()
        self.handles = [f"akaun{number}" for number in range(self.accounts)]
        for handle in self.handles:
            self.world.add_account("x", handle, name=f"Jabatan {handle}")
        with Sandbox(self.world) as sandbox, smtp_server(self.box) as port:
            self.here = self._installed(f"http://127.0.0.1:{sandbox.port}", port)
            self.configuration = load_configuration(self.here.folder, {}, today=BEGIN.date())
            day = 0
            while day < self.days:
                length = min(self.days - day, self.dice.randint(20, 40) if self.faults else self.days)
                self._live(day, length)
                day += length

    def _installed(self, origin: str, port: int) -> Installation:
        agencies = [
            {**AGENCY, "code": f"A{number}", "name": f"Jabatan {number}", "head_email": f"ketua@a{number}.example.my"}
            for number in range(10)
        ]
        owners = [(f"A{number % 10}", "x", handle, "") for number, handle in enumerate(self.handles)]
        toml = TOML.format(origin=origin, port=port)
        return Installation(self.folder, toml, owners, agencies).write()

    def _live(self, first: int, days: int) -> None:
        """Run one process's life; it ends without a goodbye, with leases in its hands."""
        with open_service(self.configuration, clock=lambda: self.now) as service:
            progress = Progress()
            bodies = [guarded(tick, progress) for tick in ticks(service, progress) if tick.name in TICKS]
            for day in range(first, first + days):
                for _ in range(int(DAY / STEP)):
                    self._happens()
                    for body in bodies:
                        body()
                    assert not progress.failed, progress.failed
                    self._turn_the_clock(service.db)
                self._people_answer(service.db)
                if day % 7 == 0:
                    self._measure(service.db, day)
            if self.faults:
                outbox.store.claim_batch(service.db, now=self.now, lease=HOUR, limit=3)  # cut off with these in hand
            service.channel.close()  # as the kernel does for a process that ends
            service.platforms.clear()
        gc.collect()
        self.counted["restarts"] += 1

    def _turn_the_clock(self, db: Database) -> None:
        self.now += STEP
        if self.faults and self.dice.random() < 0.01:
            step = HOUR if self.dice.random() < 0.5 else -HOUR
            self.now += step
            if step < timedelta():
                undo_lead(db, step=-step, now=self.now)  # as the daemon's guardian does
            self.counted["clock steps"] += 1

    def _happens(self) -> None:
        """Let a quarter of a day pass in the world."""
        chance = self.dice.random
        for handle in self.handles:
            if chance() < 0.06:
                self._publish(handle)
            if chance() < 0.0002:
                self.world.rename("x", handle, name=f"Shib {handle} {self.now:%j}")
                self.counted["renamed"] += 1
        if self.published and chance() < 0.3:
            one = self.dice.choice(self.published[-200:])
            if one.native_id not in self.deleted:
                self.world.edit("x", one.native_id, f"Pembetulan {self.now:%j}", at=self.now)
                self.counted["edited"] += 1
        if self.faults:
            self._fail()

    def _publish(self, handle: str, text: str = "") -> None:
        leaks = self.dice.random() < 0.03
        number = len(self.published)
        words = text or (f"{LEAK} {PLANTED} {number}" if leaks else f"Selamat pagi semua {number}")
        at = self.now - timedelta(seconds=self.dice.randint(1, 20_000))
        native_id = self.world.publish("x", handle, words, at=max(at, BEGIN))
        self.published.append(Post(handle=handle, native_id=native_id, at=max(at, BEGIN), leaks=leaks or bool(text)))

    def _fail(self) -> None:
        chance = self.dice.random
        if chance() < 0.05:
            self.world.fail("x", status=503, times=self.dice.randint(1, 30))
        if chance() < 0.03:
            self.world.fail("x", cut=True, times=self.dice.randint(1, 10))
        if chance() < 0.02:
            self.world.fail("x", reset=True, times=self.dice.randint(1, 10))
        if chance() < 0.01:
            reset = str(int(self.now.timestamp()) + 900)
            self.world.fail("x", status=429, headers={"x-rate-limit-reset": reset})
        if chance() < 0.2:
            faults = [hang_up, taken_then_hung_up, "451 later", "550 5.7.1 mailbox unavailable"]
            self.box.faults.append(self.dice.choice(faults))
        if chance() < 0.02:
            self.world.heal()

    def _people_answer(self, db: Any) -> None:
        """Answer some of the open cases, and keep only some of the promises."""
        with db.read() as connection:
            query = select(tables.alert.c.id, tables.alert.c.post_id).where(tables.alert.c.state == "open")
            waiting = connection.execute(query.where(tables.alert.c.steps > 0).order_by(tables.alert.c.id)).all()
        for number, post_id in waiting:
            luck = self.dice.random()
            if luck < 0.2:
                life.acknowledge(db, number, by="Siti", deadline=self.now + 2 * DAY, via="test", now=self.now)
                self.counted["acknowledged"] += 1
            elif luck < 0.5:
                how = min(Resolution, key=lambda one: (self.counted[one.value], one is not Resolution.POST_REMOVED))
                life.resolve(db, number, resolution=how, by="Siti", via="test", now=self.now)
                self.counted[how.value] += 1
                if how is Resolution.POST_REMOVED and post_id is not None and self.dice.random() < 0.7:
                    self._remove(db, post_id)

    def _remove(self, db: Any, post_id: int) -> None:
        with db.read() as connection:
            query = select(tables.post.c.native_id).where(tables.post.c.id == post_id)
            native_id = connection.execute(query).scalar_one()
        self.world.delete("x", native_id)
        self.deleted.setdefault(native_id, self.now)

    def _measure(self, db: Any, day: int) -> None:
        self.heads.append(head(db))
        wal = self.here.database.with_name(self.here.database.name + "-wal")
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        beside = weight(self.world, self.box, self.published, self.deleted, self.heads, self.samples)
        self.samples.append(
            Sample(
                day=day,
                memory_mb=(pages * os.sysconf("SC_PAGE_SIZE") - beside) / 1e6,
                world_mb=beside / 1e6,
                handles=sum(1 for _ in Path("/proc/self/fd").iterdir()),
                wal_mb=wal.stat().st_size / 1e6 if wal.exists() else 0.0,
            )
        )

    # ---------------------------------------------------------------- what must hold

    def broken(self) -> list[str]:
        """Return a sentence for each invariant that does not hold."""
        with open_service(self.configuration, clock=lambda: self.now) as service, service.db.read() as connection:
            rows = lambda query: connection.execute(query).all()  # noqa: E731 (read as SQL)
            found = [
                *self._lost_posts(rows),
                *_evaluations(rows),
                *_alerts(rows, self.now),
                *_mails(rows, self.box),
                *_told_after_an_answer(rows),
                *self._coverage(rows),
                *self._planted(),
            ]
            report = verify(service.db, self.heads)
            if report.broken is not None:
                found.append(f"I11: {report.broken}")
        return found

    def _lost_posts(self, rows: Any) -> list[str]:
        account, post, coverage = tables.account, tables.post, tables.coverage
        known = {row[0] for row in rows(select(post.c.native_id))}
        ids = {row.handle: row.id for row in rows(select(account.c.handle, account.c.id))}
        holes: dict[int, list[tuple[datetime, datetime]]] = {}
        for row in rows(select(coverage).where(coverage.c.kind != "read")):
            holes.setdefault(row.account_id, []).append((row.start, row.end))
        lost = []
        for one in self.published:
            served = self.deleted.get(one.native_id, self.now) - one.at > SETTLED and self.now - one.at > SETTLED
            named = any(start <= one.at <= end for start, end in holes.get(ids[one.handle], []))
            if served and one.native_id not in known and not named:
                lost.append(f"I1: {one.handle}/{one.native_id} of {one.at} is neither stored nor in a gap")
        return lost[:5]

    def _coverage(self, rows: Any) -> list[str]:
        """I8: intervals tile from registration to now, but for the longest interval."""
        found = []
        for holder in rows(select(tables.account.c.id, tables.account.c.registered_at, tables.account.c.handle)):
            query = select(tables.coverage).where(tables.coverage.c.account_id == holder.id)
            end = holder.registered_at
            for row in rows(query.order_by(tables.coverage.c.start)):
                if row.start != end:
                    found.append(f"I8: {holder.handle}: {end} to {row.start} is not accounted for")
                end = row.end
            if self.now - end > 2 * DAY:
                found.append(f"I8: {holder.handle}: nothing since {end}")
        return found[:5]

    def _planted(self) -> list[str]:
        """I12: nothing of a leak in any mail."""
        told = [mail for _, mail in self.box.mails if PLANTED in _whole(mail)]
        return [f"I12: {len(told)} mails hold the words of a post"] if told else []

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def weight(*things: object) -> int:
    """Return how many bytes things and all that they hold take; code is not counted, nor is anything twice."""
    found: dict[int, object] = {}
    waiting = list(things)
    while waiting:
        one = waiting.pop()
        if id(one) not in found and not isinstance(one, CODE):
            found[id(one)] = one
            waiting += gc.get_referents(one)
    return sum(map(sys.getsizeof, found.values()))


def _whole(mail: bytes) -> str:
    parts = read_mail(mail).walk()
    return "".join(str(part.get_content()) for part in parts if part.get_content_maintype() == "text")


def _evaluations(rows: Any) -> list[str]:
    """I2: each version of a post was judged once, or that it could not be is an alert."""
    version, evaluation = tables.post_version, tables.evaluation
    counted = select(version.c.id, func.count(evaluation.c.id).label("times"))
    joined = counted.outerjoin(evaluation, evaluation.c.post_version_id == version.c.id).group_by(version.c.id)
    odd = [row for row in rows(joined) if row.times != 1]
    return [f"I2: {len(odd)} versions were not judged exactly once"] if odd else []


def _alerts(rows: Any, now: datetime) -> list[str]:
    alert = tables.alert
    keys = [row[0] for row in rows(select(alert.c.dedup_key))]
    found = [] if len(keys) == len(set(keys)) else ["I4: a thing was alerted twice"]
    for row in rows(select(alert).where(alert.c.state.in_(["open", "acknowledged"]))):
        if row.next_action_at is None and not row.waiting_reason:
            found.append(f"I5: {row.case} waits for nothing")
        elif row.next_action_at is not None and now - row.next_action_at > DAY:
            found.append(f"I5: {row.case} was due at {row.next_action_at}")
    return found[:5]


def _mails(rows: Any, box: Postbox) -> list[str]:
    """I6, and that nobody is told twice but for a lost answer."""
    notification = tables.notification
    states = {row.message_id: row.state for row in rows(select(notification))}
    accepted = {one for one, state in states.items() if state == "accepted"}
    got = Counter(box.message_ids())
    waiting = {one for one, state in states.items() if state in {"uncertain", "pending", "sending"}}
    found = []
    if missing := accepted - got.keys():
        found.append(f"I6: {len(missing)} mails are marked accepted and never came")
    if strange := got.keys() - accepted - waiting - _ended(states):
        found.append(f"I6: {len(strange)} mails came that nobody wrote down")
    return found


def _ended(states: dict[str, str]) -> set[str]:
    """Mails whose last word was a refusal, or that were called off while an answer was lost."""
    return {one for one, state in states.items() if state in {"dead", "cancelled", "bounced"}}


def _told_after_an_answer(rows: Any) -> list[str]:
    """I7, read from the audit: between an answer and a reopening no mail is accepted, but of a recovery."""
    closing = {"alert acknowledged", "alert resolved", "alert suppressed"}
    closed: set[int] = set()
    late = 0
    about = _members(rows)
    for row in rows(select(tables.audit).order_by(tables.audit.c.seq)):
        if row.event in closing:
            closed.add(row.alert_id)
        elif row.event == "alert reopened":
            closed.discard(row.alert_id)
        elif row.event == "mail accepted" and row.alert_id is not None and "recovery" not in row.payload:
            late += about.get(row.alert_id, {row.alert_id}) <= closed
    return [f"I7: {late} mails left after their alerts were answered"] if late else []


def _members(rows: Any) -> dict[int, set[int]]:
    """Return which alerts each lead's mails are about."""
    found: dict[int, set[int]] = {}
    shared, mail = tables.notification_alert, tables.notification
    query = select(mail.c.alert_id, shared.c.alert_id.label("other")).join(mail, mail.c.id == shared.c.notification_id)
    for lead, other in rows(query):
        found.setdefault(lead, {lead}).add(other)
    return found
