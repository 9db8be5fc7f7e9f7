"""What is watched besides posts: accounts that rest unread, budgets that will not last, and the canaries."""

from __future__ import annotations

from datetime import datetime

import structlog

from connectors.base import Connector, ConnectorError
from monitor import canary
from monitor.app.service import Service
from monitor.store import budget as budgets
from monitor.store.blind import open_blind_alerts
from monitor.store.canaries import asked_canaries, daily_key, has_canary, settle_canaries

log = structlog.get_logger(__name__)


def look_for_blind(service: Service) -> None:
    blind = open_blind_alerts(service.db, now=service.clock(), blind_after=service.settings.polling.blind_after)
    if blind:
        log.warning("accounts rest unread for too long", accounts=blind)


def look_at_budgets(service: Service) -> None:
    """Ask until when credentials are good, once a day, and warn of what will not last."""
    now = service.clock()
    if budgets.is_time(service.db, now):
        for name, connector in sorted(service.platforms.items()):
            _note_end(service, name, connector, now)
        budgets.was_done(service.db, now)
    expected = budgets.forecasts(service.db, now, longest=service.settings.polling.max_interval)
    noted = budgets.note_forecasts(service.db, expected, now)
    for key in noted.opened:
        log.warning("will not last", budget=key)
    for key in noted.recovered:
        log.info("suffices again", budget=key)


def _note_end(service: Service, name: str, connector: Connector, now: datetime) -> None:
    expires_at = getattr(connector, "expires_at", None)
    if expires_at is None:
        return
    try:
        budgets.save_end(service.db, name, expires_at(), now)
    except ConnectorError as error:  # a refused credential is found, and told, where accounts are read
        log.info("not known until when a credential is good", platform=name, reason=str(error))


def watch_canaries(service: Service) -> None:
    """Begin the canary of the day and those that people asked for, and see what became of the earlier ones."""
    now, rules = service.clock(), service.configuration.rules
    for key in asked_canaries(service.db):
        _began(key, canary.begin(service.db, rules, key, day=None, now=now))
    day = canary.due_day(now, service.settings.canary, not_before=service.installed_at)
    if day is not None and not has_canary(service.db, daily_key(day)):
        _began(daily_key(day), canary.begin(service.db, rules, daily_key(day), day=day, now=now))
    for key in settle_canaries(service.db, now=now):
        log.error("canary missing: its mail was not accepted within an hour", canary=key)


def _began(key: str, judged: canary.Judged | None) -> None:
    if judged is not None and judged.error:
        log.error("canary not found by the live rules", canary=key, reason=judged.error)
    elif judged is not None:
        log.info("canary begun", canary=key, rule=judged.rule)
