"""The generated page: every clause as it is written, its rules and tests, and what no machine can check."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from browser import chromium, flaws
from installation import Installation
from test_cli import TOML
from test_rules_load import INSTRUMENT, TODAY, load, write

from monitor.model import Language
from monitor.rules.handbook import HEADINGS, page
from monitor.rules.load import load_rules
from monitor.rules.source import read_yaml

PACK = Path(__file__).parent.parent / "config" / "rules"
CIRCULAR = read_yaml(PACK / "mampu-2009" / "instrument.yaml")["clauses"]
MS, EN = Language.MS, Language.EN


@pytest.fixture(scope="module")
def pages():
    rules = load_rules(PACK, today=TODAY)
    return {language: page(rules, PACK, language, today=TODAY) for language in Language}


def words(made: str) -> str:
    return " ".join(html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", made, flags=re.DOTALL)).split())


@pytest.mark.parametrize("language", list(Language))
def test_every_clause_is_quoted_with_what_a_machine_cannot_check(pages, language):
    said = words(pages[language])
    for ref, clause in CIRCULAR.items():
        assert f"{HEADINGS[language]['paragraph'].format(ref=ref)} {clause['ms']}" in said, "the quotation is Malay"
        assert " ".join(clause["unchecked"][language.value].split()) in said
        assert (clause["en"] in said) is (language is EN)


@pytest.mark.parametrize("language", list(Language))
def test_every_rule_and_every_test_stands_on_the_page(pages, language):
    said = words(pages[language])
    for rule in load_rules(PACK, today=TODAY).rules:
        assert f"{rule.id}, " in said
        for example in rule.tests:
            assert " ".join(example.text.split()) in said


@pytest.mark.parametrize("language", list(Language))
def test_the_page_needs_nothing_beside_it(pages, language):
    assert not re.search(r"<(?:script|link|img|iframe)|@import|url\(", pages[language])
    assert re.findall(r'href="([^#][^"]*)"', pages[language]) == []
    anchors = set(re.findall(r'id="([^"]+)"', pages[language]))
    assert set(re.findall(r'href="#([^"]+)"', pages[language])) <= anchors


def test_what_a_rule_says_cannot_become_markup(tmp_path):
    rules = load(tmp_path)
    file = tmp_path / "guide" / "1a" / "marking.yaml"
    file.write_text(file.read_text().replace("keadaan sulit", "<b>keadaan</b> sulit & <script>"))
    made = page(load_rules(tmp_path, today=TODAY), tmp_path, EN, today=TODAY)
    assert "&lt;b&gt;keadaan&lt;/b&gt; sulit &amp; &lt;script&gt;" in made
    assert len(rules.rules) == 1


def test_a_clause_without_words_on_what_is_unchecked_says_so(tmp_path):
    load(tmp_path)
    made = page(load_rules(tmp_path, today=TODAY), tmp_path, EN, today=TODAY)
    assert "Not written yet" in made


def test_a_mistake_in_unchecked_is_told(tmp_path):
    write(tmp_path)
    wrong = INSTRUMENT.rstrip().removesuffix("}") + ", unchecked: {ms: a}}\n"
    (tmp_path / "guide" / "instrument.yaml").write_text(wrong)
    with pytest.raises(Exception, match=r"unchecked.*en.*is missing"):
        load_rules(tmp_path, today=TODAY)


def test_a_page_can_be_read_on_a_phone_in_daylight_and_at_night(pages, tmp_path):
    with chromium() as browser:
        for language, made in pages.items():
            (tmp_path / "page.html").write_text(made, encoding="utf-8")
            for width in (360, 1000):
                for scheme in ("light", "dark"):
                    shown = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                    shown.goto(f"file://{tmp_path}/page.html")
                    assert flaws(shown, width) == [], (language, width, scheme)
                    shown.close()


def test_the_command_writes_the_page(tmp_path):
    here = Installation(tmp_path / "config", TOML).write()
    assert here.run("rules", "page", "--out", str(tmp_path / "p.html")).code == 0
    assert "Peraturan Pantau" in (tmp_path / "p.html").read_text(encoding="utf-8")
    assert here.run("rules", "page", "--out", str(tmp_path / "none" / "p.html")).code == 2
    assert here.run("rules", "page").code == 2
