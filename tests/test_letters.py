"""What the letters about a case say: who was told, what comes next, what to do on the platform, several cases at once."""

import html
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOW, account, alert, delivery, finding, post
from mail_servers import read_mail
from test_compose import html_of, text_of

from alerts import steps
from alerts.compose import compose_alert, compose_group
from alerts.envelope import Envelope
from alerts.policy import ACKNOWLEDGEMENT_ENDED
from connectors import CONNECTORS
from monitor.disclosure import profile_changes, profile_detail
from monitor.escalation import Role
from monitor.model import (
    AlertKind,
    AlertState,
    Cause,
    Clause,
    Disclosure,
    Language,
    Profile,
    Severity,
)
from monitor.store import life

ENVELOPE = Envelope(
    sender="Pantau <pantau@jdn.example.my>",
    slogans=("MALAYSIA MADANI",),
    post_link=True,
    public_url="https://pantau.example.my",
    link_key="kunci",
)
HIJACK = finding(clause=Clause(instrument="mampu-2009", ref="3b", ms="tidak menjejaskan …", en="no harm"))
TOLD = [(NOW - timedelta(hours=8), "ketua@jpd.example.my"), (NOW - timedelta(hours=4), "timbalan@jpd.example.my")]


def letter(about=None, *, template="alert", envelope=ENVELOPE, told=(), next_to=(), **changes):
    mail = compose_alert(
        about or alert(), delivery(template=template, **changes), envelope, now=NOW, told=told, next_to=next_to
    )
    return read_mail(mail)


def both(mail):
    return (" ".join(text_of(mail).split()), " ".join(re.sub(r"<[^>]*>", "", html_of(mail)).split()))


def profile_alert(before=None, after=None, level=Disclosure.MASKED):
    before = before or Profile(native_id="1", name="Jabatan Digital", handle="jpd", picture_url="https://a/1")
    after = after or Profile(native_id="1", name="Shib", handle="jpd", picture_url="https://a/2")
    detail = profile_detail(before, after)
    return alert(kind=AlertKind.PROFILE, post=None, findings=(), disclosure=level, detail=detail)


# ---------------------------------------------------------------- the form of the letter


@pytest.mark.parametrize("template", ["alert", "reminder", "escalation", "reopened"])
@pytest.mark.parametrize("language", Language)
def test_paragraphs_are_numbered_from_two_without_a_hole_in_text_and_page(language, template):
    mail = letter(template=template, language=language, told=TOLD)
    for words in (text_of(mail), re.sub(r"<[^>]*>", "", html_of(mail))):
        numbers = [int(n) for n in re.findall(r"^(\d)\. ", words, re.MULTILINE)]
        assert numbers == list(range(2, 2 + len(numbers)))
        assert len(numbers) >= 6


@pytest.mark.parametrize("language", Language)
def test_a_line_of_text_is_at_most_78_wide_unless_it_is_an_address(language):
    for template in ("alert", "reminder", "escalation", "reopened"):
        mail = letter(alert(findings=(HIJACK,)), template=template, language=language, told=TOLD)
        lines = mail.get_body(("plain",)).get_content().splitlines()
        assert [line for line in lines if len(line) > 78 and "https://" not in line] == []


@pytest.mark.parametrize("template", ["alert", "reminder", "escalation", "reopened", "profile"])
@pytest.mark.parametrize("language", Language)
def test_every_letter_only_suspects(language, template):
    about = profile_alert() if template == "profile" else alert()
    for words in both(letter(about, template=template, language=language)):
        assert re.search("mungkin", words) if language is Language.MS else re.search(" may ", words)
        assert ("disyaki" in words or "suspected" in words) is (template != "profile")


# ---------------------------------------------------------------- what to do


