"""Stems: the forms of a word come to the same; what is no word stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.rules.stems import stem


@pytest.mark.parametrize(
    ("forms", "same"),
    [
        pytest.param("siasat menyiasat disiasat siasatan penyiasat", "siasat", id="affixes round a word"),
        pytest.param("kunci berkunci dikunci terkunci kuncikan", "kunci", id="a word that ends like a suffix"),
        pytest.param("yg yang", "yang", id="chat"),
        pytest.param("nak nk hendak mahu", "mahu", id="chat and book"),
        pytest.param("guards guarded guarding", "guard", id="English"),
        pytest.param("makanlah makankah makan", "makan", id="particles"),
        pytest.param("di", "di", id="a short word"),
        pytest.param("0000", "0000", id="a number"),
        pytest.param("!", "!", id="a sign"),
    ],
)
def test_forms_of_a_word_have_one_stem(forms: str, same: str) -> None:
    assert {stem(form) for form in forms.split()} == {same}


@given(word=st.text(min_size=1, max_size=30))
def test_a_stem_is_never_empty(word: str) -> None:
    assert stem(word)
