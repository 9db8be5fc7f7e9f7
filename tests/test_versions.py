import json

import pytest
import requests
from builders import NOW, account, agency, finding, post
from sqlalchemy import update
from test_store_posts import MINUTE, WEEK

from monitor.cli.posts import _seen_row
from monitor.settings import Web
from monitor.store import tables
from monitor.store.accounts import claim_accounts
from monitor.store.listings import list_alerts
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register
from monitor.store.versions import seen_posts
from monitor.versions import MOST_WORDS, counted, shown
from monitor.web.console import Console, build
from monitor.web.server import bind, serving

EDITS = {
    "a word": ("Dibuka pada hari Isnin", "Dibuka pada hari Selasa", "Dibuka pada hari [-Isnin-] {+Selasa+}"),
    "an addition": ("Dibuka", "Dibuka semula", "Dibuka {+semula+}"),
    "a removal": ("SULIT minit mesyuarat", "minit mesyuarat", "[-SULIT-] minit mesyuarat"),
    "all of it": ("satu", "dua", "[-satu-] {+dua+}"),
    "white space alone": ("satu  dua\n", "satu dua", "satu dua"),
    "much around it": (
        "a b c d e f g h i j k lama",
        "a b c d e f g h i j k baharu",
        "a b c d … h i j k [-lama-] {+baharu+}",
    ),
}


@pytest.mark.parametrize(("old", "new", "seen"), EDITS.values(), ids=EDITS)
def test_an_edit_is_shown_as_what_went_and_what_came(old, new, seen):
    assert shown(old, new) == seen


def test_a_text_without_end_is_compared_as_far_as_its_first_words():
    assert counted("a " * 100_000, "b " * 100_000) == (MOST_WORDS, MOST_WORDS)


@pytest.fixture
def edited(sqlite_db):
    save_register(sqlite_db, [agency()], [account()], now=NOW)
    (claimed,) = claim_accounts(sqlite_db, now=NOW, lease=MINUTE, limit=1, platform="x")
    for number, text in enumerate(["SULIT minit Khamis", "SULIT minit Jumaat"]):
        one = post("1", text, edited_at=NOW + number * MINUTE if number else None)
        judged = [Judged(post=one, findings=(finding(),))]
        save_page(sqlite_db, claimed, judged, rule_set="r", now=NOW + number * MINUTE, reread_window=WEEK, end=None)
    return sqlite_db


@pytest.mark.parametrize("standing", ["deleted", "hidden", "missing"])
def test_a_post_says_how_it_stands(edited, standing):
    assert seen_posts(edited, native_id="1")[0].standing == "shown"
    with edited.write() as connection:
        connection.execute(update(tables.post).values(**{f"{standing}_at": NOW}))
    (seen,) = seen_posts(edited, native_id="1")
    assert (seen.standing, seen.since) == (standing, NOW)


def test_a_post_is_shown_with_what_each_edit_changed(edited):
    row = _seen_row(seen_posts(edited, native_id="1")[0])
    assert [one["changed"] for one in row["versions"]] == ["", "SULIT minit [-Khamis-] {+Jumaat+}"]
    json.dumps(row)


def test_the_console_tells_of_edits_and_standing_without_a_word_of_the_post(edited):
    """I12."""
    with edited.write() as connection:
        connection.execute(update(tables.post).values(hidden_at=NOW))
    pages = build(Console(db=edited, web=Web(), patience=MINUTE, degraded=tuple, stalled=list, clock=lambda: NOW))
    (line,) = list_alerts(edited)
    with serving(pages, bind(Web(listen="127.0.0.1:0"))) as address:
        page = requests.get(f"{address}alerts/{line.case}", timeout=5).text
    assert "hidden: it is there" in page
    assert "Words gone" in page
    assert not any(word in page for word in ("Khamis", "Jumaat", "SULIT minit"))
