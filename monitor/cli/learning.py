"""rules learn: the second opinion, made from labelled posts and from what people said of alerts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.root import GIVEN, bad, listing, rules_app
from monitor.cli.rules import loaded_rules
from monitor.cli.terminal import out
from monitor.model import Subject
from monitor.rules.evaluate import evaluate
from monitor.rules.learning import Bars, Labelled, learn
from monitor.rules.load import OPINION_FILE
from monitor.rules.opinion import NONE, dumped
from monitor.rules.rule import OpinionUse, RuleSet
from monitor.rules.suggest import Answer
from monitor.store.archive import told_texts

# By clause, how sure it must be to make an alert of what a rule finds broadly, and how much the text must read like an
# office's page: chosen by what they cost on texts of two places and on posts of writers that it had not learned (the
# frozen parts of tests/data/detection). Of 18 alerts on the last of these one was false, four of five breaches were
# found, and 50 of 10,000 texts of those places alert. What leaked (3c, 4) cannot be taken back, and hardly any chat
# reads like it; of jokes, tempers and bets (3a, 3b) chat is full.
LIFT = {"3a": 0.6, "3b": 0.6, "3c": 0.6, "4": 0.5}
VOICE = {"3a": 0.8, "3b": 0.8, "3c": 0.58, "4": 0.4}
OTHER_LIFT, OTHER_VOICE = 0.6, 0.85  # of a clause of another instrument
CONFIRM = 0.45  # a rule's words speak for it as well
DOUBT = 0.06  # one in seventeen
FIRED_WEIGHT = 1.0  # of an ordinary text on which a rule fires: of others the opinion is never asked
EXAMPLE_WEIGHT = 3.0  # a rule that asks to be confirmed must be, of what its writer said it is for
VERDICT_WEIGHT = 3.0  # what a person said of this installation's own post counts as much as three example posts
EXTRA = "learning needs pantau[learn]; install it with `pip install 'pantau[learn]'`"


def _listed(bars: Mapping[str, float]) -> str:
    return ", ".join(f"{clause} {bar}" for clause, bar in bars.items())


@rules_app.command("learn")
def rules_learn(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help='Labelled posts as JSON lines: {"text": …, "breach": true, "clause": "3a"}.'
        ),
    ] = None,
    instrument: Annotated[str, typer.Option(help="The folder of the rules it belongs to.")] = "mampu-2009",
    ordinary: Annotated[
        list[Path] | None,
        typer.Option(
            help="Texts from elsewhere that break nothing, one a line or as JSON lines (thousands: they keep it quiet)."
        ),
    ] = None,
    lift: Annotated[
        float | None,
        typer.Option(
            help=f"How sure it must be to lift a low finding, 0–1. Without it each clause has its own: {_listed(LIFT)}."
        ),
    ] = None,
    confirm: Annotated[float, typer.Option(help="How sure it must be to confirm a finding, 0–1.")] = CONFIRM,
    doubt: Annotated[
        float, typer.Option(help="Below which sureness it takes what a doubted rule found for an ordinary post, 0–1.")
    ] = DOUBT,
    voice: Annotated[
        float | None,
        typer.Option(
            help="How much it must read like an office's page to lift a low finding, 0–1. Without it each clause"
            f" has its own: {_listed(VOICE)}."
        ),
    ] = None,
) -> None:
    """Make the second opinion anew, from labelled posts, from examples of the rules that ask it, and from verdicts."""
    rules = loaded_rules()
    clauses = {rule.clause.ref for rule in rules.rules if rule.clause.instrument == instrument}
    folder = GIVEN.folder / "rules" / instrument
    if not clauses:
        raise bad(f"--instrument: '{instrument}': no rules of this instrument in {folder}")
    posts = [post for file in files or () for post in labelled_posts(file, clauses)]
    ordinaries = _weighed(rules, [text for file in ordinary or () for text in ordinary_texts(file)])
    verdicts = list(_verdicts(rules, instrument))
    every = [*posts, *ordinaries, *_examples(rules, instrument), *verdicts]
    if len({post.clause for post in every}) < 2:
        raise bad("there are no breaches and ordinary posts to learn from; name files of labelled posts")
    try:
        bars = Bars(
            lift={one: LIFT.get(one, OTHER_LIFT) if lift is None else lift for one in sorted(clauses)},
            confirm=confirm,
            doubt=doubt,
            voice={one: VOICE.get(one, OTHER_VOICE) if voice is None else voice for one in sorted(clauses)},
        )
        opinion = learn(every, instrument=instrument, bars=bars)
    except ImportError:
        raise bad(EXTRA) from None
    target = folder / OPINION_FILE
    target.write_text(dumped(opinion) + "\n", encoding="utf-8")
    out.print(
        f"{target} written from {len(posts)} labelled posts, {len(ordinaries)} ordinary texts and {len(verdicts)}"
        " verdicts; try it with `pantau backtest`, or take the file away to do without"
    )


def labelled_posts(file: Path, clauses: set[str]) -> Iterator[Labelled]:
    """Yield the posts of a file. Raises ConfigurationError with the line of the first mistake."""
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text, breach, clause = str(row["text"]), row["breach"], row["clause"] if row["breach"] else NONE
        except (ValueError, KeyError, TypeError) as error:
            raise bad(f"{file}:{number}: expected text, breach and clause ({type(error).__name__})") from None
        if breach is not False and clause not in clauses:
            raise bad(f"{file}:{number}: clause '{clause}': expected one of {', '.join(sorted(clauses))}")
        yield Labelled(text=text, clause=clause)


def ordinary_texts(file: Path) -> Iterator[Labelled]:
    """Yield the lines of a file as texts that break nothing, of a .jsonl file each line's text.

    Raises ConfigurationError if it cannot be read.
    """
    for number, line in enumerate(_lines(file), start=1):
        if line.strip():
            text = _text(file, number, line) if file.suffix == ".jsonl" else line
            yield Labelled(text=text, weight=0.0, elsewhere=True)


def _weighed(rules: RuleSet, texts: Sequence[Labelled]) -> Sequence[Labelled]:
    """Return the texts, with weight those on which a rule fires; all of them if none does."""
    alone = RuleSet([replace(rule, opinion=OpinionUse.IGNORED) for rule in rules.rules], "")
    fires = [bool(evaluate(alone, Subject(fields={"text": one.text}))) for one in texts]
    asked = fires if any(fires) else [True] * len(texts)
    return [replace(one, weight=FIRED_WEIGHT) if is_asked else one for one, is_asked in zip(texts, asked, strict=True)]


def _text(file: Path, number: int, line: str) -> str:
    try:
        return str(json.loads(line)["text"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad(f"{file}:{number}: expected text ({type(error).__name__})") from None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise bad(f"{file}: cannot be read ({error})") from None


def _examples(rules: RuleSet, instrument: str) -> Iterator[Labelled]:
    """Yield the posts on which rules that ask the opinion say that they fire. Quiet ones may break another clause."""
    for rule in rules.rules:
        if rule.clause.instrument == instrument and rule.opinion is not OpinionUse.IGNORED:
            for example in rule.tests:
                if example.fires:
                    yield Labelled(text=example.text, clause=rule.clause.ref, weight=EXAMPLE_WEIGHT)


def _verdicts(rules: RuleSet, instrument: str) -> Iterator[Labelled]:
    """Yield the stored posts that somebody resolved, without a database none."""
    by_id = {rule.id: rule for rule in rules.rules if rule.clause.instrument == instrument}
    with listing() as db:
        for rule, told in (told_texts(db, by_id.keys()) if db is not None else {}).items():
            for one in told:
                if one.answer is Answer.CONFIRMED:
                    yield Labelled(text=one.text, clause=by_id[rule].clause.ref, weight=VERDICT_WEIGHT)
                elif one.answer is Answer.FALSE_ALARM:
                    yield Labelled(text=one.text, weight=VERDICT_WEIGHT)
