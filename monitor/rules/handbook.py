"""The rules as one page for people: clause → rules → tests → what no machine can check. One file of HTML, no script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from monitor.model import Language
from monitor.rules.explain import WORDS, Explanation, explain
from monitor.rules.load import INSTRUMENT_FILE
from monitor.rules.rule import Rule, RuleSet
from monitor.rules.source import instrument_folder, read_source, read_yaml

HEADINGS: Mapping[Language, Mapping[str, str]] = {
    Language.MS: {
        "title": "Peraturan Pantau",
        "lead": "Apa yang diperiksa oleh Pantau untuk setiap perenggan, dan apa yang tidak dapat diperiksa oleh mesin. "
        "Pantau hanya mengesyaki; manusia yang memutuskan.",
        "made": "Dijana pada {day} daripada set peraturan {hash}.",
        "contents": "Kandungan",
        "counts": "{rules} peraturan, {tests} ujian",
        "none": "Tiada peraturan.",
        "paragraph": "Perenggan {ref}",
        "ours": "",
        "unchecked": "Yang tidak dapat diperiksa oleh mesin",
        "unwritten": "Belum ditulis (kunci unchecked dalam instrument.yaml).",
        "fires_on": "Mesti dikesan",
        "quiet_on": "Tidak boleh dikesan",
        "exceptions": "Pengecualian",
        "tests": "Ujian ini dijalankan setiap kali peraturan dimuatkan; set yang gagal ditolak.",
    },
    Language.EN: {
        "title": "The rules of Pantau",
        "lead": "What Pantau checks for each paragraph, and what no machine can check. "
        "Pantau only suspects; people decide.",
        "made": "Generated on {day} from rule set {hash}.",
        "contents": "Contents",
        "counts": "{rules} rules, {tests} tests",
        "none": "No rule.",
        "paragraph": "Paragraph {ref}",
        "ours": "In English (our words): ",
        "unchecked": "What a machine cannot check",
        "unwritten": "Not written yet (key unchecked in instrument.yaml).",
        "fires_on": "Must fire",
        "quiet_on": "Must stay quiet",
        "exceptions": "Exceptions",
        "tests": "These tests run whenever the rules are loaded; a set that fails one is refused.",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePage:
    anchor: str
    active: bool
    severity: str  # low, medium, high or critical, for the colour
    told: Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class ClausePage:
    """A clause as it is written, its translation (for English), its rules, and what they cannot tell."""

    ref: str
    anchor: str
    written: str
    translated: str
    unchecked: str
    rules: tuple[RulePage, ...]

    @property
    def tests(self) -> int:
        return sum(len(rule.told.fires_on) + len(rule.told.quiet_on) for rule in self.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentPage:
    title: str
    clauses: tuple[ClausePage, ...]


def page(rules: RuleSet, folder: Path, language: Language, *, today: date) -> str:
    """Return the page for all instruments below `folder`, from which `rules` were loaded."""
    files = sorted(folder.rglob(INSTRUMENT_FILE))
    instruments = [_instrument(file, rules.rules, language) for file in files]
    said = HEADINGS[language]
    tests = sum(len(rule.tests) for rule in rules.rules)
    return _template().render(
        language=language.value,
        said=said,
        words=WORDS[language],
        instruments=instruments,
        counts=said["counts"].format(rules=len(rules.rules), tests=tests),
        made=said["made"].format(day=f"{today:%d.%m.%Y}", hash=rules.hash[:12]),
    )


def _instrument(file: Path, rules: Iterable[Rule], language: Language) -> InstrumentPage:
    data = read_yaml(file)
    mine = [rule for rule in rules if instrument_folder(Path(rule.file)) == file.parent]
    clauses = tuple(_clause(ref, clause, mine, language) for ref, clause in data["clauses"].items())
    return InstrumentPage(title=data["title"][language.value], clauses=clauses)


def _clause(ref: str, written: Mapping[str, Any], rules: Iterable[Rule], language: Language) -> ClausePage:
    return ClausePage(
        ref=ref,
        anchor=f"p{ref}",
        written=written["ms"],
        translated=written["en"] if language is Language.EN else "",
        unchecked=written.get("unchecked", {}).get(language.value, ""),
        rules=tuple(_rule(rule, language) for rule in rules if rule.clause.ref == ref),
    )


def _rule(rule: Rule, language: Language) -> RulePage:
    told = explain(rule, read_source(Path(rule.file)), language)
    return RulePage(anchor=rule.id.replace("/", "-"), active=rule.active, severity=rule.severity.label, told=told)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("handbook.html")
