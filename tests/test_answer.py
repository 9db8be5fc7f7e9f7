"""The pages behind the links of mails: on a real server, either database, and in a real browser."""

import logging
import re
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html import unescape

import pytest
import requests
import structlog
from browser import chromium, flaws
from builders import NOW, account, agency, finding, post
from mail_servers import read_mail
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from alerts.envelope import Envelope
from alerts.folder import FolderChannel
from alerts.outbox import deliver_due
from monitor import links
from monitor.escalation import Escalation
from monitor.links import Link
from monitor.logs import scrubbed, start_logging
from monitor.model import (
    AlertKind,
    AlertState,
    Clause,
    Disclosure,
    Language,
    NewNotification,
    Removal,
    Resolution,
    Severity,
)
from monitor.settings import Log, Web
from monitor.store import audit, life, plans, tables
from monitor.store.accounts import claim_accounts
from monitor.store.alerts import load_alert
from monitor.store.listings import mails_of
from monitor.store.looks import EVENT
from monitor.store.opening import open_alert
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register
from monitor.web.answer import program_of
from monitor.web.answer_words import EVENTS, PAGE, REFUSALS, RESOLVED, SAID, STANDING
from monitor.web.console import Console, build
from monitor.web.server import bind, serving

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEY = "0123456789abcdef" * 4
HEAD, DEPUTY = "ketua@jpd.example.my", "timbalan@jpd.example.my"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
SCANNER = "Mozilla/5.0 (compatible; SafeLinks-Scanner/2.1)"
TEXT = "SULIT Minit mesyuarat RAHSIA-MARKER esok"
QUOTE = (
    "tidak melibatkan, tidak mengandungi dan tidak menghuraikan secara terperinci perkara atau maklumat berkaitan "
    "rahsia rasmi seperti yang ditakrifkan dalam Akta Rahsia Rasmi 1972"
)
CLAUSE = Clause(
    instrument="mampu-2009", ref="3c", ms=QUOTE, en="does not set out in detail matters of official secrets"
)


@dataclass
class Desk:
    """A served console on a database with one alert of JPD's account, and a clock that tests turn."""

    db: object
    now: object = NOW
    address: str = ""
    web: Web = field(default_factory=lambda: Web(listen="127.0.0.1:0"))

    def breach(self, native_id="1", text=TEXT, disclosure=Disclosure.NONE, severity=Severity.HIGH):
        claimed = claim_accounts(self.db, now=NOW + DAY, lease=MINUTE, limit=1, platform="x")[0]
        found = finding(disclosure=disclosure, severity=severity, clause=CLAUSE)
        judged = Judged(post=post(native_id, text), findings=(found,))
        save_page(self.db, claimed, [judged], rule_set="r", now=NOW, reread_window=DAY, end=None)
        with self.db.write() as connection:
            connection.execute(update(tables.account).values(leased_until=None))
            return connection.execute(select(tables.alert.c.id).order_by(tables.alert.c.id.desc())).scalars().first()

    def url(self, recipient=HEAD, alert_id=1, round_=0, key=KEY):
        link = Link(alert_id=alert_id, round=round_, recipient=recipient)
        return f"{self.address}a/{links.sign(link, key, now=self.now)}"

    def form(self, url):
        """Return the hidden fields of the page's form, as a browser would send them."""
        page = requests.get(url, headers={"User-Agent": PHONE}, timeout=10).text
        fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
        return {name: unescape(value) for name, value in fields}

    def answer(self, url, action, *, form=None, headers=None, **fields):
        sent = {**(self.form(url) if form is None else form), "action": action, **fields}
        return requests.post(url, data=sent, headers=headers, timeout=10, allow_redirects=False)

    def alert(self, alert_id=1):
        return load_alert(self.db, alert_id)

    def rows(self):
        with self.db.read() as connection:
            return connection.execute(select(tables.alert).order_by(tables.alert.c.id)).mappings().all()

    def events(self, name=None, alert_id=1):
        return [event for event in audit.events_of(self.db, alert_id) if name in {None, event.event}]


@contextmanager
def desk_on(database, web=None):
    desk = Desk(db=database, **({"web": web} if web else {}))
    save_register(database, [agency(), agency("ABC")], [account()], now=NOW)
    desk.breach()
    console = Console(
        db=database,
        web=desk.web,
        patience=HOUR,
        degraded=set,
        stalled=list,
        clock=lambda: desk.now,
        link_key=KEY,
    )
    with serving(build(console), bind(Web(listen="127.0.0.1:0"))) as desk.address:
        yield desk


@pytest.fixture
def desk(sqlite_db):
    with desk_on(sqlite_db) as one:
        yield one


@pytest.fixture
def either(db):
    """A desk on SQLite, and one on PostgreSQL."""
    with desk_on(db) as one:
        yield one


