"""The console: state, coverage and alerts as server-rendered pages, and the health of the daemon.

Without sign-in there is no text of posts here, and nothing that can be changed. What the signed links of the mails lead
to is in `answer`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from alerts import wording
from monitor.budget import falls_short, said
from monitor.disclosure import one_line
from monitor.escalation import Escalation
from monitor.model import MALAYSIA, Account, AccountStatus, AlertState, Language
from monitor.settings import Web
from monitor.settings.values import is_loopback
from monitor.store.alerts import find_case, load_alert
from monitor.store.budget import forecasts
from monitor.store.coverage import coverage_of
from monitor.store.database import Database
from monitor.store.listings import list_accounts, list_alerts, mails_of
from monitor.store.media import media_queue
from monitor.store.versions import SeenPost, SeenVersion, seen_posts
from monitor.versions import counted
from monitor.web import answer

SHOWN_ALERTS = 200
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """What the pages need. `stalled` names the ticks that got nowhere, `failing` those whose last run failed.

    `troubles` says in words what is wrong outside of them; a restart would not mend that, so health stays 200.
    `link_key` signs the links of the mails; without it there are no pages to answer on.
    """

    db: Database
    web: Web
    patience: timedelta
    degraded: Callable[[], Collection[str]]
    stalled: Callable[[], list[str]]
    clock: Callable[[], datetime]
    failing: Callable[[], list[str]] = list
    troubles: Callable[[], Collection[str]] = tuple
    link_key: str = field(default="", repr=False)
    acknowledged_for: Callable[[], timedelta] = lambda: Escalation().acknowledged_for


def build(console: Console) -> FastAPI:
    app = FastAPI(title="Pantau", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_hosts(console.web))
    app.middleware("http")(_harden)
    pages = _templates()

    def page(name: str, *, status: int = 200, **content: object) -> HTMLResponse:
        return HTMLResponse(pages.get_template(name).render(now=console.clock(), **content), status_code=status)

    @app.get("/healthz")
    def health() -> JSONResponse:
        found = _health(console)
        return JSONResponse(found, status_code=200 if found["status"] == "ok" else 503)

    @app.get("/")
    def overview() -> HTMLResponse:
        return page("overview.html", **_overview(console))

    @app.get("/alerts")
    def alerts() -> HTMLResponse:
        return page("alerts.html", alerts=list_alerts(console.db, limit=SHOWN_ALERTS))

    @app.get("/alerts/{case}")
    def one(case: str) -> HTMLResponse:
        return page("alert.html", **_one_alert(console, case))

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> HTMLResponse:
        answer = page("error.html", status=error.status_code, reason=error.detail)
        answer.headers.update(error.headers or {})
        return answer

    if console.link_key:
        app.include_router(answer.router(_answering(console, pages)))
    return app


async def _harden(request: Request, call_next: Callable) -> Response:  # type: ignore[type-arg]  # Starlette's own type
    response: Response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _templates() -> Environment:
    folder = Path(__file__).parent / "templates"
    pages = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    pages.filters |= {"time": _local, "line": one_line}
    return pages


# ---------------------------------------------------------------- what the pages show


def _health(console: Console) -> dict[str, Any]:
    stalled, failing = console.stalled(), console.failing()
    queue = media_queue(console.db, after=console.clock())
    return {
        "status": "stalled" if stalled else "failing" if failing else "ok",
        "stalled": stalled,
        "failing": failing,
        "media": {"waiting": queue.waiting, "oldest": queue.since.isoformat() if queue.since else None},
        "troubles": list(console.troubles()),
    }


def _overview(console: Console) -> dict[str, Any]:
    db, now = console.db, console.clock()
    week_ago = now - timedelta(days=7)
    weeks = coverage_of(db, start=week_ago, end=now, patience=console.patience, degraded=console.degraded())
    expected = forecasts(db, now, longest=console.patience / 2)  # two of the promised intervals
    return {
        "weeks": [one for one in weeks if one.account.status is AccountStatus.ACTIVE],
        "lines": {line.account.id: line for line in list_accounts(db)},
        "alerts": list_alerts(db, states=(AlertState.OPEN,), limit=SHOWN_ALERTS),
        "budgets": [(one.platform, said(one), falls_short(one, now)) for one in expected],
    }


def _one_alert(console: Console, case: str) -> dict[str, Any]:
    alert_id = find_case(console.db, case)
    if alert_id is None:
        raise HTTPException(status_code=404, detail="no alert has this case number")
    alert = load_alert(console.db, alert_id)
    seen = seen_posts(console.db, native_id=alert.post.native_id) if alert.post and alert.account else []
    mine = [one for one in seen if alert.account and (one.platform, one.account) == _named(alert.account)]
    return {
        "alert": alert,
        "what": wording.KINDS[Language.EN][alert.kind],
        "mails": mails_of(console.db, alert_id),
        "seen": mine[0] if mine else None,
        "edits": _edits(mine),
    }


def _named(holder: Account) -> tuple[str, str]:
    return holder.platform, holder.handle or holder.url


def _edits(seen: Sequence[SeenPost]) -> list[tuple[SeenVersion, tuple[int, int] | None]]:
    """Return the versions of a post, each with how many words its edit took and brought: no word of it leaves here."""
    versions = seen[0].versions if seen else ()
    pairs = zip((None, *versions), versions, strict=False)
    return [
        (one, counted(before.text, one.text) if before and not (before.purged or one.purged) else None)
        for before, one in pairs
    ]


def _answering(console: Console, pages: Environment) -> answer.Answering:
    return answer.Answering(
        db=console.db,
        web=console.web,
        key=console.link_key,
        clock=console.clock,
        acknowledged_for=console.acknowledged_for,
        pages=pages,
    )


def _hosts(web: Web) -> list[str]:
    """Return the names under which the console answers: another name is a page that lured a browser here."""
    public = urlsplit(web.public_url).hostname
    names = {web.host, "localhost", "127.0.0.1", *([public] if public else [])}
    return ["*"] if not is_loopback(web.host) and public is None else sorted(names)


def _local(moment: datetime | None) -> str:
    return f"{moment.astimezone(MALAYSIA):%Y-%m-%d %H:%M}" if moment else "–"
