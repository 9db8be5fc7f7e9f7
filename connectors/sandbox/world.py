"""What is published on the sandbox's platforms: accounts, posts, edits, deletions, faults. In memory, thread-safe.

It knows nothing of HTTP; `server.py` and the platforms' twins show it to the connectors.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from connectors.sandbox.reply import Reply
from monitor.model import Media

SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
FIRST_NUMBER = 100_060_000_000_000  # ids of pages and profiles look like this
KEPT_REQUESTS = 20_000
OWNERS = 1 << 22  # how many fit into an id of X beside its time
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE_SIZES: Mapping[str, int] = {
    "x": 100,
    "facebook": 100,
    "instagram": 100,
    "threads": 100,
    "tiktok": 20,
    "linkedin": 100,
    "youtube": 50,
    "telegram": 20,
    "bluesky": 100,
    "mastodon": 40,
    "myspace": 20,
    "rss": 20,
    "web": 20,
}
# What ids look like where they are no plain numbers: of an account, and of a post, from a running number.
ACCOUNT_IDS: Mapping[str, str] = {"youtube": "UC{:022d}"}
POST_IDS: Mapping[str, str] = {
    "youtube": "{:011d}",
    "telegram": "{}",
    "instagram": "1790{:013d}",
    "threads": "1810{:013d}",
    "tiktok": "7380{:015d}",
    "linkedin": "urn:li:share:7400{:015d}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One text of a post. On X each has an id of its own; elsewhere the id stays."""

    id: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A post with all its versions, oldest first. `native_id` is the first version's."""

    native_id: str
    owner: str
    at: datetime
    versions: tuple[Version, ...]
    links: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    language: str = "ms"
    deleted: bool = False

    @property
    def latest(self) -> Version:
        return self.versions[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """An account as the platform shows it. `abandoned`: its page is an empty shell."""

    platform: str
    native_id: str
    handle: str
    name: str
    bio: str = ""
    picture_url: str = ""
    abandoned: bool = False


Entry = int | Published  # what nobody has touched yet is its millisecond alone: a million of them must fit
Voice = Callable[[int], str]  # what an account says at a millisecond


@dataclass(slots=True)
class Timeline:
    """What one account shows, oldest first. `edited` are those of its posts that have later versions."""

    entries: list[Entry] = field(default_factory=list)
    edited: dict[str, Published] = field(default_factory=dict)
    voice: Voice = str

    def add(self, entry: Entry) -> None:
        insort(self.entries, entry, key=_place)

    def remove(self, entry: Entry) -> None:
        """Forget what is there; what is not there stays away."""
        where = bisect_left(self.entries, _place(entry), key=_place)
        if where < len(self.entries) and _place(self.entries[where]) == _place(entry):
            del self.entries[where]

    def newest_first(self, since: datetime | None, now: datetime) -> Iterator[Entry]:
        """Yield what was published or edited from `since` on. Untouched posts after `now` have yet to come."""
        begin = bisect_left(self.entries, (_microseconds(since), ""), key=_place) if since else 0
        future = bisect_right(self.entries, (_microseconds(now), "~"), key=_place)
        yield from (one for one in reversed(self.entries[future:]) if not isinstance(one, int))
        for where in range(future - 1, begin - 1, -1):
            yield self.entries[where]
        if since:
            late = (one for one in self.edited.values() if one.at < since <= one.latest.at)
            yield from sorted(late, key=_place, reverse=True)


def _place(entry: Entry) -> tuple[int, str]:
    return (entry * 1000, "") if isinstance(entry, int) else (_microseconds(entry.at), entry.native_id)


def _microseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


@dataclass(slots=True, kw_only=True)
class Fault:
    """How the next `times` requests whose path and query contain `path_contains` fail.

    `raw` is all that stands on the wire instead of an answer, HTTP or not, before the connection ends. `mistaken`: what
    is answered is the question about another account.
    """

    platform: str
    times: int
    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str]
    path_contains: str = ""
    hang: float = 0
    reset: bool = False
    cut: bool = False
    raw: bytes = b""
    mistaken: bool = False