# ---------------------------------------------------------------- what a link shows


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ms", ["Tinggi", "Belum dijawab", "Perenggan 3(c)", "Selasa, 24 November 2026, 12:00", "Akui terima"]),
        ("en", ["High", "Not yet answered", "Paragraph 3(c)", "Tuesday, 24 November 2026, 12:00", "Acknowledge"]),
    ],
)
def test_a_link_shows_case_account_clause_severity_time_and_how_the_alert_stands(desk, language, words):
    answer = requests.get(desk.url(), params={"lang": language}, timeout=5)
    assert answer.status_code == 200
    page = unescape(answer.text)
    for part in (*words, "PTU-2026-000001", "x/jpd", "Jabatan JPD", QUOTE, HEAD, f'<html lang="{language}">'):
        assert part in page
    assert ("does not set out" in page) is (language == "en")
    assert 'href="https://x.com/i/status/1" rel="noreferrer noopener nofollow"' in page


def test_without_a_wish_the_page_is_in_the_agency_s_language_and_the_other_is_one_tap_away(desk):
    page = requests.get(desk.url(), timeout=5).text
    assert '<html lang="ms">' in page
    assert '<a href="?lang=en"' in page
    assert '<html lang="ms">' in requests.get(desk.url() + "?lang=xx", timeout=5).text


@pytest.mark.parametrize(
    ("level", "shown", "hidden"),
    [
        pytest.param(Disclosure.NONE, "sengaja tidak diulang", "Minit", id="none: nothing of the text"),
        pytest.param(Disclosure.MASKED, "█████ Minit", "SULIT", id="masked: the match is covered"),
        pytest.param(Disclosure.FULL, "SULIT Minit", "sengaja tidak diulang", id="full: an excerpt"),
    ],
)
def test_a_page_shows_of_a_text_what_the_disclosure_level_allows(desk, level, shown, hidden):
    number = desk.breach("2", disclosure=level)
    for language in ("ms", "en"):
        page = requests.get(desk.url(alert_id=number), params={"lang": language}, timeout=5).text
        if language == "ms":
            assert shown in page
        assert hidden not in page


@pytest.mark.parametrize(("level", "shown"), [(Disclosure.NONE, False), (Disclosure.MASKED, True)])
@pytest.mark.parametrize("action", ["acknowledge", "removed"])
def test_a_note_may_quote_the_post_and_is_shown_like_it(desk, level, shown, action):
    number = desk.breach("2", disclosure=level)
    desk.answer(desk.url(alert_id=number), action, note="NOTE-MARKER")
    page = requests.get(desk.url(alert_id=number, recipient=DEPUTY), timeout=5).text
    assert ("NOTE-MARKER" in page) is shown
    assert ("tidak diulang di sini" in page.partition("Peruntukan")[0]) is not shown


def test_why_a_person_reopened_a_case_is_not_repeated(desk):
    desk.answer(desk.url(), "false_alarm")
    life.reopen(desk.db, 1, by="ops", reason="REASON-MARKER", now=desk.now)
    page = requests.get(desk.url(round_=1), timeout=5).text
    assert "disemak semula" in page
    assert "REASON-MARKER" not in page


def test_the_page_is_neither_kept_nor_framed_nor_found_nor_told_onwards(desk):
    for answer in (
        requests.get(desk.url(), timeout=5),
        requests.get(desk.address + "a/forged", timeout=5),
        desk.answer(desk.url(), "acknowledge"),
    ):
        headers = answer.headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "noindex" in headers["x-robots-tag"]
        assert headers["x-frame-options"] == "DENY"
        assert "form-action 'self'" in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
    assert "form-action 'none'" in requests.get(desk.address, timeout=5).headers["content-security-policy"]


def test_what_a_post_an_account_or_a_person_wrote_is_shown_as_text_and_in_order(desk):
    evil = "SULIT <script>alert(1)</script> \u202ereversed\u2066 <img src=x onerror=alert(2)> https://evil.example/x"
    number = desk.breach("2", text=evil, disclosure=Disclosure.FULL)
    name = '"><script>alert(3)</script>\u202e'
    with desk.db.write() as connection:
        connection.execute(update(tables.account).values(handle=name))
        connection.execute(update(tables.post).values(url='javascript:alert(4)//"><script>'))
    url = desk.url(alert_id=number, recipient=f"{name}@jpd.example.my")
    desk.answer(url, "acknowledge", note=f"{name}\x00 done\u202e")
    page = requests.get(url, timeout=5).text
    assert "<script" not in page
    assert "<img" not in page
    assert "javascript:" not in page
    assert not set(page) & set("\u202e\u2066\x00")
    assert "https[:]//evil[.]example" in page, "a hijacked account's link is not one tap away"


def test_a_page_of_an_old_case_says_what_retention_has_left(either):
    either.answer(either.url(), "false_alarm", note="sebab")
    with either.db.write() as connection:
        connection.execute(update(tables.audit).values(payload=None, salt=None))
        connection.execute(update(tables.alert).values(owner="", note="", resolution_note=""))
    page = requests.get(either.url(recipient=DEPUTY), timeout=5)
    assert page.status_code == 200
    assert "Oleh –" in page.text
    assert "purged" not in page.text


