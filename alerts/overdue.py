"""Which alerts wait for an answer longer than the policy lets them. Pure."""

from __future__ import annotations

from datetime import datetime

from alerts.policy import ACKNOWLEDGEMENT_ENDED, LADDER_KINDS
from monitor.model import AlertKind, AlertState
from monitor.reports import AlertLine


def is_overdue(one: AlertLine, at: datetime) -> bool:
    """Say whether the alert is past a deadline without an answer: its next step came, or its owner's time is over.

    So is one that was told before there was an escalation: no step of it will come (migration 0008).
    """
    if one.state is AlertState.ACKNOWLEDGED:
        return one.deadline is not None and one.deadline <= at
    if one.state is not AlertState.OPEN or one.kind is AlertKind.BACKLOG:
        return False
    told = one.steps == 1 and one.first_mail_at is not None
    never = one.next_action_at is None and one.kind in LADDER_KINDS
    late = never or (one.next_action_at is not None and one.next_action_at <= at)
    return one.steps > 1 or (told and late) or one.reopened_for.startswith(ACKNOWLEDGEMENT_ENDED)
