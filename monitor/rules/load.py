"""YAML files → rules. A set is loaded whole or not at all; every mistake is reported at once, where it stands.

rules/<instrument>/instrument.yaml      the instrument and its clauses, quoted in Malay and English
rules/<instrument>/opinion.json         the learned second opinion, if there is one
rules/<instrument>/lists/<name>.yaml    words that several rules share
rules/<instrument>/…/<name>.yaml        one rule each
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from monitor.model import AgencyKind, Clause, Disclosure, Finding, PostKind, Severity, Subject
from monitor.problems import ConfigurationError, Problem, suggestion
from monitor.rules import document, history
from monitor.rules.conditions import BadCondition, Condition, parse, unknown_parts
from monitor.rules.detectors import DETECTORS
from monitor.rules.detectors.domains import DomainPart
from monitor.rules.document import Value
from monitor.rules.evaluate import judge
from monitor.rules.opinion import BadOpinion, Opinion, loaded
from monitor.rules.parts import VIEWS, BadPattern, DetectorPart, Part, PatternPart, pattern, phrases
from monitor.rules.rule import SCOPES, Example, Excuse, OpinionUse, Rule, RuleSet, Shift, Status
from monitor.rules.text import Text

INSTRUMENT_FILE = "instrument.yaml"
OPINION_FILE = "opinion.json"
LISTS_FOLDER = "lists"
RULE_KEYS = (
    *("id", "version", "status", "title", "clause", "severity", "disclosure", "scope", "where", "parts"),
    *("condition", "opinion", "stronger", "weaker", "exceptions", "tests"),
)
REQUIRED_KEYS = ("id", "version", "status", "title", "clause", "severity", "disclosure", "parts", "condition", "tests")
SEVERITIES = {severity.label: severity for severity in Severity}
DISCLOSURES = {level.label: level for level in Disclosure}
STATUSES = {status.value: status for status in Status}
CASES = {"any": False, "exact": True}
OPINIONS = {weight.value: weight for weight in OpinionUse}
WHERE: Mapping[str, Sequence[str] | None] = {
    "platform": None,
    "agency_kind": tuple(AgencyKind),
    "kind": tuple(PostKind),
    "language": None,
}
_DETECTOR_PARTS = {name: DetectorPart(detector) for name, detector in DETECTORS.items()}
_DOMAIN = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z0-9-]{2,}|\*\.[a-z]{2,}")
_ID = re.compile(r"[a-z0-9-]+(?:/[a-z0-9-]+){1,5}")
MOST_CONTROL = 32  # a backslash in double quotes makes one: "\b"
_MOST_STEPS = 3
_FAR = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A circular, law or guide that clauses belong to, with the word lists of its folder."""

    id: str
    clauses: Mapping[str, Clause]
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """What became of one of a rule's own tests. `kind` names it, `message` says what was expected and what came."""

    __test__ = False  # for pytest: this is no test class
    rule: str
    kind: str
    text: str
    passed: bool
    message: str = ""


def load_rules(
    folder: Path, *, today: date, platforms: Collection[str] = (), proven: Callable[[Path], bool] = lambda _: False
) -> RuleSet:
    """Read all rules below `folder`, run their tests, and return the set. Raises ConfigurationError.

    Where `platforms` are given, a rule may name no other. `proven` tells which files' tests are known to pass.
    """
    problems: list[Problem] = []
    files = _read_files(folder, problems)
    instruments = _instruments(files, problems)
    if files and not instruments:  # without clauses every rule would be wrong for the same reason
        message = (
            f"no {INSTRUMENT_FILE} says which clauses there are; `pantau init` writes one into an empty folder: copy it"
        )
        raise ConfigurationError(problems or [Problem(file=str(folder), place="", message=message)])
    opinions = _opinions(files, problems)
    rules: dict[str, Rule] = {}
    for path, data in files.items():
        if path.name in {OPINION_FILE, INSTRUMENT_FILE} or path.parent.name == LISTS_FOLDER:
            continue
        rule = _rule(path, data, instruments, today, platforms, problems, proven=proven(path))
        if rule is not None and rule.id in rules:
            message = f"'{rule.id}' is also the id of {rules[rule.id].file}; give one of the two another"
            problems.append(Problem(file=str(path), place="id", message=message))
        elif rule is not None:
            rules[rule.id] = rule
    if not problems and not rules:
        message = "holds no rules; `pantau init` writes the first ones"
        problems.append(Problem(file=str(folder), place="", message=message))
    if problems:
        raise ConfigurationError(problems)
    return RuleSet(list(rules.values()), _digest(folder, files), opinions)


