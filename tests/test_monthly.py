"""The monthly letter: on which day, to whom, once, about nobody else, and without a word of a post."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from archive import ArchiveMaker, marking
from browser import chromium, flaws
from builders import NOW, account, account_week, agency, alert_line, delivery
from installation import AGENCY, LEAK, Installation
from mail_servers import read_mail
from sqlalchemy import update
from test_mail_templates import HOSTILE, assert_harmless
from weeks import gap

from alerts import monthly
from alerts.compose import compose_period, monthly_letter
from alerts.envelope import Envelope
from alerts.monthly import due_month, first_working_day, month_of, plan_letter
from alerts.policy import Policy
from monitor.app.mails import deliver, plan_due_letters
from monitor.app.service import open_service
from monitor.configuration import load_configuration
from monitor.escalation import DayOff, Escalation
from monitor.model import (
    MALAYSIA,
    Account,
    AlertKind,
    AlertState,
    Cause,
    Language,
    Resolution,
    Severity,
    State,
    Verdict,
)
from monitor.reports import MonthReport
from monitor.store.register import save_register
from monitor.store.reports import month_report
from monitor.store.tables import account as account_table

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENVELOPE = Envelope(sender="Pantau <pantau@jdn.example.my>", slogans=(), post_link=True, public_url="https://p.my")
POLICY = Policy(instance="i", sender_domain="pantau.example.my")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SECRET = "rahsia-tanaman-7731"


def kl(text):
    return datetime.fromisoformat(text).replace(tzinfo=MALAYSIA)


# ---------------------------------------------------------------- which month


@pytest.mark.parametrize(
    ("first", "state", "day"),
    [
        pytest.param("2026-12-01", State.PJY, "2026-12-01", id="a Tuesday"),
        pytest.param("2026-08-01", State.PJY, "2026-08-03", id="from a Saturday to Monday"),
        pytest.param("2026-08-01", State.KDH, "2026-08-02", id="Kedah works on Sundays"),
        pytest.param("2027-01-01", State.PJY, "2027-01-04", id="over New Year and the weekend"),
        pytest.param("2027-01-01", State.JHR, "2027-01-01", id="New Year is no holiday in Johor"),
        pytest.param("2027-01-01", State.KDH, "2027-01-03", id="nor in Kedah, where it is a Friday"),
        pytest.param("2027-02-01", State.PJY, "2027-02-02", id="Federal Territory Day"),
    ],
)
def test_the_first_working_day_is_that_of_the_agency_s_state(first, state, day):
    office = replace(agency(), state=state)
    assert first_working_day(date.fromisoformat(first), office, Escalation()) == date.fromisoformat(day)


def test_the_policy_s_own_days_off_count():
    off = Escalation(days_off=(DayOff(day=date(2026, 12, 1)), DayOff(day=date(2026, 12, 2))))
    assert first_working_day(date(2026, 12, 1), agency(), off) == date(2026, 12, 3)


@pytest.mark.parametrize(
    ("now", "month"),
    [
        pytest.param("2026-12-01 07:59:59", "2026-10", id="before 08:00 it is the month before last"),
        pytest.param("2026-12-01 08:00:00", "2026-11", id="from 08:00 on it is last month"),
        pytest.param("2026-12-31 23:59:59", "2026-11", id="until the month's end"),
        pytest.param("2027-01-01 08:00:00", "2026-11", id="not on a holiday"),
        pytest.param("2027-01-04 08:00:00", "2026-12", id="over the new year"),
        pytest.param("2027-03-01 08:00:00", "2027-02", id="a short month"),
    ],
)
def test_the_month_that_is_due(now, month):
    assert due_month(kl(now), agency(), Escalation(), since=LONG_AGO) == month
    assert due_month(kl(now).astimezone(UTC), agency(), Escalation(), since=LONG_AGO) == month


def test_the_time_zone_of_the_machine_has_no_say(monkeypatch):
    import time as clock

    for zone in ("America/New_York", "Pacific/Kiritimati"):
        monkeypatch.setenv("TZ", zone)
        clock.tzset()
        assert due_month(kl("2026-12-01 08:00:00"), agency(), Escalation(), since=LONG_AGO) == "2026-11"
        assert due_month(kl("2026-12-01 07:59:59"), agency(), Escalation(), since=LONG_AGO) == "2026-10"
    monkeypatch.undo()
    clock.tzset()


def test_no_letter_for_a_month_in_which_the_agency_was_not_registered_for_a_day():
    def due(since):
        return due_month(kl("2026-12-01 08:00:00"), agency(), Escalation(), since=kl(since))

    assert due("2026-11-30 00:00:00") == "2026-11"
    assert due("2026-11-30 00:00:01") is None
    assert due("2026-12-01 00:00:00") is None


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-00", "2026-1", "26-11", "2026-W47", "", "2026-11x", "0000-01", "9999-12"]
)
def test_a_bad_month_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="2026-11"):
        month_of(text)


def test_a_month_goes_from_the_first_to_the_first_in_malaysia():
    assert month_of("2026-11") == (kl("2026-11-01 00:00:00"), kl("2026-12-01 00:00:00"))
    assert month_of("2026-12") == (kl("2026-12-01 00:00:00"), kl("2027-01-01 00:00:00"))


# ---------------------------------------------------------------- to whom


@pytest.mark.parametrize(
    ("without", "recipient"),
    [
        ((), "ketua@jpd.example.my"),
        (("head_email",), "timbalan@jpd.example.my"),
        (("head_email", "deputy_email"), "ictso@jpd.example.my"),
    ],
)
def test_it_goes_to_the_head_or_to_whoever_stands_in(without, recipient):
    (letter,) = plan_letter("2026-11", agency(**dict.fromkeys(without, "")), POLICY)
    assert (letter.recipient, letter.template, letter.step) == (recipient, "monthly", "monthly")


def test_nobody_is_written_to_in_an_agency_without_an_address():
    assert plan_letter("2026-11", agency(head_email="", deputy_email="", ictso_email=""), POLICY) == ()


def test_the_same_month_and_agency_are_the_same_letter_whoever_heads_it():
    (one,) = plan_letter("2026-11", agency(), POLICY)
    (other,) = plan_letter("2026-11", agency(head_email="baharu@jpd.example.my"), POLICY)
    assert one.message_id == other.message_id
    assert one.message_id != plan_letter("2026-12", agency(), POLICY)[0].message_id
    assert one.message_id != plan_letter("2026-11", agency("KCM"), POLICY)[0].message_id


# ---------------------------------------------------------------- what it says


def month(**changes):
    facts = {
        "month": "2026-11",
        "start": kl("2026-11-01 00:00:00"),
        "end": kl("2026-12-01 00:00:00"),
        "agency": agency(),
        "accounts": (account_week(),),
        "alerts": (),
        "still_open": (),
        "as_of": kl("2026-12-01 08:00:00"),
    }
    return MonthReport(**{**facts, **changes})


def letter(report, language=Language.MS, recipient="ketua@jpd.example.my"):
    return monthly_letter(report, language, ENVELOPE, recipient=recipient, now=kl("2026-12-01 08:00:00"))


NOTHING = {Language.MS: "Tiada apa-apa untuk dilaporkan", Language.EN: "othing to report"}


@pytest.mark.parametrize("language", Language)
def test_a_month_in_which_all_went_well_says_so(language):
    made = letter(month(), language)
    assert NOTHING[language] in made.text
    assert NOTHING[language] in made.html
    assert "NOVEMBER 2026" in made.subject
    assert "JABATAN JPD" in made.subject


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    "changes",
    [
        {"accounts": ()},
        {"accounts": (account_week(Verdict.GAPS, gap(3, 8)),)},
        {"accounts": (account_week(Verdict.BLIND),)},
        {"accounts": (account_week(degraded=True),)},
        {"alerts": (alert_line(),)},
        {"still_open": (alert_line(),)},
    ],
    ids=["no account", "a gap", "blind", "degraded", "an alert", "one from before"],
)
def test_nothing_to_report_is_never_said_over_a_hole_or_an_alert(changes, language):
    made = letter(month(**changes), language)
    assert NOTHING[language] not in made.text
    assert NOTHING[language] not in made.html


def test_it_is_a_letter_to_the_head_by_name_and_to_others_in_general():
    to_head = letter(month()).text
    assert "Datuk Aminah binti Osman\nKetua Pengarah\nJabatan JPD\n\nY.Bhg. Datuk,\n" in to_head
    assert "Dengan segala hormatnya saya merujuk perkara di atas." in to_head
    assert "Sekian, terima kasih." in to_head
    assert "tandatangan tidak diperlukan" in to_head
    to_deputy = letter(month(), recipient="timbalan@jpd.example.my").text
    assert "Aminah" not in to_deputy
    assert "Tuan/Puan," in to_deputy


def test_gaps_are_named_and_alerts_stand_with_their_outcome_and_the_time_it_took():
    opened = kl("2026-11-10 09:00:00")
    ended = {"acknowledged_at": opened + HOUR, "resolved_at": opened + 3 * HOUR, "state": AlertState.RESOLVED}
    lines = (
        replace(alert_line("PTU-2026-000001", opened_at=opened, **ended), resolution=Resolution.POST_REMOVED),
        replace(alert_line("PTU-2026-000002", opened_at=opened, **ended), resolution=Resolution.FALSE_ALARM),
        replace(alert_line("PTU-2026-000003", opened_at=opened), steps=3),
        alert_line("PTU-2026-000004", opened_at=opened, kind=AlertKind.BLIND, clauses=(), **ended),
    )
    holed = account_week(Verdict.GAPS, gap(3, 8, Cause.UNAVAILABLE))
    words = letter(month(accounts=(holed,), alerts=lines)).text
    assert "x/jpd: dipantau sebahagian masa, dibaca 93 %" in words
    assert "16/11 03:00 – 16/11 08:00 (5 jam): platform tidak memberi jawapan" in words
    assert "ketiadaan makluman tidak membuktikan apa-apa" in words
    assert "dibuka 10/11 09:00: hantaran telah dipadam (selepas 3 jam)" in words
    assert "dibuka 10/11 09:00: amaran palsu (selepas 3 jam)" in words
    assert "dibuka 10/11 09:00: belum dijawab, lewat\n" in words
    assert "selesai dengan sendirinya (selepas 3 jam)" in words
    assert "diakui terima: 3; median 1 jam, paling lama 1 jam" in words
    assert "Belum selesai: 1; lewat: 1." in words


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_name_breaks_out_of_the_letter(text):
    """Fault 28."""
    people = {"head_salutation": text, "head_name": text, "head_title": text}
    line = replace(alert_line(agency=text, account=text, platform=text, clauses=(text,), rules=(text,)), steps=3)
    holed = account_week(Verdict.BLIND, gap(3, 8), account=account(text, platform=text, agency=text))
    report = month(
        agency=replace(agency(**people), name=text), accounts=(holed,), alerts=(line,) * 3, still_open=(line,)
    )
    for language in Language:
        raw = compose_period(report, delivery(template="monthly", language=language), ENVELOPE, now=NOW)
        assert len(raw) < 60_000
        assert_harmless(read_mail(raw))


def test_an_agency_with_many_accounts_and_alerts_gets_a_bounded_letter():
    accounts = tuple(account_week(Verdict.BLIND, *[gap(0, 9)] * 9, account=account(f"a{n}")) for n in range(300))
    made = letter(month(accounts=accounts, alerts=(alert_line(),) * 300, still_open=(alert_line(),) * 300))
    assert len(made.html.encode()) < 100_000
    assert "dan 270 akaun lagi." in made.text
    assert "dan 270 lagi." in made.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 600])
def test_the_letter_can_be_read_on_a_telephone_and_in_the_dark(width, scheme):
    lines = tuple(replace(alert_line(f"PTU-2026-{n:06d}", severity=Severity(2 + n % 3)), steps=n) for n in range(4))
    report = month(
        accounts=(account_week(), account_week(Verdict.BLIND, gap(0, 168, Cause.NOT_FOUND), account=account("x" * 90))),
        alerts=(*lines, replace(lines[0], state=AlertState.RESOLVED, acknowledged_at=NOW, resolved_at=NOW)),
        still_open=lines[:1],
    )
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        for language in Language:
            page.set_content(letter(report, language).html)
            assert flaws(page, width) == []


# ---------------------------------------------------------------- from the database


def stored_month(db, code="JPD"):
    return month_report(
        db,
        month="2026-11",
        start=kl("2026-11-01 00:00:00"),
        end=kl("2026-12-01 00:00:00"),
        now=kl("2026-12-01 08:00:00"),
        agency=code,
        patience=HOUR,
        degraded=(),
    )


def test_it_is_about_the_own_agency_alone_and_repeats_no_post(db):
    """I12."""
    make = ArchiveMaker(db)
    make.post(f"SULIT {SECRET}", found=(marking(),))
    make.post(f"SULIT {SECRET} lain", found=(marking(),), by="KCM")
    report = stored_month(db)
    assert [one.agency for one in report.alerts] == ["JPD"]
    assert [one.account.agency for one in report.accounts] == ["JPD"]
    for language in Language:
        raw = compose_period(report, delivery(template="monthly", language=language), ENVELOPE, now=NOW)
        mail = read_mail(raw)
        words = str(mail["Subject"]) + "".join(mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
        assert SECRET not in words
        assert "KCM" not in words
        assert "PTU-2026-000001" in words


def test_it_is_written_to_the_head_on_that_day(sqlite_db):
    accounts = [Account(agency="JPD", platform="x", handle="jpd")]
    save_register(sqlite_db, [agency()], accounts, now=kl("2026-11-02 09:00:00"))
    new = agency(head_name="Rosli bin Ahmad", head_email="rosli@jpd.example.my", since=kl("2026-11-20 00:00:00"))
    save_register(sqlite_db, [new], accounts, now=kl("2026-11-21 09:00:00"))
    assert stored_month(sqlite_db).agency.contacts.head_email == "rosli@jpd.example.my"


def test_an_unknown_agency_is_named(sqlite_db):
    with pytest.raises(LookupError, match="TIADA"):
        stored_month(sqlite_db, "TIADA")


# ---------------------------------------------------------------- once

TOML = """[database]
url = "sqlite:///pantau.db"
[mail]
folder = "mail"
[digest]
recipients = []
[canary]
enabled = false
[connectors.x]
bearer_token = "sandbox"
base_url = "http://127.0.0.1:1/x"
"""
OTHER = {**AGENCY, "code": "SUKKDH", "name": "Pejabat SUK Kedah", "kind": "state", "state": "KDH"}
OTHER |= {"head_email": "suk@kdh.example.my", "language": "en"}


class Clock:
    def __init__(self, at):
        self.at = at

    def __call__(self):
        return self.at


@pytest.fixture
def here(tmp_path):
    accounts = [("JPD", "x", "jpd", ""), ("SUKKDH", "x", "sukkdh", "")]
    return Installation(tmp_path, TOML, accounts, agencies=[AGENCY, OTHER]).write()


def opened(here, clock):
    return open_service(load_configuration(here.folder, {}, today=clock().date()), clock=clock)


def letters(here):
    return here.query(
        "select period, recipient, language, state from notification where template = 'monthly' order by period"
    )


def test_each_agency_gets_one_letter_a_month_whatever_the_clock_does(here):
    """Fault 15, from September to January: every three hours, the clock set back now and then, restarts between."""
    clock = Clock(kl("2026-09-10 10:00:00"))
    step = 0
    while clock.at < kl("2027-01-10 00:00:00"):
        with opened(here, clock) as service:
            for _ in range(200):
                plan_due_letters(service)
                step += 1
                clock.at += 3 * HOUR if step % 7 else -HOUR
    assert [row[:3] for row in letters(here)] == [
        (f"{month}/{code}", recipient, language)
        for month in ("2026-09", "2026-10", "2026-11", "2026-12")
        for code, recipient, language in (("JPD", AGENCY["head_email"], "ms"), ("SUKKDH", "suk@kdh.example.my", "en"))
    ]


def test_it_goes_out_in_the_agency_s_own_week_and_language(here):
    clock = Clock(kl("2026-07-10 10:00:00"))
    with opened(here, clock) as service:
        clock.at = kl("2026-08-02 07:59:59")
        assert plan_due_letters(service) == 0
        clock.at = kl("2026-08-02 08:00:00")  # a Sunday: Kedah works
        assert plan_due_letters(service) == 1
        clock.at = kl("2026-08-03 08:00:00")
        assert plan_due_letters(service) == 1
        deliver(service)
    assert [row[3] for row in letters(here)] == ["accepted", "accepted"]
    mails = {mail["To"]: mail for mail in (read_mail(path.read_bytes()) for path in here.mails)}
    assert "MONTHLY REPORT" in mails["suk@kdh.example.my"]["Subject"]
    assert "LAPORAN BULANAN" in mails[AGENCY["head_email"]]["Subject"]
    assert "JULAI 2026" in mails[AGENCY["head_email"]]["Subject"]


def test_a_letter_of_this_month_is_not_sent_again_to_a_new_head(here):
    clock = Clock(kl("2026-11-10 10:00:00"))
    with opened(here, clock) as service:
        clock.at = kl("2026-12-01 08:00:00")
        assert plan_due_letters(service) == 2
    here.agencies = [{**AGENCY, "head_name": "Rosli", "head_email": "rosli@jpd.example.my"}, OTHER]
    here.write()
    clock.at = kl("2026-12-02 08:00:00")
    with opened(here, clock) as service:
        assert plan_due_letters(service) == 0


def test_an_agency_whose_accounts_are_all_retired_gets_no_more_letters(here):
    clock = Clock(kl("2026-11-10 10:00:00"))
    with opened(here, clock) as service:
        with service.db.write() as connection:
            retired = update(account_table).where(account_table.c.agency == "JPD").values(status="retired")
            connection.execute(retired)
        clock.at = kl("2026-12-01 08:00:00")
        assert plan_due_letters(service) == 1
    assert [row[0] for row in letters(here)] == ["2026-11/SUKKDH"]


def test_letters_can_be_switched_off(here):
    here.toml += "[monthly]\nenabled = false\n"
    here.write()
    clock = Clock(kl("2026-11-10 10:00:00"))
    with opened(here, clock) as service:
        clock.at = kl("2026-12-01 08:00:00")
        assert plan_due_letters(service) == 0


# ---------------------------------------------------------------- on the command line


@pytest.fixture
def begun(here):
    with opened(here, Clock(datetime.now(UTC) - 3 * DAY)):
        return here


@pytest.mark.parametrize(("suffix", "begins"), [("html", b"<!"), ("eml", b"From: ")])
def test_monthly_writes_by_its_suffix_and_sends_nothing(begun, suffix, begins):
    file = begun.folder / f"letter.{suffix}"
    this_month = f"{datetime.now(MALAYSIA):%Y-%m}"
    ran = begun.run("monthly", "--month", this_month, "--agency", "jpd", "--out", str(file))
    assert ran.code == 0, ran.err
    assert file.read_bytes().lower().startswith(begins.lower())
    assert begun.mails == []
    assert letters(begun) == []


def test_monthly_without_a_file_prints_the_letter(begun):
    ran = begun.run("monthly", "--month", f"{datetime.now(MALAYSIA):%Y-%m}", "--agency", "JPD")
    assert ran.code == 0, ran.err
    assert "LAPORAN BULANAN" in ran.out
    assert "belum berakhir" in ran.out
    assert LEAK not in ran.out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--month", "2026-13", "--agency", "JPD"), "2026-13"),
        (("--month", "2096-01", "--agency", "JPD"), "not begun"),
        (("--month", "2026-01", "--agency", "TIADA"), "TIADA"),
        (("--month", "2026-01", "--agency", "JPX"), "did you mean JPD?"),
        (("--month", "2026-01", "--agency", "JPD", "--out", "a.pdf"), ".html or .eml"),
        (("--month", "2026-01"), "--agency"),
    ],
)
def test_what_is_wrong_with_a_call_is_named(begun, arguments, named):
    ran = begun.run("monthly", *arguments)
    assert ran.code == 2
    assert named in ran.err


@pytest.mark.parametrize("language", Language)
def test_every_outcome_has_words(language):
    assert set(monthly.OUTCOMES[language]) == set(Resolution)
