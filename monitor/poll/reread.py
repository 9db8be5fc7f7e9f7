"""Recent posts read again: edits become versions, deletions tombstones."""

from __future__ import annotations

from datetime import datetime

import structlog

from connectors.base import Connector, ConnectorError
from monitor.poll.judging import fresh_posts, judge
from monitor.poll.poller import Poller, Round
from monitor.poll.profile import ProfileLook
from monitor.schedule import reread_soonest
from monitor.store.accounts import Claimed
from monitor.store.posts import Saved, mark_reread, newest_ids, save_page, to_reread

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
        newest = newest_ids(poller.db, claimed.account.id, ids)
        answer = connector.reread(claimed.account, ids, now=now, newest=newest)
        missing = answer.missing - shown
        if missing:  # twice, because a passing fault or a lost permission looks the same
            missing &= connector.reread(claimed.account, sorted(missing), now=now, newest=newest).missing
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
