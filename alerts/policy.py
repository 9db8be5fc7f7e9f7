"""Who is told, when, by what step, and why. Pure: an alert, the policy and the time go in, a plan comes out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parseaddr

import idna

from monitor.escalation import Escalation, Role, Step
from monitor.model import (
    Agency,
    Alert,
    AlertKind,
    AlertState,
    Language,
    LastStep,
    NewNotification,
    Severity,
    Silence,
    State,
)
from monitor.settings import Settings
from monitor.working_hours import after_working_time, next_working_moment

OPERATOR_KINDS = {
    AlertKind.CREDENTIAL: "credential",
    AlertKind.FORECAST: "forecast",
    AlertKind.DEAD_LETTER: "dead_letter",
    AlertKind.EVALUATION: "evaluation",
    AlertKind.CANARY_MISSING: "canary_missing",
}
LADDER_KINDS = frozenset({AlertKind.POST, AlertKind.PROFILE})  # escalate until somebody answers
SILENT_KINDS = LADDER_KINDS | {AlertKind.BLIND}
NOBODY = "nobody is configured: set operators.recipients or digest.recipients"
UNTOLD = LastStep(waiting=False, accepted_at=None, failed=False)
LOOK_AGAIN = timedelta(minutes=5)
REMINDED_KINDS = frozenset({AlertKind.BLIND, AlertKind.CREDENTIAL})
REMIND_AFTER = timedelta(days=7)  # of what is still blind, or a credential still dead
ACKNOWLEDGEMENT_ENDED = "the acknowledgement ran out"


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
    escalation: Escalation = field(default_factory=Escalation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The mails to write now, and when to look at the alert again: at `next_action_at`, or never for `reason`.

    `steps`: how many steps of the escalation are taken with this. `silence` covers the alert: it is suppressed.
    `reopen`: why the alert is open again.
    """

    notifications: tuple[NewNotification, ...] = ()
    next_action_at: datetime | None = None
    reason: str
    steps: int = 0
    silence: Silence | None = None
    reopen: str = ""


