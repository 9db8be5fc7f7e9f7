"""Taking over a changed register, policy or changed rules while the daemon runs."""

from __future__ import annotations

from dataclasses import replace

import structlog

import connectors
from monitor.app.service import Service, build_connectors
from monitor.configuration import Configuration, platform_settings, read_policy, read_register
from monitor.problems import ConfigurationError, Problem
from monitor.rules.load import load_rules
from monitor.store import in_force
from monitor.store.register import save_register

log = structlog.get_logger(__name__)


def reload_configuration(service: Service) -> None:
    """Take over a changed register or changed rules; with any mistake the old ones stay, and the log says so."""
    old = service.configuration
    problems: list[Problem] = []
    agencies, accounts = read_register(old.settings.folder, problems)
    policy = read_policy(old.settings.folder, agencies, problems)
    rules = old.rules
    try:
        rules = load_rules(old.settings.rules_folder, today=service.clock().date(), platforms=connectors.CONNECTORS)
    except ConfigurationError as error:
        problems += error.problems
    platforms = dict(old.platforms)
    if not problems:
        platforms |= platform_settings(old.settings, accounts, problems)
    if problems:
        for problem in problems:
            log.error("configuration not reloaded; the old one stays in force", problem=str(problem))
        return
    service.configuration = Configuration(
        settings=old.settings,
        agencies=tuple(agencies),
        accounts=tuple(accounts),
        rules=rules,
        platforms=platforms,
        escalation=policy,
    )
    service.policy = replace(service.policy, escalation=policy)
    built = build_connectors(service.configuration, accounts, service.meters)
    for name in built.keys() - service.platforms.keys():
        service.platforms[name] = built[name]
    with service.db.alone():
        changes = save_register(service.db, agencies, accounts, now=service.clock())
        in_force.note_in_force(service.db, rules, policy, now=service.clock())
    log.info("configuration reloaded", accounts=len(accounts), rules=len(rules.rules), register_changed=bool(changes))
