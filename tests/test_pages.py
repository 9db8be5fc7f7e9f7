"""What a person sees, in a real browser: mails on a phone and on a desk, the console, and nothing that acts or phones home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from builders import NOW, account, agency, finding, post
from conftest import unavailable

from alerts.compose import Envelope, compose_alert
from monitor.model import (
    Alert,
    AlertKind,
    AlertState,
    Cause,
    Delivery,
    Disclosure,
    Language,
    Severity,
)
from monitor.settings import Web
from monitor.store.accounts import claim_accounts
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register
from monitor.web.console import Console, build
from monitor.web.server import bind, serving

HOSTILE = '<script>document.title="owned"</script><img src="http://127.0.0.1:9/x"> "\u202e' + "panjang" * 60
ENVELOPE = Envelope(sender="Pantau <pantau@example.my>", slogans=("MALAYSIA MADANI",), post_link=True, public_url="")
TEMPLATES = {
    "alert": AlertKind.POST,
    "blind": AlertKind.BLIND,
    "recovery": AlertKind.BLIND,
    "credential": AlertKind.CREDENTIAL,
    "dead_letter": AlertKind.DEAD_LETTER,
    "evaluation": AlertKind.EVALUATION,
}
WIDTHS = (375, 600)
LUMINANCE = """() => {
  const channel = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
  const light = rgb => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.5) return colour;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
  };
  const worst = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.offsetParent) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) worst.push(`${ratio.toFixed(1)}: ${walker.currentNode.textContent.trim().slice(0, 40)}`);
  }
  return worst;
}"""  # WCAG 2.1, 1.4.3: text has a contrast of at least 4.5 to 1


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        unavailable("Chromium is not installed (Debian package: chromium)")
    from playwright.sync_api import sync_playwright

    quiet = ("--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=list(quiet))
        yield launched
        launched.close()


def html_of(mail: bytes) -> str:
    body = message_from_bytes(mail, policy=policy.default).get_body(("html",))
    assert body is not None
    return body.get_content()


def alert(kind: AlertKind) -> Alert:
    return Alert(
        id=1,
        case="PTU-2026-000001",
        kind=kind,
        state=AlertState.OPEN,
        severity=Severity.HIGH,
        disclosure=Disclosure.FULL,
        opened_at=NOW,
        agency=replace(agency(head_name=HOSTILE), name=HOSTILE),
        account=account(HOSTILE),
        post=post(text=HOSTILE, url="https://x.com/i/status/" + "1" * 300),
        findings=(finding(disclosure=Disclosure.FULL),),
        cause=Cause.NOT_FOUND,
        since=NOW - timedelta(hours=3),
        recovered_at=NOW,
        detail=f"x: {HOSTILE}",
    )


def mail(template: str, language: Language) -> bytes:
    delivery = Delivery(
        id=1,
        fence=1,
        alert_id=1,
        period="",
        step="operators",
        template=template,
        recipient="ketua@jpd.example.my",
        language=language,
        message_id="<pantau.1@example.my>",
        attempts=0,
        rendered=None,
    )
    return compose_alert(alert(TEMPLATES[template]), delivery, ENVELOPE, now=NOW)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_mail_fits_a_phone_is_readable_in_the_dark_and_does_nothing_by_itself(browser, template, language):
    html = html_of(mail(template, language))
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.set_content(html)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{template} at {width} px"
            assert page.evaluate(LUMINANCE) == [], f"{template} in {scheme}"
            assert page.title() != "owned"
            assert page.locator("script").count() == 0
            assert asked == []
            page.close()


@pytest.fixture
def console(sqlite_db) -> Iterator[str]:
    save_register(sqlite_db, [agency()], [account("jpd")], now=NOW)
    (claimed,) = claim_accounts(sqlite_db, now=NOW, lease=timedelta(minutes=1), limit=9, platform="x")
    judged = Judged(post=post(text=HOSTILE), findings=(finding(title_en=HOSTILE),))
    window = timedelta(minutes=1)
    save_page(sqlite_db, claimed, [judged], rule_set="r", now=NOW, reread_window=window, end=None)
    pages = build(
        Console(
            db=sqlite_db,
            web=Web(),
            patience=timedelta(minutes=1),
            degraded=frozenset,
            stalled=list,
            clock=lambda: NOW + timedelta(minutes=2),
        )
    )
    with serving(pages, bind(Web(listen="127.0.0.1:0"))) as address:
        yield address


def test_the_console_leads_from_the_accounts_to_an_alert_and_fits_a_phone(browser, console, tmp_path: Path):
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport={"width": 375, "height": 800}, color_scheme=scheme)
        page.goto(console)
        page.get_by_role("link", name="PTU-2026-").first.click()
        assert "suspected, high" in page.locator("h1").inner_text()
        for path in ("", "alerts"):
            page.goto(console + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 375
            assert page.evaluate(LUMINANCE) == []
            assert page.title() != "owned"
            assert page.screenshot(path=tmp_path / "page.png")
        page.close()
