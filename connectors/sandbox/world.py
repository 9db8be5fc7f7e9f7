"""What is published on the sandbox's platforms: accounts, posts, edits, deletions, faults. In memory, thread-safe.

It knows nothing of HTTP; `server.py` and the platforms' twins show it to the connectors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from monitor.model import Media

SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
FIRST_NUMBER = 100_060_000_000_000  # ids of pages and profiles look like this
KEPT_REQUESTS = 20_000
PAGE_SIZES: Mapping[str, int] = {"x": 100, "facebook": 100, "myspace": 20, "rss": 20}


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


@dataclass(slots=True, kw_only=True)
class Fault:
    """How the next `times` requests whose path and query contain `path_contains` fail."""

    platform: str
    times: int
    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str]
    path_contains: str = ""
    hang: float = 0
    reset: bool = False
    cut: bool = False


class World:
    """Everything that is published. Handles are found in any letter case; posts keep the ids they were given."""

    def __init__(self) -> None:
        self.page_sizes = dict(PAGE_SIZES)
        self.latency = 0.0  # seconds that each answer takes
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)  # what the platforms take for the present
        self.requests: list[tuple[str, str]] = []  # (platform, path) as asked, the oldest dropped
        self._lock = threading.RLock()
        self._holders: dict[tuple[str, str], Holder] = {}  # by native id
        self._handles: dict[tuple[str, str], str] = {}
        self._posts: dict[tuple[str, str], dict[str, Published]] = {}  # by owner, then native id
        self._found: dict[tuple[str, str], tuple[str, str]] = {}  # id of any version → (owner, native id)
        self._faults: list[Fault] = []
        self._number = 0

    def add_account(self, platform: str, handle: str, *, name: str, bio: str = "", picture_url: str = "") -> str:
        """Open an account and return its native id."""
        with self._lock:
            native_id = str(FIRST_NUMBER + self._next())
            self._holders[platform, native_id] = Holder(
                platform=platform, native_id=native_id, handle=handle, name=name, bio=bio, picture_url=picture_url
            )
            self._handles[platform, handle.casefold()] = native_id
            self._posts[platform, native_id] = {}
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
            self._posts[platform, owner][one] = Published(
                native_id=one,
                owner=owner,
                at=at.astimezone(UTC),
                versions=(Version(id=one, text=text, at=at.astimezone(UTC)),),
                links=tuple(links),
                media=tuple(media),
                language=language,
            )
            self._found[platform, one] = (owner, one)
            return one

    def edit(self, platform: str, native_id: str, text: str, *, at: datetime) -> None:
        with self._lock:
            owner, first = self._found[platform, native_id]
            post = self._posts[platform, owner][first]
            one = self._new_id(platform, owner, at) if platform == "x" else first
            version = Version(id=one, text=text, at=at.astimezone(UTC))
            self._posts[platform, owner][first] = replace(post, versions=(*post.versions, version))
            self._found[platform, one] = (owner, first)

    def delete(self, platform: str, native_id: str) -> None:
        with self._lock:
            owner, first = self._found[platform, native_id]
            self._posts[platform, owner][first] = replace(self._posts[platform, owner][first], deleted=True)

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
    ) -> None:
        """Make the next `times` matching requests fail.

        `hang` seconds pass before the answer; `reset` closes the connection instead of answering; `cut` closes it in
        the middle of the body. With a `status` the answer is that status and `body`; `headers` are added to either.
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

    def timeline(self, platform: str, owner: str) -> list[Published]:
        """Return what an account shows, newest first."""
        with self._lock:
            posts = [post for post in self._posts.get((platform, owner), {}).values() if not post.deleted]
        return sorted(posts, key=lambda post: (post.at, post.native_id), reverse=True)

    def find(self, platform: str, one: str) -> Published | None:
        """Return a post by the id of any of its versions; None when there is none, or it was deleted."""
        with self._lock:
            owner, first = self._found.get((platform, one), ("", ""))
            post = self._posts.get((platform, owner), {}).get(first)
            return None if post is None or post.deleted else post

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
        return f"{owner}_{FIRST_NUMBER * 7 + number}"
