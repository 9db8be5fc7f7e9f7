import re
from dataclasses import replace
from datetime import timedelta
from email.header import decode_header

import pytest
from builders import NOW, account, agency, alert, delivery, finding, post
from hypothesis import given
from hypothesis import strategies as st
from mail_servers import read_mail

from alerts.breaches import broken_clauses
from alerts.case_words import answer_link
from alerts.compose import compose_alert, compose_test
from alerts.envelope import Envelope, envelope_of
from alerts.message import letter_bytes, mail_bytes, mail_message
from alerts.rendering import Letter
from alerts.samples import ENDING
from monitor import links
from monitor.budget import Forecast, written
from monitor.disclosure import _visible, one_line
from monitor.model import AlertKind, Cause, Clause, Disclosure, Language, Media, MediaKind, Severity
from monitor.reports import CANARY_NO_CONTACT, CANARY_NOT_ACCEPTED, CANARY_NOT_FOUND, CANARY_WAITS
from monitor.settings.load import load_settings

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ENVELOPE = Envelope(
    sender="Pantau <pantau@jdn.example.my>",
    slogans=("MALAYSIA MADANI", "BERKHIDMAT UNTUK NEGARA"),
    post_link=True,
    public_url="https://pantau.example.my",
)
MASKED = finding(disclosure=Disclosure.MASKED, spans=((0, 5),))


def composed(about=None, envelope=ENVELOPE, *, now=NOW, **changes):
    return read_mail(compose_alert(about or alert(), delivery(**changes), envelope, now=now))


def text_of(mail):
    """Return a mail's text with its folded lines joined; what is apart by an empty line or an indent stays apart."""
    return re.sub(r"(?<=\S)\r?\n(?=\S)", " ", mail.get_body(("plain",)).get_content())


def html_of(mail):
    return mail.get_body(("html",)).get_content()


# ---------------------------------------------------------------- the letter


def test_the_malay_letter_has_the_official_form():
    mail = composed()
    parts = [
        "24 November 2026",
        "Datuk Aminah binti Osman",
        "Y.Bhg. Datuk,",
        "[SEGERA] MAKLUMAN HANTARAN MEDIA SOSIAL YANG MUNGKIN MELANGGAR PERENGGAN 3(c) – x/jpd",
        "Dengan segala hormatnya saya merujuk perkara di atas.",
        "\n2. ",
        "\n3. ",
        "\n4. ",
        "\n5. ",
        "\n6. ",
        "Sekian, terima kasih.",
        '"MALAYSIA MADANI"',
        "Makluman ini dijana secara automatik; tandatangan tidak diperlukan.",
    ]
    words = text_of(mail)
    places = [words.index(part) for part in parts]
    assert places == sorted(places)
    assert mail["Subject"] == parts[3]


def test_the_clause_is_quoted_in_malay_and_explained_in_english_mails_only():
    english = text_of(composed(language=Language.EN))
    assert "tidak melibatkan …" in english
    assert "no detailed information" in english
    malay = text_of(composed())
    assert "tidak melibatkan …" in malay
    assert "no detailed information" not in malay


@pytest.mark.parametrize("language", Language)
def test_a_system_only_suspects(language):
    words = text_of(composed(language=language))
    assert ("mungkin" in words and "disyaki" in words) or ("may" in words and "suspected" in words)


def test_the_head_is_addressed_as_the_register_says_and_others_as_nobody_in_particular():
    assert "Y.Bhg. Datuk," in text_of(composed(recipient="KETUA@jpd.example.my"))
    other = text_of(composed(recipient="timbalan@jpd.example.my"))
    assert "Tuan/Puan," in other
    assert "Datuk" not in other


def test_without_a_salutation_in_the_register_none_is_made_up():
    about = alert(agency=agency(head_salutation=""))
    assert "Tuan/Puan," in text_of(composed(about))


@pytest.mark.parametrize(
    ("severity", "urgent"), [(Severity.MEDIUM, False), (Severity.HIGH, True), (Severity.CRITICAL, True)]
)
def test_urgent_is_what_is_high_or_critical(severity, urgent):
    mail = composed(alert(severity=severity))
    assert ("[SEGERA]" in mail["Subject"]) is urgent
    assert (mail["Importance"] == "high") is urgent


