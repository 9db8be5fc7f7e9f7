"""The fault hour: every platform's twin behind a server that answers with random faults, while life goes on.

Agencies publish, edit and delete meanwhile. Afterwards the faults end, one more pass is made, and what must never
happen is looked for: a post that is neither stored nor inside a named gap (I1), a hole in the coverage (I8), a living
post that is believed deleted, more calls than a patient reader makes.

Some faults deceive: nothing in such an answer tells it from a true one. Another value (junk), an earlier answer to the
same question (stale) or another platform's stand in its place; or what tells of a further page is left out (ended).
What answers like these bring is read once more; two of them in a row may lose something all the same.
"""

from __future__ import annotations

import gzip
import ipaddress
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from builders import agency, first_hole, rule_set
from conformance import SETUPS, TOKEN, Setup
from junk import JUNK, places_in, with_junk
from sqlalchemy import func, select

import connectors
from connectors.base import Bounds
from connectors.sandbox.reply import Reply
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import Fault, Published, World
from monitor import coverage
from monitor.model import Account, Interval
from monitor.poll.platform import fill_platform, poll_platform
from monitor.poll.poller import Checked, Poller
from monitor.settings import Network, Polling, Secret
from monitor.store import tables
from monitor.store.coverage import to_interval
from monitor.store.database import Database
from monitor.store.register import registered, save_register

