"""One whole pass over everything that is registered."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from alerts.outbox import Sent
from monitor.app.mails import deliver_all, plan_due_digest, plan_due_letters, read_bounces
from monitor.app.service import Service
from monitor.app.watch import look_at_budgets, look_for_blind, watch_canaries
from monitor.poll.backfill import can_backfill
from monitor.poll.platform import fill_platform, poll_platform
from monitor.poll.poller import Checked
from monitor.poll_media import MediaRead, read_waiting
from monitor.store.accounts import held_accounts
from monitor.store.blind import resting_accounts
from monitor.store.credentials import shut_platforms
from monitor.store.listings import count_alerts
from monitor.store.outbox import retry_now
from monitor.store.register import platforms_in_use, registered
from monitor.work import shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What a whole pass did."""

    checked: tuple[Checked, ...]
    filled: tuple[Checked, ...]  # accounts of which something earlier was to be read
    held: int  # accounts that another process was reading: on PostgreSQL only
    waiting: tuple[str, ...]  # platforms and accounts that said when to come back, and it is not yet that time
    degraded: tuple[str, ...]  # such accounts of a dying platform
    media: MediaRead
    alerts: tuple[int, int]  # opened in this pass, and open in all
    sent: Sent

    @property
    def failures(self) -> list[str]:
        """Return what failed and is not merely a dying platform: the reasons for exit code 1."""
        read = [c.failure for c in (*self.checked, *self.filled) if c.failure and not c.degraded]
        return [*read, *self.waiting, *self.sent.failures]


def once(
    service: Service, *, report: Callable[[Checked], None] | None = None, stage: Callable[[str], None] | None = None
) -> Passed:
    """Make one whole pass: poll what is registered, read media, deliver what is due, retries included."""
    say = stage or (lambda _: None)
    began = service.clock()
    say("reading accounts")
    waiting, degraded = _told_to_wait(service)
    checked = _poll_all(service, report)
    say("reading earlier posts")
    filled = _fill_all(service)
    look_for_blind(service)
    look_at_budgets(service)
    held = held_accounts(service.db, now=service.clock())
    say("reading pictures and documents")
    read = read_waiting(service.media_reader())
    say("reading returned mails")
    returned = read_bounces(service)
    say("delivering mails")
    watch_canaries(service)
    retry_now(service.db, service.clock())
    plan_due_digest(service)
    plan_due_letters(service)
    sent = deliver_all(service)
    sent.failures += returned
    watch_canaries(service)
    return Passed(
        checked=tuple(checked),
        filled=tuple(filled),
        held=held,
        waiting=waiting,
        degraded=degraded,
        media=read,
        alerts=count_alerts(service.db, since=began),
        sent=sent,
    )


def _told_to_wait(service: Service) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what said when to come back: platforms, and accounts by themselves; and such accounts of dying ones."""
    now = service.clock()
    waiting: dict[str, str] = {}
    for name, shut in shut_platforms(service.db).items():
        if name in service.platforms and shut.retry_at is not None and shut.retry_at > now:
            waiting[name] = _not_before(name, shut.error, shut.retry_at)
    resting: list[str] = []
    degraded: list[str] = []
    for one in resting_accounts(service.db, now=now):
        connector = service.platforms.get(one.account.platform)
        if connector is not None and one.account.platform not in waiting:
            told = degraded if connector.capabilities.degraded else resting
            told.append(_not_before(one.account.label, one.error, one.retry_at))
    return (*waiting.values(), *resting), tuple(degraded)


def _not_before(label: str, words: str, at: datetime) -> str:
    named = words if words.startswith(f"{label}:") else f"{label}: {words}"
    return f"{named}; not asked before {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _poll_all(service: Service, report: Callable[[Checked], None] | None) -> list[Checked]:
    return _on_each_platform(service, service.platforms, partial(poll_platform, report=report))


def _fill_all(service: Service) -> list[Checked]:
    """Read what is left of the accounts' past, to its end. Returns what failed, or brought something."""
    fillable = {name for name, connector in service.platforms.items() if can_backfill(connector)}
    return _on_each_platform(service, fillable, fill_platform)


def _on_each_platform(service: Service, names: Collection[str], do: Callable[..., list[Checked]]) -> list[Checked]:
    """Do it with all of each platform's workers, on all platforms at the same time."""
    poller, in_use = service.poller(), platforms_in_use(registered(service.db))
    workers = shares(in_use, workers=service.settings.polling.workers)
    known = sorted(in_use.keys() & names)
    with ThreadPoolExecutor(max_workers=max(1, len(known)), thread_name_prefix="platform") as pool:
        rounds = [pool.submit(do, poller, name, everything=True, workers=workers[name]) for name in known]
        return [checked for one in rounds for checked in one.result()]