def test_several_findings_of_one_post_are_one_mail_by_clause_strongest_first():
    fourth = Clause(instrument="mampu-2009", ref="4", ms="Sebarang perbuatan …", en="any act …")
    about = alert(
        post=post(media=(Media(kind=MediaKind.VIDEO, url="v"), Media(kind=MediaKind.PICTURE, url="p"))),
        findings=(
            finding("mampu-2009/4/phone", Severity.MEDIUM, clause=fourth, title_ms="Telefon"),
            finding("mampu-2009/4/mykad", Severity.HIGH, clause=fourth, title_ms="MyKad"),
            finding(),
            finding(field="picture:1"),
        ),
    )
    assert "PERENGGAN 3(c) DAN 4" in composed(about)["Subject"]
    assert "PARAGRAPHS 3(c) AND 4" in composed(about, language=Language.EN)["Subject"]
    third, four = broken_clauses(about, Language.MS)
    assert (third.name, four.name) == ("3(c)", "4")
    assert [breach.title for breach in four.breaches] == ["MyKad", "Telefon"]
    assert third.breaches[0].places == "dalam teks dan dalam gambar 1", "the video is not counted as a picture"


# ---------------------------------------------------------------- disclosure


@pytest.mark.parametrize(
    ("level", "of_findings", "expected"),
    [
        (Disclosure.NONE, Disclosure.FULL, None),
        (Disclosure.FULL, Disclosure.NONE, None),
        (Disclosure.MASKED, Disclosure.FULL, "█████ Minit"),
        (Disclosure.FULL, Disclosure.MASKED, "█████ Minit"),
        (Disclosure.FULL, Disclosure.FULL, "SULIT Minit"),
    ],
)
def test_the_strictest_level_decides_what_is_shown(level, of_findings, expected):
    about = alert(post=post(text="SULIT\nMinit"), disclosure=level, findings=(finding(disclosure=of_findings),))
    mail = composed(about)
    for words in (text_of(mail), html_of(mail)):
        assert ("Minit" in words) is (expected is not None)
        assert expected is None or expected in words
        assert ("sengaja tidak diulang" in words) is (expected is None)


def test_an_excerpt_of_a_text_is_not_shown_for_a_match_in_a_picture():
    about = alert(
        post=post(text="Lihat poster"),
        disclosure=Disclosure.FULL,
        findings=(finding(disclosure=Disclosure.FULL, field="picture:0"),),
    )
    assert "Lihat poster" not in text_of(composed(about))


def test_links_in_an_excerpt_are_dead():
    about = alert(
        post=post(text="SULIT lihat https://evil.example/x atau evil2.example"),
        disclosure=Disclosure.MASKED,
        findings=(MASKED,),
    )
    mail = composed(about)
    for words in (text_of(mail), html_of(mail)):
        assert "evil.example" not in words
        assert "evil2.example" not in words
        assert "evil[.]example" in words


@pytest.mark.parametrize("about", ["Traceback\nRuntimeError: SULIT-MARKER", "re.error: SULIT-MARKER", "SULIT MARKER"])
def test_an_evaluation_mail_names_the_error_s_kind_and_nothing_it_quotes(about):
    what = alert(kind=AlertKind.EVALUATION, findings=(), detail=about)
    assert "MARKER" not in text_of(composed(what, template="evaluation", step="operators"))


@pytest.mark.parametrize(("step", "told"), [("first", False), ("security-team", True), ("operators", True)])
def test_a_head_is_told_the_cause_and_only_technical_people_the_library_s_words(step, told):
    what = alert(kind=AlertKind.BLIND, cause=Cause.NOT_FOUND, since=NOW - timedelta(hours=27), detail="HTTP 404")
    words = text_of(composed(what, template="blind", step=step))
    assert ("HTTP 404" in words) is told
    assert "akaun tidak ditemui" in words
    assert "1 hari 3 jam" in words


