"""Where an alert is answered: the pages behind the signed links of the mails. GET shows, POST acts.

The link is the right to look and to answer; whoever follows one is noted as the person it was mailed to. Nothing of a
post is shown that `monitor.disclosure` keeps inside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import parse_qs, urlencode, urlsplit

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment
from sqlalchemy.exc import SQLAlchemyError

from alerts.breaches import allowed_excerpt, broken_clauses, post_link
from alerts.wording import moment
from monitor import links
from monitor.disclosure import one_line
from monitor.links import ExpiredLink, ForgedLink, Link
from monitor.model import Alert, AlertState, Language, Resolution
from monitor.settings import Web
from monitor.store import audit, life
from monitor.store.alerts import load_alert
from monitor.store.database import Database
from monitor.store.looks import note_look
from monitor.web.answer_words import OFFERED, OFFERED_OTHERWISE, Words, words_of

log = structlog.get_logger(__name__)

LONGEST_BODY = 8 * 1024
MOST_FIELDS = 20
LONGEST_DEADLINE_DAYS = 30
OFFERED_DAYS = (1, 2, 3, 5, 7, 14)
SHOWN_EVENTS = 12
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}
RESOLUTIONS: Mapping[str, Resolution] = {
    "removed": Resolution.POST_REMOVED,
    "action_taken": Resolution.ACTION_TAKEN,
    "false_alarm": Resolution.FALSE_ALARM,
}
SCANNER = re.compile(r"(?i)bot|crawl|spider|scan|preview|safelinks|proofpoint|mimecast|barracuda|externalhit|headless")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What the pages need. `acknowledged_for`: how long an acknowledgement holds that names no deadline."""

    db: Database
    web: Web
    key: str = field(repr=False)
    clock: Callable[[], datetime]
    acknowledged_for: Callable[[], timedelta]
    pages: Environment


class Refused(Exception):
    """The page that is shown in place of the alert: `about` names its words."""

    def __init__(self, status: int, about: str, alert: Alert | None = None) -> None:
        super().__init__(about)
        self.status = status
        self.about = about
        self.alert = alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a form asks for."""

    action: str
    note: str
    days: int | None
    seen: str


async def _body(request: Request) -> bytes | None:
    """Read the body; None when there is more of it than any answer needs."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > LONGEST_BODY:
        return None
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            return None
    return body


def router(answering: Answering) -> APIRouter:
    routes = APIRouter()

    @routes.api_route(links.PATH + "{token}", methods=["GET", "HEAD"])
    def show(token: str, request: Request) -> Response:
        def shown() -> Response:
            link, alert = _opened(answering, token)
            if request.method == "GET" and not _is_prefetch(request):
                _note_look(answering, link, request)
            return _alert_page(answering, link, alert, links.whole(token), request)

        return _answered(answering, request, shown)

    @routes.post(links.PATH + "{token}")
    def act(token: str, request: Request, body: Annotated[bytes | None, Depends(_body)]) -> Response:
        def acted() -> Response:
            link, alert = _opened(answering, token)
            fields = _fields(answering, request, body)
            wanted = _wanted(answering, links.whole(token), fields)
            said = _act(answering, link, alert, wanted)
            query = urlencode({"said": said, "lang": _language(fields.get("lang"), alert).value})
            return Response(status_code=303, headers={"Location": f"?{query}", **HEADERS})

        return _answered(answering, request, acted)

    return routes


def _answered(answering: Answering, request: Request, work: Callable[[], Response]) -> Response:
    """Return what `work` returns, or the page that says why not and what to do."""
    try:
        return work()
    except Refused as refused:
        return _refusal(answering, refused, request)
    except SQLAlchemyError:
        log.exception("an answer page failed")  # without the address: it is the capability
        return _refusal(answering, Refused(503, "busy"), request)