def test_thanks_for_an_answer_are_not_repeated_over_a_case_that_is_open_again(desk):
    assert "Terima kasih" not in requests.get(desk.url() + "?said=done", timeout=5).text
    desk.answer(desk.url(), "acknowledge")
    assert "Terima kasih" in requests.get(desk.url() + "?said=done", timeout=5).text


def test_an_answer_by_the_command_line_is_named_too(desk):
    life.acknowledge(desk.db, 1, by="aminah", deadline=NOW + DAY, via="command line", now=NOW)
    page = requests.get(desk.url(), timeout=5).text
    assert "Oleh aminah" in page
    assert "Diakui terima (aminah)" in page


def test_both_languages_say_everything():
    for table in (PAGE, SAID, STANDING, REFUSALS, EVENTS, RESOLVED):
        assert set(table[Language.MS]) == set(table[Language.EN])
    assert set(RESOLVED[Language.MS]) == set(Resolution)
    for about in REFUSALS[Language.MS]:
        assert len(REFUSALS[Language.MS][about]) == len(REFUSALS[Language.EN][about]) == 3


@pytest.mark.parametrize(
    ("kind", "actions"),
    [
        (AlertKind.POST, {"acknowledge", "removed", "action_taken", "false_alarm"}),
        (AlertKind.BLIND, {"acknowledge", "action_taken"}),
        (AlertKind.PROFILE, {"acknowledge", "action_taken", "false_alarm"}),
    ],
)
def test_only_answers_that_make_sense_are_offered(desk, kind, actions):
    with desk.db.write() as connection:
        options = {"severity": Severity.HIGH, "disclosure": Disclosure.NONE, "now": NOW, "agency": "JPD"}
        number = 1 if kind is AlertKind.POST else open_alert(connection, dedup_key="k", kind=kind, **options)
    page = requests.get(desk.url(alert_id=number), timeout=5).text
    assert set(re.findall(r'name="action" value="(\w+)"', page)) == actions


# ---------------------------------------------------------------- a GET never acts


def test_a_mail_scanner_that_fetches_the_link_again_and_again_changes_nothing(either):
    """Fault 8: also HEAD, prefetch, and a POST of the bare address."""
    before, url = either.rows(), either.url()
    for agent in (SCANNER, PHONE, "curl/8", ""):
        for _ in range(5):
            assert requests.get(url, headers={"User-Agent": agent}, timeout=10).status_code == 200
    for _ in range(5):
        assert requests.head(url, headers={"User-Agent": SCANNER}, timeout=10).status_code == 200
        assert requests.get(url, headers={"Sec-Purpose": "prefetch;prerender"}, timeout=10).status_code == 200
        for query in ("", "?action=acknowledge", "?said=done"):
            assert requests.get(url + query, timeout=10).status_code == 200
    assert requests.post(url, timeout=10).status_code in {403, 415}
    assert requests.post(url, data={"action": "acknowledge"}, timeout=10).status_code == 403
    assert either.rows() == before
    assert {event.event for event in either.events()} == {"alert opened", EVENT}


def test_a_look_is_noted_once_an_hour_and_a_scanner_does_not_hide_the_person_after_it(either):
    url = either.url()

    def look(agent, person=url):
        requests.get(person, headers={"User-Agent": agent}, timeout=10)

    for agent in (SCANNER, SCANNER, PHONE, SCANNER, PHONE):
        look(agent)
    look(PHONE, either.url(recipient=DEPUTY))
    noted = [(event.actor, event.facts["program"]) for event in either.events(EVENT)]
    assert noted == [(HEAD, "scanner"), (HEAD, "phone"), (DEPUTY, "phone")]
    either.now += HOUR
    look(SCANNER)
    either.now -= 3 * HOUR  # the clock was set back: neither silence until it comes around, nor a flood
    look(SCANNER)
    look(SCANNER)
    assert len(either.events(EVENT)) == 5


def test_heads_and_prefetches_are_no_looks(desk):
    requests.head(desk.url(), timeout=5)
    for header in ({"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}):
        requests.get(desk.url(), headers=header, timeout=5)
    assert desk.events(EVENT) == []


def test_looks_at_the_same_moment_are_noted_once(either):
    url = either.url()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: requests.get(url, headers={"User-Agent": PHONE}, timeout=30), range(16)))
    assert len(either.events(EVENT)) == 1


def test_a_database_that_cannot_write_keeps_nobody_from_seeing_the_alert(desk, monkeypatch):
    def locked(*_, **__):
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    monkeypatch.setattr("monitor.web.answer.note_look", locked)
    assert requests.get(desk.url(), timeout=5).status_code == 200
    monkeypatch.setattr("monitor.store.life.acknowledge", locked)
    answer = desk.answer(desk.url(), "acknowledge")
    assert answer.status_code == 503
    assert "Cuba lagi" in answer.text


