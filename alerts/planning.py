"""What is due is decided by the policy and written down: mails, next steps, silences. Alerts may share a mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from alerts.policy import LADDER_KINDS, Plan, Policy, plan
from monitor.escalation import Escalation, escalation_of
from monitor.model import Alert, Severity
from monitor.store import life
from monitor.store import plans as store
from monitor.store.database import Database

log = structlog.get_logger(__name__)

PLANNED_AT_ONCE = 500
WRITTEN_AT_ONCE = 100  # mails: others that write wait for it
CASES_OF_A_MAIL = 200
FLOOD_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """When alerts share a mail: see mail.group_interval and mail.flood_limit.

    `at_once`: no alert waits for others, and each has its own mail but in a flood.
    """

    interval: timedelta = timedelta(seconds=15)
    flood_limit: int = 100
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An alert with what was decided of it. `written`: mails of its are there already, and take no others in."""

    alert: Alert
    plan: Plan
    written: bool = False


def plan_due(db: Database, policy: Policy, *, now: datetime, grouping: Grouping | None = None) -> int:
    """Decide for every due alert who is told, and write it down. Returns how many were planned.

    An alert that fails is logged and tried again the next time; it never holds up the others.
    """
    desk = _Desk(db=db, policy=policy, now=now, grouping=grouping or Grouping())
    planned = 0
    seen: set[tuple[int, int]] = set()  # an alert that is open again is due once more, in its next round
    while due := [one for one in desk.due(len(seen)) if (one.id, one.round) not in seen]:
        seen |= {(one.id, one.round) for one in due}
        planned += desk.work_off(due)
    return planned


@dataclass(slots=True, kw_only=True)
class _Desk:
    """What planning one round of due alerts needs."""

    db: Database
    policy: Policy
    now: datetime
    grouping: Grouping

    def due(self, before: int) -> list[Alert]:
        return store.due_alerts(self.db, self.now, limit=PLANNED_AT_ONCE + before)

    def work_off(self, due: Sequence[Alert]) -> int:
        silences = life.list_silences(self.db, at=self.now)
        kept = self._policies(due)
        recent = store.first_mails(self.db, since=self.now - FLOOD_WINDOW, until=self.now)
        steps = store.last_steps(self.db, [one.id for one in due])
        decided = []
        for alert in due:
            try:
                policy = replace(self.policy, escalation=kept.get(alert.policy, self.policy.escalation))
                last = steps.get(alert.id)
                decided.append(
                    Planned(
                        alert=alert,
                        plan=plan(alert, policy, self.now, silences, last if alert.steps else None),
                        written=last is not None and alert.steps == 0,
                    )
                )
            except Exception:
                log.exception("alert could not be planned; it is tried again", case=alert.case)
        groups = gathered(decided, recent, self.grouping, self.now)
        return sum(
            self._write(groups[begin : begin + WRITTEN_AT_ONCE]) for begin in range(0, len(groups), WRITTEN_AT_ONCE)
        )

    def _policies(self, due: Iterable[Alert]) -> Mapping[str, Escalation]:
        """Return the policies that alerts began with, by hash."""
        wanted = {alert.policy for alert in due} - {"", self.policy.escalation.hash}
        return {key: escalation_of(text) for key, text in store.kept_policies(self.db, wanted).items()}

    def _write(self, groups: Sequence[Sequence[Planned]]) -> int:
        """Write groups in one transaction; where one of them stands in the way, each by itself."""
        together = [one for group in groups for one in group]
        try:
            written = store.write_plans(
                self.db, [_decision(one) for one in together], policy=self.policy.escalation, now=self.now
            )
        except Exception:
            if len(groups) > 1:
                return self._each(groups)
            log.exception("alert could not be planned; it is tried again", case=together[0].alert.case)
            return 0
        if not written and len(groups) > 1:
            return self._each(groups)
        if not written:
            log.info("alert changed while it was planned; it is decided anew", case=together[0].alert.case)
            return 0
        for one in together:
            log.info("alert planned", case=one.alert.case, mails=len(one.plan.notifications), reason=one.plan.reason)
        return len(together)

    def _each(self, groups: Sequence[Sequence[Planned]]) -> int:
        return sum(self._write([group]) for group in groups)