def run_tests(rules: RuleSet) -> list[TestResult]:
    return [run_test(rule, example) for rule in rules.rules for example in rule.tests]


def run_test(rule: Rule, example: Example) -> TestResult:
    """Run one of a rule's own tests, whatever the rule's status."""
    finding = judge(rule, Text(example.text), subject_of(example), "text", history=example.history)
    message = _verdict(example, finding)
    kind = "fire" if example.fires else "quiet"
    return TestResult(rule=rule.id, kind=kind, text=example.text, passed=not message, message=message)


def subject_of(example: Example) -> Subject:
    """Return what a rule looks at in one of its own tests."""
    facts = dict(example.where)
    return Subject(
        fields={"text": example.text},
        platform=facts.get("platform", ""),
        language=facts.get("language", ""),
        kind=PostKind(facts.get("kind", PostKind.ORIGINAL)),
        agency_kind=AgencyKind(facts["agency_kind"]) if "agency_kind" in facts else None,
        published_at=history.EXAMPLE_AT,
    )


def _verdict(example: Example, finding: Finding | None) -> str:
    """Return what is wrong with a test's outcome; empty when it is as the author said."""
    if not example.fires:
        found = "" if finding is None else ", ".join(f"'{example.text[a:b]}'" for a, b in finding.spans)
        return f"should stay quiet, but fires on {found}: {example.text!r}" if finding is not None else ""
    if finding is None:
        return f"should fire, but stays quiet: {example.text!r}"
    matched = [example.text[start:end] for start, end in finding.spans]
    if missing := [span for span in example.spans if span not in matched]:
        return f"should match {', '.join(map(repr, missing))}, but matches {', '.join(map(repr, matched))}"
    if example.severity is not None and finding.severity is not example.severity:
        return f"should be {example.severity.label}, but is {finding.severity.label}: {example.text!r}"
    return ""


# ---------------------------------------------------------------- files


def _read_files(folder: Path, problems: list[Problem]) -> dict[Path, bytes]:
    files: dict[Path, bytes] = {}
    if not folder.is_dir():
        problems.append(Problem(file=str(folder), place="", message="is no folder; `pantau init` writes one"))
        return files
    for path in _paths(folder, problems):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix == ".yml":
            problems.append(Problem(file=str(path), place="", message="rename it to .yaml, else it is not read"))
        if path.suffix != ".yaml" and path.name != OPINION_FILE:
            continue
        try:
            files[path] = path.read_bytes()
        except OSError as error:
            problems.append(Problem(file=str(path), place="", message=f"cannot be read ({error.strerror})"))
    return files


def _paths(folder: Path, problems: list[Problem]) -> list[Path]:
    """Return all files below a folder; a folder that cannot be read is a mistake, and not an empty one."""

    def refused(error: OSError) -> None:
        message = f"cannot be read ({error.strerror}); give Pantau's user the right to, or take it away"
        problems.append(Problem(file=str(error.filename), place="", message=message))

    return sorted(Path(place, name) for place, _, names in os.walk(folder, onerror=refused) for name in names)


