"""`pantau evaluate`: JSON lines in, JSON lines out, in order. No network, no mail, no database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from monitor import media
from monitor.model import AgencyKind, Finding, Severity, Subject
from monitor.rules.evaluate import evaluate
from monitor.rules.rule import RuleSet

TEXTS = ("text", "platform", "agency", "posted_at", "language")
LISTS = (("pictures", "picture"), ("documents", "document"))


class BadLine(Exception):
    """A line that is no question. The message says what is wrong with it."""


def answer_lines(
    rules: RuleSet,
    lines: Iterable[bytes],
    kinds: Mapping[str, AgencyKind] = MappingProxyType({}),
    *,
    shadow: bool = False,
) -> Iterator[tuple[str, bool]]:
    """Yield (answer, sound) for each line, in order. `sound` is False for a line that could not be judged.

    `kinds` are the register's agencies, for rules that ask what kind an agency is. With `shadow`, what shadow rules
    find stands in a list of its own.
    """
    for number, line in enumerate(lines, start=1):
        try:
            answer, sound = answer_one(rules, parse(line), kinds, shadow=shadow), True
        except BadLine as error:
            answer, sound = {"line": number, "error": str(error)}, False
        except Exception as error:  # noqa: BLE001 (one poison line must not end the others)
            answer, sound = {"line": number, "error": f"could not be judged ({type(error).__name__})"}, False
        yield _json(answer), sound


def parse(line: bytes) -> dict[str, Any]:
    """Return the question of a line. Raises BadLine. Unknown fields are left alone."""
    try:
        question = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadLine("is not UTF-8") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadLine(f"is not JSON ({getattr(error, 'msg', 'nested too deep')})") from None
    if not isinstance(question, dict):
        raise BadLine('expected an object such as {"id": 1, "text": "…"}')
    if not isinstance(question.get("text"), str):
        raise BadLine("text: expected text" if "text" in question else "text: is missing")
    for name in TEXTS:
        if question.get(name) is not None and not isinstance(question[name], str):
            raise BadLine(f"{name}: expected text")
    for name, _ in LISTS:
        paths = question.get(name)
        if paths is not None and not (isinstance(paths, list) and all(isinstance(p, str) for p in paths)):
            raise BadLine(f"{name}: expected a list of paths")
    question["posted_at"] = _moment(question.get("posted_at"))
    return question


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadLine("posted_at: expected a time such as 2026-11-24T08:00:00+08:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def answer_one(
    rules: RuleSet, question: Mapping[str, Any], kinds: Mapping[str, AgencyKind], *, shadow: bool = False
) -> dict[str, Any]:
    fields = {"text": question["text"]}
    unreadable: list[str] = []
    for name, kind in LISTS:
        read, failed = _read(question.get(name) or [], kind)
        fields |= read
        unreadable += failed
    subject = Subject(
        fields=fields,
        platform=question.get("platform") or "",
        agency=question.get("agency") or "",
        agency_kind=kinds.get(question.get("agency") or ""),
        language=question.get("language") or "",
        published_at=question["posted_at"],
    )
    findings = evaluate(rules, subject)
    answer = {"id": question.get("id"), **_verdict([f for f in findings if not f.shadow])}
    if shadow:
        answer["shadow"] = [_shown(f) for f in findings if f.shadow]
    return answer | ({"unreadable": unreadable} if unreadable else {})


def _read(paths: Sequence[str], kind: str) -> tuple[dict[str, str], list[str]]:
    fields: dict[str, str] = {}
    unreadable = []
    for number, path in enumerate(paths):
        try:
            if Path(path).stat().st_size > media.MOST_BYTES:
                raise media.Unreadable
            fields[f"{kind}:{number}"] = media.shared().read(Path(path).read_bytes(), name=path).text
        except (OSError, ValueError, media.Unreadable, media.WorkerDown):
            unreadable.append(path)
    return fields, unreadable


def _verdict(findings: Sequence[Finding]) -> dict[str, Any]:
    severity: Severity | None = max((f.severity for f in findings), default=None)
    return {
        "alert": severity is not None and severity.alerts,
        "severity": severity.label if severity else None,
        "clauses": sorted({f.clause.ref for f in findings}),
        "findings": [_shown(f) for f in findings],
    }


def _shown(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "clause": finding.clause.ref,
        "severity": finding.severity.label,
        "field": finding.field,
        "spans": [list(span) for span in finding.spans],
    }


def _json(answer: Mapping[str, Any]) -> str:
    """Return one line; what UTF-8 cannot hold (a lone surrogate in an id) is escaped."""
    line = json.dumps(answer, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(answer)
    return line
