"""Jawi is read as the Malay it spells; Arabic stays Arabic."""

from __future__ import annotations

from itertools import islice, product

import pytest

from monitor.rules.jawi import LONGEST_WORD, MOST_WORDS
from monitor.rules.text import Text, fold

JAWI = [
    ("سوليت\nمينيت مشوارت ڤڠوروسن", "sulit\nminit mesyuarat pengurusan"),
    ("جوم ماءين جودي اونلاين دڠن کامي", "jom main judi online dengan kami"),
    ("کات لالوان ڤجابت", "kata laluan pejabat"),
    ("کڤوتوسن: ڤجابت دايره اکن دتوتوڤ", "keputusan: pejabat daerah akan ditutup"),
    ("نومبور کاد ڤڠنلن ٧٦٠٩١٢-٠٣-٥٥٢٤", "nombor kad pengenalan 760912-03-5524"),
    ("Jual موتور ambilan lelong", "jual motor ambilan lelong"),
]


@pytest.mark.parametrize(("jawi", "latin"), JAWI)
def test_jawi_is_read(jawi, latin):
    assert fold(jawi) == latin


@pytest.mark.parametrize(
    "text", ["السلام عليكم ورحمة الله وبركاته", "بسم الله الرحمن الرحيم الحمد لله رب العالمين", "السلام عليكم semua"]
)
def test_arabic_stays(text):
    assert fold(text) == text


def test_a_jawi_word_is_found_where_it_stands():
    text = Text("ini سوليت ya")
    place = text.folded.index("sulit")
    assert text.original[slice(*text.original_span(place, place + 5))] == "سوليت"


def test_a_name_is_spelled_out():
    assert "nurliah" in fold("سناراي ڤنريما: نورلياه")


def test_of_a_text_with_more_different_words_than_any_honest_one_the_first_are_read():
    strange = ("".join(letters) for letters in product("ابتجدرسکلمنو", repeat=4))
    text = f"سوليت {' '.join(islice(strange, 2 * MOST_WORDS))} مينيت مشوارت ڤڠوروسن"
    read = fold(text)
    assert read.startswith("sulit ")
    assert read.endswith("مينيت مشوارت ڤڠوروسن")


def test_a_row_of_letters_longer_than_any_word_stands_as_it_is():
    row = "ا" * (LONGEST_WORD + 1)
    assert fold(f"سوليت ڤڠوروسن {row}").split()[::2] == ["sulit", row]
