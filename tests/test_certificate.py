"""The coverage certificate: what it says, that it passes over no gap, and that every change of it shows."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timedelta

import pytest
from browser import chromium, flaws
from builders import NOW, WEEK_START, account, account_week, agency, finding, post
from installation import Installation

from alerts import seal
from alerts.certificate import OTHER_MAKE, UNREADABLE, UNSIGNED, certificate, figures_of, verify
from monitor import cli
from monitor.model import MALAYSIA, AccountStatus, CanaryOutcome, Cause, CoverageKind, Interval, Language, Verdict
from monitor.reports import CanaryDay
from monitor.store.accounts import claim_accounts
from monitor.store.audit import Head
from monitor.store.checks import Failure, save_failure
from monitor.store.posts import Judged, save_page
from monitor.store.proof import AccountProof, Proof, proof_of
from monitor.store.register import save_register

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
KEY = seal.new_key()
MARKUP = "<script>alert(1)</script>&\"'{{ 7*7 }}<!-- seal -->"


def gap(day=1, hour=10, length=2.5 * HOUR, cause=Cause.RATE_LIMIT):
    start = WEEK_START + timedelta(days=day, hours=hour)
    return Interval(kind=CoverageKind.GAP, start=start, end=start + length, cause=cause)


def proven(verdict=Verdict.FULL, *gaps, **changes):
    facts = {"since": WEEK_START, "alerts": 0, "unchecked": 0}
    facts |= {name: changes.pop(name) for name in tuple(facts) if name in changes}
    return AccountProof(coverage=account_week(verdict, *gaps, **changes), **facts)


def canary(day, outcome=CanaryOutcome.ARRIVED):
    began = WEEK_START + timedelta(days=day, hours=7.5)
    accepted = began + timedelta(seconds=2.1) if outcome is CanaryOutcome.ARRIVED else None
    return CanaryDay(day=date(2026, 11, 16 + day), outcome=outcome, began_at=began, accepted_at=accepted)


def proof(*accounts, **changes):
    facts = {
        "agency": agency(),
        "start": WEEK_START,
        "end": WEEK_START + WEEK,
        "until": WEEK_START + WEEK,
        "accounts": accounts or (proven(),),
        "left_out": (),
        "canaries": tuple(canary(day) for day in range(7)),
        "rule_sets": ("r1",),
        "head": Head(seq=12, hash="ab" * 32),
    }
    return Proof(**{**facts, **changes})


def figures(what=None, language=Language.MS, key=KEY):
    return figures_of(
        what or proof(),
        period="2026-W47",
        rule_set="r1",
        language=language,
        key=seal.public_key(key),
        version="0.1.0",
        now=NOW,
    )


def issued(what=None, language=Language.MS, key=KEY):
    return certificate(figures(what, language, key), key)


def words(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page.partition("<main>")[2]).split())


# ---------------------------------------------------------------- what it says


def test_a_week_without_a_gap_is_fully_monitored():
    page = words(issued(language=Language.EN))
    assert "FULLY MONITORED" in page
    assert "All registered active accounts (1) were read through the whole period without a gap." in page
    assert "7 of 7 days: the test notice arrived (at most 2.1 s)" in page
    assert f"12:{'ab' * 32}" in page


@pytest.mark.parametrize(
    ("posts", "said"),
    [
        pytest.param(34, "0 dalam yang dibaca", id="what was read held nothing"),
        pytest.param(0, "tidak diketahui", id="nothing was read, so nothing is known"),
    ],
)
def test_over_a_gap_it_never_says_that_nothing_was_found(posts, said):
    what = proof(proven(Verdict.GAPS, gap(), posts=posts), proven())
    page = words(issued(what))
    assert said in page
    assert "DIPANTAU SEBAHAGIAN MASA" in page
    assert "tidak menyatakan apa-apa tentang hantaran yang tidak dibaca" in page


def test_every_gap_stands_there_with_its_time_length_and_cause():
    gaps = (gap(), gap(3, 22, 5 * HOUR, Cause.STOPPED), *(gap(5, n, timedelta(minutes=9)) for n in range(20)))
    page = words(issued(proof(proven(Verdict.GAPS, *gaps)), Language.EN))
    assert "17/11 10:00–12:30 (2 h 30 min): the platform's limit of reads is used up".replace("'", "&#39;") in page
    assert "19/11 22:00 – 20/11 03:00 (5 h): Pantau was not running" in page
    assert page.count("(9 min)") == 20


def test_the_share_read_is_rounded_down_so_that_no_gap_vanishes():
    minute = gap(length=timedelta(seconds=1))
    page = words(issued(proof(proven(Verdict.GAPS, minute, covered=0.9999999))))
    assert "99.99 %" in page
    assert "100 %" not in page


def test_accounts_that_nobody_reads_and_posts_that_nobody_judged_are_named():
    idle = account("@lama", status=AccountStatus.PAUSED)
    page = words(issued(proof(proven(unchecked=3), left_out=(idle,)), Language.EN))
    assert "Registered but not monitored when certified : x/@lama (paused)." in page
    assert "3 posts were read but could not be checked by the rules." in page


def test_an_account_registered_within_the_period_says_since_when():
    late = proven(since=WEEK_START + 2 * DAY + 9 * HOUR)
    assert "Registered Wednesday, 18 November 2026, 09:00" in words(issued(proof(late), Language.EN))


def test_days_whose_canary_did_not_arrive_are_named():
    days = (canary(0), canary(1, CanaryOutcome.MISSING), canary(2, CanaryOutcome.NOT_RUN))
    page = words(issued(proof(canaries=days), Language.EN))
    assert "1 of 3 days: the test notice arrived (at most 2.1 s); 17/11 missing, 18/11 not run" in page


def test_a_period_that_still_runs_says_so():
    page = words(issued(proof(until=WEEK_START + 2 * DAY), Language.EN))
    assert "This period has not ended : certified up to Wednesday, 18 November 2026, 00:00" in page


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ((Verdict.FULL, Verdict.FULL), Verdict.FULL),
        ((Verdict.FULL, Verdict.BLIND), Verdict.GAPS),
        ((Verdict.BLIND, Verdict.BLIND), Verdict.BLIND),
        ((Verdict.GAPS,), Verdict.GAPS),
    ],
)
def test_the_whole_verdict_is_no_better_than_the_accounts(verdicts, whole):
    assert proof(*(proven(one) for one in verdicts)).verdict is whole


def test_names_that_mean_harm_stay_names():
    what = proof(proven(account=account(MARKUP)), agency=agency(head_name=MARKUP))
    page = issued(what)
    assert "<script>alert" not in page
    assert verify(page).wrong == ()
    assert verify(page).figures["accounts"][0]["account"] == f"x/{MARKUP}"


# ---------------------------------------------------------------- the seal


def test_a_certificate_as_issued_verifies_also_with_other_line_ends():
    page = issued()
    for copy in (page, page.replace("\n", "\r\n"), "\ufeff" + page):
        found = verify(copy)
        assert (found.wrong, found.signed) == ((), True)
        assert found.key == seal.public_key(KEY)


def test_a_changed_word_of_the_page_is_named():
    page = issued(proof(proven(Verdict.GAPS, gap()))).replace("93.00 %", "99.00 %")
    found = verify(page)
    assert found.signed
    assert found.wrong[0] == "the page was changed after signing:"
    assert "  signed: 93.00 %" in found.wrong
    assert "  shown : 99.00 %" in found.wrong


def test_a_gap_taken_out_of_the_page_is_named():
    page = re.sub(r"<li>.*?</li>", "", issued(proof(proven(Verdict.GAPS, gap()))))
    assert any("17/11 10:00–12:30" in line for line in verify(page).wrong)


def test_a_changed_figure_breaks_the_signature():
    page = issued(proof(proven(Verdict.GAPS, gap()))).replace('"read_ppm":930000', '"read_ppm":990000')
    found = verify(page)
    assert not found.signed
    assert found.wrong[0] == UNSIGNED


def test_a_page_and_figures_changed_together_break_the_signature():
    better = figures(proof(proven()))
    forged = certificate(better, seal.new_key())  # signed by another, with this installation's key in it
    assert verify(forged).wrong == (UNSIGNED,)


def test_a_seal_signed_anew_shows_another_key():
    other = seal.new_key()
    found = verify(issued(key=other))
    assert found.wrong == ()
    assert found.key != seal.public_key(KEY)


def test_markup_that_hides_what_is_shown_is_found():
    page = issued(proof(proven(Verdict.GAPS, gap())))
    for changed in (
        page.replace("<ul class=", '<ul style="display:none" class='),
        page.replace("</style>", ".holes { display: none }</style>"),
        page.replace("</script>\n<p", '</script>\n<p style="color:red">100 %</p>\n<p'),
        page.replace("</footer>", page[page.index("<script type") : page.index("</footer>")] + "</footer>"),
    ):
        assert changed != page
        assert verify(changed).wrong


def test_a_page_of_another_version_cannot_be_compared_word_by_word(monkeypatch):
    page = issued().replace("dipantau", "diabaikan")
    monkeypatch.setattr("alerts.certificate.SEAL_PLACE", "<!-- another make -->\n")
    assert OTHER_MAKE in verify(page).wrong


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html>hello</html>",
        '<script type="application/json" id="pantau-figures">{}</script>\n<p class="signature">AA==</p>\n',
        '<script type="application/json" id="pantau-figures">[1]</script>\n<p class="signature">AA==</p>\n',
        '<script type="application/json" id="pantau-figures">' + "[" * 9999 + '</script>\n<p class="signature">A</p>\n',
    ],
)
def test_what_is_no_certificate_is_said_to_be_none(page):
    assert verify(page).wrong == (UNREADABLE,)


def test_the_signature_is_plain_ed25519_over_the_text_in_the_page():
    """Anybody can verify without Pantau: this is what a few lines of another program would do."""
    from base64 import b64decode

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    page = issued()
    text = page.partition('id="pantau-figures">')[2].partition("</script>")[0]
    signature = page.partition('class="signature">')[2].partition("</p>")[0]
    key = Ed25519PublicKey.from_public_bytes(b64decode(json.loads(text)["key"]))
    key.verify(b64decode(signature), text.encode())


def test_a_key_answers_to_its_text_and_its_fingerprint():
    key = seal.public_key(KEY)
    assert key.answers_to(key.text)
    assert key.answers_to(key.fingerprint)
    assert key.answers_to(key.fingerprint.replace(" ", "").upper())
    assert not key.answers_to(key.fingerprint[:-1])
    assert not key.answers_to("")


# ---------------------------------------------------------------- from the database


def test_the_proof_tells_an_agency_s_accounts_and_no_other_s(db):
    others = agency("JKM")
    mine = [account("jpd"), account("lama", status=AccountStatus.PAUSED)]
    save_register(db, [agency(), others], [*mine, account("jkm", agency="JKM")], now=WEEK_START)
    for holder in claim_accounts(db, now=WEEK_START, lease=HOUR, limit=9, platform="x"):
        if holder.account.handle == "jpd":
            judged = Judged(post=post(published_at=WEEK_START), findings=(finding(),))
            save_page(db, holder, [judged], rule_set="r7", now=WEEK_START + HOUR, reread_window=HOUR, end=None)
            save_failure(
                db,
                Failure(
                    claimed=holder,
                    cause=Cause.UNAVAILABLE,
                    error="no answer",
                    now=WEEK_START + 2 * HOUR,
                    interval=HOUR,
                    next_check_at=WEEK_START + 3 * HOUR,
                    retry_at=None,
                    blind_after=DAY,
                ),
            )
    found = proof_of(
        db, "jpd", start=WEEK_START, end=WEEK_START + WEEK, now=WEEK_START + DAY, patience=HOUR, degraded=()
    )
    assert found is not None
    (only,) = found.accounts
    assert (only.coverage.account.handle, only.coverage.posts, only.alerts) == ("jpd", 1, 1)
    assert only.coverage.gaps[-1].cause is Cause.UNAVAILABLE
    assert found.until == WEEK_START + DAY
    assert [one.handle for one in found.left_out] == ["lama"]
    assert found.rule_sets == ("r7",)
    assert found.head.seq > 0
    assert proof_of(db, "XXX", start=WEEK_START, end=NOW, now=NOW, patience=HOUR, degraded=()) is None


# ---------------------------------------------------------------- the command line


TOML = """[database]
url = "sqlite:///pantau.db"
[mail]
folder = "mail"
[canary]
enabled = false
[connectors.x]
bearer_token = "t"
base_url = "http://127.0.0.1:1/x"
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    made = Installation(tmp_path_factory.mktemp("here"), TOML, [("JPD", "x", "jpd", ""), ("JPD", "x", "kedua", "")])
    made.write().run("once")  # nothing answers: both accounts are blind
    return made