class World:
    """Everything that is published. Handles are found in any letter case; posts keep the ids they were given."""

    def __init__(self) -> None:
        self.page_sizes = dict(PAGE_SIZES)
        self.latency = 0.0  # seconds that each answer takes
        self.spoil: Callable[[str, Reply], Reply] = lambda _platform, reply: (
            reply
        )  # what becomes of an answer on its way
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)  # what the platforms take for the present
        self.requests: list[tuple[str, str]] = []  # (platform, path) as asked, the oldest dropped
        self.asked_in_all: Counter[str] = Counter()  # requests by platform
        self._lock = threading.RLock()
        self._holders: dict[tuple[str, str], Holder] = {}  # by native id
        self._handles: dict[tuple[str, str], str] = {}
        self._timelines: dict[tuple[str, str], Timeline] = {}  # by owner
        self._found: dict[tuple[str, str], Published] = {}  # by the id of any version
        self._faults: list[Fault] = []
        self._number = 0

    def add_account(self, platform: str, handle: str, *, name: str, bio: str = "", picture_url: str = "") -> str:
        """Open an account and return its native id."""
        with self._lock:
            native_id = _account_id(platform, self._next())
            self._holders[platform, native_id] = Holder(
                platform=platform, native_id=native_id, handle=handle, name=name, bio=bio, picture_url=picture_url
            )
            self._handles[platform, handle.casefold()] = native_id
            self._timelines[platform, native_id] = Timeline()
            return native_id

    def rename(
        self,
        platform: str,
        handle: str,
        *,
        name: str | None = None,
        bio: str | None = None,
        picture_url: str | None = None,
    ) -> None:
        """Change what an account says of itself; None leaves a thing alone."""
        given = {"name": name, "bio": bio, "picture_url": picture_url}
        with self._lock:
            holder = self._holder(platform, handle)
            changed = {key: value for key, value in given.items() if value is not None}
            self._holders[platform, holder.native_id] = replace(holder, **changed)  # type: ignore[arg-type]  # texts

    def abandon(self, platform: str, handle: str) -> None:
        """Leave an account to rot: its page answers, with nothing of the account on it."""
        with self._lock:
            holder = self._holder(platform, handle)
            self._holders[platform, holder.native_id] = replace(holder, abandoned=True)

    def publish(
        self,
        platform: str,
        handle: str,
        text: str,
        *,
        at: datetime,
        links: Sequence[str] = (),
        media: Sequence[Media] = (),
        language: str = "ms",
        native_id: str = "",
    ) -> str:
        """Publish a post and return its native id. An `at` in the past is a post that appears late."""
        with self._lock:
            owner = self._holder(platform, handle).native_id
            one = native_id or self._new_id(platform, owner, at)
            post = Published(
                native_id=one,
                owner=owner,
                at=at.astimezone(UTC),
                versions=(Version(id=one, text=text, at=at.astimezone(UTC)),),
                links=tuple(links),
                media=tuple(media),
                language=language,
            )
            if (before := self.find(platform, one)) is not None:
                self._timelines[platform, before.owner].remove(before)
            self._timelines[platform, owner].add(post)
            self._found[platform, one] = post
            return one

    def publish_many(self, platform: str, handle: str, milliseconds: Sequence[int], voice: Voice) -> None:
        """Let an account say at each of these milliseconds (Unix time, ascending, each once) what its voice says then.

        Such a post takes next to no memory until it is edited or deleted, and is shown from its time on, by the clock.
        """
        with self._lock:
            timeline = self._timelines[platform, self._holder(platform, handle).native_id]
            timeline.entries = sorted([*timeline.entries, *milliseconds], key=_place)
            timeline.voice = voice

    def edit(self, platform: str, native_id: str, text: str, *, at: datetime) -> None:
        with self._lock:
            post = self._known(platform, native_id)
            one = self._new_id(platform, post.owner, at) if platform == "x" else post.native_id
            version = Version(id=one, text=text, at=at.astimezone(UTC))
            edited = replace(post, versions=(*post.versions, version))
            self._replace(platform, post, edited)
            self._timelines[platform, post.owner].edited[post.native_id] = edited

    def delete(self, platform: str, native_id: str) -> None:
        with self._lock:
            post = self._known(platform, native_id)
            self._replace(platform, post, replace(post, deleted=True))
            self._timelines[platform, post.owner].edited.pop(post.native_id, None)

    def fail(
        self,
        platform: str,
        *,
        status: int = 0,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        path_contains: str = "",
        hang: float = 0,
        reset: bool = False,
        cut: bool = False,
        mistaken: bool = False,
    ) -> None:
        """Make the next `times` matching requests fail.

        `hang` seconds pass before the answer; `reset` closes the connection instead of answering; `cut` closes it in
        the middle of the body; `mistaken` answers about another account. With a `status` the answer is that status and
        `body`; `headers` are added to either.
        """
        fault = Fault(
            platform=platform,
            times=times,
            status=status,
            body=body,
            headers=dict(headers or {}),
            path_contains=path_contains,
            hang=hang,
            reset=reset,
            cut=cut,
            mistaken=mistaken,
        )
        with self._lock:
            self._faults.append(fault)

    def heal(self) -> None:
        """Forget the faults that have not happened yet."""
        with self._lock:
            self._faults.clear()

    # What the twins read.

    def asked(self, platform: str, path: str, query: str) -> Fault | None:
        """Note a request and return the fault it meets."""
        with self._lock:
            self.asked_in_all[platform] += 1
            self.requests.append((platform, path))
            if len(self.requests) > KEPT_REQUESTS:
                del self.requests[: KEPT_REQUESTS // 2]
            for fault in self._faults:
                if fault.platform == platform and fault.path_contains in f"{path}?{query}":
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                    return fault
            return None

    def holder(self, platform: str, name: str) -> Holder | None:
        """Return an account by its native id or handle."""
        with self._lock:
            native_id = self._handles.get((platform, name.casefold()), name)
            return self._holders.get((platform, native_id))

    def holders(self, platform: str) -> list[Holder]:
        """Return the accounts of a platform, that which was opened first at the head."""
        with self._lock:
            return [one for (name, _), one in self._holders.items() if name == platform]

    def last_holder(self, platform: str) -> Holder | None:
        """Return the account of a platform that was opened last."""
        with self._lock:
            return next((one for (name, _), one in reversed(self._holders.items()) if name == platform), None)

    def timeline(self, platform: str, owner: str, *, since: datetime | None = None) -> list[Published]:
        """Return what an account shows, newest first; with `since`, what was published or edited from then on."""
        with self._lock:
            timeline = self._timelines.get((platform, owner), Timeline())
            shown = timeline.newest_first(since, self.clock())
            return [self._published(platform, owner, timeline, entry) for entry in shown]

    def find(self, platform: str, one: str) -> Published | None:
        """Return a post by the id of any of its versions; None when there is none, or it was deleted."""
        with self._lock:
            post = self._found.get((platform, one)) or self._untouched(platform, one)
            return None if post is None or post.deleted else post

    def _known(self, platform: str, one: str) -> Published:
        post = self._found.get((platform, one)) or self._untouched(platform, one)
        if post is None:
            raise KeyError(f"the sandbox has no post {platform}/{one}")
        return post

    def _untouched(self, platform: str, one: str) -> Published | None:
        """Return a post of `publish_many` by its id, from which owner and time can be told."""
        owner, _, place = one.rpartition("_")
        if platform == "x" and one.isdecimal():
            owner, place = str(FIRST_NUMBER + int(one) % OWNERS), str((int(one) >> 22) + SNOWFLAKE_EPOCH_MS)
        timeline = self._timelines.get((platform, owner))
        if timeline is None or not place.isdecimal():
            return None
        entry = int(place)
        where = bisect_left(timeline.entries, (entry * 1000, ""), key=_place)
        is_there = where < len(timeline.entries) and timeline.entries[where] == entry
        is_there &= entry * 1000 <= _microseconds(self.clock())
        return self._published(platform, owner, timeline, entry) if is_there else None

    def _published(self, platform: str, owner: str, timeline: Timeline, entry: Entry) -> Published:
        if not isinstance(entry, int):
            return entry
        at = EPOCH + timedelta(milliseconds=entry)
        one = f"{owner}_{entry}"
        if platform == "x":
            one = str((entry - SNOWFLAKE_EPOCH_MS) * OWNERS + (int(owner) - FIRST_NUMBER) % OWNERS)
        version = Version(id=one, text=timeline.voice(entry), at=at)
        return Published(native_id=one, owner=owner, at=at, versions=(version,))

    def _replace(self, platform: str, before: Published, after: Published) -> None:
        timeline = self._timelines[platform, before.owner]
        is_touched = (platform, before.native_id) in self._found
        timeline.remove(before if is_touched else _microseconds(before.at) // 1000)
        if not after.deleted:
            timeline.add(after)
        for version in after.versions:
            self._found[platform, version.id] = after

    def _holder(self, platform: str, handle: str) -> Holder:
        holder = self.holder(platform, handle)
        if holder is None:
            raise KeyError(f"the sandbox has no account {platform}/{handle}")
        return holder

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _new_id(self, platform: str, owner: str, at: datetime) -> str:
        number = self._next()
        if platform == "x":
            return str((int(at.timestamp() * 1000) - SNOWFLAKE_EPOCH_MS) << 22 | number % (1 << 22))
        if platform in POST_IDS:
            return POST_IDS[platform].format(number)
        if platform == "mastodon":
            return str((int(at.timestamp() * 1000) << 16) + number)
        if platform == "bluesky":
            micros = int(at.timestamp() * 1_000_000)
            return f"at://{owner}/app.bsky.feed.post/{_base32(micros << 10 | number % 1024, 13)}"
        return f"{owner}_{FIRST_NUMBER * 7 + number}"


def _account_id(platform: str, number: int) -> str:
    """Return an id as the platform's look."""
    if platform == "bluesky":
        return f"did:plc:{_base32(number, 24)}"
    return ACCOUNT_IDS.get(platform, "{}").format(FIRST_NUMBER + number)


def _base32(number: int, length: int) -> str:
    """Write a number in letters that sort as numbers do."""
    letters = "234567abcdefghijklmnopqrstuvwxyz"
    return "".join(letters[number >> 5 * place & 31] for place in reversed(range(length)))
