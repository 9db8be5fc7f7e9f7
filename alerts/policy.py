"""Who is told, when, by what step, and why. Pure: an alert, the policy and the time go in, a plan comes out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr

import idna

from monitor.model import Agency, Alert, AlertKind, AlertState, Language, NewNotification, Severity
from monitor.settings import Settings

OPERATOR_KINDS = {
    AlertKind.CREDENTIAL: "credential",
    AlertKind.DEAD_LETTER: "dead_letter",
    AlertKind.EVALUATION: "evaluation",
    AlertKind.CANARY_MISSING: "canary_missing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the configuration says about who is told.

    `instance` tells one installation's mails from another's: two that share a sender must not share Message-IDs.
    """

    instance: str
    sender_domain: str
    security_team: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    team_language: Language = Language.MS
    canary: str = ""  # who gets the daily proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The mails to write now, and when to look at the alert again: at `next_action_at`, or never for `reason`."""

    notifications: tuple[NewNotification, ...]
    next_action_at: datetime | None
    reason: str


def policy_of(settings: Settings, *, instance: str) -> Policy:
    return Policy(
        instance=instance,
        sender_domain=mail_domain(settings.mail.sender),
        security_team=settings.digest.recipients,
        operators=settings.operators.recipients,
        team_language=Language(settings.digest.language),
        canary=settings.canary.recipient or parseaddr(settings.mail.sender)[1],
    )


def mail_domain(sender: str) -> str:
    """Return the domain of `Name <local@domain>` as mail servers write it (ASCII)."""
    return ascii_domain(parseaddr(sender)[1].rpartition("@")[2])


def ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain.lower()  # the channel refuses it with a message that names the address


def message_id(policy: Policy, *parts: str) -> str:
    """Return the Message-ID that the same mail to the same person always has."""
    identity = "\0".join((policy.instance, *parts))
    return f"<pantau.{hashlib.sha256(identity.encode()).hexdigest()[:32]}@{policy.sender_domain}>"


def plan(alert: Alert, policy: Policy, now: datetime) -> Plan:  # noqa: ARG001 (escalation by working hours needs it)
    """Decide who is told of the alert now."""
    if alert.kind is AlertKind.CANARY:
        return _canary(alert, policy)
    if alert.recovered_at is not None:
        return _recovery(alert, policy)
    if silence := _silence(alert):
        return _nobody(silence)
    if alert.kind is AlertKind.BLIND:
        people = _blind_people(alert, policy)
        return _told(alert, policy, "blind", people, "the agency, the security team and the operators are told")
    if alert.kind in OPERATOR_KINDS:
        people, why = _operators(alert, policy)
        return _told(alert, policy, OPERATOR_KINDS[alert.kind], people, why)
    return _post(alert, policy)


def _canary(alert: Alert, policy: Policy) -> Plan:
    """Plan the one mail of a canary; its acceptance ends the alert, and nobody has to look at it."""
    mail = NewNotification(
        step="canary",
        template="canary",
        recipient=policy.canary,
        language=policy.team_language,
        message_id=message_id(policy, alert.key, "canary", policy.canary.casefold()),
    )
    return Plan(notifications=(mail,), next_action_at=None, reason="a canary: it ends when its mail is accepted")


def _silence(alert: Alert) -> str:
    """Return why nobody is to be told of the alert; empty when somebody is."""
    if alert.state is not AlertState.OPEN:
        return f"{alert.state.value}: nobody is told any more"
    if alert.kind is AlertKind.BACKLOG:
        return "back catalogue: reviewed as one batch in the digest and the console, never mailed"
    if alert.kind is AlertKind.POST and not alert.severity.alerts:
        return "low severity: in the weekly digest only"
    return ""


def plan_digest(period: str, policy: Policy) -> tuple[NewNotification, ...]:
    """Return the week's digest for each recipient; the same week and person always give the same Message-ID."""
    return tuple(
        NewNotification(
            step="digest",
            template="digest",
            recipient=recipient,
            language=policy.team_language,
            message_id=message_id(policy, "digest", period, recipient.casefold()),
        )
        for recipient in _distinct(policy.security_team)
    )