def _opened(answering: Answering, token: str) -> tuple[Link, Alert]:
    """Return what the link stands for. Raises Refused."""
    now = answering.clock()
    try:
        link = links.read(links.whole(token), answering.key, now=now, lifetime=answering.web.link_lifetime)
    except ForgedLink:
        raise Refused(403, "forged") from None
    except ExpiredLink as expired:
        raise Refused(403, "expired", _known(answering, expired.link.alert_id)) from None
    alert = _known(answering, link.alert_id)
    if alert is None:
        raise Refused(404, "unknown")
    if link.round < alert.round:
        raise Refused(410, "outdated", alert)
    return link, alert


def _known(answering: Answering, alert_id: int) -> Alert | None:
    try:
        return load_alert(answering.db, alert_id)
    except LookupError:
        return None


# ---------------------------------------------------------------- acting


def _fields(answering: Answering, request: Request, body: bytes | None) -> dict[str, str]:
    """Return the fields of a form that this site wrote itself. Raises Refused."""
    if body is None:
        raise Refused(413, "too_long")
    if not _from_here(request, answering.web):
        raise Refused(403, "elsewhere")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused(415, "elsewhere")
    try:
        parsed = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refused(400, "elsewhere") from None
    return {name: values[0] for name, values in parsed.items()}


