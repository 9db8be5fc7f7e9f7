"""The coverage certificate of an agency: a page to print, whose figures are signed. Pure.

The page says nothing that is not in its signed figures, and these hold the page's hash: whatever is changed, figures or
words, shows. A gap is never passed over: what was found is told of what was read, and the rest is named as not read.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from alerts import seal, wording
from monitor.disclosure import one_line
from monitor.model import MALAYSIA, CanaryOutcome, Cause, Interval, Json, Language, Verdict
from monitor.store.proof import AccountProof, Proof

KIND = "pantau-coverage-certificate"
VERSION = 1
NAME_LIMIT = 120
SEAL = re.compile(
    r'<script type="application/json" id="pantau-figures">([^<]*)</script>\n'
    r'<p class="signature">([A-Za-z0-9+/=]{1,200})</p>\n'
)
SEAL_FORM = (
    '<script type="application/json" id="pantau-figures">{figures}</script>\n<p class="signature">{signature}</p>\n'
)
SEAL_PLACE = "<!-- seal -->\n"
SHOWN_CHANGES = 12
UNREADABLE = "this is no certificate of Pantau's, or its seal was taken out"
UNSIGNED = "the signature does not fit the figures: they were changed after signing"
OTHER_MAKE = "the page was changed, or another version of Pantau made it: where cannot be said; the figures below hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a look at a certificate found: its figures and its key, and in `wrong` all that does not fit."""

    figures: Json
    key: seal.PublicKey | None
    signed: bool  # whether the figures are those that the key signed
    wrong: tuple[str, ...]


# ---------------------------------------------------------------- the figures


def figures_of(
    proof: Proof, *, period: str, rule_set: str, language: Language, key: seal.PublicKey, version: str, now: datetime
) -> dict[str, Any]:
    """Return everything the page says, in JSON's types without fractions. Times are UTC."""
    return {
        "kind": KIND,
        "format": VERSION,
        "made_by": f"pantau {version}",
        "issued_at": _stamp(now),
        "language": language.value,
        "agency": {"code": proof.agency.code, "name": one_line(proof.agency.name, limit=NAME_LIMIT)},
        "period": {
            "name": period,
            "from": _stamp(proof.start),
            "to": _stamp(proof.end),
            "until": _stamp(proof.until),
        },
        "verdict": proof.verdict.value,
        "accounts": [_account(one) for one in proof.accounts],
        "not_monitored": [
            {"account": one_line(one.label, limit=NAME_LIMIT), "status": one.status.value} for one in proof.left_out
        ],
        "canaries": [
            {"day": day.day.isoformat(), "outcome": day.outcome.value, "milliseconds": _milliseconds(day.seconds)}
            for day in proof.canaries
        ],
        "audit_head": str(proof.head),
        "rule_set": rule_set,
        "rule_sets": list(proof.rule_sets),
        "key": key.text,
    }


def _account(one: AccountProof) -> dict[str, Any]:
    week = one.coverage
    return {
        "account": one_line(week.account.label, limit=NAME_LIMIT),
        "since": _stamp(one.since),
        "verdict": week.verdict.value,
        "read_ppm": _millionths(week.covered, whole=week.verdict is Verdict.FULL),
        "posts": week.posts,
        "alerts": one.alerts,
        "unchecked": one.unchecked,
        "degraded": week.degraded,
        "gaps": [_gap(gap) for gap in week.gaps],
    }


def _millionths(share: float, *, whole: bool) -> int:
    """Return the share read in millionths, rounded down: a gap is never rounded away."""
    return 1_000_000 if whole else min(int(share * 1_000_000), 999_999)


def _gap(gap: Interval) -> dict[str, Any]:
    cause = gap.cause.value if gap.cause else ""
    return {
        "from": _stamp(gap.start),
        "to": _stamp(gap.end),
        "cause": cause,
        "seconds": round(gap.length.total_seconds()),
    }


def _stamp(moment: datetime) -> str:
    return moment.astimezone(MALAYSIA).isoformat(timespec="seconds")


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


# ---------------------------------------------------------------- the page


def certificate(figures: Mapping[str, Any], private: str) -> str:
    """Return the finished page: the figures in words, and sealed below."""
    page = _page(figures)
    sealed = seal.canonical({**figures, "page_sha256": _hash(page)})
    return page.replace(SEAL_PLACE, SEAL_FORM.format(figures=sealed, signature=seal.sign(private, sealed)))