@dataclass(frozen=True, slots=True)
class _Person:
    step: str
    address: str
    language: Language


def _post(alert: Alert, policy: Policy) -> Plan:
    people = _agency_people(alert.agency)
    if not people:
        team, why = _operators(alert, policy)
        return _told(alert, policy, "alert", team, f"no contact of the agency has a mail address; {why}")
    role, first = people[0]
    chosen = [_Person("first", first.address, first.language)]
    why = "first mail to the head" if role == "head" else f"the head has no mail address: first mail to the {role}"
    if alert.severity is Severity.CRITICAL:
        if len(people) > 1:
            role, second = people[1]
            chosen.append(_Person("first-second-contact", second.address, second.language))
            why += f", critical: also to the {role}"
        else:
            why += ", critical, but there is no second contact"
    return _told(alert, policy, "alert", chosen, why)


def _agency_people(agency: Agency | None) -> list[tuple[str, _Person]]:
    """Return the agency's contacts that can be reached, in the order in which they are asked; each address once."""
    if agency is None:
        return []
    contacts = agency.contacts
    order = (("head", contacts.head_email), ("deputy", contacts.deputy_email), ("ICTSO", contacts.ictso_email))
    seen: set[str] = set()
    people = []
    for role, address in order:
        if address and address.casefold() not in seen:
            seen.add(address.casefold())
            people.append((role, _Person("first", address, agency.language)))
    return people


def _blind_people(alert: Alert, policy: Policy) -> list[_Person]:
    first = _agency_people(alert.agency)[:1]
    return [
        *(person for _, person in first),
        *(_Person("security-team", address, policy.team_language) for address in policy.security_team),
        *(_Person("operators", address, policy.team_language) for address in policy.operators),
    ]


def _operators(alert: Alert, policy: Policy) -> tuple[list[_Person], str]:
    """Return who keeps Pantau running; for a refused mail, never by the way that was refused."""
    for step, whom, addresses in (
        ("operators", "the operators", policy.operators),
        ("security-team", "no operator can be told: the security team", policy.security_team),
    ):
        reachable = [a for a in addresses if not _refused(alert, a)]
        if reachable:
            return [_Person(step, a, policy.team_language) for a in reachable], f"{whom} are told"
    if alert.kind is AlertKind.DEAD_LETTER:
        others = [p for _, p in _agency_people(alert.agency) if not _refused(alert, p.address)]
        if others:
            return others[:1], "neither operators nor security team can be told: another contact of the agency is"
    return [], "nobody is configured: set operators.recipients or digest.recipients"


def _refused(alert: Alert, address: str) -> bool:
    return alert.kind is AlertKind.DEAD_LETTER and f"→ {address}:".casefold() in alert.detail.casefold()


def _recovery(alert: Alert, policy: Policy) -> Plan:
    people = _blind_people(alert, policy) if alert.kind is AlertKind.BLIND else _operators(alert, policy)[0]
    recovered = [_Person("recovery", person.address, person.language) for person in people]
    return _told(alert, policy, "recovery", recovered, "recovered: those who were told of it are told")


def _told(alert: Alert, policy: Policy, template: str, people: Iterable[_Person], reason: str) -> Plan:
    seen: set[str] = set()
    notifications = []
    for person in people:
        key = person.address.casefold()
        if key not in seen:
            seen.add(key)
            notifications.append(
                NewNotification(
                    step=person.step,
                    template=template,
                    recipient=person.address,
                    language=person.language,
                    message_id=message_id(policy, alert.key, person.step, key),
                )
            )
    if not notifications:
        return _nobody(reason if "nobody" in reason else f"{reason}, but nobody is configured")
    waiting = "" if template == "recovery" else "; waiting for someone to look at it"
    return Plan(notifications=tuple(notifications), next_action_at=None, reason=reason + waiting)


def _nobody(reason: str) -> Plan:
    return Plan(notifications=(), next_action_at=None, reason=reason)


def _distinct(addresses: Iterable[str]) -> list[str]:
    first: dict[str, str] = {}
    for address in addresses:
        first.setdefault(address.casefold(), address)
    return list(first.values())