@pytest.mark.parametrize(
    ("agent", "program"),
    [
        (PHONE, "phone"),
        ("Mozilla/5.0 (Linux; Android 15; SM-S928B) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "phone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", "computer"),
        ("Mozilla/5.0 (compatible; bingbot/2.0)", "scanner"),
        ("facebookexternalhit/1.1", "scanner"),
        ("python-requests/2.32", "other program"),
        ("", "other program"),
    ],
)
def test_what_kind_of_program_looked(agent, program):
    assert program_of(agent) == program


# ---------------------------------------------------------------- a POST acts, once


def test_an_acknowledgement_is_noted_with_person_deadline_and_note(either):
    answer = either.answer(either.url(), "acknowledge", days="5", note="Saya semak malam ini\r\nbaris dua\x00")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("?")
    alert = either.alert()
    assert (alert.state, alert.owner, alert.acknowledged_at) == (AlertState.ACKNOWLEDGED, HEAD, NOW)
    assert (alert.deadline, alert.next_action_at) == (NOW + 5 * DAY, NOW + 5 * DAY)
    assert alert.note == "Saya semak malam ini\nbaris dua"
    (event,) = either.events("alert acknowledged")
    assert (event.actor, event.facts["via"]) == (HEAD, "link")
    page = requests.get(either.url(), timeout=5).text
    assert f"Oleh {HEAD}, Selasa, 24 November 2026" in page
    assert "Ahad, 29 November 2026" in page
    assert 'value="acknowledge"' not in page


def test_without_a_deadline_an_acknowledgement_holds_as_the_policy_says(desk):
    desk.answer(desk.url(), "acknowledge", days="")
    assert desk.alert().deadline == NOW + 3 * DAY


@pytest.mark.parametrize(
    ("action", "resolution", "removal"),
    [
        ("removed", Resolution.POST_REMOVED, Removal.REPORTED),
        ("action_taken", Resolution.ACTION_TAKEN, None),
        ("false_alarm", Resolution.FALSE_ALARM, None),
    ],
)
def test_each_answer_resolves_the_alert_with_its_word(either, action, resolution, removal):
    assert either.answer(either.url(), action, note="sebab").status_code == 303
    alert = either.alert()
    assert (alert.state, alert.resolution, alert.removal) == (AlertState.RESOLVED, resolution, removal)
    assert (alert.resolution_note, alert.owner) == ("sebab", HEAD)
    (event,) = either.events("alert resolved")
    assert (event.actor, event.facts["via"]) == (HEAD, "link")
    page = requests.get(either.url(), timeout=5).text
    assert f"Oleh {HEAD}" in page
    assert ("membaca semula" in page) is (removal is not None)


@pytest.mark.parametrize("action", ["acknowledge", "removed", "false_alarm"])
def test_the_second_post_of_a_form_shows_how_it_stands_and_writes_nothing(either, action):
    """Fault 9: a double tap, a reload, "back" and again."""
    url = either.url()
    form = either.form(url)
    assert either.answer(url, action, form=form, note="first").status_code == 303
    before, events = either.rows(), either.events()
    either.now += MINUTE
    again = either.answer(url, action, form=form, note="second")
    assert again.status_code == 303
    assert "telah dicatat sebelum ini" in requests.get(f"{url}{again.headers['location']}", timeout=5).text
    assert (either.rows(), [e for e in either.events() if e.event != EVENT]) == (
        before,
        [e for e in events if e.event != EVENT],
    )


def test_many_posts_of_a_form_at_the_same_moment_are_one_answer(either):
    url = either.url()
    form = either.form(url)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: either.answer(url, "acknowledge", form=form), range(8)))
    assert Counter(answer.status_code for answer in answers) == {303: 8}
    assert sum("said=done" in answer.headers["location"] for answer in answers) == 1
    assert len(either.events("alert acknowledged")) == 1


def test_who_saw_the_alert_open_does_not_overwrite_what_another_answered_meanwhile(either):
    head, deputy = either.url(), either.url(recipient=DEPUTY)
    stale = either.form(deputy)
    either.answer(head, "removed", note="telah diturunkan")
    late = either.answer(deputy, "false_alarm", form=stale)
    assert "said=changed" in late.headers["location"]
    assert either.alert().resolution is Resolution.POST_REMOVED
    page = requests.get(f"{deputy}{late.headers['location']}", timeout=5).text
    assert "jawapan anda tidak dicatat" in page
    assert HEAD in page


def test_an_answer_can_be_corrected_by_who_saw_it(either):
    url = either.url()
    either.answer(url, "false_alarm")
    corrected = either.answer(url, "action_taken", note="tersilap tekan")
    assert "said=done" in corrected.headers["location"]
    assert either.alert().resolution is Resolution.ACTION_TAKEN
    assert [event.facts["resolution"] for event in either.events("alert resolved")] == ["false alarm", "action taken"]


def test_an_acknowledged_alert_is_resolved_also_from_a_page_that_showed_it_open(desk):
    form = desk.form(desk.url())
    desk.answer(desk.url(), "acknowledge", form=form)
    desk.answer(desk.url(), "removed", form=form)
    assert desk.alert().resolution is Resolution.POST_REMOVED