def _hash(page: str) -> str:
    return hashlib.sha256(page.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("certificate.html")


def _page(figures: Mapping[str, Any]) -> str:
    """Return the page by its figures alone, with SEAL_PLACE where the seal goes."""
    language = Language(figures["language"])
    period = figures["period"]
    start, end, until = (_moment(period[name]) for name in ("from", "to", "until"))
    key = seal.named_key(figures["key"])
    words = {
        "f": figures,
        "language": language.value,
        "first_day": wording.date(start, language),
        "last_day": wording.date(end - timedelta(microseconds=1), language),
        "unfinished": wording.moment(until, language) if until < end else "",
        "issued_at": wording.moment(_moment(figures["issued_at"]), language),
        "verdict": wording.VERDICTS[language][Verdict(figures["verdict"])],
        "verdict_class": Verdict(figures["verdict"]).name.lower(),
        "rows": [_row(one, start, language) for one in figures["accounts"]],
        "fully": sum(one["verdict"] == Verdict.FULL.value for one in figures["accounts"]),
        "blind": sum(one["verdict"] == Verdict.BLIND.value for one in figures["accounts"]),
        "clause_5": wording.CLAUSE_5,
        "canaries": _canaries(figures["canaries"], language),
        "fingerprint": key.fingerprint if key else "",
        "seal": SEAL_PLACE,
    }
    return _template().render(words)


def _row(one: Mapping[str, Any], start: datetime, language: Language) -> dict[str, Any]:
    since = _moment(one["since"])
    return {
        **one,
        "verdict_class": Verdict(one["verdict"]).name.lower(),
        "verdict": wording.VERDICTS[language][Verdict(one["verdict"])],
        "read": _percent(one["read_ppm"]),
        "registered": wording.moment(since, language) if since > start else "",
        "gaps": [_hole(gap, language) for gap in one["gaps"]],
    }


def _percent(millionths: int) -> str:
    """Return "99.99 %", rounded down."""
    return "100 %" if millionths == 1_000_000 else f"{millionths // 100 / 100:.2f} %"


def _hole(gap: Mapping[str, Any], language: Language) -> dict[str, str]:
    start, end = _moment(gap["from"]), _moment(gap["to"])
    same_day = start.date() == end.date()
    why, _ = wording.cause(Cause(gap["cause"]) if gap["cause"] else None, language)
    return {
        "when": f"{wording.short(start)}–{end:%H:%M}" if same_day else f"{wording.short(start)} – {wording.short(end)}",
        "length": wording.span(timedelta(seconds=gap["seconds"]), language),
        "cause": why,
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(MALAYSIA)


OUTCOMES: Mapping[Language, Mapping[CanaryOutcome, str]] = {
    Language.MS: {
        CanaryOutcome.ARRIVED: "sampai",
        CanaryOutcome.LATE: "lewat",
        CanaryOutcome.WAITING: "belum sampai",
        CanaryOutcome.MISSING: "tidak sampai",
        CanaryOutcome.NOT_FIRED: "tidak dikesan oleh peraturan",
        CanaryOutcome.NOT_RUN: "tidak dijalankan",
    },
    Language.EN: {outcome: outcome.value for outcome in CanaryOutcome},
}


def _canaries(days: Sequence[Mapping[str, Any]], language: Language) -> dict[str, Any]:
    """Return how many days' proofs arrived and how long they took, and the other days by name."""
    arrived = [day for day in days if day["outcome"] == CanaryOutcome.ARRIVED.value]
    slowest = max((day["milliseconds"] or 0 for day in arrived), default=0)
    others = [
        f"{date.fromisoformat(day['day']):%d/%m} {OUTCOMES[language][CanaryOutcome(day['outcome'])]}"
        for day in days
        if day["outcome"] != CanaryOutcome.ARRIVED.value
    ]
    return {"days": len(days), "arrived": len(arrived), "slowest": f"{slowest / 1000:.1f} s", "others": others}


# ---------------------------------------------------------------- verifying


def verify(page: str) -> Verified:
    """Look whether page, figures and signature fit each other. Whose key it is, is for the caller to say."""
    page = page.removeprefix("\ufeff").replace("\r\n", "\n")
    found = SEAL.findall(page)
    if len(found) != 1:
        return Verified(figures={}, key=None, signed=False, wrong=(UNREADABLE,))
    text, signature = found[0]
    try:
        figures = json.loads(text)
        key = seal.named_key(figures["key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        key = None
    if key is None or figures.get("kind") != KIND:
        return Verified(figures={}, key=None, signed=False, wrong=(UNREADABLE,))
    signed = seal.canonical(figures) == text and seal.is_signed(key, text, signature)
    wrong = [] if signed else [UNSIGNED]
    return Verified(
        figures=figures, key=key, signed=signed, wrong=(*wrong, *_changed(SEAL.sub(SEAL_PLACE, page), figures))
    )


def _changed(page: str, figures: Json) -> Iterator[str]:
    if _hash(page) == figures.get("page_sha256"):
        return
    try:
        original = _page({name: value for name, value in figures.items() if name != "page_sha256"})
    except Exception:  # noqa: BLE001 (the figures are a stranger's: whatever they lack, they make no page)
        yield OTHER_MAKE
        return
    differences = list(_differences(original, page))
    if _hash(original) != figures.get("page_sha256") or not differences:
        yield OTHER_MAKE if differences else "the page's markup was changed; its words fit its figures"
        return
    yield "the page was changed after signing:"
    yield from differences[:SHOWN_CHANGES]
    if len(differences) > SHOWN_CHANGES:
        yield f"… and {len(differences) - SHOWN_CHANGES} more"


def _differences(original: str, page: str) -> Iterator[str]:
    marks = {"-": "signed", "+": "shown "}
    for line in difflib.ndiff(_words(original), _words(page)):
        if line[0] in marks:
            yield f"  {marks[line[0]]}: {one_line(line[2:], limit=NAME_LIMIT)}"


def _words(page: str) -> list[str]:
    reader = _Words()
    reader.feed(page)
    return reader.found


class _Words(HTMLParser):
    """Collects the visible texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append(" ".join(data.split()))
