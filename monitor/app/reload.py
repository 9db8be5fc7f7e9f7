"""Taking over a changed register, policy or changed rules while the daemon runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import structlog

import connectors
from monitor.app.service import Service, build_connectors
from monitor.configuration import Configuration, platform_settings, read_policy, read_register
from monitor.model import MALAYSIA
from monitor.problems import ConfigurationError, Problem
from monitor.rules.load import load_rules
from monitor.store import in_force
from monitor.store.register import save_register

log = structlog.get_logger(__name__)


def reload_configuration(service: Service) -> None:
    """Take over a changed register or changed rules; with any mistake the old ones stay, and the log says so."""
    problems: list[Problem] = []
    changed = _read_again(service.configuration, problems, today=service.clock().astimezone(MALAYSIA).date())
    for problem in problems:
        log.error("configuration not reloaded; the old one stays in force", problem=str(problem))
    if not problems:
        _take_over(service, changed)


def _read_again(old: Configuration, problems: list[Problem], *, today: date) -> Configuration:
    """Read what may change while the daemon runs."""
    rules, platforms = old.rules, dict(old.platforms)
    agencies, accounts = read_register(old.settings.folder, problems)
    policy = read_policy(old.settings.folder, agencies, problems)
    try:
        rules = load_rules(old.settings.rules_folder, today=today, platforms=connectors.CONNECTORS)
    except ConfigurationError as error:
        problems += error.problems
    if not problems:
        platforms |= platform_settings(old.settings, accounts, problems)
    return replace(
        old,
        agencies=tuple(agencies),
        accounts=tuple(accounts),
        rules=rules,
        platforms=platforms,
        escalation=policy,
    )


def _take_over(service: Service, changed: Configuration) -> None:
    service.configuration = changed
    service.policy = replace(service.policy, escalation=changed.escalation)
    built = build_connectors(changed, changed.accounts, service.meters)
    service.platforms |= {name: built[name] for name in built.keys() - service.platforms.keys()}
    now = service.clock()
    with service.db.alone():
        register = save_register(service.db, changed.agencies, changed.accounts, now=now)
        in_force.note_in_force(service.db, changed.rules, changed.escalation, now=now)
    log.info(
        "configuration reloaded",
        accounts=len(changed.accounts),
        rules=len(changed.rules.rules),
        register_changed=bool(register),
    )
