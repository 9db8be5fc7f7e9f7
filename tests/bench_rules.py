"""`make bench`, rules: how fast posts are judged, how fast rules load, and how well labelled posts are told apart.

The floor of judging is RE2 alone looking for every pattern of the same rules in the same folded texts; the peer is
Presidio's pattern recogniser with the same patterns.
"""

from __future__ import annotations

import json
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import ascii_letters, ascii_lowercase, digits

import many_rules
from detection import Labelled, clauses_alerted, labelled, score, summary
from disguises import DISGUISES, Disguise

from monitor.model import Subject
from monitor.rules.evaluate import evaluate, evaluate_all
from monitor.rules.lexicon import ranks
from monitor.rules.load import load_rules
from monitor.rules.parts import single_pattern
from monitor.rules.rule import RuleSet
from monitor.rules.sieve import pattern_set
from monitor.rules.text import fold

LABELLED = Path(__file__).parent / "data" / "detection"
LENGTH = 110  # characters of a post
POSTS = 20_000
PAGE = 100  # posts that the poll judges together, at most
RULES = 2_000
ROUNDS = 5  # the best counts: others use the machine too
PEER_POSTS = 200
LONGEST = 63_206  # characters of a post, on Facebook
SLOWEST = 5
REPEATED = (
    *("a", "1", "1-", "a ", "a.", "(", "@a", "ab@", "s u l i t ", "sulit ", "5ul1t ", "😀", "\u0301", "ｓ", "ا", "é"),
    *(
        "900101-14-1234 ",
        "http://",
        "a.b.c/",
        "jalan ",
        "kata laluan: ",
        "RM1 ",
        "\n",
        "su.lit",
        "ahmad bin ",
        "10.0.0.",
    ),
)
DISGUISED = 400  # posts, of which only the breaches count
TODAY = datetime.now(UTC).date()


def posts(breaches: Sequence[str]) -> list[str]:
    """Return ordinary posts cut to one length, and one in a hundred that breaks a rule; the same ones every time."""
    dice = random.Random(7)
    rows = [json.loads(line) for line in (LABELLED / "ordinary.jsonl").read_text(encoding="utf-8").splitlines()]
    ordinary = " ".join(row["text"] for row in rows)
    starts = [dice.randrange(len(ordinary) - LENGTH) for _ in range(POSTS)]
    return [
        dice.choice(breaches) if number % 100 == 0 else ordinary[start : start + LENGTH]
        for number, start in enumerate(starts)
    ]


def fired_on(rules: RuleSet) -> list[str]:
    return [example.text for rule in rules.rules for example in rule.tests if example.fires]


def rates(works: Sequence[Callable[[], object]], count: int) -> list[float]:
    """Return how many of each a second of the processor does, in the best of some rounds; by turns, to be compared."""
    took = [math.inf] * len(works)
    for _ in range(ROUNDS):
        for number, work in enumerate(works):
            begin = time.process_time()
            work()
            took[number] = min(took[number], time.process_time() - begin)
    return [count / best for best in took]


def every_pattern(rules: RuleSet) -> list[str]:
    triggers = [part.triggers for rule in rules.rules for part in rule.parts.values()]
    return sorted({pattern for one in triggers for pattern in (*one.folded, *map(single_pattern, one.phrases))})


def bench_judging(name: str, rules: RuleSet, texts: Sequence[str]) -> None:
    """Print how fast posts are judged in pages, as the poll judges them, and how fast one by one."""
    subjects = [Subject(fields={"text": text}) for text in texts]
    pages = [subjects[begin : begin + PAGE] for begin in range(0, len(subjects), PAGE)]
    folded = [fold(text).encode() for text in texts]
    patterns = every_pattern(rules)
    bare = pattern_set(patterns)
    whole, single, floor = rates(
        (
            lambda: [evaluate_all(rules, page) for page in pages],
            lambda: [evaluate(rules, subject) for subject in subjects],
            lambda: [bare.Match(text) for text in folded],
        ),
        len(texts),
    )
    found = sum(bool(evaluate(rules, subject)) for subject in subjects)
    print(
        f"{name:<12} {len(rules.rules)} rules, {len(patterns)} patterns, posts of {LENGTH} characters"
        f" ({found / len(texts):.1%} with a finding): in pages of {PAGE} {whole:,.0f} posts/s, one by one {single:,.0f};"
        f" RE2 alone {floor:,.0f}; ratio {whole / floor:.2f}, one by one {single / floor:.2f}"
    )