def test_the_first_thing_to_do_is_to_answer_and_opening_the_page_is_said_to_change_nothing():
    for words in both(letter()):
        assert "Membuka halaman itu tidak mengubah apa-apa" in words
        actions = words[words.index("Tindakan yang boleh diambil sekarang") :].casefold()
        assert actions.index("akui terima") < actions.index("lihat hantaran")
    page = html_of(letter())
    assert re.search(r'class="button" href="https://pantau\.example\.my/a/[\w.-]+"', page)


def test_without_a_page_for_answers_nobody_is_sent_to_one():
    for words in both(letter(envelope=replace(ENVELOPE, link_key=""))):
        assert "Akui terima" not in words
        assert "akui terima" not in words
        assert "melalui butang" not in words
        assert "pautan jawapan" not in words


@pytest.mark.parametrize("platform", [*CONNECTORS, "a-platform-of-tomorrow"])
@pytest.mark.parametrize("language", Language)
def test_steps_of_the_platform_say_how_to_take_a_post_down_and_how_to_lock_an_account(language, platform):
    about = alert(account=account(platform=platform), findings=(HIJACK,))
    for words in both(letter(about, language=language)):
        plain = html.unescape(words)
        for step in (*steps.unpublish(platform, language), *steps.lock(platform, language)):
            assert " ".join(step.split()) in plain


def test_each_platform_that_is_read_has_steps_of_its_own():
    for language in Language:
        for platform in CONNECTORS:
            assert steps.unpublish(platform, language) != steps.unpublish("", language)
            assert steps.lock(platform, language) != steps.lock("", language)


def test_malay_and_english_steps_keep_in_step():
    for platform in (*CONNECTORS, ""):
        for what in (steps.unpublish, steps.lock):
            assert len(what(platform, Language.MS)) == len(what(platform, Language.EN))


def test_an_account_is_locked_only_when_it_may_have_been_taken_over():
    lock = steps.lock("x", Language.MS)[0]
    assert all(lock not in words for words in both(letter()))
    assert all(lock in words for words in both(letter(alert(findings=(HIJACK,)))))


def test_the_evidence_is_named_by_its_fingerprint():
    about = alert(post=post(text="SULIT minit"))
    for words in both(letter(about)):
        assert "Cap jari bukti (SHA-256)" in words
        assert about.post.content_hash in words


# ---------------------------------------------------------------- what comes next, and what was before


@pytest.mark.parametrize(
    ("next_to", "expected"),
    [
        ((Role.DEPUTY, Role.ICTSO), "dipanjangkan kepada Timbalan Ketua Jabatan dan Pegawai Keselamatan ICT (ICTSO)."),
        ((Role.HEAD, Role.ICTSO), "dipanjangkan kepada Pegawai Keselamatan ICT (ICTSO)."),
        ((Role.HEAD,), "satu peringatan akan dihantar."),
        ((), "langkah yang seterusnya akan diambil."),
    ],
)
def test_the_letter_says_until_when_an_answer_is_awaited_and_who_is_told_then(next_to, expected):
    about = alert(next_action_at=NOW + timedelta(hours=4))
    for words in both(letter(about, next_to=next_to)):
        assert "Jika tiada jawapan sebelum Selasa, 24 November 2026, 16:00 (waktu Malaysia)" in words
        assert expected in words


@pytest.mark.parametrize(
    ("next_to", "expected"),
    [
        ((Role.HEAD, Role.DEPUTY, Role.ICTSO), "dipanjangkan kepada Pegawai Keselamatan ICT (ICTSO)."),
        ((Role.DEPUTY,), "satu peringatan akan dihantar."),
    ],
)
def test_a_letter_to_the_deputy_is_not_passed_on_to_the_deputy(next_to, expected):
    about = alert(next_action_at=NOW + timedelta(hours=4))
    for words in both(letter(about, next_to=next_to, recipient=about.agency.contacts.deputy_email)):
        assert expected in words