# ---------------------------------------------------------------- links


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://x.com/i/status/1", "https://x.com/i/status/1"),
        ("javascript:alert(1)", ""),
        ("data:text/html,<script>", ""),
        ("https:///nowhere", ""),
        ("https://[bad", ""),
        ("", ""),
        ("https://x.com/" + "a" * 1000, ""),
        ("https://x.com/\u202egnp.exe\r\nBcc: a@b", "https://x.com/gnp.exe%20Bcc:%20a@b"),
        ('https://x.com/"><script>', "https://x.com/%22%3E%3Cscript%3E"),
    ],
)
def test_a_mail_links_to_the_post_only_by_an_address_a_browser_opens_harmlessly(url, shown):
    mail = composed(alert(post=post(url=url)))
    words = text_of(mail)
    assert ("Pautan" in words) is bool(shown)
    assert shown in words
    assert ("Lihat hantaran</a>" in html_of(mail)) is bool(shown)


def test_the_link_can_be_left_out():
    quiet = replace(ENVELOPE, post_link=False, public_url="")
    mail = composed(envelope=quiet)
    assert "http" not in text_of(mail)
    assert "href" not in html_of(mail)


def test_the_case_s_record_is_linked_for_those_who_have_the_console():
    record = "https://pantau.example.my/alerts/PTU-2026-000001"
    linked = replace(ENVELOPE, link_key="k" * 64)
    assert record in text_of(composed(envelope=linked, recipient="pasukan@csirt.example.my"))
    assert record not in text_of(composed(envelope=linked))  # the head has the page to answer


# ---------------------------------------------------------------- other kinds


def test_a_dead_letter_names_the_case_the_person_and_the_server_s_words():
    what = alert(kind=AlertKind.DEAD_LETTER, findings=(), detail="PTU-2026-000412 → a@b.my: mx:587: 550 no such user")
    mail = composed(what, template="dead_letter", step="first")
    for part in ("PTU-2026-000412", "a@b.my", "mx:587: 550 no such user"):
        assert part in text_of(mail)
    assert "PTU-2026-000412" in mail["Subject"]
    assert 'href="https://pantau.example.my/alerts/PTU-2026-000412"' in html_of(mail)


def test_a_credential_mail_names_the_platform_as_people_know_it():
    what = alert(
        kind=AlertKind.CREDENTIAL, agency=None, account=None, post=None, findings=(), detail="x: 401 Unauthorized"
    )
    mail = composed(what, template="credential", step="operators", recipient="ops@x.my")
    assert mail["Subject"].endswith("X (Twitter)")
    assert "401 Unauthorized" in text_of(mail)


@pytest.mark.parametrize(
    ("platform", "language", "name"),
    [("web", Language.MS, "laman web"), ("rss", Language.EN, "website (RSS)"), ("tiktok", Language.MS, "TikTok")],
)
def test_an_alert_names_a_web_site_in_the_reader_s_language(platform, language, name):
    what = replace(alert(), account=account("jpd", platform))
    assert re.search(rf"Platform +: {re.escape(name)}\r?\n", text_of(composed(what, language=language)))


def forecast_mail(forecast, language=Language.EN, **changes):
    what = alert(
        kind=AlertKind.FORECAST,
        severity=Severity.MEDIUM,
        agency=None,
        account=None,
        post=None,
        findings=(),
        detail=written(forecast),
    )
    told = {"template": "forecast", "step": "operators", "recipient": "ops@x.my", "language": language}
    return composed(replace(what, **changes), **{**told, **({"template": "recovery"} if changes else {})})


@pytest.mark.parametrize(
    ("forecast", "subject", "words"),
    [
        pytest.param(
            Forecast(platform="x", name="posts", limit=9000, spent=8000, ends_at=NOW, resets_at=NOW + 5 * DAY),
            "NOTICE OF A BUDGET OF READS THAT WILL NOT SUFFICE – X (Twitter)",
            (
                "posts: 8,000 of 9,000 for this month are spent; at this rate it ends on 24 November 2026",
                "Raise the month's limit",
            ),
            id="a month's budget",
        ),
        pytest.param(
            Forecast(platform="x", name="calls", limit=4000, needed=3900, accounts=975),
            "NOTICE OF A BUDGET OF READS THAT WILL NOT SUFFICE – X (Twitter)",
            ("calls: 3,900 an hour are needed for 975 accounts", "polling.max_interval"),
            id="calls",
        ),
        pytest.param(
            Forecast(platform="facebook", name="credential", ends_at=NOW + 3 * DAY),
            "NOTICE OF A CREDENTIAL THAT ENDS – Facebook",
            ("the credential ends on 27 November 2026", "Get a new access token"),
            id="a credential",
        ),
    ],
)
def test_a_forecast_says_what_ends_when_and_what_to_do(forecast, subject, words):
    mail = forecast_mail(forecast)
    assert mail["Subject"] == subject
    text = " ".join(text_of(mail).split())
    assert all(part in text for part in words)
    assert "Ramalan" in text_of(forecast_mail(forecast, Language.MS))


