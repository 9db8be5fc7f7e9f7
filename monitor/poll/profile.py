"""A look at an account's profile in the middle of a check, when a rule asks whether it has changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from connectors.base import Connector, ConnectorError
from monitor.poll.judging import storable_profile
from monitor.poll.poller import Poller, Round
from monitor.store.accounts import Claimed
from monitor.store.profiles import save_profile

log = structlog.get_logger(__name__)

PROFILE_AGAIN = timedelta(minutes=15)  # a profile as old as this is read again before a rule believes it


@dataclass(slots=True, kw_only=True)
class ProfileLook:
    """Reads an account's profile again, once a check, when a rule asks whether it has changed."""

    poller: Poller
    connector: Connector
    claimed: Claimed
    now: datetime
    gate: Round
    done: bool = False

    def __call__(self) -> None:
        seen = self.claimed.profile_at
        if self.done or self.gate.refusal or (seen is not None and abs(self.now - seen) < PROFILE_AGAIN):
            return
        self.done = True
        holder = self.claimed.account
        try:
            profile = storable_profile(self.connector.resolve(holder))
        except ConnectorError as error:
            self.gate.note(error, met_by=holder.label)
            log.warning("profile not read again", account=holder.label, cause=error.cause.value, reason=str(error))
            return
        if save_profile(self.poller.db, self.claimed, profile, now=self.now):
            log.warning("profile changed", account=holder.label)
