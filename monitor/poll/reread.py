"""Recent posts read again: edits become versions, deletions tombstones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from connectors.base import Connector, ConnectorError, Reread
from monitor.poll.judging import fresh_posts, judge
from monitor.poll.poller import Poller, Round
from monitor.poll.profile import ProfileLook
from monitor.schedule import reread_soonest
from monitor.store.accounts import Claimed
from monitor.store.posts import Saved, mark_reread, newest_ids, published_at, save_page, to_reread

log = structlog.get_logger(__name__)

REREADS_PER_CHECK = 100
REREADS_OF_A_PASS = 1000  # `pantau once` does not leave the rest for the next check


def read_again(
    poller: Poller,
    connector: Connector,
    claimed: Claimed,
    now: datetime,
    saved: Saved,
    gate: Round,
    shown: set[str],
) -> str | None:
    """Look at recent posts again for edits and deletions. A failure of this leaves the posts due, and is named.

    What this very pass was `shown` is not deleted, whatever a look-up says.
    """
    if not connector.capabilities.rereads or poller.stop.is_set():
        return None
    window, soonest = poller.polling.recheck_window, reread_soonest(poller.polling)
    limit = REREADS_OF_A_PASS if gate.everything else REREADS_PER_CHECK
    everything = gate.everything
    ids = to_reread(poller.db, claimed.account.id, now=now, window=window, limit=limit, everything=everything)
    if not ids:
        return None
    try:
        answer = _look(poller, connector, claimed, ids, now)
        missing = answer.missing - shown
        if missing:  # twice, because a passing fault or a lost permission looks the same
            missing &= _look(poller, connector, claimed, sorted(missing), now).missing
    except ConnectorError as error:
        gate.note(error, met_by=claimed.account.label)
        log.warning("not read again", account=claimed.account.label, cause=error.cause.value, reason=str(error))
        return f"{claimed.account.label}: recent posts could not be read again: {error}"
    look = ProfileLook(poller=poller, connector=connector, claimed=claimed, now=now, gate=gate)
    fresh = fresh_posts(poller, claimed.account, answer.posts)
    with poller.unsaved.holding(claimed.account, fresh):
        judged = judge(poller, claimed.account, fresh, now, look)
        saved.add(
            save_page(
                poller.db,
                claimed,
                judged,
                rule_set=poller.rules().hash,
                now=now,
                reread_window=window,
                reread_soonest=soonest,
                end=None,
            )
        )
    present = [post.native_id for post in answer.posts]
    saved.deleted += mark_reread(poller.db, claimed, present, sorted(missing), now=now, window=window, soonest=soonest)
    return None


def _look(poller: Poller, connector: Connector, claimed: Claimed, ids: Sequence[str], now: datetime) -> Reread:
    """Ask for known posts by id, or where the platform shows them in its listing alone, by id and time."""
    account = claimed.account
    if (reread_listed := getattr(connector, "reread_listed", None)) is not None:
        answer: Reread = reread_listed(account, published_at(poller.db, account.id, ids), now=now)
        return answer
    return connector.reread(account, ids, now=now, newest=newest_ids(poller.db, account.id, ids))
