"""evaluate and rules: texts are judged, without network, mail or database."""

from __future__ import annotations

import sys

import typer

from monitor import jsonlines
from monitor.cli.root import (
    GIVEN,
    AsJson,
    app,
    out,
    print_rows,
    rules_app,
    today,
)
from monitor.configuration import (
    read_register,
)
from monitor.rules.load import load_rules, run_tests
from monitor.rules.rule import RuleSet


def _rules() -> RuleSet:
    return load_rules(GIVEN.folder / "rules", today=today())


@app.command()
def evaluate() -> None:
    """Judge JSON lines from standard input by the rules. No network, no mail, no database."""
    rules = _rules()
    agencies, _ = read_register(GIVEN.folder, [])
    kinds = {agency.code: agency.kind for agency in agencies}
    sound = True
    for answer, was_sound in jsonlines.answer_lines(rules, sys.stdin.buffer, kinds):
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()
        sound &= was_sound
    raise typer.Exit(0 if sound else 1)


@rules_app.command("check")
def rules_check() -> None:
    """Load all rules and run their tests; tell all mistakes at once."""
    rules = _rules()
    out.print(f"{len(rules.rules)} rules, all right; set {rules.hash[:12]}")


@rules_app.command("test")
def rules_test() -> None:
    """Run the tests of every rule and show each."""
    results = run_tests(_rules())
    for result in results:
        if not result.passed:
            out.print(f"FAILED  {result.rule}: {result.kind}: {result.message}", markup=False)
    failed = sum(not result.passed for result in results)
    out.print(f"{len(results)} tests, {failed} failed")
    raise typer.Exit(1 if failed else 0)


@rules_app.command("list")
def rules_list(as_json: AsJson = False) -> None:
    """List the rules."""
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
        for rule in _rules().rules
    ]
    print_rows(rows, as_json, ("id", "version", "status", "clause", "severity", "disclosure", "title_ms"))
