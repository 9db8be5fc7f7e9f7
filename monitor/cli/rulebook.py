"""rules explain, suggest and page: the rules in plain words, for those who answer for them."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from monitor.cli.root import GIVEN, AsJson, listing, rules_app, today, write_out
from monitor.cli.rules import chosen_rule, loaded_rules
from monitor.cli.terminal import out, print_json
from monitor.model import Language, Severity
from monitor.rules.explain import WORDS, Explanation, Match, Why, explain, opinion_lines, why
from monitor.rules.rule import Rule
from monitor.rules.source import read_source
from monitor.rules.suggest import Suggestion, suggest
from monitor.store.archive import rules_with_false_alarms, told_texts

WIDEST = 100
LABEL = 12
InLanguage = Annotated[Language, typer.Option("--language", help="Malay or English.")]


@rules_app.command("explain")
def rules_explain(
    name: Annotated[str, typer.Argument(metavar="ID", help="A rule's id, or its end where that is clear.")],
    text: Annotated[
        str | None, typer.Option(help="Show why this text fires or stays quiet; - reads it from standard input.")
    ] = None,
    language: InLanguage = Language.MS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say a rule in plain words; with --text, what it makes of a text."""
    rules = loaded_rules()
    rule = chosen_rule(rules, name)
    if text is None:
        told = explain(rule, read_source(Path(rule.file)), language)
        print_json(asdict(told)) if as_json else _print_lines(rule_lines(told, WORDS[language]))
        return
    given = sys.stdin.buffer.read().decode("utf-8", "replace") if text == "-" else text
    opinion = rules.opinions.get(rule.clause.instrument)
    reason = why(rule, given, language, opinion=opinion)
    if as_json:
        print_json(_why_json(rule, reason))
        return
    _print_lines(why_lines(rule, reason, WORDS[language]))
    if opinion is not None:
        _print_lines(opinion_lines(reason, opinion, WORDS[language]))


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        out.print(line)


@rules_app.command("page")
def rules_page(
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="Write this .html file.")],
    language: InLanguage = Language.MS,
) -> None:
    """Write the rules as one page: each clause, its rules, their tests, and what no machine can check."""
    from monitor.rules.handbook import page

    html = page(loaded_rules(), GIVEN.folder / "rules", language, today=today())
    write_out(file, html.encode())
    out.print(f"{file} written")


@rules_app.command("suggest")
def rules_suggest(
    name: Annotated[str, typer.Argument(metavar="[ID]", help="Only this rule.")] = "",
    as_json: AsJson = False,
) -> None:
    """Propose exceptions for alerts that were resolved as false alarms; what a phrase would silence is tried out."""
    rules = loaded_rules()
    with listing() as db:
        known = {rule.id: rule for rule in rules.rules}
        named = [chosen_rule(rules, name).id] if name else list(known)
        wanted = [rule for rule in rules_with_false_alarms(db) if rule in named] if db is not None else []
        told = told_texts(db, wanted) if db is not None else {}
    found = [suggest(known[rule], told[rule]) for rule in wanted]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        out.print("no alert was resolved as a false alarm" + (f" of {named[0]}" if name else ""))
    for one in found:
        _print_lines(suggestion_lines(known[one.rule], one))


def suggestion_lines(rule: Rule, one: Suggestion) -> list[str]:
    """Return a suggestion as lines, with the YAML to put into the rule's file."""
    lines = [rule.id, f"  {one.false_alarms} false alarms; {one.confirmed} confirmed alerts, which stay as they are"]
    if one.quiet_already:
        lines.append(f"  quiet already under the present rule: {', '.join(one.quiet_already)}")
    for proposal in one.proposals:
        lines += ["", f"  silences {', '.join(proposal.silences)}"]
        if proposal.undecided:
            lines += _wrapped(
                f"and {len(proposal.undecided)} that nobody has decided on, look at them first: "
                f"{', '.join(case or 'a finding without an alert' for case in proposal.undecided)}",
                first="  ",
                rest="  ",
            )
        lines.append(f"  into {rule.file}, under exceptions:")
        covers = json.dumps(list(proposal.covers), ensure_ascii=False)
        slug = "-".join(re.findall(r"[a-z0-9]+", proposal.covers[0])[:4]) or "exception"
        lines.append(f"    - {{name: {slug}, covers: {covers}, reason: FILL IN, owner: FILL IN, expires: FILL IN}}")
    for case, reason in one.unsafe:
        lines += ["", f"  {case}: {reason}; change the rule instead"]
    return [*lines, ""]


