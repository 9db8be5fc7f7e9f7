"""evaluate, and rules check, test and list: texts are judged, without network, mail or database."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import Annotated

import typer

from connectors import CONNECTORS
from monitor import jsonlines
from monitor.cli.root import GIVEN, AsJson, app, bad, rules_app, today
from monitor.cli.terminal import out, print_rows
from monitor.configuration import (
    read_register,
)
from monitor.model import Language
from monitor.rules.load import TestResult, load_rules, run_test, run_tests
from monitor.rules.rule import Rule, RuleSet

SHOWN_TEST = 70


def loaded_rules() -> RuleSet:
    return load_rules(GIVEN.folder / "rules", today=today(), platforms=CONNECTORS)


def chosen_rule(rules: RuleSet, name: str) -> Rule:
    """Return the rule of this id, or the one whose id ends so. Raises ConfigurationError."""
    wanted = name.strip().strip("/").lower()
    found = [rule for rule in rules.rules if rule.id == wanted]
    found = found or [rule for rule in rules.rules if f"/{rule.id}".endswith(f"/{wanted}")]
    if len(found) > 1:
        raise bad(f"'{name}': more than one rule ends so: {', '.join(rule.id for rule in found)}")
    if not found:
        short = {rule.id.rpartition("/")[2]: rule.id for rule in rules.rules}
        close = get_close_matches(wanted.rpartition("/")[2], short, n=1)
        meant = f"; did you mean {short[close[0]]}?" if close else ""
        raise bad(f"'{name}': no such rule{meant}; `pantau rules list` shows them")
    return found[0]


@app.command()
def evaluate(
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Show what shadow rules find, marked; they still alert nobody.")
    ] = False,
) -> None:
    """Judge JSON lines from standard input by the rules. No network, no mail, no database."""
    rules = loaded_rules()
    agencies, _ = read_register(GIVEN.folder, [])
    kinds = {agency.code: agency.kind for agency in agencies}
    sound = True
    for answer, was_sound in jsonlines.answer_lines(rules, sys.stdin.buffer, kinds, shadow=shadow):
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()
        sound &= was_sound
    raise typer.Exit(0 if sound else 1)


@rules_app.command("check")
def rules_check() -> None:
    """Load all rules and run their tests; tell all mistakes at once."""
    rules = loaded_rules()
    out.print(f"{len(rules.rules)} rules, all right; set {rules.hash[:12]}")


@rules_app.command("test")
def rules_test(
    name: Annotated[str, typer.Argument(metavar="[ID]", help="Only this rule; each of its tests is shown.")] = "",
) -> None:
    """Run the rules' own tests. Exit 1 when one fails."""
    rules = loaded_rules()
    if name:
        rule = chosen_rule(rules, name)
        results = [run_test(rule, example) for example in rule.tests]
    else:
        results = run_tests(rules)
    for result in results:
        if name or not result.passed:
            out.print(_test_line(result))
    failed = sum(not result.passed for result in results)
    out.print(f"{len(results)} tests, {failed} failed")
    raise typer.Exit(1 if failed else 0)


def _test_line(result: TestResult) -> str:
    from monitor.disclosure import one_line

    if not result.passed:
        return f"FAILED  {result.rule}: {result.kind}: {result.message}"
    return f"ok  {result.kind:<6} {one_line(result.text, limit=SHOWN_TEST)}"


@rules_app.command("list")
def rules_list(
    as_json: AsJson = False,
    language: Annotated[Language, typer.Option("--language", help="Of the titles: Malay or English.")] = Language.MS,
) -> None:
    """List the rules; their ids begin with the instrument and the clause."""
    rows = [
        {
            "id": rule.id,
            "version": rule.version,
            "status": rule.status,
            "clause": rule.clause.ref,
            "severity": rule.severity.label,
            "disclosure": rule.disclosure.label,
            "title_ms": rule.title_ms,
            "title_en": rule.title_en,
        }
        for rule in loaded_rules().rules
    ]
    print_rows(rows, as_json, ("id", "status", "severity", f"title_{language.value}"))
