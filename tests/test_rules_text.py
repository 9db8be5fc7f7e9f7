"""Folding: what evades is undone, and every place leads back to the original."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules.disguise import ACROSS, SHORT
from monitor.rules.parts import BadPattern, phrases
from monitor.rules.text import HIDING, Text, fold, fold_plain, fold_plain_all, readings

DISGUISES = [
    ("plain", "ini SULIT ya", "SULIT"),
    ("zero-width characters", "ini S\u200bU\u200dL\ufeffIT ya", "S\u200bU\u200dL\ufeffIT"),
    ("soft hyphens", "ini SU\u00adLIT ya", "SU\u00adLIT"),
    ("full-width letters", "ini ＳＵＬＩＴ ya", "ＳＵＬＩＴ"),
    ("Cyrillic look-alikes", "ini ЅULІT ya", "ЅULІT"),
    ("Greek look-alikes", "ini SULΙΤ ya", "SULΙΤ"),
    ("mathematical bold", "ini 𝐒𝐔𝐋𝐈𝐓 ya", "𝐒𝐔𝐋𝐈𝐓"),
    ("squared letters", "ini 🆂🆄🅻🅸🆃 ya", "🆂🆄🅻🅸🆃"),
    ("combining marks", "ini S\u0336U\u0336L\u0336I\u0336T\u0336 ya", "S\u0336U\u0336L\u0336I\u0336T"),
    ("behind an emoji", "🚨🚨 ini SULIT ya", "SULIT"),
]
SQUEEZED = [
    ("spaced letters", "ini S U L I T ya", "S U L I T"),
    ("dotted letters", "ini S.U.L.I.T. ya", "S.U.L.I.T"),
    ("letters between emoji", "ini S🔥U🔥L🔥I🔥T ya", "S🔥U🔥L🔥I🔥T"),
    ("letters on lines of their own", "ini\n\nS\nU\nL\nI\nT\n\nyang", "S\nU\nL\nI\nT"),
    ("leetspeak", "ini 5UL1T ya", "5UL1T"),
    ("a word broken by a dot", "ini su.lit ya", "su.lit"),
    ("a word broken by an emoji", "ini SU🔥LIT ya", "SU🔥LIT"),
    ("a word broken by an underscore", "ini su_lit ya", "su_lit"),
    ("stretched letters", "ini SUUULIIIT ya", "SUUULIIIT"),
]


def found(text: str, *words: str, views: tuple[str, ...] = ("folded",)) -> list[str]:
    folded = Text(text)
    spans = phrases(words, views=views).find(folded)
    places = dict.fromkeys(folded.original_span(*span) for span in spans)  # a hashtag's words stand twice in the folded
    return [text[slice(*place)] for place in places]


@pytest.mark.parametrize(("text", "match"), [row[1:] for row in DISGUISES], ids=[row[0] for row in DISGUISES])
def test_a_disguised_word_is_found_where_it_stands(text, match):
    assert found(text, "sulit") == [match]


@pytest.mark.parametrize(("text", "match"), [row[1:] for row in SQUEEZED], ids=[row[0] for row in SQUEEZED])
def test_the_squeezed_view_undoes_more(text, match):
    assert found(text, "sulit", views=("squeezed",)) == [match]


@pytest.mark.parametrize(("text", "match"), [row[1:] for row in SQUEEZED], ids=[row[0] for row in SQUEEZED])
def test_the_squeezed_view_undoes_words_that_the_lexicon_does_not_know(text, match):
    def unknown(shown: str) -> str:
        return shown.translate(str.maketrans("ULTult", "AVRavr"))

    assert found(unknown(text), "savir", views=("squeezed",)) == [unknown(match)]
    assert found(unknown(text), "savir") == []


def test_a_number_stays_a_number_in_the_squeezed_view():
    assert [reading.text for reading in Text("tel 0173 4551 no 15").squeezed] == ["tel 0173 4551 no 15"]


def test_a_one_is_read_as_an_i_and_as_an_l():
    assert {reading.text for reading in Text("k1ov").squeezed} == {"kiov", "klov"}


def test_an_ordinary_list_of_letters_stays_apart_from_the_words_around_it():
    assert found("a. sulit b. mudah", "asulit", views=("squeezed",)) == []


@pytest.mark.parametrize("text", ["kesulitan", "sulitnya", "resulit", "sulit2"])
def test_a_phrase_is_a_whole_word(text):
    assert found(text, "sulit") == []


@pytest.mark.parametrize("text", ["jualan murah", "JUAL", "dijual", "#jualan"])
def test_a_star_stands_for_more_letters(text):
    assert found(text, "*jual*") == [text.split()[0].lstrip("#")]


@pytest.mark.parametrize(
    "text", ["kad pengenalan", "Kad\nPengenalan", "kad-pengenalan", "#KadPengenalan", "kad  pengenalan"]
)
def test_the_words_of_a_phrase_may_be_joined_or_broken(text):
    assert found(text, "kad pengenalan") == [text.lstrip("#")]


def test_jawi_stands_on_its_own():
    assert found("اين سوليت دوكومن", "سوليت") == ["سوليت"]
    assert found("كسوليتن", "سوليت") == []


def test_a_sharp_s_keeps_the_places():
    text = "Straße ẞ SULIT"
    assert found(text, "sulit") == ["SULIT"]
    assert len(Text(text).exact) == len(Text(text).folded)


_LIKE_POSTS = st.text() | st.text(alphabet="sulit minSULT15. -\n#🔥*_ѕудڠوɐʇı", max_size=40)


@settings(deadline=None)  # the first one loads the known words
@given(_LIKE_POSTS)
def test_every_span_of_the_folded_text_lies_in_the_original(original):
    text = Text(original)
    assert len(text.exact) == len(text.folded)
    spans = [text.original_span(place, place + 1) for place in range(len(text.folded))]
    assert all(0 <= start < end <= len(original) for start, end in spans)


@settings(deadline=None)  # the first one loads the known words
@given(_LIKE_POSTS.filter(lambda text: "#" not in text and not set(text) & set("ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ")))
def test_the_spans_of_the_folded_text_stand_in_the_order_of_the_original(original):
    text = Text(original)
    written = text.folded.partition(f"\n{HIDING}")[0]  # the mark behind them stands for the whole text
    spans = [text.original_span(place, place + 1) for place in range(len(written))]
    assert spans == sorted(spans)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        pytest.param("jom #SlotGacorMalamIni ya", "SlotGacor", id="words of a hashtag"),
        pytest.param("😀 #JomMainSlotGacor", "SlotGacor", id="behind an emoji"),
        pytest.param("#slotGacor88 #Lain", "slotGacor", id="a small letter first, a number last"),
    ],
)
def test_the_words_of_a_hashtag_are_found_where_they_stand(text, match):
    assert match in found(text, "slot gacor*")[0]
    assert "Lain" not in found(text, "slot gacor*")


@settings(deadline=None)  # the first one loads the known words
@given(_LIKE_POSTS)
def test_every_place_of_the_squeezed_view_leads_into_the_folded_text_in_order(original):
    text = Text(original)
    for reading in text.squeezed:
        spans = [reading.folded_span(place, place + 1) for place in range(len(reading.text))]
        assert spans == sorted(set(spans))
        assert all(0 <= start < end <= len(text.folded) for start, end in spans)


@given(st.text(), st.text())
def test_a_word_between_spaces_is_always_found(before, after):
    text = f"{before} \nmaklumat\n {after}"
    assert "maklumat" in found(text, "maklumat")


def test_a_phrase_that_squeezing_leaves_nothing_of_is_looked_for_as_it_is_written():
    assert found("video xxx, masuk x sekali", "xxx", views=("folded", "squeezed")) == ["xxx"]
    assert found("salam, 5alam", "5alam", views=("folded", "squeezed")) == ["5alam"]
    with pytest.raises(BadPattern, match="too short for the squeezed view"):
        phrases(["xxx"], views=("squeezed",))


PIECES = [
    "su.lit",
    "sulit",
    "m1n1t",
    "minit",
    "s",
    "u",
    "l",
    "i",
    "t",
    "5",
    "-",
    "#kad",
    "#SulitHari",
    "dkumen",
    "doku",
]
PIECES += [
    "men",
    "ڤرليندوڠن",
    "نام",
    "é",
    "ｓｕｌｉｔ",
    "🔥",
    "\u200b",
    "ѕulit",
    "ʇıʅns",
    "  ",
    "\n",
    "-\n",
    "a_3bcd",
    "tkt4",
    "!",
]


@settings(deadline=None)  # the first one loads the known words
@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.lists(st.sampled_from(PIECES)).map("".join))
def test_a_text_without_a_disguise_is_folded_in_one_step(text):
    plain = fold_plain(text)
    if plain is not None and re2.search(ACROSS, plain) is None:
        assert plain == fold(text)


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([*PIECES, "\x1d", "\x1e", " ", "é", "x" * SHORT]), max_size=5).map("".join)))
def test_texts_folded_together_are_folded_as_each_is_alone(texts):
    assert fold_plain_all(texts) == [fold_plain(text) for text in texts]


def test_nearly_every_post_is_folded_in_one_step():
    assert (
        fold_plain("Kaunter TUTUP esok — 3.30 petang, terima kasih 🙏")
        == "kaunter tutup esok - 3.30 petang, terima kasih 🙏"
    )
    assert fold_plain("su.lit") is None
    assert fold_plain("ѕulit") is None


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_a_word_is_read_in_the_same_way_whatever_stands_beside_it(text):
    apart = [reading.text.split(" ") for reading in readings(text, spaced=False)]
    alone = [[reading.text for reading in readings(word, spaced=False)] for word in text.split(" ")]
    assert apart[0] == [first for first, *_ in alone]
    assert apart[-1] == [other for *_, other in alone]