SECOND = timedelta(seconds=1)
STEP = 60 * SECOND  # of the simulated clock
TIMEOUT = 0.25  # seconds that a connector waits for an answer
PAGE = 5  # posts of an answer, where there are pages
MORE_CALLS = {"threads": {"daily_calls": 1000 * 100 // PAGE}}  # what a day's calls are for real pages
KEPT_ANSWERS = 5  # to one question
KEPT_QUESTIONS = 400
WINDOW = 17  # posts on a platform that shows its newest alone: all of them are served to the end
BURSTS = 0.3
BY_NUMBER = {"telegram"}  # its numbers follow time: nothing comes late
OF_ONE_TOKEN = {"tiktok", "linkedin"}  # the token is one account's
NAMELESS = {setup.platform for setup in SETUPS if not setup.names_owner}  # another's answer cannot be told there
DOMAINS = {"bluesky": ".example.my"}  # handles are domains there
STRANGE = "Kata jiran"  # of whom nobody watches
LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"),)
POLLING = Polling(
    min_interval=20 * SECOND,
    max_interval=300 * SECOND,  # shorter ones need more calls than Threads gives a day: edits would not be looked for
    recheck_waits=(60 * SECOND, 300 * SECOND),
    recheck_confirm=40 * SECOND,
    back_catalogue=50,
)
PAGING = {"paging", "cursor", "nextPageToken", "next_token", "next", "has_more"}
PRIVATE = ("http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[::1]:9/", "file:///etc/passwd")
HTML = b"<!DOCTYPE html><html><head><title>Sebentar</title></head><body>Laman sedang diselenggara</body></html>"
Spoiler = Callable[["Storm", Reply], Reply]


def _status(status: int, body: bytes = b'{"error": "no"}', **headers: str) -> Spoiler:
    named = {"content-type": "application/json", **{key.replace("_", "-"): value for key, value in headers.items()}}
    return lambda _storm, _reply: Reply(status=status, body=body, headers=named)


def _limited(storm: Storm, _reply: Reply) -> Reply:
    at = storm.now + storm.dice.choice([5, 30, 90]) * SECOND
    epoch = str(int(at.timestamp()))
    headers = {"retry-after": at.strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-rate-limit-reset": epoch}
    headers |= {"ratelimit-reset": epoch, "x-ratelimit-reset": at.isoformat()}
    return Reply(status=429, body=b"{}", headers=headers)


def _redirected(storm: Storm, _reply: Reply) -> Reply:
    return Reply(status=302, headers={"location": storm.dice.choice(PRIVATE)})


def _truncated(storm: Storm, reply: Reply) -> Reply:
    return replace(reply, body=reply.body[: storm.dice.randrange(max(1, len(reply.body)))])


def _mapped(change: Callable[[list[Any]], list[Any]]) -> Spoiler:
    """Change every list of objects in an answer of JSON; another answer is left alone."""

    def walk(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: walk(one) for key, one in value.items()}
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            return change(value)
        return value

    def spoil(_storm: Storm, reply: Reply) -> Reply:
        if reply.status != 200 or reply.body[:1] not in {b"{", b"["}:
            return reply
        return replace(reply, body=json.dumps(walk(json.loads(reply.body))).encode())

    return spoil


def _shuffled(storm: Storm, reply: Reply) -> Reply:
    return _mapped(lambda items: storm.dice.sample(items, len(items)))(storm, reply)


def _stale(storm: Storm, reply: Reply) -> Reply:
    """Answer with what was once said to the same question, as a cache between does."""
    return storm.dice.choice(storm.said.get(storm.question, [reply]))


def _others(storm: Storm, reply: Reply) -> Reply:
    """Answer with what another platform said."""
    questions = sorted(one for one in storm.said if one[0] != storm.question[0])
    return storm.dice.choice(storm.said[storm.dice.choice(questions)]) if questions else reply


def _junked(storm: Storm, reply: Reply) -> Reply:
    """Put junk in the place of one value of an answer of JSON."""
    if reply.body[:1] not in {b"{", b"["}:
        return reply
    value = json.loads(reply.body)
    places = list(places_in(value))
    if not places:
        return reply
    changed = with_junk(value, storm.dice.choice(places), storm.dice.choice(JUNK))
    return replace(reply, body=json.dumps(changed).encode())


def _recoded(encoding: str) -> Spoiler:
    return lambda _, reply: replace(reply, body=reply.body.decode("utf-8", "replace").encode(encoding, "replace"))


def _headed(**headers: str) -> Spoiler:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return lambda _, reply: replace(reply, headers={**reply.headers, **named})


def _wild(storm: Storm, _reply: Reply) -> Reply:
    """Ask for patience with a word that is no time."""
    word = storm.dice.choice(
        [
            "-1",
            "0",
            "nan",
            "1e9",
            "9" * 30,
            "soon",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "\u0663".encode().decode("latin-1"),
        ]
    )
    names = ("retry-after", "x-rate-limit-reset", "ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-remaining")
    return Reply(status=storm.dice.choice([429, 503]), body=b"{}", headers=dict.fromkeys(names, word))


def _promised(storm: Storm, reply: Reply) -> Reply:
    """Say that there is a further page, wherever the answer tells of pages."""
    if reply.body[:1] != b"{":
        return reply
    payload = json.loads(reply.body)
    payload |= {"cursor": "lagi", "nextPageToken": "lagi"} if payload.keys() & {"feed", "records", "items"} else {}
    for key, more in (
        ("meta", {"next_token": "lagi"}),
        ("paging", {"cursors": {"after": "lagi"}, "next": "https://a/?after=lagi"}),
    ):
        if isinstance(payload.get(key), dict):
            payload[key] = {**payload[key], **more}
    return replace(reply, body=json.dumps(payload).encode())


def _ended(_storm: Storm, reply: Reply) -> Reply:
    """Leave out that there is a further page, wherever the answer tells of pages."""
    headers = {key: value for key, value in reply.headers.items() if key != "link"}
    if reply.status != 200 or reply.body[:1] != b"{":
        return replace(reply, headers=headers)
    payload = {key: value for key, value in json.loads(reply.body).items() if key not in PAGING}
    for key, inside in payload.items():
        if isinstance(inside, dict):
            payload[key] = {name: part for name, part in inside.items() if name not in PAGING}
            media = inside.get("media")
            if isinstance(media, dict):
                payload[key]["media"] = {name: part for name, part in media.items() if name not in PAGING}
    return replace(reply, headers=headers, body=json.dumps(payload).encode())


SPOILERS: Mapping[str, Spoiler] = {
    "401": _status(401),
    "403": _status(403),
    "404": _status(404),
    "410": _status(410),
    "429 with a reset": _limited,
    "429": _status(429),
    "500": _status(500),
    "502": _status(502, HTML, content_type="text/html"),
    "503": _status(503, retry_after="30"),
    "HTML": _status(200, HTML, content_type="text/html"),
    "nothing": _status(200, b""),
    "another schema": _status(200, b'{"unexpected": {"shape": [1, 2, null]}}'),
    "null": _status(200, b"null"),
    "a list": _status(200, b"[]"),
    "truncated": _truncated,
    "an empty list": _mapped(lambda _: []),
    "twice": _mapped(lambda items: [*items, *items]),
    "backwards": _mapped(lambda items: items[::-1]),
    "shuffled": _shuffled,
    "stale": _stale,
    "another's": _others,
    "junk": _junked,
    "promised": _promised,
    "ended": _ended,
    "UTF-16": _recoded("utf-16"),
    "not unpacked": _headed(content_encoding="gzip"),
    "of no type": _headed(content_type=""),
    "of a wrong type": _headed(content_type="image/png"),
    "204": _status(204, b""),
    "206": _status(206, b"{}"),
    "304": _status(304, b""),
    "300": _status(300, b"{}"),
    "418": _status(418),
    "451": _status(451),
    "520": _status(520, HTML, content_type="text/html"),
    "999": _status(999),
    "wild": _wild,
    "not a number": _status(200, b'{"data": NaN, "items": Infinity, "feed": -Infinity}'),
    "too deep": _status(200, b"[" * 100_000),
    "round in a circle": lambda _storm, _reply: Reply(status=302, headers={"location": "?"}),
    "nowhere": _status(302, b""),
    "redirected": _redirected,
    "huge": _status(200, b'{"data": [' + b" " * 300_000 + b"]}"),
}
ON_THE_WIRE: Mapping[str, Mapping[str, Any]] = {
    "hang": {"hang": TIMEOUT * 1.5},
    "reset": {"reset": True},
    "cut": {"cut": True},
    "no HTTP": {"raw": b"\x16\x03\x01 garbage\r\n\r\n"},
    "no answer": {"raw": b"\r\n"},
    "a status that is none": {"raw": b"HTTP/1.1 two hundred OK\r\n\r\n"},
    "HTTP/9": {"raw": b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
    "too many headers": {"raw": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 500 + b"\r\n{}"},
    "a header without end": {"raw": b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 100_000 + b"\r\n\r\n{}"},
    "no headers at all": {"raw": b"HTTP/1.1 200 OK\r\n\r\n"},
    "headers that are none": {"raw": b"HTTP/1.1 200 OK\r\n: : :\r\nContent-Length: x\r\n\r\n[]"},
    "chunks that are none": {"raw": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"},
    "chunks without end": {"raw": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n"},
    "half a gzip": {"raw": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"[]" * 999)[:20]},
    "longer than told": {"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n[]"},
    "shorter than told": {"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]"},
    "without end of patience": {"raw": b"HTTP/1.1 100 Continue\r\n\r\n" * 50},
    "a bomb": {"raw": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b" " * 9_000_000)},
    "another account's": {"mistaken": True},  # only where an answer says whose it is
}


STOPPING = {"401", "403", "429", "429 with a reset", "wild"}  # a whole platform rests after it: less often
FAULTS = (*SPOILERS, *ON_THE_WIRE, *([*sorted(SPOILERS.keys() - STOPPING)] * 3))
DECEITFUL = {"junk", "stale", "another's", "ended"}  # may look like a true answer, see above
TELLING = tuple(fault for fault in FAULTS if fault not in DECEITFUL)


def _missing(one: Published, stored: list[tuple[str, bool, bool]]) -> str:
    """Say what is wrong with how a post is stored; every text of the storm is written once."""
    found = [(deleted, newest) for text, deleted, newest in stored if one.latest.text in text]
    if not found:
        earlier = any(version.text in text for version in one.versions for text, _, _ in stored)
        return "an old version" if earlier else "not stored"
    if any(deleted for deleted, _ in found):
        return "believed deleted"
    return "" if any(newest for _, newest in found) else "an old version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer that got as far as being made; `true` was to be told."""

    at: datetime
    question: tuple[str, str]
    fault: str
    true: Reply
    told: Reply

    def of(self, native_id: str) -> str:
        """Say what became of a post that the true answer held; nothing where it held none."""
        if native_id.encode() not in self.true.body:
            return ""
        came = "shown" if self.told.status == 200 and native_id.encode() in self.told.body else "hidden"
        return f"{self.at:%d. %H:%M:%S} {came} by {self.fault or 'a true answer'} to {self.question[1]}"


class StormyWorld(World):
    """A world each of whose answers meets one fault at random, with the probability `rate`."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice
        self.rate = 0.0
        self.met: Counter[str] = Counter()
        self.fault = ""  # what the answer in hand meets
        self.question = ("", "")
        self.faults: Sequence[str] = FAULTS

    def asked(self, platform: str, path: str, query: str) -> Fault | None:
        super().asked(platform, path, query)
        self.question = (platform, f"{path}?{query}")
        hit = self.dice.random() < self.rate
        self.fault = self.dice.choice(self.faults) if hit else ""
        self.met[self.fault or "none"] += 1
        how = ON_THE_WIRE.get(self.fault)
        if how and how.get("mistaken") and platform in NAMELESS:
            return None
        return Fault(platform=platform, times=1, headers={}, **how) if how else None


class Storm:
    """Accounts on every platform, a poller that reads them, and dice."""

    def __init__(
        self, db: Database, *, seed: int, platforms: tuple[str, ...] = (), each: int = 2, faults: Sequence[str] = FAULTS
    ) -> None:
        self.db, self.dice = db, random.Random(seed)
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.begun = self.now
        self.world = StormyWorld(random.Random(seed + 1))
        self.world.clock = lambda: self.now
        self.world.faults = faults
        self.sandbox = Sandbox(self.world)
        self.world.spoil = self._spoil
        wanted = platforms or tuple(sorted(connectors.CONNECTORS))
        self.setups: dict[str, Setup] = {}
        for setup in SETUPS:
            if setup.platform in wanted:
                self.setups.setdefault(setup.platform, setup)
        self.each = each
        self.taken: set[tuple[str, datetime]] = set()
        self.ticks = 0
        self.calls = 0.0  # what was measured of them at some time
        self.results: list[Checked] = []
        self.alive: dict[str, list[tuple[str, str]]] = {}  # by platform: (handle, native id)
        self.question: tuple[str, str] = ("", "")
        self.said: dict[tuple[str, str], list[Reply]] = {}  # what was answered to each question
        self.log: list[Answered] | None = None  # of every answer, where somebody wants to know

    def _spoil(self, _platform: str, reply: Reply) -> Reply:
        self.question = self.world.question
        spoiler = SPOILERS.get(self.world.fault)
        spoilt = spoiler(self, reply) if spoiler else reply
        if self.log is not None:
            self.log.append(
                Answered(at=self.now, question=self.question, fault=self.world.fault, true=reply, told=spoilt)
            )
        said = self.said.setdefault(self.question, [])
        said.append(reply)
        del said[:-KEPT_ANSWERS]
        while len(self.said) > KEPT_QUESTIONS:
            del self.said[next(iter(self.said))]
        return spoilt

    def __enter__(self) -> Self:
        self.sandbox.start()
        for platform in self.setups:
            self._settle_neighbour(platform)
            for handle in self.handles(platform):
                self.world.add_account(platform, handle, name="Jabatan Demo")
                for hour in (1, 5, 40, 90):
                    self._publish(platform, handle, at=self.now - timedelta(hours=hour))
        accounts = [self._account(setup, one) for setup in self.setups.values() for one in self.handles(setup.platform)]
        save_register(self.db, [agency()], accounts, now=self.now)
        for setup in self.setups.values():
            if setup.paged:
                self.world.page_sizes[setup.platform] = PAGE
        self.poller = Poller(
            db=self.db,
            connectors={name: self._connector(setup) for name, setup in self.setups.items()},
            rules=rule_set,
            agency_kinds=dict,
            polling=POLLING,
            clock=lambda: self.now,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.stop()

    def handles(self, platform: str) -> list[str]:
        count = 1 if platform in OF_ONE_TOKEN else self.each
        return [f"{platform}akaun{n}{DOMAINS.get(platform, '')}" for n in range(count)]

    def _settle_neighbour(self, platform: str) -> None:
        """Open an account that nobody watches: what it publishes must be stored nowhere."""
        handle = f"{platform}jiran{DOMAINS.get(platform, '')}"
        self.world.add_account(platform, handle, name="Jabatan Jiran")
        for hour in (1, 3, 40):
            text = f"{STRANGE} {self.dice.randrange(10**9)}"
            self.world.publish(platform, handle, text, at=self.now - timedelta(hours=hour))

    def _account(self, setup: Setup, handle: str) -> Account:
        return Account(agency="JPD", platform=setup.platform, handle=handle, url=setup.address(self.sandbox, handle))

    def _connector(self, setup: Setup) -> Any:
        cls = connectors.load(setup.platform)
        given: dict[str, object] = {**setup.settings, **MORE_CALLS.get(setup.platform, {})}
        if setup.based:
            given[setup.base] = self.sandbox.base_url(setup.twin or setup.platform)
        if setup.credential:
            given[setup.credential] = Secret(TOKEN)
        allow = () if setup.based else LOOPBACK
        network = Network(allow=allow, timeout=timedelta(seconds=TIMEOUT), max_bytes=200_000)
        posts = 0 if cls.capabilities.slices else POLLING.back_catalogue
        return cls(cls.Settings(**given), network, Bounds(page_limit=20, back_catalogue=posts))

    # What happens.

    def _publish(self, platform: str, handle: str, *, at: datetime) -> None:
        """Publish in a second of its own: where a page ends by time, no listing parts the posts of one."""
        while (handle, at) in self.taken:
            at -= SECOND
        self.taken.add((handle, at))
        one = self.world.publish(platform, handle, f"Hebahan {self.dice.randrange(10**9)}", at=at)
        self.alive.setdefault(platform, []).append((handle, one))

    def live(self) -> None:
        """Let something be published, edited or deleted on each platform, now and then."""
        for platform, setup in self.setups.items():
            handle, known = self.dice.choice(self.handles(platform)), self.alive[platform]
            count = self.dice.choice([0, 0, 0, 1, 2, *([3 * PAGE] if self.dice.random() < BURSTS else [])])
            late = self.dice.choice([0, 0, 5, 60]) if platform not in BY_NUMBER else 0
            room = count if setup.paged else max(0, WINDOW - len(known))
            for place in reversed(range(min(count, room))):
                self._publish(platform, handle, at=self.now - (late + 2 * place) * SECOND)
            if self.dice.random() < 0.1:
                _, one = self.dice.choice(known)
                self.world.edit(platform, one, f"Pembetulan {self.dice.randrange(10**9)}", at=self.now)
            if self.dice.random() < 0.08 and len(known) > 3 * self.each:
                _, one = known.pop(self.dice.randrange(len(known)))
                self.world.delete(platform, one)

    def tick(self) -> None:
        """One look of the daemon at every platform, and the clock goes on."""
        self.ticks += 1
        for platform in self.setups:
            self.results += poll_platform(self.poller, platform, workers=2)
            self.results += fill_platform(self.poller, platform)
        self.now += STEP

    def live_once(self, platform: str) -> None:
        self._publish(platform, self.handles(platform)[0], at=self.now)

    def rage(self, ticks: int, *, rate: float) -> None:
        self.world.rate = rate
        for _ in range(ticks):
            self.live()
            self.tick()

    def calm(self) -> None:
        """End the faults, wait until every platform may be asked again, and make a pass as `pantau once` does."""
        self.world.rate = 0.0
        for _ in range(3):
            self.now += timedelta(hours=7)
            for platform in self.setups:
                poll_platform(self.poller, platform, workers=2)
                self.results += poll_platform(self.poller, platform, everything=True, workers=2)
                self.results += fill_platform(self.poller, platform, everything=True)

    # What must hold.

    def lost(self) -> list[str]:
        """I1: return the posts that are served now, and neither stored as they are nor inside a named gap.

        How many are read of what was published before an account was registered is a choice.
        """
        found = []
        for holder in registered(self.db):
            stored, gaps = self._stored(holder.id), coverage.gaps(self.stretches(holder.id))
            for one in self._served(holder):
                if one.at < self.begun or any(gap.start - STEP <= one.at <= gap.end for gap in gaps):
                    continue
                if what := _missing(one, stored):
                    found.append(f"{holder.label} {one.native_id} of {one.at:%H:%M:%S}: {what}")
        return found

    def history(self, native_id: str) -> list[str]:
        """Return what became of each answer that held a post, where the answers were kept."""
        return [line for one in self.log or () if (line := one.of(native_id))]

    def strange(self) -> list[str]:
        """Return what is stored of accounts that nobody watches."""
        return [text for one in registered(self.db) for text, *_ in self._stored(one.id) if STRANGE in text]

    def buried_wrongly(self) -> int:
        return sum(line.endswith("believed deleted") for line in self.lost())

    def _served(self, holder: Account) -> list[Published]:
        known = self.world.holder(holder.platform, holder.handle)
        assert known is not None
        return self.world.timeline(holder.platform, known.native_id)

    def _stored(self, account_id: int) -> list[tuple[str, bool, bool]]:
        """Return each version's text, whether its post is believed deleted, and whether it is the newest."""
        post, version = tables.post, tables.post_version
        query = select(version.c.text, post.c.deleted_at, version.c.number == post.c.versions).where(
            post.c.account_id == account_id, version.c.post_id == post.c.id
        )
        with self.db.read() as connection:
            return [(row[0], row[1] is not None, bool(row[2])) for row in connection.execute(query)]

    def stretches(self, account_id: int) -> list[Interval]:
        table = tables.coverage
        query = select(table).where(table.c.account_id == account_id).order_by(table.c.start)
        with self.db.read() as connection:
            return [to_interval(row) for row in connection.execute(query).mappings()]

    def holes(self) -> list[str]:
        """I8: return the accounts whose coverage does not tile."""
        return [one.label for one in registered(self.db) if first_hole(self.stretches(one.id), self.begun)]

    def still_failing(self) -> list[str]:
        query = select(tables.account.c.platform, tables.account.c.error).where(tables.account.c.cause.is_not(None))
        with self.db.read() as connection:
            return [f"{row.platform}: {row.error}" for row in connection.execute(query)]

    def calls_per_account(self) -> float:
        """Return the most that any platform was asked for, for each of its accounts."""
        twins = {setup.twin or name: name for name, setup in self.setups.items()}
        counted = self.world.asked_in_all.items()
        return max((n / len(self.handles(twins[one])) for one, n in counted), default=0.0)

    def crashes(self) -> list[str]:
        return sorted({one.failure for one in self.results if one.failure and "Pantau itself" in one.failure})

    def versions_twice(self) -> int:
        """Return how many versions say what the one before them said: an answer backwards or doubled is no edit."""
        version = tables.post_version
        doubled = select(version.c.post_id).group_by(version.c.post_id, version.c.content_hash).having(func.count() > 1)
        with self.db.read() as connection:
            return len(connection.execute(doubled).all())
