"""What a mail or a page may show of a post and of what is broken: by clause, each rule with its places. Pure.

Of a post's text only what `monitor.disclosure` allows leaves here; names pass `one_line`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from alerts import wording
from monitor.disclosure import excerpt, one_line
from monitor.model import (
    Alert,
    Finding,
    Language,
    MediaKind,
    Post,
)

LINK_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A rule that fired, as a mail names it: without a word of what it matched."""

    title: str
    severity: str
    places: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenClause:
    """A clause with all that may break it. `en` is empty in a Malay mail."""

    name: str
    instrument: str
    ms: str
    en: str
    breaches: tuple[Breach, ...]


def broken_clauses(alert: Alert, language: Language) -> tuple[BrokenClause, ...]:
    """Return the alert's findings by clause, in the circular's order; a rule is named once with all its places."""
    by_clause: dict[tuple[str, str], list[Finding]] = {}
    for finding in alert.findings:
        by_clause.setdefault((finding.clause.instrument, finding.clause.ref), []).append(finding)
    return tuple(
        BrokenClause(
            name=wording.clause_name(ref),
            instrument=wording.instrument(instrument, language),
            ms=one_line(found[0].clause.ms, limit=600),
            en=one_line(found[0].clause.en, limit=600) if language is Language.EN else "",
            breaches=_breaches(found, alert.post, language),
        )
        for (instrument, ref), found in sorted(by_clause.items())
    )


def _breaches(findings: Sequence[Finding], post: Post | None, language: Language) -> tuple[Breach, ...]:
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    strongest_first = sorted(by_rule.values(), key=lambda found: -max(f.severity for f in found))
    return tuple(
        Breach(
            title=one_line(found[0].title_ms if language is Language.MS else found[0].title_en),
            severity=wording.SEVERITIES[language][max(f.severity for f in found)],
            places=wording.listed([_place(f.field, post, language) for f in found], language),
        )
        for found in strongest_first
    )


def _place(field: str, post: Post | None, language: Language) -> str:
    """Return "dalam gambar 1" for "picture:0": counted as a reader counts, among the post's pictures."""
    kind, _, position = field.partition(":")
    words = wording.PLACES[language].get(kind)
    if words is None:
        return one_line(field)
    if not position.isdigit():
        return words
    number = int(position)
    media = post.media if post else ()
    if number < len(media) and media[number].kind in set(MediaKind):
        return f"{words} {sum(one.kind.value == kind for one in media[: number + 1])}"
    return f"{words} {number + 1}"


def post_link(post: Post | None) -> str:
    """Return the post's public address, when it is one that a browser opens harmlessly."""
    if post is None or len(post.url) > LINK_LIMIT:
        return ""
    url = quote(one_line(post.url, limit=LINK_LIMIT + 1), safe="!#$%&'()*+,/:;=?@[]~")
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in {"http", "https"} and parts.hostname else ""


def allowed_excerpt(alert: Alert, *, sealed: bool = False) -> str:
    """Return what the disclosure level lets through of the post's text; empty for a match outside the text."""
    if alert.post is None or not any(finding.field == "text" for finding in alert.findings):
        return ""
    return excerpt(alert.post.text, alert.findings, alert.disclosure, sealed=sealed) or ""