# ---------------------------------------------------------------- links that do not hold


def test_an_expired_link_neither_shows_nor_acts_and_says_whom_to_ask(desk):
    url, form = desk.url(), desk.form(desk.url())
    desk.now += desk.web.link_lifetime + timedelta(seconds=1)
    before = desk.rows()
    for answer in (requests.get(url, timeout=5), desk.answer(url, "acknowledge", form=form)):
        assert answer.status_code == 403
        assert "PTU-2026-000001" in answer.text
        assert "pasukan keselamatan" in answer.text
        assert "x/jpd" not in answer.text
    assert desk.rows() == before


def test_a_step_of_the_clock_back_ends_no_link(desk):
    url = desk.url()
    desk.now -= 2 * HOUR
    assert requests.get(url, timeout=5).status_code == 200


def test_forged_truncated_and_foreign_links_are_refused(desk):
    url, form, before = desk.url(), desk.form(desk.url()), desk.rows()
    payload = url.rpartition("/")[2].split(".")[0]
    other = desk.url(alert_id=2).rpartition("/")[2].split(".")
    bad = [
        url[:-1],
        url[:-20],
        url + "A",
        desk.url(key="another installation's"),
        f"{desk.address}a/{payload}.{'.'.join(other[1:])}",
        f"{desk.address}a/%00",
        f"{desk.address}a/{'A' * 5000}",
        f"{desk.address}a/%F0%9F%92%A9.a.b",
    ]
    for one in bad:
        for answer in (requests.get(one, timeout=5), desk.answer(one, "acknowledge", form=form)):
            assert answer.status_code == 403, one
            assert "PTU-" not in answer.text
            assert "tidak sah" in answer.text
    assert desk.rows() == before
    assert "This link is not valid" in requests.get(bad[0] + "?lang=en", timeout=5).text


def test_the_full_stop_that_a_mail_program_took_along_does_no_harm(desk):
    url = desk.url() + "."
    assert requests.get(url, timeout=5).status_code == 200
    assert desk.answer(url, "acknowledge").status_code == 303


def test_a_link_to_an_alert_that_a_restored_backup_does_not_know_is_not_found(desk):
    answer = requests.get(desk.url(alert_id=99), timeout=5)
    assert answer.status_code == 404
    assert "tidak mempunyai rekod" in answer.text


def test_a_link_of_an_earlier_round_says_that_a_newer_mail_holds(either):
    old, form = either.url(), either.form(either.url())
    either.answer(old, "removed", form=form)
    life.reopen(either.db, 1, by="ops", reason="the post is back", now=either.now)
    before = either.rows()
    for answer in (requests.get(old, timeout=5), either.answer(old, "false_alarm", form=form)):
        assert answer.status_code == 410
        assert "dibuka semula" in answer.text
    assert either.rows() == before
    new = either.url(round_=1)
    assert "kini muncul semula" in requests.get(new, timeout=5).text
    assert either.answer(new, "removed").status_code == 303


def test_an_answer_that_meets_a_reopening_is_not_taken_for_the_new_round(either):
    """Between the look at the alert and the write of the answer another process reopens it."""
    seen = life.standing(0, AlertState.OPEN, None)
    life.acknowledge(either.db, 1, by=DEPUTY, deadline=NOW + DAY, via="link", now=NOW)
    life.reopen(either.db, 1, by="ops", reason="not done", now=NOW)
    for act in (
        lambda: life.acknowledge(either.db, 1, by=HEAD, deadline=NOW + DAY, via="link", now=NOW, seen=seen),
        lambda: life.resolve(either.db, 1, resolution=Resolution.FALSE_ALARM, by=HEAD, via="link", now=NOW, seen=seen),
    ):
        assert act() is life.Answer.OUTDATED
        assert either.alert().state is AlertState.OPEN


# ---------------------------------------------------------------- forms that are not ours


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="another site"),
        pytest.param({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, id="a site that hides its name"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="a neighbour under the same domain"),
        pytest.param({"Content-Type": "text/plain"}, id="a form that passes for plain text"),
        pytest.param({"Content-Type": "multipart/form-data; boundary=x"}, id="a form of another kind"),
    ],
)
def test_a_form_of_another_site_is_refused(desk, headers):
    form, before = desk.form(desk.url()), desk.rows()
    assert desk.answer(desk.url(), "acknowledge", form=form, headers=headers).status_code in {403, 415}
    assert desk.rows() == before


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a browser that says nothing"),
        pytest.param({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, id="a browser under no-referrer"),
        pytest.param({"Origin": "null"}, id="an older one"),
        pytest.param({"Origin": "https://pantau.example.my"}, id="through a proxy that changes the host's name"),
    ],
)
def test_our_own_form_is_taken_whatever_the_browser_says_of_it(sqlite_db, headers):
    with desk_on(sqlite_db, Web(public_url="https://pantau.example.my")) as desk:
        assert desk.answer(desk.url(), "acknowledge", headers=headers).status_code == 303


