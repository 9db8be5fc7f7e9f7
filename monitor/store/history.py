"""What rules may ask about the time before a post. Every answer is a query, made when it is asked and kept.

An account's habits end a day before the post, so that a stranger's first posts do not become habits of the account.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select

from monitor.model import MALAYSIA, Account, Finding, Post, PostKind, Profile
from monitor.rules.history import ALONE, Copies, Known, linked_domains, text_key
from monitor.rules.language import guess
from monitor.rules.text import fold
from monitor.store import opening
from monitor.store.database import Database
from monitor.store.register import to_account
from monitor.store.tables import account, finding, post, post_version, profile

HABITS_END = timedelta(days=1)
MOST_HABITS = 500  # posts, the newest
MOST_SPOKEN = 200


class Unsaved:
    """What this process has read and not stored yet, so that accounts that are read at the same time see each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, tuple[Account, Sequence[Post]]] = {}
        self._number = 0

    @contextmanager
    def holding(self, holder: Account, posts: Sequence[Post]) -> Iterator[None]:
        """Show posts to others until they are stored."""
        with self._lock:
            self._number += 1
            number = self._number
            self._held[number] = (holder, posts)
        try:
            yield
        finally:
            with self._lock:
                del self._held[number]

    def of(self, account_id: int) -> list[Post]:
        with self._lock:
            held = [posts for holder, posts in self._held.values() if holder.id == account_id]
        return [one for posts in held for one in posts]

    def publishers(self, key: str, start: datetime, end: datetime) -> dict[int, str]:
        """Return the accounts with a text, and their agencies."""
        with self._lock:
            held = list(self._held.values())
        return {
            holder.id: holder.agency
            for holder, posts in held
            for one in posts
            if start <= one.published_at <= end and text_key(one.text) == key
        }


class StoredHistory:
    """The history of one post of an account. Is a `monitor.rules.history.History`.

    `look` is called before the profile is asked for: the caller may bring it up to date.
    """

    def __init__(
        self,
        db: Database,
        holder: Account,
        one: Post,
        *,
        unsaved: Unsaved | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._db = db
        self._holder = holder
        self._post = one
        self._unsaved = unsaved or Unsaved()
        self._look = look
        self._copies: dict[timedelta, Copies] = {}
        self._counts: dict[timedelta, int] = {}

    def accounts_with_same_text(self, within: timedelta) -> Copies:
        if within not in self._copies:
            self._copies[within] = self._count_copies(within)
        return self._copies[within]

    def _count_copies(self, within: timedelta) -> Copies:
        key = text_key(self._post.text)
        if key is None:
            return ALONE
        start, end = self._post.published_at - within, self._post.published_at + within
        found = self._unsaved.publishers(key, start, end)  # before the database: what leaves here is stored there
        query = (
            select(account.c.id, account.c.agency)
            .join(post, post.c.account_id == account.c.id)
            .join(post_version, post_version.c.post_id == post.c.id)
            .where(post_version.c.text_key == key, post.c.published_at.between(start, end))
            .distinct()
        )
        with self._db.read() as connection:
            found |= {row[0]: row[1] for row in connection.execute(query)}
        found[self._holder.id] = self._holder.agency
        return Copies(accounts=len(found), agencies=len(set(found.values())))

    def posts_within(self, within: timedelta) -> int:
        if within not in self._counts:
            start, end = self._post.published_at - within, self._post.published_at
            mine = {one.native_id for one in self._unsaved.of(self._holder.id) if start < one.published_at <= end}
            query = select(post.c.native_id).where(
                post.c.account_id == self._holder.id, post.c.published_at > start, post.c.published_at <= end
            )
            with self._db.read() as connection:
                mine.update(connection.execute(query).scalars())
            self._counts[within] = len(mine | {self._post.native_id})
        return self._counts[within]

    def hours(self) -> Sequence[int]:
        return self._hours

    @cached_property
    def _hours(self) -> Sequence[int]:
        with self._db.read() as connection:
            times = connection.execute(self._before(select(post.c.published_at), MOST_HABITS)).scalars()
            counts = Counter(at.astimezone(MALAYSIA).hour for at in times)
        return [counts[hour] for hour in range(24)]

    def known_domains(self) -> Known:
        return self._known_domains

    @cached_property
    def _known_domains(self) -> Known:
        rows = self._texts(MOST_HABITS)
        names = {name for text, links, _ in rows for name in linked_domains(fold(text), links)}
        return Known(posts=len(rows), domains=frozenset(names))

    def languages(self) -> Mapping[str, int]:
        return self._languages

    @cached_property
    def _languages(self) -> Mapping[str, int]:
        rows = self._texts(MOST_SPOKEN)
        return Counter(guess(text) if spoken is None else spoken for text, _, spoken in rows)

    def _texts(self, most: int) -> list[tuple[str, list[str], str | None]]:
        """Return texts and links; a purge leaves domains for links, and for the text what language it was in."""
        newest = and_(post_version.c.post_id == post.c.id, post_version.c.number == post.c.versions)
        columns = (post_version.c.text, post_version.c.links, post_version.c.spoken)
        query = select(*columns).select_from(post.join(post_version, newest))
        with self._db.read() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(self._before(query, most))]

    def _before(self, query: Select[Any], most: int) -> Select[Any]:
        """Narrow a query to the account's newest posts that make its habits."""
        until = self._post.published_at - HABITS_END
        mine = query.where(post.c.account_id == self._holder.id, post.c.published_at < until)
        return mine.order_by(post.c.published_at.desc()).limit(most)

    def profile_changes(self, within: timedelta) -> frozenset[str]:
        self._look()
        near = (names for at, names in self._changes if abs(at - self._post.published_at) <= within)
        return frozenset().union(*near)

    @cached_property
    def _changes(self) -> Sequence[tuple[datetime, frozenset[str]]]:
        columns = ("seen_at", "native_id", "name", "handle", "bio", "picture_url")
        mine = and_(profile.c.account_id == self._holder.id, profile.c.purged_at.is_(None))
        query = select(*(profile.c[name] for name in columns)).where(mine)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(profile.c.id.desc()).limit(MOST_HABITS)).mappings().all()
        seen = [(row["seen_at"], Profile(**{name: row[name] for name in columns[1:]})) for row in reversed(rows)]
        return [(at, shown.changes_since(before)) for (_, before), (at, shown) in pairwise(seen)]