def rule_lines(told: Explanation, said: Mapping[str, str]) -> list[str]:
    """Return the explanation as lines that fit the terminal."""
    lines = [f"{told.id}  ({said['version'].format(n=told.version)})", told.title, ""]
    lines += _wrapped(f"{said['h_clause'].format(clause=told.clause)}: “{told.clause_text}”")
    lines.append("")
    facts = [("status", told.status), ("severity", told.severity), ("disclosure", told.disclosure)]
    facts += [("looks_at", ", ".join(told.looks_at)), ("only_for", "; ".join(told.only_for)), ("file", told.file)]
    for key, value in facts:
        lines += _wrapped(value, label=said[f"h_{key}"]) if value else []
    if len(told.fires_when) > 1:
        lines += ["", f"{said['h_fires_when']}: {said['either'].lower()}", *_bullets(told.fires_when)]
    else:
        lines += ["", f"{said['h_fires_when']}:", *_bullets(told.fires_when)]
    lines += ["", f"{said['h_parts']}:"]
    for part in told.parts:
        examples = f" {said['as_in'].format(words=' · '.join(part.examples))}" if part.examples else ""
        lines += _wrapped(f"{part.name}: {part.looks_for}{examples}", first="  ", rest="      ")
    excuses = [
        said["h_exception"].format(**{**asdict(one), "covers": ", ".join(one.covers)}) for one in told.exceptions
    ]
    listed = [("graver", told.graver), ("lighter", told.lighter), ("exceptions", excuses)]
    listed += [("fires_on", told.fires_on), ("quiet_on", told.quiet_on)]
    for key, values in listed:
        lines += ["", f"{said[f'h_{key}']}:", *_bullets(values)] if values else []
    return lines


def why_lines(rule: Rule, reason: Why, said: Mapping[str, str]) -> list[str]:
    """Return the way through a text as lines."""
    lines = [rule.id, _verdict(reason, said)]
    if not rule.active:
        lines.append(said["not_used"].format(status=said[rule.status.value]))
    if rule.where:
        lines += [f"{said['h_only_for']} {said[key]}: {', '.join(sorted(v))}" for key, v in rule.where.items()]
    lines += ["", f"{said['h_parts']}:"]
    for part in reason.parts:
        shown = "; ".join(_match(one, said) for one in part.matches) or said["no_match"]
        lines += _wrapped(f"{part.name}: {shown}", first="  ", rest="      ")
    lines += ["", f"{said['h_why']}:"]
    for step in reason.steps:
        lines += _wrapped(f"{said['met' if step.met else 'unmet']}: {step.words}", first="  ", rest="      ")
    if reason.condition_met:
        lines += ["", said["h_shifts"].format(severity=_severity(reason.base, said))]
        lines += _bullets([f"{shift.by:+d}: {', '.join(shift.words)}" for shift in reason.shifts])
    return lines


def _verdict(reason: Why, said: Mapping[str, str]) -> str:
    if reason.severity is not None:
        return said["fires"].format(severity=_severity(reason.severity, said))
    cause = "lighter_left_nothing" if reason.condition_met else "unmet_why"
    return f"{said['quiet']}: {said[cause]}"


def _severity(severity: Severity, said: Mapping[str, str]) -> str:
    """Return its name, without what follows from it."""
    return said[severity.label].partition(":")[0]


def _match(one: Match, said: Mapping[str, str]) -> str:
    place = f"“{' '.join(one.text.split())}” [{one.start}–{one.end}]"
    return f"{place} ({said['excused'].format(name=one.excused_by)})" if one.excused_by else place


def _why_json(rule: Rule, reason: Why) -> dict[str, Any]:
    return {
        "rule": rule.id,
        "version": rule.version,
        "status": rule.status.value,
        "fires": reason.fires,
        "severity": reason.severity.label if reason.severity else None,
        "opinion": asdict(reason.opinion) if reason.opinion else None,
        "parts": {
            part.name: [
                {"span": [one.start, one.end], "text": one.text, "excused_by": one.excused_by or None}
                for one in part.matches
            ]
            for part in reason.parts
        },
        "condition": [{"alternative": step.words, "met": step.met} for step in reason.steps],
        "condition_met": reason.condition_met,
        "base_severity": reason.base.label,
        "shifts": [{"by": shift.by, "words": list(shift.words)} for shift in reason.shifts],
    }


def _bullets(values: Sequence[str]) -> list[str]:
    return [line for value in values for line in _wrapped(value, first="  - ", rest="    ")]


def _wrapped(text: str, *, label: str = "", first: str = "", rest: str = "") -> list[str]:
    if label:
        first, rest = f"{label:<{LABEL}} ", " " * (LABEL + 1)
    width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
    flat = " ".join(text.split())
    return textwrap.wrap(flat, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [first]