def test_the_proof_of_a_form_is_its_link_s_own(desk):
    form = desk.form(desk.url(recipient=DEPUTY))
    assert desk.answer(desk.url(), "acknowledge", form=form).status_code == 403
    assert desk.answer(desk.url(), "acknowledge", form={**form, "seen": "0/ended/accepted"}).status_code == 403
    assert desk.alert().state is AlertState.OPEN


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "reopen"},
        {"action": ""},
        {"days": "0"},
        {"days": "31"},
        {"days": "-1"},
        {"days": "1e9"},
        {"days": "٣"},
        {f"f{number}": "" for number in range(50)},
    ],
)
def test_what_no_page_offers_is_refused(desk, fields):
    fields = {"action": "acknowledge", **fields}
    assert desk.answer(desk.url(), fields.pop("action"), **fields).status_code == 400
    assert desk.alert().state is AlertState.OPEN


def test_a_body_beyond_any_note_is_refused_also_when_it_does_not_say_its_size(desk):
    form = desk.form(desk.url())
    assert desk.answer(desk.url(), "acknowledge", form=form, note="x" * 9000).status_code == 413

    def pieces():
        yield b"action=acknowledge&note="
        for _ in range(20):
            yield b"x" * 1000

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert requests.post(desk.url(), data=pieces(), headers=kind, timeout=5).status_code == 413
    assert desk.alert().state is AlertState.OPEN


def test_the_longest_note_that_the_page_takes_arrives_in_any_script(either):
    note = "官" * 800
    assert either.answer(either.url(), "action_taken", note=note).status_code == 303
    assert either.alert().resolution_note == note


def test_only_the_names_of_this_site_are_answered(desk):
    assert requests.get(desk.url(), headers={"Host": "evil.example"}, timeout=5).status_code == 400


def test_without_a_key_there_are_no_such_pages(sqlite_db):
    console = Console(db=sqlite_db, web=Web(), patience=HOUR, degraded=set, stalled=list, clock=lambda: NOW)
    with serving(build(console), bind(Web(listen="127.0.0.1:0"))) as address:
        token = links.sign(Link(alert_id=1, round=0, recipient=HEAD), KEY, now=NOW)
        assert requests.get(f"{address}a/{token}", timeout=5).status_code == 404


# ---------------------------------------------------------------- I7: an answer and a delivery


ENVELOPE = Envelope(sender="Pantau <pantau@pantau.example.my>", slogans=(), post_link=True, public_url="")


class Sink(FolderChannel):
    """Writes every mail into a folder, and knows which; `before` is asked first."""

    def __init__(self, folder, before=lambda: None):
        super().__init__(folder)
        self.before = before
        self.sent = []

    def send(self, mail, *, message_id, **options):
        self.before()
        self.sent.append(message_id)
        return super().send(mail, message_id=message_id, **options)


def planned(desk, alert_id=1, language=Language.MS):
    mail = NewNotification(
        step="first",
        template="alert",
        recipient=HEAD,
        language=language,
        message_id=f"<{alert_id}@pantau.example.my>",
    )
    decided = plans.Decision(
        alert_id=alert_id, notifications=[mail], next_action_at=desk.now + HOUR, waiting_reason="waits", steps=1
    )
    plans.write_plans(desk.db, [decided], policy=Escalation(), now=desk.now)


def deliver(desk, sink, clock=None, envelope=ENVELOPE):
    report = pytest.fail  # no digest is due
    return deliver_due(desk.db, sink, envelope, now=desk.now, clock=clock or (lambda: desk.now), report=report)


@pytest.mark.parametrize("action", ["acknowledge", "removed", "action_taken", "false_alarm"])
def test_nothing_is_sent_after_an_answer(either, action, tmp_path):
    planned(either)
    either.answer(either.url(recipient=DEPUTY), action)
    sink = Sink(tmp_path)
    deliver(either, sink)
    assert sink.sent == []
    assert [line.state.value for line in mails_of(either.db, 1)] == ["cancelled"]


def test_what_was_planned_before_an_answer_is_not_written_down_after_it(either):
    """The planner read the alert as open; meanwhile it was answered."""
    assert plans.due_alerts(either.db, either.now)
    either.answer(either.url(), "acknowledge", days="5")
    planned(either)
    assert mails_of(either.db, 1) == []
    assert either.alert().next_action_at == NOW + 5 * DAY, "the deadline, not the planner's next step"


def test_answers_and_plans_at_the_same_moment_do_not_wait_for_each_other(either):
    """Both write to the alert and to the audit; PostgreSQL ends one of two that take them in different orders."""
    numbers = [1, *(either.breach(str(n)) for n in range(2, 17))]

    def answer(number):
        until = NOW + DAY
        return life.acknowledge(either.db, number, by=HEAD, deadline=until, via="link", now=NOW)

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(do, number) for number in numbers for do in (lambda n: planned(either, n), answer)]
        for one in work:
            one.result()
    assert {either.alert(number).next_action_at for number in numbers} == {NOW + DAY}