def _decision(one: Planned) -> store.Decision:
    return store.Decision(
        alert_id=one.alert.id,
        notifications=one.plan.notifications,
        next_action_at=one.plan.next_action_at,
        waiting_reason=one.plan.reason,
        steps=one.plan.steps,
        silence=one.plan.silence,
        reopen=one.plan.reopen,
        seen=one.alert,
    )


def gathered(
    decided: Sequence[Planned], recent: Sequence[store.FirstMail], grouping: Grouping, now: datetime
) -> list[list[Planned]]:
    """Put those together that share a mail, and put off what waits for others of its account. Pure.

    Alerts of one account that are due together share a mail; what comes within the group interval after an account's
    first mail waits for its end. When an agency's first mails of the last hour pass the flood limit, all its accounts
    share one. What is critical never waits.
    """
    floods = _flooded(decided, recent, grouping)
    groups: dict[tuple[object, ...], list[Planned]] = {}
    for one in decided:
        until = None if grouping.at_once else _wait(one, recent, floods, grouping)
        if until is not None and until > now:
            waits = replace(
                one.plan, notifications=(), next_action_at=until, steps=0, reason="waits for others of its account"
            )
            groups[("waits", one.alert.id)] = [replace(one, plan=waits)]
        else:
            groups.setdefault(_shares(one, floods, grouping), []).append(one)
    return [_joined(part) for group in groups.values() for part in _parts(group)]


def _parts(group: list[Planned]) -> Iterable[list[Planned]]:
    """Cut a group to what a mail can name: each case stands in one."""
    return (group[begin : begin + CASES_OF_A_MAIL] for begin in range(0, len(group), CASES_OF_A_MAIL))


def _is_first(one: Planned) -> bool:
    return one.alert.kind in LADDER_KINDS and one.alert.steps == 0 and bool(one.plan.notifications)


def _flooded(decided: Sequence[Planned], recent: Sequence[store.FirstMail], grouping: Grouping) -> frozenset[str]:
    """Return the agencies whose first mails, those of the last hour included, are more than anybody reads."""
    mails = Counter(mail.agency for mail in recent)
    first = [(one.alert.agency.code, _account(one)) for one in decided if one.alert.agency and _is_first(one)]
    mails.update(agency for agency, _ in (first if grouping.at_once else set(first)))
    return frozenset(agency for agency, number in mails.items() if number > grouping.flood_limit)


def _wait(
    one: Planned, recent: Sequence[store.FirstMail], floods: frozenset[str], grouping: Grouping
) -> datetime | None:
    """Return until when an alert waits for others to share its mail; None when it does not."""
    if not _is_first(one) or one.alert.severity is Severity.CRITICAL or one.alert.round or one.written:
        return None
    agency = one.alert.agency.code if one.alert.agency else ""
    same = [
        mail.at for mail in recent if (mail.agency == agency if agency in floods else mail.account_id == _account(one))
    ]
    return max(same) + grouping.interval if same else None


def _shares(one: Planned, floods: frozenset[str], grouping: Grouping) -> tuple[object, ...]:
    """Return what alerts must have in common to share their mails."""
    alert = one.alert
    if alert.kind not in LADDER_KINDS or alert.round or one.written or not one.plan.notifications:
        return ("alone", alert.id)
    agency = alert.agency.code if alert.agency else ""
    if grouping.at_once and agency not in floods:
        return ("alone", alert.id)
    whose = ("agency", agency) if agency in floods else ("account", _account(one))
    mails = tuple((mail.step, mail.template, mail.recipient) for mail in one.plan.notifications)
    return (*whose, alert.policy, alert.steps, mails)


def _account(one: Planned) -> int:
    return one.alert.account.id if one.alert.account else 0


def _joined(group: Sequence[Planned]) -> list[Planned]:
    """Let the strongest alert's mails tell of all; the others send none of their own."""
    first, *others = sorted(group, key=lambda one: (-one.alert.severity, one.alert.id))
    if not others:
        return [first]
    numbers = tuple(one.alert.id for one in others)
    shared = tuple(replace(mail, also_about=numbers) for mail in first.plan.notifications)
    reason = f"in one mail with {first.alert.case}"
    return [
        replace(first, plan=replace(first.plan, notifications=shared)),
        *(
            replace(one, plan=replace(one.plan, notifications=(), reason=f"{one.plan.reason}; {reason}"))
            for one in others
        ),
    ]
