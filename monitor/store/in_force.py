"""What is in force: rule set, escalation policy and version. A change of one is written into the audit, once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from monitor.escalation import Escalation
from monitor.rules.rule import RuleSet
from monitor.store import audit
from monitor.store.database import Database, insert_if_new
from monitor.store.tables import escalation_policy, meta

RULES, POLICY = "rules_in_force", "policy_in_force"  # facts of the installation
RULES_CHANGED, POLICY_CHANGED = "rule set changed", "escalation policy changed"
STARTED, STOPPED = "daemon started", "daemon stopped"


def note_in_force(db: Database, rules: RuleSet, policy: Escalation, *, now: datetime) -> None:
    """Write down a rule set or a policy that differs from the last one that was in force."""
    with db.write() as connection:
        _note_rules(connection, rules, now)
        _note_policy(connection, policy, now)


def _note_rules(connection: Connection, rules: RuleSet, now: datetime) -> None:
    stored = _fact(connection, RULES)
    before: dict[str, Any] = json.loads(stored) if stored else {"hash": "", "rules": {}}
    if before["hash"] == rules.hash:
        return
    present = {rule.id: [rule.version, rule.status.value] for rule in rules.rules}
    _keep(connection, RULES, json.dumps({"hash": rules.hash, "rules": present}, sort_keys=True), stored)
    facts = {"old": before["hash"], "new": rules.hash, "rules": len(present)}
    if before["rules"]:
        facts |= _difference(before["rules"], present)
    audit.append(connection, RULES_CHANGED, now=now, facts=facts)


def _difference(before: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules that came, went, or have another version or status. None of them: texts around them changed."""
    return {
        "added": {name: present[name] for name in sorted(present.keys() - before.keys())},
        "removed": {name: before[name] for name in sorted(before.keys() - present.keys())},
        "changed": {
            name: [before[name], present[name]]
            for name in sorted(present.keys() & before.keys())
            if before[name] != present[name]
        },
    }


def _note_policy(connection: Connection, policy: Escalation, now: datetime) -> None:
    before = _fact(connection, POLICY)
    if before == policy.hash:
        return
    content = {"hash": policy.hash, "content": policy.as_json(), "since": now}
    connection.execute(insert_if_new(connection, escalation_policy).values(**content))  # what the hash stands for
    _keep(connection, POLICY, policy.hash, before)
    audit.append(connection, POLICY_CHANGED, now=now, facts={"old": before or "", "new": policy.hash})


def note_process(db: Database, event: str, *, now: datetime, **facts: object) -> None:
    """Write down that a daemon started or stopped. One that was killed says nothing: its next start shows it."""
    with db.write() as connection:
        audit.append(connection, event, now=now, facts=facts)


def _fact(connection: Connection, key: str) -> str | None:
    return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalars().first()


def _keep(connection: Connection, key: str, value: str, before: str | None) -> None:
    if before is None:
        connection.execute(insert(meta).values(key=key, value=value))
    else:
        connection.execute(update(meta).where(meta.c.key == key).values(value=value))