@pytest.mark.parametrize("turn", range(8))
def test_nothing_is_sent_after_an_answer_that_comes_anywhere_between_claim_and_sending(desk, turn, tmp_path):
    """Fault 10, I7. The delivery asks for the time again and again; at one of these moments the head answers."""
    planned(desk)
    url, form = desk.url(), desk.form(desk.url())
    asked, answered = [], []

    def clock():
        asked.append(1)
        if len(asked) == turn + 1:
            answered.append(desk.answer(url, "acknowledge", form=form).status_code)
        return desk.now

    sink = Sink(tmp_path, before=lambda: answered and pytest.fail("sent after the answer was confirmed"))
    deliver(desk, sink, clock)
    assert answered in ([], [303])
    assert [line.state.value for line in mails_of(desk.db, 1)] == ["accepted" if sink.sent else "cancelled"]


def test_answers_and_deliveries_at_the_same_moment_end_every_mail_once(either, tmp_path):
    """Half of the alerts are answered before, the others while two workers deliver: on PostgreSQL all at once."""
    numbers = [1, *(either.breach(str(n)) for n in range(2, 17))]
    early, meanwhile = numbers[::2], numbers[1::2]
    forms = {number: either.form(either.url(alert_id=number)) for number in numbers}
    for number in numbers:
        planned(either, number)

    def answer(number):
        answered = either.answer(either.url(alert_id=number), "acknowledge", form=forms[number])
        assert answered.status_code == 303, answered.text

    for number in early:
        answer(number)
    sinks = [Sink(tmp_path), Sink(tmp_path)]
    with ThreadPoolExecutor(6) as pool:
        work = [*(pool.submit(deliver, either, sink) for sink in sinks), *(pool.submit(answer, n) for n in meanwhile)]
        for one in work:
            one.result()
    sent = [*sinks[0].sent, *sinks[1].sent]
    assert not {f"<{number}@pantau.example.my>" for number in early} & set(sent)
    assert {either.alert(number).state for number in numbers} == {AlertState.ACKNOWLEDGED}
    states = Counter(line.state.value for number in numbers for line in mails_of(either.db, number))
    assert states["accepted"] == len(sent) == len(set(sent))
    assert states["accepted"] + states["cancelled"] == len(numbers)
    last = Sink(tmp_path)
    deliver(either, last)
    assert last.sent == []


# ---------------------------------------------------------------- from the mail to the answer


@pytest.mark.parametrize("language", Language)
def test_the_link_in_a_mail_s_letter_and_in_its_plain_text_leads_to_the_answer_of_its_recipient(
    desk, tmp_path, language
):
    planned(desk, language=language)
    desk.now += HOUR  # the mail waited: the link's time begins when it is written
    deliver(desk, Sink(tmp_path), envelope=replace(ENVELOPE, public_url=desk.address.rstrip("/"), link_key=KEY))
    (path,) = tmp_path.glob("*.eml")
    mail = read_mail(path.read_bytes())
    html, plain = (mail.get_body((kind,)).get_content() for kind in ("html", "plain"))
    ours = re.escape(desk.address)
    (button,) = set(re.findall(rf'href="({ours}a/[^"]+)"', html))
    (written,) = set(re.findall(rf"{ours}a/\S+", plain))
    assert button == written
    for link in re.findall(rf'href="({ours}[^"]+)"', html):  # as a mail gateway does
        assert requests.get(link, headers={"User-Agent": SCANNER}, timeout=5).status_code == 200
    assert desk.alert().state is AlertState.OPEN
    desk.answer(button, "acknowledge")
    assert (desk.alert().state, desk.alert().owner) == (AlertState.ACKNOWLEDGED, HEAD)


# ---------------------------------------------------------------- I12: tokens are never logged