def test_a_budget_that_suffices_again_was_no_refused_token():
    forecast = Forecast(platform="x", name="calls", limit=4000, needed=900, accounts=225)
    mail = forecast_mail(forecast, recovered_at=NOW + HOUR)
    assert mail["Subject"] == "NOTICE OF A BUDGET OR CREDENTIAL THAT SUFFICES AGAIN – X (Twitter)"
    assert "refused" not in text_of(mail)


@pytest.mark.parametrize(("language", "since"), [(Language.MS, "Diramalkan pada"), (Language.EN, "Forecast on")])
def test_a_forecast_that_passed_tells_of_no_outage_that_never_was(language, since):
    mail = forecast_mail(ENDING, language, recovered_at=NOW, cause=Cause.RATE_LIMIT, since=NOW - timedelta(hours=5))
    text = text_of(mail)
    assert since in text
    for untrue in ("Terputus", "Sebab", "Lost since", "Cause"):
        assert untrue not in text
    assert re.search(r"\n\n4\. ", text.replace("\r", "")), "a paragraph of its own"


def test_a_credential_that_ends_is_followed_by_word_of_the_new_one():
    assert "apabila token yang baharu digunakan" in " ".join(text_of(forecast_mail(ENDING, Language.MS)).split())


@pytest.mark.parametrize(
    "why",
    [
        f"{CANARY_NOT_ACCEPTED}: {CANARY_NO_CONTACT}",
        f"{CANARY_NOT_ACCEPTED}: {CANARY_WAITS}",
        f"{CANARY_NOT_FOUND}: mampu-2009/4/mykad: the rules raised ValueError",
    ],
)
def test_why_the_daily_proof_failed_is_told_in_malay(why):
    told = alert(kind=AlertKind.CANARY_MISSING, agency=None, account=None, post=None, findings=(), detail=why)
    text = " ".join(text_of(composed(told, template="canary_missing", step="operators")).split())
    assert re.search(r"Sebab : (pelayan mel tidak menerimanya dalam masa sejam|peraturan yang berkuat kuasa)", text)
    for english in ("not accepted", "nobody could", "waits for", "do not find"):
        assert english not in text


def test_a_recovery_says_how_long_it_lasted():
    what = alert(kind=AlertKind.BLIND, findings=(), since=NOW, recovered_at=NOW + timedelta(hours=5))
    assert "5 jam" in text_of(composed(what, template="recovery", now=NOW + timedelta(days=9)))


def test_an_agency_without_any_address_is_said_to_lack_one():
    nobody = alert(agency=agency(head_email="", deputy_email="", ictso_email=""))
    words = text_of(composed(nobody, step="operators", recipient="ops@x.my"))
    assert "tiada alamat e-mel dalam daftar" in words


@pytest.mark.parametrize("step", ["security-team", "round-2-security-team"])
def test_the_security_team_is_told_that_a_head_has_no_address(step):
    headless = alert(agency=agency(head_email=""))
    words = text_of(composed(headless, step=step, recipient="team@x.my"))
    assert "Alamat e-mel Ketua Jabatan tiada dalam daftar" in words
    assert "tiada alamat e-mel dalam daftar" not in words
    assert "tiada dalam daftar" not in text_of(composed(alert(), step=step, recipient="team@x.my"))


def test_the_test_mail_speaks_both_languages_and_has_an_identity_of_its_own():
    first, mail = compose_test("a@b.my", ENVELOPE, now=NOW)
    later, _ = compose_test("a@b.my", ENVELOPE, now=NOW + timedelta(seconds=1))
    words = text_of(read_mail(mail))
    assert "menguji laluan e-mel" in words
    assert "This mail tests" in words
    assert read_mail(mail)["Message-ID"] == first != later


# ---------------------------------------------------------------- headers and bytes