@pytest.fixture
def pantau(here, monkeypatch, capsys):
    """Run a command in this process, as `main` does: returns exit code and errors."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["pantau", "--config", str(here.folder), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr().err

    return call


def this_week():
    year, week, _ = datetime.now(MALAYSIA).isocalendar()
    return f"{year}-W{week:02d}"


def test_a_certificate_is_issued_and_verified_by_the_command_line(here, tmp_path):
    page = tmp_path / "perakuan.html"
    ran = here.run("certificate", "issue", "jpd", "--week", this_week(), "--out", str(page))
    assert ran.code == 0, ran.err
    assert "blind" in ran.out
    assert "TIDAK DAPAT DIPANTAU" in page.read_text()
    ran = here.run("certificate", "verify", str(page))
    assert ran.code == 0, ran.err
    assert "x/jpd: blind, 0.00 % read" in ran.out
    assert "unchanged since" in ran.out
    page.write_text(page.read_text().replace("TIDAK DAPAT DIPANTAU", "DIPANTAU SEPENUHNYA"))
    ran = here.run("certificate", "verify", str(page))
    assert ran.code == 1
    assert "signed: TIDAK DAPAT DIPANTAU" in ran.err
    assert "shown : DIPANTAU SEPENUHNYA" in ran.err


def test_another_installation_needs_the_key_to_verify(here, tmp_path):
    page = tmp_path / "perakuan.html"
    month = f"{datetime.now(MALAYSIA):%Y-%m}"
    assert here.run("certificate", "issue", "JPD", "--month", month, "--out", str(page), "--lang", "en").code == 0
    shown = here.run("certificate", "key").out
    elsewhere = Installation(tmp_path / "elsewhere", TOML)
    elsewhere.folder.mkdir()
    elsewhere.write()
    unsure = elsewhere.run("certificate", "verify", str(page))
    assert unsure.code == 1
    assert "give --key" in unsure.err
    for name in (line[len("fingerprint  ") :] for line in shown.splitlines()):
        assert elsewhere.run("certificate", "verify", str(page), "--key", name).code == 0, name
    elsewhere.run("once")
    stranger = elsewhere.run("certificate", "verify", str(page))
    assert stranger.code == 1
    assert "not by this installation" in stranger.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("JPX", "--out", "a.html"), "'JPX': no such agency; did you mean JPD?"),
        (("JPD", "--out", "a.pdf"), "expected a file name that ends in .html"),
        (("JPD", "--out", "a.html", "--week", "2026-W99"), "there is no such week"),
        (("JPD", "--out", "a.html", "--month", "2026-13"), "is not a month"),
        (("JPD", "--out", "a.html", "--month", "2999-01"), "has not begun yet"),
        (("JPD", "--out", "a.html", "--week", "2026-W01", "--month", "2026-01"), "choose one of the two"),
        (("JPD", "--out", "a.html", "--week", "2020-W01"), "nothing to certify"),
        (("JPD", "--out", "a.html", "--lang", "fr"), "expected ms or en"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_written(pantau, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, errors = pantau("certificate", "issue", *arguments)
    assert (code, said in errors) == (2, True), errors
    assert list(tmp_path.iterdir()) == []


def test_coverage_names_gaps_with_causes_and_lengths_and_sums_up_each_agency(here):
    table = here.run("coverage", "--week", this_week()).out
    assert "JPD: 0 of 2 accounts fully monitored, 2 blind" in table
    assert re.search(r"platform unavailable (< 1|\d+) min since 20", " ".join(table.split()))
    rows = here.listed("coverage", "--week", this_week())
    assert {row["account"] for row in rows} == {"jpd", "kedua"}
    assert set(rows[0]) == {"agency", "platform", "account", "verdict", "covered", "gaps"}
    assert set(rows[0]["gaps"][0]) == {"from", "to", "cause"}
    assert here.listed("coverage", "--agency", "jpd") != []
    unknown = here.run("coverage", "--agency", "jkm")
    assert (unknown.code, "no registered agency" in unknown.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--week", "2026-W47", "--days", "3"), "choose one of the two"),
        (("--week", "W47"), "is not a week"),
        (("--week", "2999-W01"), "has not begun yet"),
    ],
)
def test_a_week_that_is_none_is_bad_usage(pantau, arguments, said):
    code, errors = pantau("coverage", *arguments)
    assert (code, said in errors) == (2, True), errors


# ---------------------------------------------------------------- on paper and on a phone


def test_it_reads_on_a_phone_and_prints_on_one_page_with_every_gap(tmp_path):
    pytest.importorskip("pypdfium2")
    import pypdfium2

    gaps = (gap(), gap(3, 22, 5 * HOUR, Cause.STOPPED))
    long_name = account("jabatanperkhidmatandemonegaramalaysia", "facebook")
    what = proof(
        proven(), proven(account=long_name, alerts=2), proven(Verdict.GAPS, *gaps), proven(Verdict.BLIND, gap())
    )
    with chromium() as browser:
        for language in Language:
            file = tmp_path / f"{language.value}.html"
            file.write_text(issued(what, language))
            page = browser.new_page(viewport={"width": 375, "height": 800})
            page.goto(file.as_uri())
            assert flaws(page, 375) == []
            page.emulate_media(media="print")
            printed = pypdfium2.PdfDocument(page.pdf(prefer_css_page_size=True))
            assert len(printed) == 1
            text = printed[0].get_textpage().get_text_range()
            assert "20/11 03:00" in text
            assert seal.public_key(KEY).fingerprint in text
            printed.close()
            page.close()
