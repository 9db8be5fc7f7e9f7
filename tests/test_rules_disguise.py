"""Disguised words are read as the known ones that they are, each where it stands; all else stays as it is."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from disguises import DISGUISES
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules.disguise import edited, edits
from monitor.rules.text import HIDING, Text, fold

DATA = Path(__file__).parent / "data" / "detection"
PLAIN = "minit mesyuarat sulit ini jangan disebar"
UNREADABLE = {  # what is left to other means, or to nobody
    "regional indicators",
    "broken by a space",
    "one vowel dropped",
    "vowels dropped",
    "digits in words",
    "digits spaced",
    "digits dotted",
}
READ = [
    ("dotted letters", "ada S.U.L.I.T lagi", "ada SULIT lagi"),
    ("spaced letters, words apart", "m i n i t   s u l i t", "minit   sulit"),
    ("spaced letters, words alike", "m i n i t m e s y u a r a t", "minit mesyuarat"),
    ("letters on lines", "S\nU\nL\nI\nT\n\nMinit", "SULIT\n\nMinit"),
    ("digits for letters", "m1n1t m35yu4r4t", "minit mesyuarat"),
    ("a sign for a letter", "$ulit m!nit", "sulit minit"),
    (
        "short words in a text full of digits",
        "m1n1t m35yu4r4t 5ul1t d1 b1l1k 1n1",
        "minit mesyuarat sulit di bilik ini",
    ),
    ("stars for vowels", "b*doh", "bodoh"),
    ("vowels left out", "jngan sebar dkumen", "jangan sebar dokumen"),
    ("stretched", "suuulliiit", "sulit"),
    ("a word broken by an emoji", "doku🔥men", "dokumen"),
    ("a word broken over two lines", "doku-\nmen rah\nsia", "dokumen rahsia"),
    ("a hashtag in small letters", "#minitmesyuaratsulit", "#minit mesyuarat sulit"),
    ("a row of hashtags", "#kad #pengenalan", "kad pengenalan"),
    ("words on their head beside others", "ɥopoq uɐᴉɹǝʇuǝɯǝʞ, mereka tak faham", ",kementerian bodoh mereka tak faham"),
    ("capitals on their head", "minit ˥∀I┴NƎpIℲNOϽ itu", "minit CONFIdENTIAL itu"),
    ("words written as one", "suratamaran", "surat amaran"),
    ("underscores for spaces", "kad_pengenalan_dia", "kad pengenalan dia"),
    (
        "dots for spaces, over sentences and a price",
        "bayaran.penuh.rm300..jumpa.anggota.kami.di.padang's.gate.malam",
        "bayaran penuh rm300 jumpa anggota kami di padang's gate malam",
    ),
]
LEFT = [
    ("emphasis", "Hey *skip cepat-cepat* ya *betul* tu"),
    ("a password", "kata laluan: P@ssw0rd"),
    ("a key", "sk_live_51abcDEF123456ghi"),
    ("prices and sizes", "RM100 100k 4D 3M A4 covid19 5hari 2kg 1st slot88"),
    ("telephones and dates", "012-345 6789 12.3.2026 8.30pm"),
    ("addresses", "www.jpj.gov.my https://t.co/a1b2c3 nama@jpj.gov.my fail.kewangan.internal"),
    ("doubled words", "kadang-kadang kanak-kanak"),
    ("a list of letters", "a. b. c. d."),
    ("thoughts that trail off", "entah..nanti..saya..tengok dulu"),
    ("long words with endings", "ketidaksamaan mempertanggungjawabkan penyelenggaraan"),
]


@pytest.mark.parametrize(("text", "read"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_a_disguised_word_is_read(text, read):
    assert Text(text).exact.removesuffix(f"\n{HIDING}") == read


HIDES = [
    ("dotted letters", "ada minit S.U.L.I.T di sini"),
    ("signs for letters", "ada min1t m3syuarat di sini"),
    ("stars", "dia memang b*doh betul"),
    ("zero-width characters", "ada s\u200bulit di sini ya"),
    ("letters of another script", "ada ѕulit di sini ya"),
    ("emoji in a word", "ada doku🔥men di sini ya"),
    ("wide letters", "ada ＳＵＬＩＴ di sini ya"),
    ("words on their head", "ɥopoq uɐᴉɹǝʇuǝɯǝʞ di sini ya"),
]
HIDES_NOT = [
    ("stretched", "ada sulitttt di siniiii ya"),
    ("a hyphen", "hantar e-mel kepada kami ya"),
    ("Jawi", "جاڠن بري کات لالوان کڤد سسياڤ"),
    ("hashtags", "sila kongsi #minitmesyuarat #kad #pengenalan"),
    ("a soft hyphen", "ada su\u00adlit di sini ya"),
    ("a list of three words", "m1n1t m3syuarat 5ulit"),
    ("an apostrophe lost to a wrong encoding", "we can\ufffdt wait and haven\ufffdt been here"),
]


@pytest.mark.parametrize("text", [row[1] for row in HIDES], ids=[row[0] for row in HIDES])
def test_a_post_that_hides_words_is_marked(text):
    assert fold(text).endswith(HIDING)
    assert Text(text).original_span(len(fold(text)) - 1, len(fold(text))) == (0, len(text))


@pytest.mark.parametrize("text", [row[1] for row in HIDES_NOT], ids=[row[0] for row in HIDES_NOT])
def test_a_post_that_is_only_written_oddly_is_not_marked(text):
    assert HIDING not in fold(text)


@pytest.mark.parametrize("text", [row[1] for row in LEFT], ids=[row[0] for row in LEFT])
def test_what_is_no_disguise_stays(text):
    assert Text(text).exact == text


@pytest.mark.parametrize("kind", sorted(DISGUISES.keys() - UNREADABLE))
def test_a_text_in_any_disguise_is_read(kind):
    read = fold(DISGUISES[kind](PLAIN)).replace("#", "").split()
    assert [word for word in ("minit", "mesyuarat", "sulit") if word not in read] == []


def test_the_words_are_where_they_stood():
    text = Text("😀 ada m.i.n.i.t yang 5ul1t!")
    places = [text.original_span(text.folded.index(word), text.folded.index(word) + 5) for word in ("minit", "sulit")]
    assert [text.original[slice(*place)] for place in places] == ["m.i.n.i.t", "5ul1t"]


def test_hardly_any_ordinary_post_is_changed():
    rows = [json.loads(line) for line in (DATA / "ordinary.jsonl").read_text(encoding="utf-8").splitlines()]
    posts = [row["text"] for row in rows if row["text"].isascii() and "#" not in row["text"]]
    changed = [post for post in posts if edits(post.lower())]
    assert len(changed) < len(posts) / 50, changed


@settings(deadline=None)  # the first one loads the known words
@given(st.text(alphabet="sulitmn 10.-\n🔥*#_", max_size=60))
def test_edits_stand_in_order_and_none_inside_another(text):
    found = edits(text)
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    assert all(before.end <= after.start for before, after in itertools.pairwise(found))
    assert edited(text, ()) == text


def test_of_a_text_with_more_strange_words_than_any_honest_one_the_first_are_read():
    strange = " ".join(f"w{number}x" for number in range(5_000))
    read = fold(f"su.lit {strange} ke.rajaan").split()
    assert (read[0], read[-1]) == ("sulit", "ke.rajaan")
    assert fold(f"su.lit {'kami hadir esok ' * 3_000} ke.rajaan").split()[-1] == "kerajaan"


def test_letters_apart_that_go_on_and_on_are_no_words():
    text = " ".join("sulit1" * 1_000)
    assert fold(text) == text


def test_numbers_take_nothing_from_the_effort_for_strange_words():
    numbers = " ".join(f"03-8811161{n % 10}/1161{n}" for n in range(200))
    assert [one.text for one in edits(f"{numbers} rujuk m1n1t")] == ["minit"]


def test_letters_without_end_before_a_line_take_no_time_of_their_square():
    text = f"a{'b' * 1_000_000} c\nsu-\nlit"  # hours, with the square of it
    assert [one.text for one in edits(text)] == ["sulit"]