@pytest.fixture
def logged(capsys):
    """A function that starts the log, and one that reads it."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield (lambda: start_logging(Log(level="debug", format="json"), [])), (lambda: capsys.readouterr().err)
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_no_log_line_holds_a_token_whatever_becomes_of_its_request(sqlite_db, logged, monkeypatch):
    words = "MARKER"

    def broken(*_, **__):
        raise RuntimeError(words)  # a traceback shows this line, not the words

    start, written_so_far = logged
    start()
    with desk_on(sqlite_db) as desk:
        url = desk.url()
        token = url.rpartition("/")[2]
        form = desk.form(url)
        requests.get(url[:-1], timeout=5)
        desk.answer(url, "acknowledge", form=form, headers={"Origin": "https://evil.example"})
        desk.answer(url, "acknowledge", form=form, note="NOTE-MARKER")
        monkeypatch.setattr("monitor.store.life.resolve", broken)
        failed = desk.answer(url, "removed", form=form)
        assert failed.status_code == 500
        written = _read_until("RuntimeError", written_so_far)
        _nonsense(desk.address, token)
    logging.getLogger("proxy").warning("upstream %s answered 502", url)
    structlog.get_logger("a").info("seen", address=url, bare=token)
    written += written_so_far()
    assert "alert answered by a link" in written
    assert "RuntimeError" in written
    assert "upstream" in written
    assert "proxy" not in token
    for part in (token, token[:30], token.rpartition(".")[2], form["proof"], "MARKER"):
        assert part not in written


def _read_until(words, written_so_far):
    """Return the log once it holds the words: a failed request is answered first, and logged then."""
    written, deadline = "", time.monotonic() + 10
    while words not in written and time.monotonic() < deadline:
        written += written_so_far()
        time.sleep(0.02)
    return written


def _nonsense(address, token):
    """Send what is no HTTP, with the token in it."""
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(f"GET /a/{token} NONSENSE\r\n\r\n".encode())
        line.recv(1000)


def test_an_error_report_holds_no_address():
    token = links.sign(Link(alert_id=1, round=0, recipient=HEAD), KEY, now=NOW)
    event = {
        "event_id": "1",
        "request": {"url": f"https://p.my/a/{token}", "headers": {"Referer": token}},
        "transaction": f"/a/{token}",
        "breadcrumbs": [{"message": token}],
        "exception": {
            "values": [
                {
                    "type": "RuntimeError",
                    "value": token,
                    "stacktrace": {"frames": [{"function": "act", "vars": {"token": token}, "context_line": token}]},
                }
            ]
        },
    }
    assert token not in repr(scrubbed(event, {}))


# ---------------------------------------------------------------- in a real browser


LOOKS = [(width, scheme) for width in (375, 600) for scheme in ("light", "dark")]


@contextmanager
def phone(browser, width=375, scheme="light", *, script=True):
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script
    )
    page = context.new_page()
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    yield page
    context.close()


def test_a_head_answers_on_a_phone_without_javascript(desk):
    """The whole way: look, acknowledge with a deadline, look again, say it was removed, correct it."""
    with chromium() as browser, phone(browser, script=False) as page:
        page.goto(desk.url())
        page.get_by_text("Tambah tempoh atau catatan").click()
        page.get_by_label("Selesai dalam tempoh").select_option("5")
        page.get_by_label("Catatan (tidak wajib)").first.fill("Saya semak malam ini")
        page.get_by_role("button", name="Akui terima").click()
        assert "Terima kasih" in page.get_by_role("status").inner_text()
        assert (desk.alert().owner, desk.alert().deadline) == (HEAD, NOW + 5 * DAY)
        page.get_by_role("link", name="English").click()
        page.get_by_role("button", name="The post was removed").click()
        assert "Thank you" in page.get_by_role("status").inner_text()
        assert desk.alert().removal is Removal.REPORTED
        page.go_back()
        page.reload()
        page.get_by_text("Correct this answer").click()
        page.get_by_role("button", name="No contravention").click()
        assert desk.alert().resolution is Resolution.FALSE_ALARM
        assert "No contravention" not in page.locator("button").all_inner_texts()


def test_a_double_tap_is_one_answer(desk):
    with chromium() as browser, phone(browser) as page:
        page.goto(desk.url())
        page.get_by_role("button", name="Akui terima").dblclick()
        page.get_by_role("status").wait_for()
    assert len(desk.events("alert acknowledged")) == 1


def test_a_page_elsewhere_cannot_answer_with_a_link_it_found(desk):
    """A real browser says where a form comes from."""
    form = "".join(f'<input name="{name}" value="{value}">' for name, value in desk.form(desk.url()).items())
    lure = (
        f'<form method="post" action="{desk.url()}">{form}<button name="action" value="acknowledge">x</button></form>'
    )
    with chromium() as browser, phone(browser) as page:
        page.set_content(lure)
        page.get_by_role("button").click()
        page.get_by_role("alert").wait_for()
    assert desk.alert().state is AlertState.OPEN


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_can_be_read(desk, width, scheme):
    masked = desk.breach("2", text=f"SULIT {'sangatpanjang' * 30} esok", disclosure=Disclosure.MASKED)
    with desk.db.write() as connection:
        options = {"severity": Severity.MEDIUM, "disclosure": Disclosure.NONE, "now": NOW, "agency": "JPD"}
        blind = open_alert(connection, dedup_key="k", kind=AlertKind.BLIND, since=NOW, **options)
    urls = [desk.url(), desk.url(alert_id=masked), desk.url(alert_id=blind), desk.address + "a/forged"]
    with chromium() as browser, phone(browser, width, scheme) as page:
        for answered in ("", "acknowledge", "removed"):
            if answered:
                desk.answer(urls[0], answered, note="catatan " * 40 + "x" * 300)
            for url in urls if not answered else urls[:1]:
                for language in ("ms", "en"):
                    page.goto(f"{url}?lang={language}&said=done")
                    for more in page.locator("summary").all():
                        more.click()
                    assert flaws(page, width) == [], (url, language, answered)
                    small = page.locator("button, a.button").evaluate_all(
                        "all => all.filter(b => b.offsetHeight < 44).map(b => b.innerText)"
                    )
                    assert small == [], "a finger needs 44 pixels"