def _from_here(request: Request, web: Web) -> bool:
    """Say whether the browser, if it says anything, says that our own page sent this.

    `no-referrer` makes browsers say "null" as the origin of our own forms too; Sec-Fetch-Site tells those apart.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    if origin is None or origin == "null":
        return True
    ours = {request.headers.get("host", "").lower(), urlsplit(web.public_url).netloc.lower()}
    return urlsplit(origin).netloc.lower() in ours - {""}


def _wanted(answering: Answering, token: str, fields: Mapping[str, str]) -> Wanted:
    """Return what the form asks for. Raises Refused."""
    seen = fields.get("seen", "")
    if not links.is_form_proof(fields.get("proof", ""), token, seen, answering.key):
        raise Refused(403, "elsewhere")
    action, days = fields.get("action", ""), fields.get("days", "").strip()
    if action != "acknowledge" and action not in RESOLUTIONS:
        raise Refused(400, "elsewhere")
    if days and not (re.fullmatch(r"[0-9]{1,2}", days) and 1 <= int(days) <= LONGEST_DEADLINE_DAYS):
        raise Refused(400, "elsewhere")
    return Wanted(action=action, note=_plain(fields.get("note", "")), days=int(days) if days else None, seen=seen)


def _plain(note: str) -> str:
    """Return a note without what cannot be seen; PostgreSQL takes no NUL, and nobody a reversed line."""
    lines = note.replace("\r\n", "\n").splitlines()
    return "\n".join(one_line(line, limit=life.NOTE_LIMIT) for line in lines)[: life.NOTE_LIMIT].strip()


def _act(answering: Answering, link: Link, alert: Alert, wanted: Wanted) -> str:
    """Write the answer down, once. Returns the name of the sentence that tells what became of it."""
    now = answering.clock()
    if wanted.action == "acknowledge":
        length = timedelta(days=wanted.days) if wanted.days else answering.acknowledged_for()
        done = life.acknowledge(
            answering.db,
            alert.id,
            by=link.recipient,
            deadline=now + length,
            note=wanted.note,
            via="link",
            now=now,
            seen=wanted.seen,
        )
    else:
        done = life.resolve(
            answering.db,
            alert.id,
            resolution=RESOLUTIONS[wanted.action],
            by=link.recipient,
            note=wanted.note,
            via="link",
            now=now,
            seen=wanted.seen,
        )
    log.info("alert answered by a link", case=alert.case, answer=wanted.action, done=done.value)
    return {life.Answer.DONE: "done", life.Answer.ALREADY: "already"}.get(done, "changed")


# ---------------------------------------------------------------- looking


def _is_prefetch(request: Request) -> bool:
    """Say whether a browser only fetched the page in case somebody wants to see it."""
    return any("pre" in request.headers.get(name, "").lower() for name in ("sec-purpose", "purpose", "x-moz"))


def _note_look(answering: Answering, link: Link, request: Request) -> None:
    """Note the look; a database that cannot write now must not keep anyone from seeing the alert."""
    program = program_of(request.headers.get("user-agent", ""))
    try:
        note_look(answering.db, link.alert_id, by=link.recipient, program=program, now=answering.clock())
    except SQLAlchemyError:
        log.exception("a look was not noted", alert=link.alert_id)


def program_of(agent: str) -> str:
    """Return what kind of program asks, by what it says of itself: it may lie, and often does."""
    if SCANNER.search(agent):
        return "scanner"
    if not agent.startswith("Mozilla/"):
        return "other program"
    return "phone" if re.search(r"Mobile|Android|iPhone|iPad", agent) else "computer"


def _language(asked: str | None, alert: Alert | None) -> Language:
    if asked in {language.value for language in Language}:
        return Language(asked)
    return alert.agency.language if alert is not None and alert.agency is not None else Language.MS


def _alert_page(answering: Answering, link: Link, alert: Alert, token: str, request: Request) -> Response:
    language = _language(request.query_params.get("lang"), alert)
    words = words_of(language)
    seen = life.standing(alert.round, alert.state, alert.resolution.value if alert.resolution else None)
    offered = OFFERED.get(alert.kind, OFFERED_OTHERWISE)
    events = audit.events_of(answering.db, alert.id)
    content = {
        "alert": alert,
        "account": one_line(alert.account.label) if alert.account else "",
        "agency": one_line(alert.agency.name) if alert.agency else "",
        "standing": words.standing(alert, events),
        "tone": _tone(alert.state),
        "severity": words.severity(alert.severity),
        "kind": words.kind(alert.kind),
        "published_at": moment(alert.post.published_at, language) if alert.post else "",
        "opened_at": moment(alert.opened_at, language),
        "since": moment(alert.since, language) if alert.since else "",
        "cause": words.cause(alert.cause),
        "link": post_link(alert.post),
        "clauses": broken_clauses(alert, language),
        "excerpt": allowed_excerpt(alert),
        "events": words.events(events)[-SHOWN_EVENTS:],
        "recipient": one_line(link.recipient),
        "seen": seen,
        "proof": links.form_proof(token, seen, answering.key),
        "offered": [name for name in offered if RESOLUTIONS.get(name) is not alert.resolution],
        "can_acknowledge": alert.state is AlertState.OPEN,
        "closed": alert.state in {AlertState.RESOLVED, AlertState.SUPPRESSED},
        "days": OFFERED_DAYS,
        "default_days": answering.acknowledged_for() / timedelta(days=1),
        "said": words.said(_said(request, alert)),
        "said_no": request.query_params.get("said") == "changed",
    }
    return _page(answering, 200, "answer.html", words, content)


def _said(request: Request, alert: Alert) -> str:
    """Return which sentence follows an answer; a page that is loaded again may stand before a reopened alert."""
    said = request.query_params.get("said", "")
    return "" if alert.state is AlertState.OPEN and said != "changed" else said


def _tone(state: AlertState) -> str:
    return {AlertState.OPEN: "warn", AlertState.ACKNOWLEDGED: "calm"}.get(state, "good")


def _refusal(answering: Answering, refused: Refused, request: Request) -> Response:
    words = words_of(_language(request.query_params.get("lang"), refused.alert))
    title, sentences = words.refusal(refused.about)
    content = {"title": title, "sentences": sentences, "case": refused.alert.case if refused.alert else ""}
    return _page(answering, refused.status, "refused.html", words, content)


def _page(answering: Answering, status: int, name: str, words: Words, content: Mapping[str, object]) -> Response:
    html = answering.pages.get_template(name).render(w=words, **content)
    return HTMLResponse(html, status_code=status, headers=HEADERS)
