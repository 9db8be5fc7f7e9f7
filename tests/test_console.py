from datetime import timedelta

import pytest
import requests
from browser import chromium, flaws
from builders import NOW, account, agency, finding, post

from monitor.budget import Grant
from monitor.model import Cause, Resolution
from monitor.settings import Web
from monitor.store import budget, life
from monitor.store.accounts import claim_accounts
from monitor.store.alerts import find_case
from monitor.store.checks import Failure, save_failure
from monitor.store.listings import list_alerts
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register
from monitor.web.console import Console, build
from monitor.web.server import ListenError, bind, serving

MINUTE = timedelta(minutes=1)
MARKER = "RAHSIA-MARKER <script>alert(1)</script>"


@pytest.fixture
def stalled():
    return []


@pytest.fixture
def failing():
    return []


@pytest.fixture
def console(sqlite_db, stalled, failing):
    save_register(sqlite_db, [agency()], [account("jpd"), account("<b>bad</b>")], now=NOW)
    first, second = claim_accounts(sqlite_db, now=NOW, lease=MINUTE, limit=9, platform="x")
    judged = Judged(post=post(text=MARKER), findings=(finding(),))
    save_page(sqlite_db, first, [judged], rule_set="r", now=NOW, reread_window=MINUTE, end=None)
    save_failure(
        sqlite_db,
        Failure(
            claimed=second,
            cause=Cause.NOT_FOUND,
            error="X knows no such account",
            now=NOW + MINUTE,
            interval=MINUTE,
            next_check_at=NOW,
            retry_at=None,
            blind_after=MINUTE,
        ),
    )
    pages = build(
        Console(
            db=sqlite_db,
            web=Web(),
            patience=MINUTE,
            degraded=lambda: {"x"},
            stalled=lambda: stalled,
            failing=lambda: failing,
            clock=lambda: NOW + 2 * MINUTE,
        )
    )
    with serving(pages, bind(Web(listen="127.0.0.1:0"))) as address:
        yield lambda path, **options: requests.get(address + path[1:], timeout=5, **options)


def test_no_page_shows_a_post_s_text_or_runs_what_a_name_holds(console, sqlite_db):
    case = next(one.case for one in list_alerts(sqlite_db) if one.rules)
    for path in ("/", "/alerts", f"/alerts/{case}"):
        answer = console(path)
        assert answer.status_code == 200
        assert "RAHSIA-MARKER" not in answer.text
        assert "<b>bad" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_overview_tells_how_budgets_and_credentials_will_last(console, sqlite_db):
    assert "Budgets and credentials" not in console("/").text
    budget.save_end(sqlite_db, "x", NOW + timedelta(days=10), NOW)
    told = Grant(platform="x", name="calls", limit=900, remaining=9, resets_at=NOW + 15 * MINUTE, seen_at=NOW)
    budget.save_spending(sqlite_db, "x", {}, [told], NOW)
    page = console("/").text
    assert '<strong class="warn">x</strong>: the credential ends on 2026-12-04' in page
    assert "<strong>x</strong>: calls: 240 of 3,600 an hour are needed to read 2 accounts as promised" in page


def test_the_page_of_a_case_names_who_answered_and_how(console, sqlite_db):
    case = next(one.case for one in list_alerts(sqlite_db) if one.rules)
    number = find_case(sqlite_db, case)
    life.acknowledge(sqlite_db, number, by="<b>aminah", deadline=NOW + 9 * MINUTE, via="link", now=NOW)
    assert "by &lt;b&gt;aminah, 2026-11-24 12:00; until 2026-11-24 12:09" in console(f"/alerts/{case}").text
    life.resolve(sqlite_db, number, resolution=Resolution.ACCEPTED, by="x", via="link", now=NOW + MINUTE)
    assert "; accepted, 2026-11-24 12:01" in console(f"/alerts/{case}").text


def test_the_first_page_names_the_blind_account_and_its_cause(console):
    page = console("/").text
    assert "account not found" in page
    assert "blind" in page
    assert "0 fully monitored" in page


@pytest.mark.parametrize(
    ("path", "said"), [("/alerts/PTU-2026-999999", "No alert has this case number"), ("/rules", "Not found")]
)
def test_what_is_not_there_is_a_page_that_leads_on(console, path, said):
    answer = console(path)
    assert (answer.status_code, answer.headers["X-Frame-Options"]) == (404, "DENY")
    assert said in answer.text
    assert '<a href="/alerts">' in answer.text


def test_another_host_name_is_refused(console):
    """A page elsewhere must not read this one through a name of its own."""
    assert console("/", headers={"Host": "evil.example"}).status_code == 400


def test_health_measures_progress(console, stalled):
    media = {"waiting": 0, "oldest": None}
    well = {"status": "ok", "stalled": [], "failing": [], "media": media, "troubles": []}
    assert console("/healthz").json() == well
    stalled.append("outbox")
    answer = console("/healthz")
    assert (answer.status_code, answer.json()["stalled"]) == (503, ["outbox"])


def test_a_tick_that_fails_again_and_again_is_no_health(console, failing):
    failing.append("poll:x")
    answer = console("/healthz")
    assert (answer.status_code, answer.json()["status"], answer.json()["failing"]) == (503, "failing", ["poll:x"])


def test_a_taken_address_is_named_with_the_remedy():
    with bind(Web(listen="127.0.0.1:0")) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"web\.listen: 127\.0\.0\.1:{port}: .*choose another port"):
            bind(Web(listen=f"127.0.0.1:{port}"))


def test_the_console_leads_from_the_accounts_to_an_alert_and_can_be_read_on_a_phone(console):
    address = console("/").url
    with chromium() as browser:
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 375, "height": 800}, color_scheme=scheme)
            page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
            page.goto(address)
            assert flaws(page, 375) == []
            verdict = page.get_by_text("blind", exact=True).first.bounding_box()
            assert verdict["x"] + verdict["width"] <= 375  # seen without scrolling sideways
            page.get_by_role("link", name="PTU-2026-").first.click()
            assert "suspected post, " in page.locator("h1").inner_text()
            assert flaws(page, 375) == []
            page.close()
