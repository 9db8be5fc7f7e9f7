"""Every mail in both languages, for posts and names that mean harm (fault 28, I12)."""

import re
import unicodedata
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from browser import chromium, flaws
from builders import (
    NOW,
    WEEK_START,
    account,
    account_week,
    agency,
    alert,
    alert_line,
    delivery,
    finding,
    post,
    week_report,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from mail_servers import read_mail

from alerts import rendering
from alerts.compose import compose_alert, compose_digest, compose_group, compose_test
from alerts.digest import digest_html
from alerts.envelope import Envelope
from alerts.rendering import TEMPLATES, fill_in, render
from monitor.disclosure import profile_detail
from monitor.escalation import Role
from monitor.model import (
    AlertKind,
    Cause,
    CoverageKind,
    Disclosure,
    Interval,
    Language,
    Media,
    MediaKind,
    Profile,
    Severity,
    Verdict,
)
from monitor.reports import RuleCount

ENVELOPE = Envelope(
    sender="Pantau <pantau@jdn.example.my>",
    slogans=("MALAYSIA MADANI",),
    post_link=True,
    public_url="https://pantau.example.my",
    link_key="k",
)
KINDS = {
    "alert": AlertKind.POST,
    "reminder": AlertKind.POST,
    "escalation": AlertKind.POST,
    "reopened": AlertKind.POST,
    "profile": AlertKind.PROFILE,
    "blind": AlertKind.BLIND,
    "recovery": AlertKind.BLIND,
    "credential": AlertKind.CREDENTIAL,
    "forecast": AlertKind.FORECAST,
    "dead_letter": AlertKind.DEAD_LETTER,
    "evaluation": AlertKind.EVALUATION,
    "canary": AlertKind.CANARY,
    "canary_missing": AlertKind.CANARY_MISSING,
}
PARTS = {f"{name}.{end}" for name in ("closing", "case", "answer") for end in ("txt", "html")}  # of other templates
MARKER = "RAHSIA-MARKER-7313"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}{% raw %}"
HOSTILE = {
    "markup": MARKUP,
    "line breaks": "a\r\nBcc: mangsa@b.my\r\n\r\n<b>x</b>\n.\nQUIT\x00\x1b[2J\u2028z",
    "bidi controls": "\u202egnp.exe\u2066\u200f\u061c zero\u200bwidth\ufeff",
    "emoji": "👨‍👩‍👧‍👦 🇲🇾 Z̸̡̢̛̲̳͓͈͔͚ͨ͒̔a\u0301lgo",
    "60 KB": "kerajaan " * 6700,
    "one long word": "x" * 60_000,
    "surrogates": "\ud83d alone \udcff",
    "places of a form": "\ue001case\ue001 \ue001nothing\ue001",
    "empty": "",
}
LEVELS = list(Disclosure)


def hostile_alert(template, text, level=Disclosure.NONE):
    """An alert whose every text from outside is hostile, and whose post holds the marker."""
    people = {"head_salutation": text, "head_name": text, "head_title": text}
    renamed = profile_detail(
        Profile(native_id="1", name=text, handle="jpd", bio=MARKER),
        Profile(native_id="1", name=f"{text}!", handle=text),
    )
    return alert(
        kind=KINDS.get(template, AlertKind.POST),
        severity=Severity.CRITICAL,
        disclosure=level,
        agency=replace(agency(**people), name=text),
        account=account(text),
        post=post(
            text=f"{text} {MARKER} {text}",
            media=(Media(kind=MediaKind.PICTURE, url=f"https://a.my/{MARKER}", text=MARKER),),
            links=(f"https://{MARKER}.my",),
            raw={"text": MARKER},
            edited_at=NOW,
        ),
        findings=(finding(title_ms=text, title_en=text, disclosure=level, spans=((0, 3),)), finding(field="picture:0")),
        cause=Cause.NOT_FOUND,
        since=NOW - timedelta(days=1),
        recovered_at=NOW if template == "recovery" else None,
        detail=renamed if template == "profile" else f"PTU-2026-000001 → a@b.my: {text}",
        round=2,
        reopened_for=f"{MARKER} {text}",
        note=MARKER,
    )