def policy_of(settings: Settings, *, instance: str, escalation: Escalation | None = None) -> Policy:
    return Policy(
        instance=instance,
        sender_domain=mail_domain(settings.mail.sender),
        security_team=settings.digest.recipients,
        operators=settings.operators.recipients,
        team_language=Language(settings.digest.language),
        canary=settings.canary.recipient or parseaddr(settings.mail.sender)[1],
        escalation=escalation or Escalation(),
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


def plan(
    alert: Alert, policy: Policy, now: datetime, silences: Sequence[Silence] = (), last: LastStep | None = None
) -> Plan:
    """Decide who is told of the alert now, and when it is looked at again. `last`: what became of its last step."""
    if alert.recovered_at is not None:
        return _recovery(alert, policy)
    if (untold := _untold(alert, now, silences)) is not None:
        return untold
    if alert.kind is AlertKind.CANARY:
        return _canary(alert, policy)
    if alert.kind in LADDER_KINDS:
        return _still_unheard(alert, policy, now, last) or _climb(alert, policy, now, last or UNTOLD)
    return _inform(alert, policy, now, last or UNTOLD)


def _inform(alert: Alert, policy: Policy, now: datetime, last: LastStep) -> Plan:
    """Tell whom it concerns that something does not work; of an address that refuses its mail, somebody else."""
    if alert.kind is AlertKind.BLIND:
        template, why = "blind", "the agency, the security team and the operators are told"
        people = [one for one in _blind_people(alert, policy) if one.address.casefold() not in last.refused]
    else:
        template = OPERATOR_KINDS[alert.kind]
        people, why = _operators(alert, policy, last.refused)
    again = now + REMIND_AFTER if alert.kind in REMINDED_KINDS else None
    if last.failed:
        people = [one for one in people if one.address.casefold() not in last.told | last.on_the_way]
        if not people:
            return Plan(reason="all who take mails are told", steps=alert.steps, next_action_at=again)
    return _told(alert, policy, template, people, why, again=again)


def _untold(alert: Alert, now: datetime, silences: Sequence[Silence]) -> Plan | None:
    """Return the plan of an alert that nobody is told of; None for the others."""
    if alert.state is AlertState.ACKNOWLEDGED and alert.deadline is not None:
        return _acknowledged(alert, now)
    if silence := _silence(alert):
        return Plan(reason=silence, steps=alert.steps)
    if covering := _covering(alert, silences):
        return Plan(reason=f"silenced by {covering.author}: {covering.reason}", silence=covering)
    return None


def _acknowledged(alert: Alert, now: datetime) -> Plan:
    assert alert.deadline is not None
    if alert.deadline > now:
        return Plan(reason="acknowledged", next_action_at=alert.deadline, steps=alert.steps)
    return Plan(reason="its owner's deadline has passed", reopen=f"{ACKNOWLEDGEMENT_ENDED} ({alert.owner})")


def _canary(alert: Alert, policy: Policy) -> Plan:
    """Plan the one mail of a canary; its acceptance ends the alert, and nobody has to look at it."""
    mail = NewNotification(
        step="canary",
        template="canary",
        recipient=policy.canary,
        language=policy.team_language,
        message_id=message_id(policy, alert.key, "canary", policy.canary.casefold()),
    )
    return Plan(
        notifications=(mail,), next_action_at=None, reason="a canary: it ends when its mail is accepted", steps=1
    )


def _silence(alert: Alert) -> str:
    """Return why nobody is to be told of the alert; empty when somebody is."""
    if alert.state is not AlertState.OPEN:
        return f"{alert.state.value}: nobody is told any more"
    if alert.kind is AlertKind.BACKLOG:
        return "back catalogue: reviewed as one batch in the digest and the console, never mailed"
    if alert.kind is AlertKind.POST and not alert.severity.alerts:
        return "low severity: in the weekly digest only"
    return ""


def _covering(alert: Alert, silences: Sequence[Silence]) -> Silence | None:
    """Return the silence that keeps the alert from being told at all. What is critical, or was told, is told on."""
    if alert.steps or alert.severity is Severity.CRITICAL or alert.kind not in SILENT_KINDS:
        return None
    return next((one for one in silences if one.covers(alert)), None)


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
    template: str = ""


def _still_unheard(alert: Alert, policy: Policy, now: datetime, last: LastStep | None) -> Plan | None:
    """Wait while the last step's mails have not left, or left too late to be answered yet; not after a refused one."""
    if last is None or not alert.steps or last.failed:
        return None
    if last.waiting:
        why = "its last mail has not left yet"
        return Plan(reason=why, next_action_at=now + LOOK_AGAIN, steps=alert.steps)
    if last.accepted_at is None:
        return None
    due = _later(alert, policy, last.accepted_at, _ladder(alert, policy), alert.steps - 1)
    return Plan(reason="waiting for someone to answer", next_action_at=due, steps=alert.steps) if due > now else None


def _climb(alert: Alert, policy: Policy, now: datetime, last: LastStep) -> Plan:
    """Take the next step of the escalation that has anybody to tell. Past the last one it repeats, until an answer."""
    ladder = _ladder(alert, policy)
    index = alert.steps
    if index == 0 and not _agency_people(alert.agency):
        people, why = _without_contacts(alert, policy)
        later = _later(alert, policy, now, ladder, len(ladder))
        return Plan(notifications=_notifications(alert, policy, people), reason=why, steps=1, next_action_at=later)
    people = _people_of(alert, policy, ladder, index, last)
    while not people and index + 1 < len(ladder):
        index += 1
        people = _people_of(alert, policy, ladder, index, last)
    if not people and index:  # the last step has nobody: the one before that has somebody is told again
        lower = (_people_of(alert, policy, ladder[:end], index, last) for end in range(min(index, len(ladder)), 0, -1))
        people = next((found for found in lower if found), [])
    if index == 0:
        people, why = _first(alert, policy, people)
    else:
        why = f"nobody has answered: step {index + 1}"
    if not people:
        return Plan(
            reason=f"{why}, but nobody is configured",
            steps=index + 1,
            next_action_at=_later(alert, policy, now, ladder, index),
        )
    return Plan(
        notifications=_notifications(alert, policy, people),
        reason=f"{why}; waiting for someone to answer",
        steps=index + 1,
        next_action_at=_later(alert, policy, now, ladder, index),
    )


def _ladder(alert: Alert, policy: Policy) -> tuple[Step, ...]:
    critical = alert.severity is Severity.CRITICAL
    return policy.escalation.critical_steps if critical else policy.escalation.steps


def next_roles(alert: Alert, escalation: Escalation) -> tuple[Role, ...]:
    """Return to whom the next step goes when nobody answers; empty for an alert that does not escalate.

    As far as the alert itself tells: an agency's role without an address is passed over, as the step will do.
    """
    if alert.kind not in LADDER_KINDS:
        return ()
    policy = Policy(instance="", sender_domain="", escalation=escalation)
    ladder = _ladder(alert, policy)
    for step in ladder[min(alert.steps, len(ladder) - 1) :]:
        watch = (Role.SECURITY_TEAM, Role.OPERATORS)
        if roles := tuple(role for role in step.to if role in watch or _holders(alert, policy, role)):
            return roles
    return ()


def _people_of(alert: Alert, policy: Policy, ladder: Sequence[Step], index: int, last: LastStep) -> list[_Person]:
    """Return whom a step tells, each with the template that fits what was told to that address before."""
    step = ladder[min(index, len(ladder) - 1)]
    before = last.told or _told_before(alert, policy, ladder, index)
    found: dict[str, _Person] = {}
    for role in step.to:
        for address, language in _holders(alert, policy, role, last.refused):
            template = "reminder" if address.casefold() in before else "escalation"
            if index == 0:
                template = _first_template(alert)
            name = "first" if index == 0 else f"step-{index + 1}"
            person = _Person(_of_round(alert, name), address, language, template)
            found.setdefault(address.casefold(), person)
    return list(found.values())


def _told_before(alert: Alert, policy: Policy, ladder: Sequence[Step], index: int) -> frozenset[str]:
    """Return whom the steps before this one meant, where nobody knows whose mails were taken."""
    meant = {a.casefold() for step in ladder[:index] for role in step.to for a, _ in _holders(alert, policy, role)}
    if index and alert.severity is Severity.CRITICAL:
        meant |= {person.address.casefold() for _, person in _agency_people(alert.agency)[:2]}
    return frozenset(meant)


def _holders(
    alert: Alert, policy: Policy, role: Role, refused: frozenset[str] = frozenset()
) -> list[tuple[str, Language]]:
    """Return who holds a role and takes mails, with the language to write in. Without a head, it is who stands in."""
    team = {Role.SECURITY_TEAM: policy.security_team, Role.OPERATORS: policy.operators}
    if role in team:
        found = [(address, policy.team_language) for address in team[role]]
    elif alert.agency is None:
        found = []
    elif role is Role.HEAD:
        people = [person for _, person in _agency_people(alert.agency) if person.address.casefold() not in refused]
        found = [(person.address, person.language) for person in people[:1]]
    else:
        contacts = alert.agency.contacts
        of_role = {
            Role.DEPUTY: contacts.deputy_email,
            Role.ICTSO: contacts.ictso_email,
            Role.COMMS: contacts.comms_email,
        }
        found = [(of_role[role], alert.agency.language)]
    return [(address, language) for address, language in found if address and address.casefold() not in refused]


def _first_template(alert: Alert) -> str:
    if alert.round:
        return "reopened"
    return "profile" if alert.kind is AlertKind.PROFILE else "alert"


def _of_round(alert: Alert, step: str) -> str:
    """Return the step's name in the alert's round: each round tells its people anew, with Message-IDs of its own."""
    return f"round-{alert.round + 1}-{step}" if alert.round else step


def _first(alert: Alert, policy: Policy, people: list[_Person]) -> tuple[list[_Person], str]:
    """Add to the first step who must hear of it beside: the security team of a missing head, all of a critical one."""
    contacts = _agency_people(alert.agency)
    if not contacts or not people:
        return people, "the first step"
    told, why = list(people), "first mail to the head"
    if contacts[0][0] != "head":
        why = f"the head has no mail address: first mail to the {contacts[0][0]}, and the security team is told"
        told += [
            _Person(_of_round(alert, "security-team"), address, policy.team_language, _first_template(alert))
            for address in policy.security_team
        ]
    if alert.severity is not Severity.CRITICAL:
        return told, why
    if len(contacts) > 1:
        role, second = contacts[1]
        step = _of_round(alert, "first-second-contact")
        told.append(_Person(step, second.address, second.language, _first_template(alert)))
        why += f", critical: also to the {role}"
    else:
        why += ", critical, but there is no second contact"
    return told + _out_of_band(alert, policy), why


def _out_of_band(alert: Alert, policy: Policy) -> list[_Person]:
    if alert.agency is None:
        return []
    return [
        _Person(_of_round(alert, "out-of-band"), address, alert.agency.language, "out_of_band")
        for address in policy.escalation.out_of_band.get(alert.agency.code, ())
    ]


def _without_contacts(alert: Alert, policy: Policy) -> tuple[list[_Person], str]:
    """Return who is told instead of an agency that cannot be reached: all who keep watch."""
    watch = [("operators", a) for a in policy.operators] + [("security-team", a) for a in policy.security_team]
    people = [_Person(_of_round(alert, step), a, policy.team_language, _first_template(alert)) for step, a in watch]
    whom = "the operators and the security team are told" if people else NOBODY
    return people, f"no contact of the agency has a mail address; {whom}"


def _later(alert: Alert, policy: Policy, now: datetime, ladder: Sequence[Step], index: int) -> datetime:
    """Return when the next step is due: of a critical alert at any hour, else when the agency's state works."""
    rules = policy.escalation
    state = alert.agency.state if alert.agency else State.PJY
    critical = alert.severity is Severity.CRITICAL
    if index + 1 < len(ladder):
        delay = ladder[index + 1].after
        return now + delay if critical else after_working_time(now, delay, state=state, policy=rules)
    return now + rules.repeat if critical else next_working_moment(now + rules.repeat, state=state, policy=rules)


def _agency_people(agency: Agency | None) -> list[tuple[str, _Person]]:
    """Return the agency's contacts that can be reached, in the order in which they are asked; each address once."""
    if agency is None:
        return []
    contacts = agency.contacts
    order = (
        ("head", contacts.head_email),
        ("deputy", contacts.deputy_email),
        ("ICTSO", contacts.ictso_email),
        ("communication head", contacts.comms_email),
    )
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


def _operators(alert: Alert, policy: Policy, refused: frozenset[str] = frozenset()) -> tuple[list[_Person], str]:
    """Return who keeps Pantau running; for a refused mail, never by the way that was refused.

    A contact of an agency that cannot be reached concerns the security team as well.
    """
    if alert.kind is AlertKind.DEAD_LETTER and alert.agency is not None and policy.operators and policy.security_team:
        both = [("operators", a) for a in policy.operators] + [("security-team", a) for a in policy.security_team]
        reachable = [(step, a) for step, a in both if not _refused(alert, a, refused)]
        if reachable:
            people = [_Person(step, a, policy.team_language) for step, a in reachable]
            return people, "the operators and the security team are told"
    for step, whom, addresses in (
        ("operators", "the operators", policy.operators),
        ("security-team", "no operator can be told: the security team", policy.security_team),
    ):
        told = [a for a in addresses if not _refused(alert, a, refused)]
        if told:
            return [_Person(step, a, policy.team_language) for a in told], f"{whom} are told"
    if alert.kind is AlertKind.DEAD_LETTER:
        others = [p for _, p in _agency_people(alert.agency) if not _refused(alert, p.address, refused)]
        if others:
            return others[:1], "neither operators nor security team can be told: another contact of the agency is"
    return [], NOBODY


def _refused(alert: Alert, address: str, refused: frozenset[str]) -> bool:
    if address.casefold() in refused:
        return True
    return alert.kind is AlertKind.DEAD_LETTER and f"→ {address}:".casefold() in alert.detail.casefold()


def _recovery(alert: Alert, policy: Policy) -> Plan:
    if not alert.steps:
        return Plan(reason="recovered: nobody had been told of it")
    people = _blind_people(alert, policy) if alert.kind is AlertKind.BLIND else _operators(alert, policy)[0]
    recovered = [_Person("recovery", person.address, person.language) for person in people]
    return _told(alert, policy, "recovery", recovered, "recovered: those who were told of it are told")


def _told(
    alert: Alert,
    policy: Policy,
    template: str,
    people: Iterable[_Person],
    reason: str,
    *,
    again: datetime | None = None,
) -> Plan:
    """Tell these people the same; every time from the second on is a step of its own."""
    time = f"-{alert.steps + 1}" if alert.steps and template != "recovery" else ""
    named = [replace(one, step=_of_round(alert, one.step) + time, template=template) for one in people]
    notifications = _notifications(alert, policy, named)
    if not notifications:
        why = reason if "nobody" in reason else f"{reason}, but nobody is configured"
        return Plan(reason=why, steps=alert.steps, next_action_at=again)
    waiting = "" if template == "recovery" else "; waiting for someone to look at it"
    return Plan(notifications=notifications, next_action_at=again, reason=reason + waiting, steps=alert.steps + 1)


def _notifications(alert: Alert, policy: Policy, people: Iterable[_Person]) -> tuple[NewNotification, ...]:
    """Return one mail for each address."""
    found: dict[str, NewNotification] = {}
    for person in people:
        key = person.address.casefold()
        if key not in found:
            found[key] = NewNotification(
                step=person.step,
                template=person.template,
                recipient=person.address,
                language=person.language,
                message_id=message_id(policy, alert.key, person.step, key),
            )
    return tuple(found.values())


def _distinct(addresses: Iterable[str]) -> list[str]:
    first: dict[str, str] = {}
    for address in addresses:
        first.setdefault(address.casefold(), address)
    return list(first.values())