def bench_loading(folder: Path) -> RuleSet:
    begin = time.process_time()
    rules = load_rules(folder, today=TODAY)
    loaded = time.process_time()
    tests = sum(len(rule.tests) for rule in rules.rules)
    _ = rules.sieve
    sieve = time.process_time()
    evaluate_all(rules, [Subject(fields={"text": "a"})])
    print(
        f"{'loading':<12} {len(rules.rules)} rules with {tests} tests: {loaded - begin:.2f} s;"
        f" the sieve for the first post {sieve - loaded:.2f} s, for the first page {time.process_time() - sieve:.2f} s"
    )
    return rules


def bench_disguises(rules: RuleSet) -> None:
    """Print which share of the breaches that are found as they stand is found in each disguise."""
    posts = [post for path in sorted(LABELLED.glob("more-*.jsonl")) for post in labelled(path) if not post.evasion]
    plain = [post for post in posts[:: len(posts) // DISGUISED] if post.clause in clauses_alerted(rules, post.text)]
    shares = {kind: _still_found(rules, plain, disguise) for kind, disguise in DISGUISES.items()}
    print(
        f"{'disguises':<12} of {len(plain)} breaches {sum(shares.values()) / len(shares):.0%} are still found on average:"
    )
    for kind, share in sorted(shares.items(), key=lambda one: one[1]):
        print(f"{'':<12} {share:.0%} {kind}")


def _still_found(rules: RuleSet, plain: Sequence[Labelled], disguise: Disguise) -> float:
    changed = [(post.clause, disguise(post.text)) for post in plain if disguise(post.text) != post.text]
    return sum(clause in clauses_alerted(rules, text) for clause, text in changed) / max(1, len(changed))


def bench_peer(rules: RuleSet, texts: Sequence[str]) -> None:
    """Compare with Presidio's pattern recogniser, which tries pattern after pattern with the `regex` package."""
    try:
        from presidio_analyzer import Pattern, PatternRecognizer
    except ImportError:
        print(f"{'presidio':<12} not installed (pip install presidio-analyzer): no comparison")
        return
    patterns = [Pattern(name=str(n), regex=p, score=0.5) for n, p in enumerate(every_pattern(rules))]
    peer = PatternRecognizer(supported_entity="BREACH", patterns=patterns, supported_language="en")
    few = [fold(text) for text in texts[:PEER_POSTS]]
    peer.analyze(few[0], ["BREACH"])  # compiles
    (theirs,) = rates([lambda: [peer.analyze(text, ["BREACH"]) for text in few]], len(few))
    subjects = [Subject(fields={"text": text}) for text in texts]
    (ours,) = rates([lambda: [evaluate(rules, subject) for subject in subjects]], len(texts))
    print(
        f"{'presidio':<12} {len(patterns)} patterns: {theirs:,.0f} posts/s; ours {ours:,.0f}; ratio {ours / theirs:,.0f}"
    )


def bench_hostile(rules: RuleSet) -> None:
    """Print the slowest posts. No text is judged twice: what is kept of the first time would make the second one free."""
    took = {kind: min(_took(rules, text) for text in texts) for kind, texts in hostile()}
    slowest = sorted(took.items(), key=lambda one: -one[1])[:SLOWEST]
    shown = ", ".join(f"{kind} {seconds * 1000:.0f} ms" for kind, seconds in slowest)
    print(f"{'hostile':<12} slowest of {len(took)} kinds of posts of {LONGEST} characters: {shown}")
    own = min(_took(rules, text) for text in _of_pieces(fired_on(rules)))
    print(f"{'':<12} the rules' own examples one after another, as long as that: {own * 1000:.0f} ms")


def hostile() -> Iterable[tuple[str, Sequence[str]]]:
    """Yield kinds of posts as long as any platform lets through that try what engines are bad at, a few of each."""
    dice = random.Random(7)
    for seed in REPEATED:
        yield (
            repr(seed),
            [(f"{number} {seed * (LONGEST // len(seed) + 1)}")[: LONGEST - number] for number in range(ROUNDS)],
        )
    for kind, word in _made_words(dice).items():
        yield kind, [" ".join(word() for _ in range(LONGEST // 4))[:LONGEST] for _ in range(ROUNDS)]


def _of_pieces(pieces: Sequence[str]) -> Sequence[str]:
    """Return texts of the greatest length, put together of pieces, no two alike."""
    dice = random.Random(7)
    return [" ".join(dice.choices(pieces, k=LONGEST // 4))[:LONGEST] for _ in range(ROUNDS)]


def _made_words(dice: random.Random) -> Mapping[str, Callable[[], str]]:
    """Return what makes words of a kind, hardly ever the same one twice."""
    known = list(ranks())

    def drawn(letters: str, length: int, sign: str = "") -> Callable[[], str]:
        return lambda: sign.join(dice.choices(letters, k=length))

    return {
        "unknown words": drawn(ascii_lowercase, 12),
        "words without vowels": drawn("bcdfghjklm", 7),
        "words written as one": lambda: "".join(dice.choices(known, k=3)),
        "signs for letters": drawn("abcdeilostu134570@!$", 8),
        "signs for either of two letters": drawn("st1!|6", 12),
        "stars for letters": drawn("sulitaem*", 8),
        "stretched words": lambda: "".join(
            letter * dice.randint(1, 4) for letter in dice.choices(ascii_lowercase, k=6)
        ),
        "broken words": drawn(ascii_lowercase, 7, "."),
        "spaced letters": drawn(f"{ascii_lowercase}015", 9, " "),
        "emoji between letters": drawn(ascii_lowercase, 7, "🔥"),
        "words over lines": drawn(ascii_lowercase, 4, "-\n"),
        "Jawi": drawn("سوليتڠنچڤعغف", 7),
        "look-alikes": drawn("аеосрхѕіјѵtlnm", 8),
        "letters on their heads": drawn("ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ", 7),
        "hashtags": lambda: "#" + "".join(map(str.capitalize, dice.choices(known, k=3))),
        "links": lambda: f"http://{drawn(ascii_lowercase, 6)()}.xyz/{drawn(ascii_lowercase, 4)()}",
        "identity cards": lambda: f"{dice.randrange(10**6):06}-{dice.randrange(100):02}-{dice.randrange(10**4):04}",
        "keys": drawn(ascii_letters + digits, 40),
        "known words": lambda: dice.choice(known),
    }


def _took(rules: RuleSet, text: str) -> float:
    """Return the processor time: a post is judged by one thread, and others use the machine too."""
    begin = time.process_time()
    evaluate(rules, Subject(fields={"text": text}))
    return time.process_time() - begin


def main() -> None:
    pack = load_rules(many_rules.PACK, today=TODAY)
    bench_judging("the pack", pack, posts(fired_on(pack)))
    with tempfile.TemporaryDirectory() as place:
        many = bench_loading(many_rules.write(Path(place) / "rules", RULES))
    texts = posts(fired_on(many))
    bench_judging("many rules", many, texts)
    bench_peer(many, texts)
    bench_hostile(pack)
    bench_disguises(pack)
    for part in sorted(LABELLED.glob("*.jsonl")):
        print("\n".join(summary(part.stem, score(pack, labelled(part)))))


if __name__ == "__main__":
    main()