def compose(template, language, text, level=Disclosure.NONE, step="operators"):
    what = hostile_alert(template, text, level)
    return compose_alert(
        what,
        delivery(template=template, language=language, step=step),
        ENVELOPE,
        now=NOW + timedelta(minutes=1),
        told=[(NOW, text), (NOW, "ketua@jpd.example.my")],
        next_to=[Role.DEPUTY],
    )


def hostile_week(text):
    gap = Interval(kind=CoverageKind.GAP, start=WEEK_START, end=WEEK_START + timedelta(hours=9), cause=Cause.BURST)
    line = alert_line(agency=text, account=text, platform=text, clauses=(text,), rules=(text,))
    rule = RuleCount(
        rule=text, title_ms=text, title_en=text, clause=text, severity=Severity.LOW, findings=3, shadow=True
    )
    return week_report(
        agencies=(replace(agency("JPD"), name=text),),
        accounts=(
            account_week(Verdict.BLIND, gap, account=account(text, platform=text, agency=text)),
            account_week(Verdict.GAPS, *[gap] * 9, degraded=True),
        ),
        alerts=(line,),
        still_open=(line,),
        rules=(rule,),
        alerts_per_week=(("2026-W47", {text: 3}),),
    )


class Elements(HTMLParser):
    """The tags, attributes and text of a page, as a browser sees them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.words += data


def assert_harmless(mail):
    """No header but ours, nothing invisible, no markup but ours, nothing that loads or runs."""
    assert set(mail.keys()) <= {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "Importance",
        "MIME-Version", "Content-Type", "List-Id",
    }  # fmt: skip
    assert len(mail.keys()) == len(set(mail.keys()))
    text, page = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    elements = Elements(page)
    for words in (str(mail["Subject"]), text, elements.words):
        bad = {c for c in words if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co"} and c not in "\r\n"}
        assert not bad
    assert "\n" not in mail["Subject"]
    assert set(elements.tags) <= {
        "html", "head", "meta", "title", "style", "body", "div", "p", "br", "span", "strong", "h1", "h2", "h3",
        "table", "tr", "th", "td", "ol", "ul", "li", "a", "img",
    }  # fmt: skip
    names = {name for _, name, _ in elements.attributes}
    assert names <= {
        "lang", "charset", "name", "content", "class", "style", "role", "scope", "href", "rel", "dir", "colspan",
        "src", "alt", "width",
    }  # fmt: skip
    for _, name, value in elements.attributes:
        assert name != "href" or value.startswith("https://")
        assert name != "src" or value.startswith(("cid:", "data:image/png;base64,"))
        assert "url(" not in value


# ---------------------------------------------------------------- forms


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("template", [*KINDS, "out_of_band"])
def test_a_form_that_was_filled_in_is_the_letter_itself(template, language, monkeypatch):
    """Whatever is in the words, and whichever alert the form was first rendered for."""
    letters = []

    def both(name, its_language, words):
        letters.append((render(name, its_language, words), fill_in(name, its_language, words)))
        return letters[-1][1]

    monkeypatch.setattr("alerts.compose.fill_in", both)
    for text in (*HOSTILE.values(), "Jabatan Pendaftaran", "Jabatan Ukur"):
        for level in LEVELS:
            compose(template, language, text, level)
            compose(template, language, text, level, step="first")
    assert all(rendered == filled for rendered, filled in letters)
    assert len({filled.html + filled.text for _, filled in letters}) > len(LEVELS)


def test_letters_alike_share_a_form():
    rendering._form.cache_clear()
    for text in ("Jabatan Pendaftaran", "Jabatan Ukur"):
        what = alert(agency=replace(agency(head_name=text), name=text), account=account(text))
        compose_alert(what, delivery(), ENVELOPE, now=NOW)
    assert rendering._form.cache_info().currsize == 1


# ---------------------------------------------------------------- the templates as files


def test_every_template_is_three_files_in_both_languages():
    found = {language: {path.name for path in (TEMPLATES / language).iterdir()} - PARTS for language in ("ms", "en")}
    kinds = {name + end for name in (*KINDS, "digest", "monthly", "group") for end in (".subject.txt", ".txt", ".html")}
    kinds |= {"out_of_band.subject.txt", "out_of_band.txt"}
    assert found["en"] == kinds
    assert found["ms"] == kinds | {"test.subject.txt", "test.txt", "test.html"}


def test_a_name_that_a_template_misspells_is_an_error():
    for template in (*KINDS, "group", "out_of_band"):
        with pytest.raises(Exception, match="undefined"):
            render(template, Language.MS, {})


def test_each_class_of_a_page_is_written_into_the_element_itself():
    """Several mail programs drop style sheets."""
    mail = read_mail(compose("alert", Language.MS, "jpd"))
    page = mail.get_body(("html",)).get_content()
    styled = re.findall(r'<\w+[^>]*class="[^"]*"[^>]*>', page)
    assert len(styled) > 10
    assert all('style="' in element for element in styled)


def test_every_class_that_a_template_uses_is_in_the_style_sheet():
    sheet = (TEMPLATES / "letter.css").read_text(encoding="utf-8")
    known = set(re.findall(r"^\.([\w-]+)", sheet, re.MULTILINE))
    used = set()
    for path in set(TEMPLATES.rglob("*.html")) - {TEMPLATES / "certificate.html"}:  # a page with styles of its own
        for value in re.findall(r'class="([^"]*)"', re.sub(r"{{.*?}}", "", path.read_text(encoding="utf-8"))):
            used |= set(re.sub(r"{%.*?%}", " ", value).split())
    assert used <= known


# ---------------------------------------------------------------- hostile texts


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("template", KINDS)
def test_every_mail_is_harmless_for(template, language, text):
    for step in ("first", "operators"):
        raw = compose(template, language, text, step=step)
        assert raw.isascii()
        assert len(raw) < 60_000
        assert_harmless(read_mail(raw))
        assert MARKER not in raw.decode("ascii")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("language", Language)
def test_a_grouped_mail_is_harmless_for(language, text):
    cases = [replace(hostile_alert("alert", text, level), id=n, case=f"PTU-{n}") for n, level in enumerate(LEVELS * 30)]
    raw = compose_group(cases, delivery(template="group", language=language), ENVELOPE, now=NOW)
    assert len(raw) < 400_000
    assert_harmless(read_mail(raw))
    assert MARKER not in raw.decode("ascii")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("language", Language)
def test_a_short_message_is_one_line_of_plain_letters_for(language, text):
    raw = compose("out_of_band", language, text)
    mail = read_mail(raw)
    words = mail.get_content().rstrip("\r\n")
    assert mail.get_content_type() == "text/plain"
    assert mail["Content-Transfer-Encoding"] == "7bit"
    assert words.isascii()
    assert words.isprintable()
    assert 60 < len(words) <= 160
    assert "PTU-2026-000001" in words
    assert MARKER not in raw.decode("ascii")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("level", LEVELS)
def test_what_a_hijacker_calls_the_account_is_harmless_for(level, language, text):
    raw = compose("profile", language, text, level)
    assert len(raw) < 60_000
    assert_harmless(read_mail(raw))
    assert MARKER not in raw.decode("ascii")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("level", [Disclosure.MASKED, Disclosure.FULL])
def test_an_excerpt_is_harmless_for(level, language, text):
    what = replace(hostile_alert("alert", text, level), findings=(finding(disclosure=level, spans=((0, 3),)),))
    raw = compose_alert(what, delivery(language=language), ENVELOPE, now=NOW)
    assert len(raw) < 60_000
    assert_harmless(read_mail(raw))


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("template", KINDS)
def test_what_a_none_rule_found_appears_in_no_mail(template, language):
    """I12: not decoded, not in pieces, not in the subject, not for operators either."""
    for step in ("first", "operators", "security-team"):
        mail = read_mail(compose(template, language, "jpd", step=step))
        seen = [str(mail["Subject"]), *(part.get_content() for part in mail.walk() if not part.is_multipart())]
        assert not any("MARKER" in words or "7313" in words for words in seen)


def test_markup_is_shown_as_the_words_it_is():
    what = alert(
        post=post(text=f"abc {MARKUP}"),
        disclosure=Disclosure.FULL,
        findings=(finding(disclosure=Disclosure.FULL, spans=((0, 3),)),),
    )
    page = read_mail(compose_alert(what, delivery(), ENVELOPE, now=NOW)).get_body(("html",)).get_content()
    assert "&lt;script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert "<script>alert(1)</script>" in Elements(page).words


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_no_text_becomes_a_header(text):
    assert_harmless(read_mail(compose("blind", Language.MS, text)))


@pytest.mark.parametrize("language", Language)
def test_a_megabyte_of_text_is_bounded(language):
    text = "Mesyuarat 900101-14-5678 di https://a.example/b. " * 21_000
    what = replace(
        hostile_alert("alert", "jpd", Disclosure.MASKED),
        post=post(text=text),
        findings=(finding(disclosure=Disclosure.MASKED, spans=((10, 24),)),),
    )
    raw = compose_alert(what, delivery(language=language), ENVELOPE, now=NOW)
    assert len(raw) < 40_000
    assert b"900101" not in raw


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_digest_is_harmless_for(text, monkeypatch):
    for chart in ("week_chart", "coverage_map"):
        monkeypatch.setattr(f"alerts.charts.{chart}", lambda *_: b"\x89PNG")  # drawn in test_digest; slow
    for language in Language:
        raw = compose_digest(
            hostile_week(text), delivery(template="digest", language=language, alert_id=None), ENVELOPE, now=NOW
        )
        assert len(raw) < 100_000
        assert_harmless(read_mail(raw))


def test_the_test_mail_is_harmless():
    assert_harmless(read_mail(compose_test("a@b.my", ENVELOPE, now=NOW)[1]))


# ---------------------------------------------------------------- in a real browser


def pages():
    for text in ("jpd", "x" * 200, MARKUP):
        for language in Language:
            for template in KINDS:
                mail = read_mail(compose(template, language, text))
                yield f"{template}-{language.value}", mail.get_body(("html",)).get_content()
            yield f"digest-{language.value}", digest_html(hostile_week(text), language, ENVELOPE, now=NOW)
    for clauses in (("2", "3a", "3b", "3c", "4", "5"), ("1", "2", "3a", "3b", "3c", "4", "5", "reg. 19(2)(a)")):
        lines = tuple(alert_line(f"PTU-2026-{n:06d}", clauses=(clause,)) for n, clause in enumerate(clauses))
        counted = (("2026-W47", dict.fromkeys(clauses, 12)),)
        week = week_report(alerts=lines, alerts_per_week=counted)
        yield f"digest of {len(clauses)} clauses", digest_html(week, Language.MS, ENVELOPE, now=NOW)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 600])
def test_a_mail_can_be_read_and_does_nothing_by_itself(width, scheme, monkeypatch):
    for chart in ("week_chart", "coverage_map"):
        monkeypatch.setattr(f"alerts.charts.{chart}", lambda *_: b"\x89PNG")
    asked, ran, wrong = [], [], {}
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
        for name, content in pages():
            page.set_content(content)
            if found := flaws(page, width):
                wrong[name] = found
    assert wrong == {}
    assert ran == []
    assert [address for address in asked if not address.startswith("data:")] == []
