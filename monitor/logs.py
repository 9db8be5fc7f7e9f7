"""Structured logs and error reports: one line an outcome, never a secret, never a post's text."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from monitor.settings import Log, Secret, Sentry

QUIET = ("apscheduler", "urllib3", "tweepy", "facebook", "sqlalchemy", "alembic", "uvicorn", "matplotlib", "PIL")
IN_ADDRESS = re.compile(r"(?i)\b((?:access_token|appsecret_proof|input_token|bearer_token|token|sig)=)[^&\s\"'#]+")
BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/%=-]{8,}")
ANSWER_LINK = re.compile(r"(/a/)[\w.%-]{20,}|\b[\w-]{8,}\.[\w-]{6}\.[\w-]{43}")  # the address, or the bare token
MOST_CAUSES = 10  # of one error; a chain could go in a circle
SHORTEST_SECRET = 6  # shorter ones would blank ordinary words


def start_logging(log: Log, secrets: Iterable[Secret]) -> None:
    """Send structured lines to standard error. Every line passes the redaction, whoever wrote it."""
    redact = redaction(secrets)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(traced),
    ]
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if log.format == "text":
        renderer = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    handler = _Lines(sys.stderr)
    handler.setFormatter(_Redacting(redact, renderer, shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log.level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # It warns of every second that a long tick takes; a tick that makes no progress ends the process.
    logging.getLogger("apscheduler").setLevel(max(logging.ERROR, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def traced(exc_info: Any) -> str:
    """Return a traceback without the errors' own words, which may repeat a post; an OSError's are the system's."""
    error: BaseException | None = exc_info[1]
    told: list[str] = []
    while error is not None and len(told) < MOST_CAUSES:
        words = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        frames = "".join(traceback.format_tb(error.__traceback__))
        told.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}{words}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nwhich came of\n".join(told)


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]  # generic in the type stubs only
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        """Say that a line was lost. Logging's own way would print its words and arguments, past the redaction."""
        kind = sys.exc_info()[0]
        with contextlib.suppress(OSError, ValueError):  # standard error itself may be closed or full
            print(f"a log line of {record.name} was lost ({kind.__name__ if kind else '?'})", file=sys.stderr)  # noqa: T201


class _Redacting(structlog.stdlib.ProcessorFormatter):
    def __init__(self, redact: Callable[[str], str], renderer: Any, foreign: list[Any]) -> None:
        remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
        super().__init__(processors=[remove, renderer], foreign_pre_chain=foreign)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


def redaction(secrets: Iterable[Secret]) -> Callable[[str], str]:
    """Return a function that blanks the given secrets, and whatever looks like a token, in a line."""
    values = sorted({s.reveal() for s in secrets if len(s.reveal()) >= SHORTEST_SECRET}, key=len, reverse=True)

    def redact(line: str) -> str:
        for value in values:
            line = line.replace(value, "…")
        return ANSWER_LINK.sub(r"\1…", BEARER.sub(r"\1…", IN_ADDRESS.sub(r"\1…", line)))

    return redact


def start_error_reports(sentry: Sentry, *, release: str) -> bool:
    """Turn Sentry on when a DSN is set. Reports hold the kind of error and its place in the code, nothing else."""
    if not sentry.dsn:
        return False
    import sentry_sdk

    sentry_sdk.init(
        dsn=sentry.dsn.reveal(),
        release=release,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        default_integrations=False,
        auto_enabling_integrations=False,
        traces_sample_rate=None,
        server_name="",
        shutdown_timeout=1,  # an endpoint that hangs must not hold up the end of the process
        before_send=scrubbed,  # type: ignore[arg-type]  # Sentry's event type is wider than what we keep
    )
    return True


KEPT = frozenset({"event_id", "timestamp", "platform", "level", "release", "sdk"})
KEPT_OF_A_FRAME = frozenset({"filename", "function", "module", "lineno", "in_app"})


def scrubbed(event: Mapping[str, Any], _hint: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event by an allow-list: an error's message may repeat a post, so it stays here."""
    kept = {key: value for key, value in event.items() if key in KEPT}
    values = (event.get("exception") or {}).get("values") or []
    kept["exception"] = {"values": [_scrubbed_error(value) for value in values]}
    return kept


def _scrubbed_error(value: Mapping[str, Any]) -> dict[str, Any]:
    frames = (value.get("stacktrace") or {}).get("frames") or []
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        "stacktrace": {"frames": [{k: v for k, v in f.items() if k in KEPT_OF_A_FRAME} for f in frames]},
    }


def report_error(error: BaseException) -> None:
    """Hand an error to Sentry, when it is on; a failure of the report changes nothing."""
    if "sentry_sdk" in sys.modules:
        import sentry_sdk

        sentry_sdk.capture_exception(error)
