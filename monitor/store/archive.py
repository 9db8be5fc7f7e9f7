"""The archive, read for the back-test: light columns by ranges of post ids, no object for a row, never a write."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate, groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, DateTime, Select, Text, and_, bindparam, cast, func, or_, select

from monitor.model import AgencyKind, AlertKind, PostKind, Resolution, Severity
from monitor.rules.backtest import ArchivedPost, Holder, Stored, Version
from monitor.rules.suggest import Answer, Told
from monitor.store.database import Database
from monitor.store.prepared import Prepared
from monitor.store.tables import account, agency, alert, finding, media, post, post_version

CONFIRMING = [one.value for one in Resolution if one.confirms]
AS_STORED = DateTime(timezone=True)  # without the checks of `Utc`, which would be half of reading a row
KINDS = {kind.value: kind for kind in PostKind}
SEVERITIES = {int(severity): severity for severity in Severity}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of the archive: post ids from `first` to `last`, of posts published from `since` on."""

    first: int
    last: int
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a person needs to find a post again."""

    platform: str
    account: str
    agency: str
    native_id: str
    url: str
    published_at: datetime
    cases: tuple[str, ...]
    text: str


def stretch_of(db: Database, *, since: datetime | None, limit: int | None) -> Stretch | None:
    """Return the whole archive, or its `limit` newest posts (as they came in); None when there is nothing."""
    ids = select(post.c.id)
    if since is not None:
        ids = ids.where(post.c.published_at >= since)
    if limit is not None:
        ids = ids.order_by(post.c.id.desc()).limit(limit)
    bounds = ids.subquery()
    with db.read() as connection:
        first, last = connection.execute(select(func.min(bounds.c.id), func.max(bounds.c.id))).one()
    return Stretch(first=first, last=last, since=since) if first is not None else None


class Archive:
    """Reads stretches of one database; what is the same for all of them is read once."""

    def __init__(self, db: Database) -> None:
        self._db = db
        with db.read() as connection:
            self._holders = _holders(connection)
            self._has_media = _any(connection, select(media.c.id).where(_legible()))
            self._has_findings = _any(connection, select(finding.c.id))
            self._has_purged = _any(connection, select(post_version.c.id).where(post_version.c.purged_at.is_not(None)))
            self._moment = AS_STORED.dialect_impl(connection.dialect).result_processor(connection.dialect, None)

    def piece(self, stretch: Stretch) -> Piece:
        """Read a stretch, with what was found in it, from one snapshot.

        Posts of which something was purged are left out: what was found there could not be found again.
        """
        values = {"first": stretch.first, "last": stretch.last, "since": stretch.since}
        with self._db.read() as connection:
            read = _media_texts(connection, stretch) if self._has_media else {}
            stored = _stored(connection, stretch) if self._has_findings else {}
            confirmed = _confirmed(connection, stretch) if stored else {}
            query = VERSIONS if stretch.since is None else VERSIONS_SINCE
            rows = query.run(connection, values).fetchall()
            purged = _purged(connection, stretch) if self._has_purged else frozenset()
        if purged:
            rows = [row for row in rows if row[0] not in purged]
        return Piece(rows, read, partial(self._post, stored=stored, confirmed=confirmed), stored.keys())

    def _post(
        self,
        row: Sequence[Any],
        versions: Sequence[Version],
        *,
        stored: Mapping[int, Sequence[Stored]],
        confirmed: Mapping[int, Sequence[str]],
    ) -> ArchivedPost:
        number, account_id, moment, kind = row[:4]
        published_at: Any = self._moment(moment) if self._moment is not None else moment
        return ArchivedPost(
            number,
            self._holders[account_id],
            published_at if published_at.tzinfo else published_at.replace(tzinfo=UTC),
            KINDS[kind],
            versions,
            stored.get(number, ()),
            confirmed.get(number, ()),
        )


class Piece:
    """What was read of a stretch. `read` holds by version what is told of its media, and what was read from them."""

    def __init__(
        self,
        rows: Sequence[Sequence[Any]],
        read: Mapping[int, tuple[Mapping[str, str], Mapping[str, str]]],
        post: Callable[[Sequence[Any], Sequence[Version]], ArchivedPost],
        found: Collection[int],
    ) -> None:
        self._rows, self._read, self._post, self._found = rows, read, post, found
        self.texts: list[str] = [row[-1] for row in rows]
        self._first: Sequence[int] = range(len(rows))  # by row, its first text's number
        if read:
            told = [[text for side in read.get(row[4], ()) for text in side.values()] for row in rows]
            self.texts = [text for row, others in zip(rows, told, strict=True) for text in (row[-1], *others)]
            self._first = [0, *accumulate(1 + len(others) for others in told)][:-1]

    @property
    def posts(self) -> int:
        return len({row[0] for row in self._rows})

    @property
    def versions(self) -> int:
        if not self._read:
            return len(self._rows)
        return len(self._rows) + sum(1 for row in self._rows if row[4] in self._read and self._read[row[4]][1])

    def worth(self, numbers: Collection[int]) -> Iterator[ArchivedPost]:
        """Make the posts of these texts, and all in which something was found before."""
        wanted = {self._rows[bisect_right(self._first, number) - 1][0] for number in numbers} | set(self._found)
        chosen = ((place, row) for place, row in enumerate(self._rows) if row[0] in wanted)
        for _, places in groupby(chosen, key=lambda one: one[1][0]):
            own = list(places)
            yield self._post(own[0][1], [version for place, row in own for version in self._versions(place, row)])

    def _versions(self, place: int, row: Sequence[Any]) -> Iterator[Version]:
        _, _, _, _, version_id, language, text = row
        described, contents = self._read.get(version_id, ({}, {}))
        first = self._first[place]
        yield Version(language, {"text": text, **described}, first)
        if contents:
            yield Version(language, contents, first + 1 + len(described))


def _holders(connection: Connection) -> dict[int, Holder]:
    query = select(account.c.id, account.c.agency, account.c.platform, agency.c.kind)
    rows = connection.execute(query.join(agency, agency.c.code == account.c.agency))
    return {number: Holder(code, platform, AgencyKind(kind)) for number, code, platform, kind in rows}


def _any(connection: Connection, query: Select[Any]) -> bool:
    return connection.execute(query.limit(1)).first() is not None


def _within(stretch: Stretch, number: ColumnElement[int]) -> ColumnElement[bool]:
    return and_(number >= stretch.first, number <= stretch.last)


def _versions() -> Select[Any]:
    return (
        select(post.c.id, post.c.account_id, post.c.published_at, post.c.kind)
        .add_columns(post_version.c.id, post_version.c.language, post_version.c.text)
        .join(post_version, post_version.c.post_id == post.c.id)
        .where(post.c.id >= bindparam("first"), post.c.id <= bindparam("last"))
        .order_by(post.c.id, post_version.c.number)
    )


VERSIONS = Prepared(_versions())
VERSIONS_SINCE = Prepared(_versions().where(post.c.published_at >= bindparam("since")))


def _purged(connection: Connection, stretch: Stretch) -> frozenset[int]:
    query = select(post_version.c.post_id).where(_within(stretch, post_version.c.post_id))
    return frozenset(connection.execute(query.where(post_version.c.purged_at.is_not(None))).scalars())


def _legible() -> ColumnElement[bool]:
    return or_(media.c.alt_text != "", media.c.text != "")


def _media_texts(connection: Connection, stretch: Stretch) -> dict[int, tuple[dict[str, str], dict[str, str]]]:
    """Return by version what the platform says of its media, and what was read from them; each by field."""
    query = (
        select(media.c.post_version_id, media.c.position, media.c.kind, media.c.alt_text, media.c.text)
        .join(post_version, post_version.c.id == media.c.post_version_id)
        .where(_within(stretch, post_version.c.post_id), _legible())
    )
    found: dict[int, tuple[dict[str, str], dict[str, str]]] = {}
    for version_id, position, kind, described, content in connection.execute(query):
        texts = found.setdefault(version_id, ({}, {}))
        for place, text in zip(texts, (described, content), strict=True):
            if text:
                place[f"{kind}:{position}"] = text
    return found


def _stored(connection: Connection, stretch: Stretch) -> dict[int, list[Stored]]:
    query = (
        select(post_version.c.post_id, finding.c.rule, finding.c.severity, finding.c.shadow)
        .join(finding, finding.c.post_version_id == post_version.c.id)
        .where(_within(stretch, post_version.c.post_id))
    )
    found: defaultdict[int, list[Stored]] = defaultdict(list)
    for post_id, rule, severity, shadow in connection.execute(query):
        found[post_id].append(Stored(rule, SEVERITIES[severity], not shadow))
    return found


def _confirmed(connection: Connection, stretch: Stretch) -> dict[int, list[str]]:
    query = select(alert.c.post_id, alert.c.case).where(
        _within(stretch, alert.c.post_id), alert.c.kind == AlertKind.POST.value, alert.c.resolution.in_(CONFIRMING)
    )
    found: defaultdict[int, list[str]] = defaultdict(list)
    for post_id, case in connection.execute(query.order_by(alert.c.id)):
        found[post_id].append(case)
    return found


def references(db: Database, post_ids: Collection[int]) -> dict[int, Reference]:
    """Return how to find these posts again, each with the newest text and the cases opened for it."""
    found: dict[int, Reference] = {}
    newest = and_(post_version.c.post_id == post.c.id, post_version.c.number == post.c.versions)
    query = (
        select(post.c.id, account.c.platform, account.c.handle, account.c.url, account.c.agency, post.c.native_id)
        .add_columns(post.c.url, post.c.published_at, post_version.c.text)
        .join(account, account.c.id == post.c.account_id)
        .join(post_version, newest)
    )
    ordered = sorted(post_ids)
    with db.read() as connection:
        for begin in range(0, len(ordered), 500):  # SQLite's limit of variables, with room
            part = ordered[begin : begin + 500]
            opened = select(alert.c.post_id, alert.c.case).where(alert.c.post_id.in_(part)).order_by(alert.c.id)
            cases: defaultdict[int, list[str]] = defaultdict(list)
            for post_id, case in connection.execute(opened):
                cases[post_id].append(case)
            for number, platform, handle, place, code, native_id, url, published_at, text in connection.execute(
                query.where(post.c.id.in_(part))
            ):
                found[number] = Reference(
                    platform=platform,
                    account=handle or place,
                    agency=code,
                    native_id=native_id,
                    url=url,
                    published_at=published_at,
                    cases=tuple(cases[number]),
                    text=text,
                )
    return found


def spans_of_agencies(db: Database, stretch: Stretch) -> dict[str, tuple[datetime, datetime]]:
    """Return by agency when its first and its last post of the stretch were published."""
    moment = post.c.published_at
    query = (
        select(account.c.agency, func.min(moment, type_=moment.type), func.max(moment, type_=moment.type))
        .join(post, post.c.account_id == account.c.id)
        .where(_within(stretch, post.c.id))
        .group_by(account.c.agency)
    )
    if stretch.since is not None:
        query = query.where(moment >= stretch.since)
    with db.read() as connection:
        return {code: (first, last) for code, first, last in connection.execute(query)}


def told_texts(db: Database, rules: Collection[str]) -> dict[str, list[Told]]:
    """Return by rule every stored text that it fired on, with what somebody said of its alert; oldest first."""
    query = (
        select(finding.c.rule, finding.c.field, post_version.c.text, alert.c.case, alert.c.resolution)
        .add_columns(media.c.text, media.c.alt_text)
        .join(post_version, post_version.c.id == finding.c.post_version_id)
        .outerjoin(alert, alert.c.id == finding.c.alert_id)
        .outerjoin(media, and_(media.c.post_version_id == post_version.c.id, finding.c.field == _media_field()))
        .where(finding.c.rule.in_(rules), post_version.c.purged_at.is_(None))
        .order_by(finding.c.id)
    )
    found: defaultdict[str, list[Told]] = defaultdict(list)
    with db.read() as connection:
        for rule, where, text, case, resolution, read, described in connection.execute(query):
            shown = text if where == "text" else read or described or ""
            told = Told(case=case or "", field=where, text=shown, answer=_answer(resolution))
            found[rule].append(told)
    return found


def rules_with_false_alarms(db: Database) -> list[str]:
    query = select(finding.c.rule).join(alert, alert.c.id == finding.c.alert_id).distinct().order_by(finding.c.rule)
    with db.read() as connection:
        return list(connection.execute(query.where(alert.c.resolution == Resolution.FALSE_ALARM.value)).scalars())


def _media_field() -> ColumnElement[str]:
    return media.c.kind + ":" + cast(media.c.position, Text)


def _answer(resolution: str | None) -> Answer:
    if resolution == Resolution.FALSE_ALARM.value:
        return Answer.FALSE_ALARM
    return Answer.CONFIRMED if resolution in CONFIRMING else Answer.OPEN
