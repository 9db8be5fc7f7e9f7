"""From a claimed mail to its bytes: the alerts it is about, who was told of them before, and the letter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from alerts.compose import compose_alert, compose_group, compose_period
from alerts.envelope import Envelope
from alerts.policy import next_roles
from monitor.escalation import Escalation, escalation_of
from monitor.model import Alert, AlertState, Delivery
from monitor.reports import MonthReport, WeekReport
from monitor.store import outbox as store
from monitor.store.database import Database
from monitor.store.listings import told_in_round
from monitor.store.plans import kept_policies

log = structlog.get_logger(__name__)

FOLLOW_UPS = frozenset({"reminder", "escalation"})  # they say who was told before


@dataclass(frozen=True, slots=True)
class Written:
    """A mail ready to go, and the alerts it is about where there are several."""

    delivery: Delivery
    mail: bytes
    about: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Writer:
    """Writes the mails of one run. `alerts`: those that were read so far, as they were then."""

    db: Database
    envelope: Envelope
    clock: Callable[[], datetime]
    report: Callable[[str], WeekReport | MonthReport]
    alerts: dict[int, Alert] = field(default_factory=dict)
    policies: dict[str, Escalation] = field(default_factory=dict)

    def read_alerts(self, deliveries: Iterable[Delivery]) -> None:
        """Read what these mails are about, and forget what was read before."""
        try:
            self.alerts = store.load_alerts(self.db, deliveries)
        except Exception:
            log.exception("alerts could not be read together; each is read by itself")
            self.alerts = {}

    def forget_alerts(self) -> None:
        """Read each alert anew: some have changed."""
        self.alerts = {}

    def write(self, delivery: Delivery) -> Written | None:
        """Return the mail, by its first rendering if there is one. None: all its alerts are closed."""
        if delivery.alert_id is None:
            mail = delivery.rendered or compose_period(
                self.report(delivery.period), delivery, self.envelope, now=self.clock()
            )
            return Written(delivery, mail, ())
        still_open = self._open_alerts(delivery)
        if not still_open:
            return None
        about = tuple(alert.id for alert in still_open) if delivery.also_about else ()
        if delivery.rendered is not None and (delivery.uncertain or set(about) == set(delivery.rendered_about)):
            return Written(delivery, delivery.rendered, delivery.rendered_about)
        now = self.clock()
        if about:
            return Written(delivery, compose_group(still_open, delivery, self.envelope, now=now), about)
        return Written(delivery, self._of_one(still_open[0], delivery, now), ())

    def _of_one(self, alert: Alert, delivery: Delivery, now: datetime) -> bytes:
        told = told_in_round(self.db, alert) if delivery.template in FOLLOW_UPS else ()
        next_to = next_roles(alert, self._escalation(alert.policy))
        return compose_alert(alert, delivery, self.envelope, now=now, told=told, next_to=next_to)

    def _escalation(self, kept: str) -> Escalation:
        """Return the policy that an alert began with; it never changes."""
        if kept not in self.policies:
            found = kept_policies(self.db, {kept}) if kept else {}
            self.policies[kept] = escalation_of(found[kept]) if kept in found else Escalation()
        return self.policies[kept]

    def _open_alerts(self, delivery: Delivery) -> list[Alert]:
        numbers = [number for number in (delivery.alert_id, *delivery.also_about) if number is not None]
        if any(number not in self.alerts for number in numbers):
            self.alerts |= store.load_alerts(self.db, [delivery])
        found = (self.alerts[number] for number in numbers)
        return [alert for alert in found if _wants(alert, delivery)]


def _wants(alert: Alert, delivery: Delivery) -> bool:
    """Say whether the alert still wants this mail: it is open; or recovered, for the mail that tells it."""
    recovery = delivery.template == "recovery" and alert.recovered_at is not None
    return alert.state is AlertState.OPEN or recovery
