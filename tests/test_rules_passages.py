"""Long texts: what breaks a clause in one paragraph is found though the others are notices like any other."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from builders import rule
from hypothesis import given
from hypothesis import strategies as st

from monitor.model import Severity, Subject
from monitor.rules.evaluate import evaluate, evaluate_all
from monitor.rules.load import load_rules
from monitor.rules.opinion import FAINT, View
from monitor.rules.parts import phrases
from monitor.rules.passages import LONG, MOST, SEEN, passages
from monitor.rules.rule import OpinionUse, RuleSet, Shift

NOTICE = (
    "Kaunter hasil dibuka dari jam 8.00 pagi hingga 4.00 petang sepanjang bulan ini. Orang ramai boleh membayar cukai taksiran "
    "di semua cawangan atau dalam talian."
)
WRAPPED = "\n".join(
    [
        "Orang ramai yang terlibat diminta hadir bersama dokumen asal supaya semakan",
        *["dapat dibuat oleh pegawai di kaunter yang disediakan pada hari yang sama"] * 6,
    ]
)
LEAK = "SULIT\nMinit Mesyuarat Pengurusan Bil. 3/2026: cadangan penutupan tiga cawangan di utara diteruskan."


@pytest.fixture(scope="module")
def pack():
    return load_rules(Path(__file__).parents[1] / "config" / "rules", today=date(2026, 12, 1))


def gravest(rules, text):
    return max((one.severity for one in evaluate(rules, Subject(fields={"text": text}))), default=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("satu perenggan", [], id="a short text has none"),
        pytest.param("a" * 1000, [], id="one long paragraph has none"),
        pytest.param(f"{NOTICE}\n\n{LEAK}", [NOTICE, LEAK], id="paragraphs"),
        pytest.param(
            f"{NOTICE}\n\n{WRAPPED}\n\n{LEAK}", [NOTICE, WRAPPED, LEAK], id="a sentence that was wrapped stays whole"
        ),
        pytest.param(f"{NOTICE}\n{NOTICE}", [], id="lines of a paragraph stay together"),
        pytest.param("\n".join([NOTICE] * 4), [NOTICE] * 4, id="a paragraph that is too long is parted at its lines"),
        pytest.param(
            f"SULIT\n\n{LEAK}\r\n \r\n{NOTICE}", [f"SULIT\n\n{LEAK}", NOTICE], id="a heading stays with its text"
        ),
        pytest.param(f"{NOTICE}\n\n{LEAK}\n\nKetua", [NOTICE, f"{LEAK}\n\nKetua"], id="so does what is signed below"),
    ],
)
def test_passages(text, expected):
    assert [text[start:end].strip() for start, end in passages(text)] == expected


@given(st.text("ab \n\r.", max_size=3000))
def test_passages_lose_nothing_but_blanks(text):
    found = passages(text)
    assert all(end <= start for (_, end), (start, _) in pairwise(found))
    if found:
        assert sum(len("".join(text[s:e].split())) for s, e in found) == len("".join(text.split()))


def test_a_text_has_so_many_passages_that_its_time_is_bounded():
    found = passages("\n\n".join([NOTICE] * 400))
    assert len(found) <= MOST
    assert SEEN - len(NOTICE) < found[-1][1] <= SEEN


def test_a_marked_paper_among_notices_is_as_grave_as_alone(pack):
    assert gravest(pack, LEAK) >= Severity.HIGH
    for around in (1, 3, 8):
        text = "\n\n".join([*[NOTICE] * around, LEAK, *[NOTICE] * around])
        (found,) = (
            one for one in evaluate(pack, Subject(fields={"text": text})) if one.rule.endswith("classification-marking")
        )
        assert found.severity >= Severity.HIGH, around
        assert "SULIT" in [text[start:end] for start, end in found.spans]


def test_notices_alone_stay_quiet_however_many(pack):
    assert gravest(pack, "\n\n".join([NOTICE] * 12)) is None


def test_a_paragraph_that_excuses_itself_excuses_no_other():
    shop = rule({"price": phrases(["rm20"])}, "price", weaker=(Shift(words=phrases(["contoh"]), by=3),))
    rules = RuleSet([shop], "test", {})
    excused = f"Ini contoh sahaja, RM20 sebiji untuk satu kilogram. {NOTICE}"
    assert gravest(rules, f"{excused}\n\n{NOTICE}") is None
    assert gravest(rules, f"{excused}\n\nKek isteri saya RM20. {NOTICE}") is shop.severity


def test_the_places_of_a_passage_are_those_of_the_whole_text_and_stand_once():
    rules = RuleSet([rule({"price": phrases(["rm20"])}, "price")], "test", {})
    text = f"{NOTICE} RM20\n\n{NOTICE} RM20"
    (found,) = evaluate(rules, Subject(fields={"text": text}))
    assert [text[start:end] for start, end in found.spans] == ["RM20", "RM20"]
    assert evaluate_all(rules, [Subject(fields={"text": text})]) == [(found,)]


class Ear:
    """An opinion that takes a text for an office's where a counter is named, if it is short."""

    def view(self, text):
        return View(
            clause="1a",
            sureness=1.0,
            close=("1a",),
            voice=float("kaunter" in text.original.lower() and len(text.original) < LONG),
            hides=False,
        )

    def lifts(self, view, clause):
        return view.voice > FAINT

    confirms = lifts


@pytest.mark.parametrize(
    ("others", "severity"),
    [
        pytest.param([NOTICE] * 3, Severity.MEDIUM, id="among an office's"),
        pytest.param(
            ["hari ni kami gi pasar sama2, best gila wei, lama tak jumpa korang semua"] * 3, Severity.LOW, id="in chat"
        ),
    ],
)
@pytest.mark.parametrize(
    ("weight", "severity_alone"), [(OpinionUse.LIFTS, Severity.LOW), (OpinionUse.CONFIRMS, Severity.MEDIUM)]
)
def test_what_one_passage_says_weighs_only_where_most_sound_like_an_office(others, severity, weight, severity_alone):
    price = rule({"price": phrases(["rm20"])}, "price", severity=severity_alone, opinion=weight)
    rules = RuleSet([price], "test", {"guide": Ear()})
    said = "Kek isteri saya RM20 sebiji di kaunter satu, jumpa saya sebelum tengah hari"
    assert gravest(rules, said) is Severity.MEDIUM
    assert gravest(rules, "\n\n".join([*others, said])) is severity