def _digest(folder: Path, files: Mapping[Path, bytes]) -> str:
    whole = hashlib.sha256()
    for path, data in sorted(files.items()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0{len(data)}\0".encode() + data)
    return whole.hexdigest()


def _instruments(files: Mapping[Path, bytes], problems: list[Problem]) -> dict[str, Instrument]:
    found: dict[str, Instrument] = {}
    for path, data in files.items():
        if path.name == INSTRUMENT_FILE and (top := document.read(data, file=str(path), problems=problems)):
            instrument = _instrument(top)
            lists = _lists(path.parent / LISTS_FOLDER, files, problems)
            found[instrument.id] = replace(instrument, lists=lists)
    return found


def _opinions(files: Mapping[Path, bytes], problems: list[Problem]) -> dict[str, Opinion]:
    found: dict[str, Opinion] = {}
    for path, data in files.items():
        if path.name != OPINION_FILE:
            continue
        try:
            opinion = loaded(data.decode())
        except (BadOpinion, UnicodeDecodeError) as error:
            problems.append(Problem(file=str(path), place="", message=str(error)))
        else:
            found[opinion.instrument] = opinion
    return found


def _instrument(top: Value) -> Instrument:
    keys = top.keys(("id", "title", "clauses"), required=("id", "title", "clauses"))
    name = (keys["id"].text() if "id" in keys else None) or ""
    if "title" in keys:
        _bilingual(keys["title"])
    clauses = {}
    for ref, value in (keys["clauses"].keys(None) if "clauses" in keys else {}).items():
        ms, en = _bilingual(value, "unchecked")
        if "unchecked" in (inner := value.keys(None)):
            _bilingual(inner["unchecked"])  # for the handbook; here only so that a mistake is told
        clauses[ref] = Clause(instrument=name, ref=ref, ms=ms, en=en)
    return Instrument(id=name, clauses=clauses)


def _lists(folder: Path, files: Mapping[Path, bytes], problems: list[Problem]) -> dict[str, Sequence[str]]:
    lists: dict[str, Sequence[str]] = {}
    for path, data in files.items():
        if path.parent == folder and (top := document.read(data, file=str(path), problems=problems)):
            keys = top.keys(("phrases",), required=("phrases",))
            lists[path.stem] = keys["phrases"].texts() if "phrases" in keys else []
    return lists


def _bilingual(value: Value, *more: str) -> tuple[str, str]:
    keys = value.keys(("ms", "en", *more), required=("ms", "en"))
    ms, en = ((keys[name].text() if name in keys else None) or "" for name in ("ms", "en"))
    return ms, en


# ---------------------------------------------------------------- one rule


def _rule(
    path: Path,
    data: bytes,
    instruments: Mapping[str, Instrument],
    today: date,
    platforms: Collection[str],
    problems: list[Problem],
    *,
    proven: bool,
) -> Rule | None:
    """Return the rule of a file, tested unless `proven`. None: something is wrong with it, and `problems` says what."""
    mine: list[Problem] = []
    top = document.read(data, file=str(path), problems=mine)
    rule = _built(top, instruments, today, platforms) if top is not None else None
    if rule is not None and not mine and not proven:
        mine += [
            Problem(file=str(path), place=example.key, message=result.message)
            for example in rule.tests
            if not (result := run_test(rule, example)).passed
        ]
    problems += mine
    return rule if not mine else None


def _built(top: Value, instruments: Mapping[str, Instrument], today: date, platforms: Collection[str]) -> Rule | None:
    keys = top.keys(RULE_KEYS, required=REQUIRED_KEYS)
    if not set(REQUIRED_KEYS) <= keys.keys():
        return None
    clause, lists = _clause(keys["clause"], instruments)
    parts = _parts(keys["parts"], lists)
    condition = _condition(keys["condition"], parts)
    ms, en = _bilingual(keys["title"])
    severity = keys["severity"].choice(SEVERITIES)
    disclosure = keys["disclosure"].choice(DISCLOSURES)
    status = keys["status"].choice(STATUSES)
    version = keys["version"].integer(least=1, most=99_999)
    name = _identity(keys["id"], clause)
    shifts = {kind: _shifts(keys[kind], lists) if kind in keys else () for kind in ("stronger", "weaker")}
    excuses = _excuses(keys["exceptions"], today) if "exceptions" in keys else ()
    tests = _examples(keys["tests"])
    scope = _scope(keys.get("scope"))
    where = _where(keys["where"], platforms) if "where" in keys else {}
    if not (clause and condition and name and severity and status and version) or disclosure is None:
        return None
    return Rule(
        id=name,
        version=version,
        status=status,
        title_ms=ms,
        title_en=en,
        clause=clause,
        severity=severity,
        disclosure=disclosure,
        scope=scope,
        where=where,
        parts=parts,
        condition=condition,
        stronger=shifts["stronger"],
        weaker=shifts["weaker"],
        exceptions=excuses,
        tests=tests,
        file=top.file,
        opinion=(keys["opinion"].choice(OPINIONS) if "opinion" in keys else None) or OpinionUse.IGNORED,
    )


def _identity(value: Value, clause: Clause | None) -> str | None:
    name = value.text()
    if name is None:
        return None
    if not _ID.fullmatch(name):
        value.wrong(f"'{name}': expected small letters, digits and hyphens, such as mampu-2009/3c/marking")
        return None
    begin = f"{clause.instrument}/{clause.ref}/" if clause else ""
    if not name.startswith(begin):
        value.wrong(f"'{name}': must begin with its instrument and clause, {begin}")
        return None
    return name


def _clause(value: Value, instruments: Mapping[str, Instrument]) -> tuple[Clause | None, Mapping[str, Sequence[str]]]:
    keys = value.keys(("instrument", "ref"), required=("instrument", "ref"))
    if len(keys) < 2:
        return None, {}
    instrument = keys["instrument"].choice(instruments)
    if instrument is None:
        return None, {}
    return keys["ref"].choice(instrument.clauses), instrument.lists


def _scope(value: Value | None) -> frozenset[str]:
    if value is None:
        return frozenset(SCOPES)
    return frozenset(_chosen(value, SCOPES))


def _chosen(value: Value, known: Collection[str]) -> Iterable[str]:
    for text in value.texts():
        if text in known:
            yield text
        else:
            value.wrong(f"'{text}': unknown{suggestion(text, known)}")


def _where(value: Value, platforms: Collection[str]) -> Mapping[str, frozenset[str]]:
    found = {}
    for name, inner in value.keys(WHERE).items():
        known = platforms or None if name == "platform" else WHERE[name]
        found[name] = frozenset(inner.texts() if known is None else _chosen(inner, known))
    return found


# ---------------------------------------------------------------- parts and condition


def _parts(value: Value, lists: Mapping[str, Sequence[str]]) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for name, inner in value.keys(None).items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in {"and", "or", "not", "near"}:
            inner.wrong("a part's name is small letters, digits and _, and none of and, or, not, near")
        elif (part := _part(inner, lists)) is not None:
            found[name] = part
    return found


def _part(value: Value, lists: Mapping[str, Sequence[str]]) -> Part | None:
    if value.has("history"):
        return history.read_part(value)
    keys = value.keys(("phrases", "lists", "regex", "detector", "domains", "case", "views", "history"))
    ways: list[str] = [name for name in ("regex", "detector", "domains") if name in keys]
    ways += ["phrases"] if "phrases" in keys or ("lists" in keys and "domains" not in keys) else []
    if len(ways) != 1:
        value.wrong("needs one of phrases (or lists), regex, detector, domains and history")
        return None
    if ways in (["detector"], ["domains"]):
        for name in ("case", "views"):
            if name in keys:
                keys[name].wrong(f"{'a detector has' if ways == ['detector'] else 'domains have'} none")
        return _detector(keys["detector"]) if ways == ["detector"] else _domains(keys, lists)
    exact = bool(keys["case"].choice(CASES)) if "case" in keys else False
    views = list(_chosen(keys["views"], VIEWS)) if "views" in keys else ["folded"]
    if ways == ["regex"]:
        source = keys["regex"].text()
        if source and any(ord(character) < MOST_CONTROL and character not in "\n\t" for character in source):
            keys["regex"].wrong("holds a control character; write the pattern in single quotes: 'kod \\b[0-9]+'")
            return None
        return _made(keys["regex"], lambda: pattern(source, exact=exact, views=views)) if source else None
    words = _words(keys, lists)
    return _made(value, lambda: phrases(words, exact=exact, views=views)) if words else None


def _detector(value: Value) -> DetectorPart | None:
    return value.choice(_DETECTOR_PARTS)


def _domains(keys: Mapping[str, Value], lists: Mapping[str, Sequence[str]]) -> DomainPart | None:
    names = [*keys["domains"].texts(), *(_listed(keys["lists"], lists) if "lists" in keys else ())]
    wrong = [name for name in names if not _DOMAIN.fullmatch(name.casefold())]
    for name in wrong:
        keys["domains"].wrong(f"'{name}': expected a domain such as bit.ly, or *.xyz for all below a suffix")
    return DomainPart(frozenset(name.casefold() for name in names)) if names and not wrong else None


def _words(keys: Mapping[str, Value], lists: Mapping[str, Sequence[str]]) -> list[str]:
    words = keys["phrases"].texts() if "phrases" in keys else []
    return [*words, *(_listed(keys["lists"], lists) if "lists" in keys else ())]


def _listed(value: Value, lists: Mapping[str, Sequence[str]]) -> list[str]:
    words: list[str] = []
    for name in value.texts():
        if name not in lists:
            value.wrong(
                f"'{name}': no such list{suggestion(name, lists)}; its words stand in {LISTS_FOLDER}/{name}.yaml"
            )
        words += lists.get(name, ())
    return words


def _made(value: Value, make: Callable[[], PatternPart]) -> PatternPart | None:
    try:
        return make()
    except BadPattern as error:
        value.wrong(str(error))
        return None


def _condition(value: Value, parts: Mapping[str, Part]) -> Condition | None:
    text = value.text()
    if text is None:
        return None
    try:
        condition = parse(text)
    except BadCondition as error:
        value.wrong(str(error))
        return None
    unknown = unknown_parts(condition, parts)
    for name in unknown:
        value.wrong(f"'{name}': no such part{suggestion(name, parts) if parts else ''}")
    for name in sorted(parts.keys() - set(condition.parts())):
        value.wrong(f"part '{name}' is not used; use it or take it out")
    wrong = history.mistakes(condition, parts)
    for message in wrong:
        value.wrong(message)
    if not unknown and condition.matches(lambda _: ()) is not None:
        value.wrong("is true of an empty text, and so of every post; it must ask for something that is there")
        return None
    return condition if not unknown and not wrong else None


# ---------------------------------------------------------------- what shifts, what excuses, what proves


def _shifts(value: Value, lists: Mapping[str, Sequence[str]]) -> tuple[Shift, ...]:
    found = []
    for item in value.items():
        keys = item.keys(("phrases", "lists", "by", "within"), required=("by",))
        by = keys["by"].integer(least=1, most=_MOST_STEPS) if "by" in keys else None
        within = keys["within"].integer(least=1, most=_FAR) if "within" in keys else None
        words = _words(keys, lists)
        if not words:
            item.wrong("needs phrases or lists")
        elif by and (part := _made(item, lambda words=words: phrases(words))):  # type: ignore[misc]  # bound at once
            found.append(Shift(words=part, by=by, within=within))
    return tuple(found)


def _excuses(value: Value, today: date) -> tuple[Excuse, ...]:
    found = []
    needed = ("name", "covers", "reason", "owner", "expires")
    for item in value.items():
        keys = item.keys(needed, required=needed)
        if len(keys) < len(needed):
            continue
        name, reason, owner = (keys[key].text() for key in ("name", "reason", "owner"))
        expires = keys["expires"].day()
        if expires is not None and expires < today:
            keys["expires"].wrong(f"the exception ended on {expires}; take it out, or renew it with its owner")
        words = keys["covers"].texts()
        part = _made(keys["covers"], lambda words=words: phrases(words)) if words else None  # type: ignore[misc]
        if name and reason and owner and expires and part:
            found.append(Excuse(name=name, covers=part, reason=reason, owner=owner, expires=expires))
    return tuple(found)


def _examples(value: Value) -> tuple[Example, ...]:
    keys = value.keys(("fire", "quiet"), required=("fire", "quiet"))
    found = []
    for kind in ("fire", "quiet"):
        items = keys[kind].items() if kind in keys else []
        if kind in keys and not items:
            keys[kind].wrong("needs at least one post")
        found += [one for item in items if (one := _example(item, fires=kind == "fire"))]
    return tuple(found)


def _example(value: Value, *, fires: bool) -> Example | None:
    known = ("text", "history", *WHERE, *(("spans", "severity") if fires else ()))
    keys = value.keys(known, required=("text",))
    text = keys["text"].text() if "text" in keys else None
    severity = keys["severity"].choice(SEVERITIES) if "severity" in keys else None
    where = {}
    for name in WHERE.keys() & keys.keys():
        options = WHERE[name]
        one = keys[name].text() if options is None else keys[name].choice({str(o): str(o) for o in options})
        if one:
            where[name] = one
    if text is None:
        return None
    spans = tuple(keys["spans"].texts()) if "spans" in keys else ()
    place = f"{value.key} (line {value.node.start_mark.line + 1})"
    told = history.read_stated(keys["history"]) if "history" in keys else None
    return Example(text=text, fires=fires, key=place, spans=spans, severity=severity, where=where, history=told)