@pytest.mark.parametrize(
    "about",
    [
        pytest.param(alert(), id="nothing is planned"),
        pytest.param(alert(next_action_at=NOW), id="the step is this one"),
        pytest.param(
            alert(next_action_at=NOW + timedelta(days=1), state=AlertState.ACKNOWLEDGED), id="somebody has answered"
        ),
    ],
)
def test_no_next_step_is_named_when_there_is_none(about):
    assert all("Jika tiada jawapan" not in words for words in both(letter(about, next_to=(Role.DEPUTY,))))


def test_a_reminder_says_since_when_nobody_has_answered():
    for words in both(letter(template="reminder", told=TOLD)):
        assert "belum dijawab sejak Selasa, 24 November 2026, 04:00" in words
    assert "PERINGATAN" in letter(template="reminder")["Subject"]


def test_an_escalation_says_who_was_told_when_and_why_it_is_passed_on():
    mail = letter(template="escalation", recipient="ictso@jpd.example.my", told=TOLD)
    for words in both(mail):
        assert "tiada jawapan diterima" in words
        assert words.index("ketua@jpd.example.my") < words.index("timbalan@jpd.example.my")
        assert "Selasa, 24 November 2026, 08:00" in words
        assert "Tuan/Puan," in words


def test_an_escalation_without_a_record_of_mails_counts_from_the_opening():
    for words in both(letter(alert(opened_at=NOW - timedelta(days=1)), template="escalation")):
        assert "sejak Isnin, 23 November 2026, 12:00" in words
        assert "Telah dimaklumkan" not in words


def test_of_many_who_were_told_the_latest_are_named():
    told = [(NOW - timedelta(hours=hours), f"nombor{hours}@jpd.example.my") for hours in range(40)]
    for words in both(letter(template="escalation", told=told)):
        assert len(re.findall(r"nombor\d+@", words)) == 12
        assert "nombor0@" in words
        assert "nombor39@" not in words


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (life.STILL_THERE, "masih boleh dilihat"),
        (life.BACK, "kini muncul semula"),
        (life.REPOSTED, "telah dibuat semula"),
        (f"{ACKNOWLEDGEMENT_ENDED} (ketua@jpd.example.my)", "telah tamat tanpa penyelesaian"),
        ("kerana RAHSIA-MARKER disebut", "seorang pegawai meminta"),
    ],
)
def test_a_reopened_case_says_why_but_not_in_a_person_s_own_words(reason, told):
    mail = letter(alert(reopened_for=reason, round=1), template="reopened")
    for words in both(mail):
        assert told in words
        assert "MARKER" not in words
        assert "tidak lagi berkuat kuasa" in words


@pytest.mark.parametrize("template", ["reminder", "escalation", "reopened"])
@pytest.mark.parametrize(
    "about",
    [
        pytest.param(profile_alert(), id="profile"),
        pytest.param(
            alert(kind=AlertKind.BLIND, post=None, findings=(), cause=Cause.NOT_FOUND, since=NOW), id="blind account"
        ),
        pytest.param(
            alert(kind=AlertKind.CREDENTIAL, agency=None, account=None, post=None, findings=(), detail="x: 401"),
            id="credential",
        ),
        pytest.param(
            alert(kind=AlertKind.DEAD_LETTER, post=None, findings=(), detail="PTU-2026-000009 → a@b.my: 550"),
            id="dead letter",
        ),
    ],
)
def test_what_is_no_post_can_be_reminded_of_as_well(about, template):
    for words in both(letter(about, template=template)):
        assert "hantaran itu" not in words.casefold()
        assert "PTU-2026-000001" in words
        assert "Tindakan yang boleh diambil sekarang" in words


# ---------------------------------------------------------------- a changed profile


def test_a_changed_profile_is_told_with_its_old_and_new_name():
    for words in both(letter(profile_alert(), template="profile")):
        assert "“Jabatan Digital” → “Shib”" in words
        assert "Gambar" in words
        assert "mungkin telah dirampas" in words
        assert steps.lock("x", Language.MS)[0] in words


