"""`pantau mail preview`: every mail as files to look at."""

import re
from dataclasses import replace

import pytest
from browser import chromium, flaws
from installation import Installation
from mail_servers import read_mail
from typer.testing import CliRunner

from alerts import sample_weeks, samples
from alerts.envelope import Envelope
from alerts.preview import write_preview
from alerts.rendering import TEMPLATES
from monitor.cli import app
from monitor.model import Language

ENVELOPE = Envelope(sender="Pantau <pantau@a.my>", slogans=("SATU",), post_link=True, public_url="")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("preview")
    write_preview(place, ENVELOPE)
    return place


def test_every_template_has_a_sample():
    templates = {path.name.removesuffix(".subject.txt") for path in TEMPLATES.glob("ms/*.subject.txt")}
    assert {sample.template for sample in (*samples.samples(), *sample_weeks.samples())} == templates


def test_each_mail_is_written_in_each_language_as_text_page_and_mail(folder):
    for name in ("alert", "reminder", "escalation", "reopened", "profile", "group"):
        for language in Language:
            for ending in (".html", ".txt", ".eml"):
                assert (folder / f"{language.value}-{name}{ending}").stat().st_size > 500


def test_the_index_leads_to_every_file(folder):
    linked = set(re.findall(r'href="([^"]+)"', (folder / "index.html").read_text()))
    assert linked == {path.name for path in folder.iterdir()} - {"index.html"}


def test_people_and_addresses_of_the_samples_are_fictional(folder):
    for path in folder.glob("*.eml"):
        mail = read_mail(path.read_bytes())
        words = " ".join(part.get_content() for part in mail.walk() if part.get_content_type() == "text/plain")
        domains = re.findall(r"@([\w.-]+\w)", f"{mail['To']} {words}")
        assert all(domain.endswith((".example.my", ".example", "a.my")) for domain in domains)


def test_a_preview_is_never_encrypted_and_shows_the_button_for_an_answer(folder):
    assert "https://pantau.example.my/a/" in (folder / "ms-alert.html").read_text()
    assert (folder / "ms-alert.eml").read_text().count("multipart/alternative") == 1


def test_the_command_says_where_to_look_and_sends_nothing(tmp_path):
    here = Installation(tmp_path / "config", '[letter]\nslogans = ["KITA SEMUA"]\n').write()
    command = ["--config", str(here.folder), "mail", "preview", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "index.html" in result.output
    assert "KITA SEMUA" in (tmp_path / "out" / "ms-alert.txt").read_text()
    assert not (here.folder / "var").exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 600])
def test_every_sample_can_be_read(folder, width, scheme):
    wrong = {}
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        for path in sorted(folder.glob("*.html")):
            page.set_content(path.read_text())
            if found := flaws(page, width):
                wrong[path.name] = found
    assert wrong == {}


@pytest.mark.parametrize("name", ["en-group", "ms-group", "ms-group-flood"])
def test_a_list_of_cases_shows_each_number_on_one_line(folder, name):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 375, "height": 800})
        page.set_content((folder / f"{name}.html").read_text())
        numbers = page.locator("td strong")
        lines = numbers.evaluate_all("cells => cells.map(cell => [cell.textContent, cell.getClientRects().length])")
    assert lines
    assert [(case, count) for case, count in lines if not case.startswith("PTU-") or count > 1] == []


def test_a_page_is_at_most_600_pixels_wide_on_a_wide_screen(folder):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 800})
        for path in sorted(folder.glob("??-*.html")):
            page.set_content(path.read_text())
            assert page.evaluate("document.querySelector('.page').getBoundingClientRect().width") <= 600, path.name


def test_one_envelope_gives_one_preview(tmp_path):
    for name in ("a", "b"):
        write_preview(tmp_path / name, replace(ENVELOPE, public_url="https://p.my"))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
