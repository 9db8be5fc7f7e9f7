"""A small archive for the tests of the back-test: posts straight into the tables, with findings and resolved alerts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import count

from builders import NOW, agency, finding
from sqlalchemy import insert, select, update

from monitor.model import Account, AlertState, Finding, Resolution, Severity
from monitor.rules.backtest import ArchivedPost
from monitor.store import opening
from monitor.store.database import Database
from monitor.store.register import save_register
from monitor.store.tables import alert, media, post, post_version

MARKING_RULE = "mampu-2009/3c/marking"


class Shelf:
    """Posts that stand together, each of whose versions has one text: what an archive reads of them."""

    def __init__(self, posts: Sequence[ArchivedPost]) -> None:
        numbers = count()
        self._made = [one._replace(versions=[v._replace(first=next(numbers)) for v in one.versions]) for one in posts]
        self.posts = len(posts)
        self.texts = [version.fields["text"] for one in posts for version in one.versions]
        self.versions = len(self.texts)

    def worth(self, numbers: Collection[int]) -> list[ArchivedPost]:
        return [one for one in self._made if one.stored or any(version.first in numbers for version in one.versions)]


class ArchiveMaker:
    """Fills `db`, as the pollers would have."""

    def __init__(self, db: Database) -> None:
        self.db = db
        save_register(db, [agency("JPD"), agency("KCM")], [_account("JPD"), _account("KCM")], now=NOW)
        self._versions = 0

    def post(
        self,
        *texts: str,
        by: str = "JPD",
        at: datetime = NOW,
        found: tuple[Finding, ...] = (),
        resolution: Resolution | None = None,
        read: str = "",
        described: str = "",
    ) -> int:
        """Store a post with a version for each text; what is found is of the last one. Returns the post's id."""
        holder = _account(by, id={"JPD": 1, "KCM": 2}[by])
        with self.db.write() as connection:
            facts = {"account_id": holder.id, "published_at": at, "kind": "original", "first_seen_at": at}
            facts |= {"native_id": f"n{self._versions}", "url": f"https://x.com/i/status/n{self._versions}"}
            facts |= {"back_catalogue": False, "content_hash": "", "versions": len(texts)}
            number = connection.execute(insert(post).returning(post.c.id), facts).scalar_one()
            for place, text in enumerate(texts, start=1):
                self._versions += 1
                facts = {"post_id": number, "number": place, "seen_at": at, "text": text, "language": "ms"}
                facts |= {"links": [], "content_hash": "", "raw": {}}
                version = connection.execute(insert(post_version).returning(post_version.c.id), facts).scalar_one()
            if read or described:
                facts = {"post_version_id": version, "position": 0, "kind": "picture", "url": "https://x.com/p.png"}
                connection.execute(insert(media), {**facts, "alt_text": described, "text": read, "state": "read"})
            if found:
                self._found(connection, holder, number, version, found, at, resolution)
        return int(number)

    def _found(self, connection, holder, number, version, found, at, resolution) -> None:
        opened = opening.note_findings(
            connection,
            found,
            holder=holder,
            post_id=number,
            native_id=f"n{number}",
            version_id=version,
            back_catalogue=False,
            rule_set="old",
            now=at,
        )
        if resolution is not None:
            ended = {"state": AlertState.RESOLVED.value, "resolved_at": at, "resolution": resolution.value}
            connection.execute(update(alert).where(alert.c.id == opened).values(**ended))

    def case(self, post_id: int) -> str:
        with self.db.read() as connection:
            return str(connection.execute(select(alert.c.case).where(alert.c.post_id == post_id)).scalar_one())


def _account(code: str, **more: object) -> Account:
    return Account(agency=code, platform="x", handle=code.lower(), **more)  # type: ignore[arg-type]


def marking(severity: Severity = Severity.HIGH, **changes: object) -> Finding:
    return finding(MARKING_RULE, severity, **changes)