@pytest.mark.parametrize(
    ("level", "shown", "hidden"),
    [
        (Disclosure.NONE, "telah berubah", "beli"),
        (Disclosure.MASKED, "beli evil[.]example █████", "3456789"),
        (Disclosure.FULL, "beli evil[.]example 012-3456789", "evil.example"),
    ],
)
def test_a_name_passes_the_disclosure_level(level, shown, hidden):
    after = Profile(native_id="1", name="beli evil.example 012-3456789", handle="jpd")
    about = profile_alert(Profile(native_id="1", name="Jabatan", handle="jpd"), after, level)
    for words in both(letter(about, template="profile")):
        assert shown in words
        assert hidden not in words


def test_what_changed_of_a_profile_is_read_back_as_it_was_written():
    before = Profile(native_id="1", name="Satu → Dua\nhandle: a → b", handle="jpd", bio="lama")
    after = Profile(native_id="1", name="Tiga: empat", handle="jpd2", bio="baharu")
    assert profile_changes(profile_detail(before, after)) == [
        ("name", "Satu -> Dua handle: a -> b", "Tiga: empat"),
        ("handle", "jpd", "jpd2"),
        ("bio", "", ""),
    ]


def test_a_profile_alert_whose_detail_is_of_another_form_is_still_told():
    about = replace(profile_alert(), detail="something else")
    assert all("telah berubah" in words for words in both(letter(about, template="profile")))


# ---------------------------------------------------------------- several cases in one mail


def cases(count, **changes):
    return [replace(alert(**changes), id=n + 1, case=f"PTU-2026-{n + 1:06d}") for n in range(count)]


def grouped(alerts, language=Language.MS):
    return read_mail(compose_group(alerts, delivery(template="group", language=language), ENVELOPE, now=NOW))


def test_a_grouped_mail_has_a_row_a_case_with_its_own_answer_and_the_gravest_first():
    alerts = cases(3)
    alerts[2] = replace(alerts[2], severity=Severity.CRITICAL)
    mail = grouped(alerts)
    words = text_of(mail)
    assert words.index("PTU-2026-000003") < words.index("PTU-2026-000001") < words.index("PTU-2026-000002")
    assert len(set(re.findall(r"https://pantau\.example\.my/a/[\w.-]+", words))) == 3
    assert len(re.findall(r">Jawab</a>", html_of(mail))) == 3
    assert "[SEGERA] MAKLUMAN 3 PERKARA" in mail["Subject"]
    assert mail["Subject"].endswith("x/jpd")
    assert mail["Importance"] == "high"


@pytest.mark.parametrize(("language", "more"), [(Language.MS, "Dan 14 lagi"), (Language.EN, "And 14 more")])
def test_a_flood_has_fifty_rows_and_names_the_rest_as_well(language, more):
    for words in both(grouped(cases(64), language)):
        assert len(set(re.findall(r"PTU-2026-\d{6}", words))) == 64
        assert more in words


def test_cases_of_several_accounts_are_headed_by_the_agency_and_name_the_account_in_each_row():
    alerts = [replace(one, account=account(f"akaun{n}")) for n, one in enumerate(cases(2))]
    mail = grouped(alerts)
    assert mail["Subject"].endswith("Jabatan JPD")
    for words in both(mail):
        assert "x/akaun0" in words
        assert "x/akaun1" in words


def test_a_grouped_mail_shows_no_word_of_a_post_whatever_the_level():
    full = finding(disclosure=Disclosure.FULL)
    alerts = cases(2, post=post(text="SULIT-MARKER"), disclosure=Disclosure.FULL, findings=(full,))
    assert all("MARKER" not in words for words in both(grouped(alerts)))


def test_the_order_in_which_cases_come_does_not_change_the_mail():
    alerts = cases(3)
    assert grouped(alerts).as_bytes() == grouped(alerts[::-1]).as_bytes()


def test_a_grouped_mail_about_nothing_is_a_mistake_of_its_caller():
    with pytest.raises(ValueError, match="at least one"):
        grouped([])