def test_the_headers_say_that_a_machine_wrote_and_wants_no_automatic_answer():
    mail = composed()
    assert {name: str(mail[name]) for name in ("From", "To", "Message-ID", "Auto-Submitted")} == {
        "From": "Pantau <pantau@jdn.example.my>",
        "To": "ketua@jpd.example.my",
        "Message-ID": "<pantau.1@pantau.example.my>",
        "Auto-Submitted": "auto-generated",
    }
    assert mail["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert mail["Date"] == "Tue, 24 Nov 2026 12:00:00 +0800"


def test_the_same_mail_is_always_the_same_bytes():
    first, second = (compose_alert(alert(), delivery(), ENVELOPE, now=NOW) for _ in range(2))
    assert first == second


def test_a_mail_is_ascii_lines_that_every_server_takes():
    raw = compose_alert(alert(account=account("x" * 300)), delivery(), ENVELOPE, now=NOW)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_the_envelope_comes_from_the_settings(tmp_path):
    (tmp_path / "pantau.toml").write_text(
        '[mail]\nsender = "Pantau <p@a.my>"\npost_link = false\n[web]\npublic_url = "https://p.my/"\n'
        '[letter]\nslogans = ["SATU"]\n'
    )
    envelope = envelope_of(load_settings(tmp_path, {}))
    assert envelope == Envelope(sender="Pantau <p@a.my>", slogans=("SATU",), post_link=False, public_url="https://p.my")


@pytest.mark.parametrize(
    ("changes", "template"),
    [
        pytest.param({"public_url": ""}, "alert", id="a console that nobody sees from outside"),
        pytest.param({"link_key": ""}, "alert", id="no key"),
        pytest.param({}, "recovery", id="nothing left to answer"),
    ],
)
def test_without_a_place_or_a_need_to_answer_there_is_no_link(changes, template):
    envelope = replace(ENVELOPE, **{"link_key": "key", **changes})
    assert answer_link(alert(), delivery(template=template), envelope, NOW) == ""


def test_the_link_of_a_mail_is_its_recipient_s_for_this_alert_and_round():
    envelope = replace(ENVELOPE, link_key="key")
    url = answer_link(alert(id=7, round=2), delivery(recipient="timbalan@jpd.example.my"), envelope, NOW)
    assert url.startswith("https://pantau.example.my/a/")
    token = url.rpartition("/")[2]
    link = links.read(token, "key", now=NOW, lifetime=timedelta(days=14))
    assert link == links.Link(alert_id=7, round=2, recipient="timbalan@jpd.example.my")


def test_the_key_of_links_is_not_in_what_an_envelope_shows_of_itself():
    assert "s3cret" not in repr(replace(ENVELOPE, link_key="s3cret"))


@pytest.mark.parametrize("length", range(20, 120))
def test_a_subject_reads_the_same_whatever_its_length(length):
    words = ("PLATFORM " * 20)[:length].rstrip() + " – X (Twitter)"
    letter = Letter(subject=words, text="t", html="<p>t</p>")
    raw = mail_message(
        letter, sender="pantau@example.my", recipient="a@example.my", message_id="<1@example.my>", now=NOW
    ).as_bytes()
    line = re.search(rb"^Subject: (.*?)\r\n(?! )", raw, re.DOTALL | re.MULTILINE)[1].decode("ascii")
    # As a mail program does it: unfold, then join encoded words and what stands between them as it is.
    pieces = decode_header(line.replace("\r\n", ""))
    assert "".join(p.decode(c or "ascii") if isinstance(p, bytes) else p for p, c in pieces) == words


@given(st.text().map(str.splitlines), st.sampled_from(["\n", "\r\n", "\r", " \n", "\n\n.\n"]), st.text(min_size=1))
def test_a_letter_written_at_once_is_the_mail_that_python_writes(lines, end, html):
    letter = Letter(subject="Peringatan – X", text=end.join([*lines, "x " * 60, "a" * 200]), html=html)
    head = {
        "sender": "Pantau <pantau@example.my>",
        "recipient": "ketua@jabatan.example.my",
        "message_id": "<1@example.my>",
        "now": NOW,
        "headers": [("Importance", "high"), ("List-Id", "a long one, which is folded " * 5)],
    }
    assert letter_bytes(letter, **head) == mail_bytes(mail_message(letter, **head))


@given(st.text())
def test_a_line_is_what_can_be_seen_of_the_text_whatever_stands_in_it(text):
    assert one_line(text, limit=len(text) + 1) == " ".join(_visible(text)[0].split())
