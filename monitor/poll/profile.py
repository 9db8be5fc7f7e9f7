"""A look at an account's profile in the middle of a check, when a rule asks whether it has changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog

from connectors.base import ConnectorError
from monitor.poll.judging import storable_profile
from monitor.poll.poller import Turn
from monitor.store.profiles import save_profile

log = structlog.get_logger(__name__)

PROFILE_AGAIN = timedelta(minutes=15)  # a profile as old as this is read again before a rule believes it


@dataclass(slots=True, kw_only=True)
class ProfileLook:
    """Reads an account's profile again, once a check, when a rule asks whether it has changed."""

    turn: Turn
    done: bool = False

    def __call__(self) -> None:
        turn, holder, seen = self.turn, self.turn.account, self.turn.claimed.profile_at
        if self.done or turn.gate.refusal or (seen is not None and abs(turn.now - seen) < PROFILE_AGAIN):
            return
        self.done = True
        try:
            profile = storable_profile(turn.connector.resolve(holder))
        except ConnectorError as error:
            turn.gate.note(error, met_by=holder.label)
            log.warning("profile not read again", account=holder.label, cause=error.cause.value, reason=str(error))
            return
        if save_profile(turn.poller.db, turn.claimed, profile, now=turn.now):
            log.warning("profile changed", account=holder.label)
