"""Signed links: what holds, what does not, and whatever the clock does."""

from datetime import timedelta

import pytest
from builders import NOW, alert

from monitor.links import ExpiredLink, ForgedLink, Link, answer_url, form_proof, is_form_proof, read, sign, whole

KEY = "0123456789abcdef" * 4
DAY = timedelta(days=1)
LIFETIME = 14 * DAY
LINK = Link(alert_id=12, round=1, recipient="ketua@jpd.example.my")
TOKEN = sign(LINK, KEY, now=NOW)


def test_a_link_is_read_back_as_it_was_signed():
    assert read(TOKEN, KEY, now=NOW, lifetime=LIFETIME) == LINK


def test_the_same_link_at_the_same_time_is_the_same_text():
    """A mail is the same bytes whenever it is rendered."""
    assert sign(LINK, KEY, now=NOW) == TOKEN
    assert sign(LINK, KEY, now=NOW + DAY) != TOKEN


@pytest.mark.parametrize(
    ("later", "holds"),
    [
        pytest.param(timedelta(), True, id="at once"),
        pytest.param(LIFETIME, True, id="on the last second"),
        pytest.param(LIFETIME + timedelta(seconds=1), False, id="one second too late"),
        pytest.param(-timedelta(hours=1), True, id="the clock stepped back by an hour since"),
        pytest.param(-400 * DAY, True, id="the clock stepped back by more than a year"),
        pytest.param(timedelta(hours=1), True, id="the clock stepped forward"),
    ],
)
def test_a_link_holds_for_its_lifetime_by_the_service_s_own_clock(later, holds):
    if holds:
        assert read(TOKEN, KEY, now=NOW + later, lifetime=LIFETIME) == LINK
        return
    with pytest.raises(ExpiredLink) as caught:
        read(TOKEN, KEY, now=NOW + later, lifetime=LIFETIME)
    assert caught.value.link == LINK, "so that the page can name the case"


@pytest.mark.parametrize("cut", range(1, len(TOKEN)))
def test_a_truncated_link_is_none(cut):
    with pytest.raises(ForgedLink):
        read(TOKEN[:cut], KEY, now=NOW, lifetime=LIFETIME)


@pytest.mark.parametrize("place", range(len(TOKEN) - 1))  # base64: two bits of the last character mean nothing
def test_a_link_with_any_character_changed_is_none(place):
    other = "A" if TOKEN[place] != "A" else "B"
    with pytest.raises(ForgedLink):
        read(TOKEN[:place] + other + TOKEN[place + 1 :], KEY, now=NOW, lifetime=LIFETIME)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "\x00", "é" * 30, "A" * 100_000, TOKEN + "A", f"{TOKEN}.x"])
def test_nonsense_is_no_link(token):
    with pytest.raises(ForgedLink):
        read(token, KEY, now=NOW, lifetime=LIFETIME)


def test_another_installation_s_link_is_none_and_without_a_key_there_are_no_links():
    for key in ("other", ""):
        with pytest.raises(ForgedLink):
            read(TOKEN, key, now=NOW, lifetime=LIFETIME)
    with pytest.raises(ForgedLink):
        read(sign(LINK, "", now=NOW), "", now=NOW, lifetime=LIFETIME)


@pytest.mark.parametrize("end", [".", ").", ",", ">", '"', ". "])
def test_the_full_stop_behind_an_address_is_not_the_link_s(end):
    assert whole(TOKEN + end) == TOKEN


def test_an_address_has_only_characters_that_no_mail_program_breaks_at():
    url = answer_url("https://pantau.example.my/", KEY, alert(), "o'neil+ketua@jpd.example.my", NOW)
    path = url.removeprefix("https://pantau.example.my/a/")
    assert set(path) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(url) < 200


def test_a_form_s_proof_is_for_one_link_and_one_standing():
    proof = form_proof(TOKEN, "0/alive/", KEY)
    assert is_form_proof(proof, TOKEN, "0/alive/", KEY)
    assert not is_form_proof(proof, TOKEN, "0/ended/accepted", KEY)
    assert not is_form_proof(proof, TOKEN + "A", "0/alive/", KEY)
    assert not is_form_proof(proof, TOKEN, "0/alive/", "other")
    for bad in ("", "é", proof[:-3], TOKEN.rpartition(".")[2]):
        assert not is_form_proof(bad, TOKEN, "0/alive/", KEY)