# ---------------------------------------------------------------- the second look


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """A post on which a rule fired that asks for the same text elsewhere, and how far from it the rule looks."""

    account_id: int
    text: str
    at: datetime
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A stored post of another account with the same text, in the version that has it."""

    account: Account
    post: Post
    post_id: int
    version_id: int
    back_catalogue: bool


def peers(db: Database, fired: Sequence[Fired]) -> list[Peer]:
    """Return the posts that have the texts of others on which a rule fired, each once."""
    versions = post_version.join(post, post.c.id == post_version.c.post_id).join(
        account, account.c.id == post.c.account_id
    )
    columns: list[ColumnElement[Any]] = [post.c.native_id, post.c.url, post.c.published_at, post.c.kind]
    columns += [post.c.back_catalogue, post_version.c.id.label("version_id"), post_version.c.post_id]
    columns += [post_version.c.text, post_version.c.language, post_version.c.links]
    columns += [column.label(f"account_{column.name}") for column in account.c]
    found: dict[int, Peer] = {}
    with db.read() as connection:
        for one in fired:
            key = text_key(one.text)
            window = post.c.published_at.between(one.at - one.within, one.at + one.within)
            query = select(*columns).select_from(versions)
            query = query.where(post_version.c.text_key == key, window, post.c.account_id != one.account_id)
            query = query.where(post_version.c.purged_at.is_(None))
            for row in connection.execute(query).mappings():
                found[row["version_id"]] = _to_peer(row)
    return list(found.values())


def _to_peer(row: Any) -> Peer:
    shown = Post(
        native_id=row["native_id"],
        url=row["url"],
        published_at=row["published_at"],
        text=row["text"],
        kind=PostKind(row["kind"]),
        language=row["language"],
        links=tuple(row["links"]),
    )
    holder: Any = {column.name: row[f"account_{column.name}"] for column in account.c}
    return Peer(
        account=to_account(holder),
        post=shown,
        post_id=row["post_id"],
        version_id=row["version_id"],
        back_catalogue=row["back_catalogue"],
    )


def save_second_look(db: Database, peer: Peer, findings: Sequence[Finding], *, rule_set: str, now: datetime) -> bool:
    """Commit what is found only now, with its alert. Returns whether anything was."""
    with db.write() as connection:
        connection.execute(select(post.c.id).where(post.c.id == peer.post_id).with_for_update())
        known = set(
            connection.execute(select(finding.c.rule).where(finding.c.post_version_id == peer.version_id)).scalars()
        )
        new = [one for one in findings if one.rule not in known]
        if not new:
            return False
        opening.note_findings(
            connection,
            new,
            holder=peer.account,
            post_id=peer.post_id,
            native_id=peer.post.native_id,
            version_id=peer.version_id,
            back_catalogue=peer.back_catalogue,
            rule_set=rule_set,
            now=now,
        )
    return True
