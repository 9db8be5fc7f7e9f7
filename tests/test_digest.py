import base64
import csv
import io
import re
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from archive import MARKING_RULE, ArchiveMaker, marking
from browser import chromium, flaws
from builders import (
    NOW,
    WEEK_START,
    account,
    account_week,
    agency,
    alert_line,
    delivery,
    finding,
    post,
    week_report,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mail_servers import read_mail
from sqlalchemy import and_, delete, insert, select, update
from test_mail_templates import HOSTILE, assert_harmless, hostile_week
from weeks import MONDAY, busy_week, rule_count

from alerts import charts, weekly
from alerts.attachments import csv_files
from alerts.compose import compose_digest, digest_letter
from alerts.days import days_of, percent
from alerts.digest import digest_files, digest_html, due_week, iso_week, week_of
from alerts.envelope import Envelope
from alerts.folder import FolderChannel
from alerts.outbox import deliver_due
from alerts.overdue import is_overdue
from alerts.planning import Grouping, plan_due
from alerts.policy import ACKNOWLEDGEMENT_ENDED, Policy, plan_digest
from monitor import coverage as intervals
from monitor.model import (
    MALAYSIA,
    AccountStatus,
    AlertKind,
    AlertState,
    CanaryOutcome,
    Cause,
    CoverageKind,
    Interval,
    Language,
    NotificationState,
    Resolution,
    Severity,
    Verdict,
)
from monitor.reports import CanaryDay, Change, ShutPlatform, Silent
from monitor.settings import Digest
from monitor.settings.load import load_settings
from monitor.store import audit, life, plans
from monitor.store import outbox as store
from monitor.store.accounts import claim_accounts
from monitor.store.activity import active_spans
from monitor.store.alerts import find_case
from monitor.store.checks import Failure, save_failure
from monitor.store.coverage import coverage_of
from monitor.store.credentials import shut_platform
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register
from monitor.store.reports import week_report as stored_report
from monitor.store.tables import account as account_table
from monitor.store.tables import coverage, media, notification

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
ENVELOPE = Envelope(sender="Pantau <pantau@jdn.example.my>", slogans=(), post_link=True, public_url="https://p.my")
TEAM = ("a@csirt.example.my", "b@csirt.example.my")
POLICY = Policy(instance="i", sender_domain="pantau.example.my", security_team=TEAM)
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def kl(text):
    return datetime.fromisoformat(text).replace(tzinfo=MALAYSIA)


# ---------------------------------------------------------------- which week


@pytest.mark.parametrize(
    ("now", "digest", "week"),
    [
        pytest.param("2026-11-23 07:59:59", Digest(), "2026-W46", id="before Monday 08:00 it is the week before last"),
        pytest.param("2026-11-23 08:00:00", Digest(), "2026-W47", id="from Monday 08:00 on it is last week"),
        pytest.param("2026-11-23 08:00:01", Digest(), "2026-W47", id="and a second later"),
        pytest.param("2026-11-29 23:59:59", Digest(), "2026-W47", id="until the week's end"),
        pytest.param("2026-11-30 00:00:00", Digest(), "2026-W47", id="and over Monday's midnight"),
        pytest.param("2026-11-26 16:29:00", Digest(weekday="thu", at=time(16, 30)), "2026-W46", id="before Thursday 16:30"),
        pytest.param("2026-11-26 16:30:00", Digest(weekday="thu", at=time(16, 30)), "2026-W47", id="from Thursday 16:30 on"),
        pytest.param("2026-11-29 23:00:00", Digest(weekday="sun", at=time(23, 0)), "2026-W47", id="on Sunday night"),
        pytest.param("2027-01-04 08:00:00", Digest(), "2026-W53", id="over the new year"),
        pytest.param("2026-01-05 08:00:00", Digest(), "2026-W01", id="the first week of a year that began on a Thursday"),
    ],
)  # fmt: skip
def test_the_week_that_is_due(now, digest, week):
    assert due_week(kl(now), digest, not_before=LONG_AGO) == week
    assert due_week(kl(now).astimezone(UTC), digest, not_before=LONG_AGO) == week


def test_the_time_zone_of_the_machine_has_no_say(monkeypatch):
    import time as clock

    for zone in ("America/New_York", "Pacific/Kiritimati"):
        monkeypatch.setenv("TZ", zone)
        clock.tzset()
        assert due_week(kl("2026-11-23 08:00:00"), Digest(), not_before=LONG_AGO) == "2026-W47"
        assert due_week(kl("2026-11-23 07:59:59"), Digest(), not_before=LONG_AGO) == "2026-W46"
    monkeypatch.undo()
    clock.tzset()


def test_no_digest_is_due_for_a_week_that_ended_before_pantau_was_installed():
    installed = kl("2026-11-24 12:00:00")
    assert due_week(kl("2026-11-24 13:00:00"), Digest(), not_before=installed) is None
    assert due_week(kl("2026-11-30 07:59:00"), Digest(), not_before=installed) is None
    assert due_week(kl("2026-11-30 08:00:00"), Digest(), not_before=installed) == "2026-W48"


def test_a_week_goes_from_monday_to_monday_in_malaysia():
    assert iso_week("2026-W47") == (kl("2026-11-16 00:00:00"), kl("2026-11-23 00:00:00"))
    assert week_of(kl("2026-11-22 23:59:59")) == "2026-W47"
    assert week_of(datetime(2026, 11, 22, 16, 0, tzinfo=UTC)) == "2026-W48"


@pytest.mark.parametrize("text", ["2026-W54", "2025-W53", "2026-W00", "0000-W01", "2026-47", "26-W47", "", "2026-W47x"])
def test_a_bad_week_is_refused_with_an_example_or_the_range(text):
    with pytest.raises(ValueError, match=r"2026-W47|W01 to W52"):
        iso_week(text)


# ---------------------------------------------------------------- once per recipient and week


@pytest.fixture
def registered_db(sqlite_db):
    save_register(sqlite_db, [agency()], [account()], now=WEEK_START)
    return sqlite_db


def report_at(db, now):
    return lambda week: stored_report(
        db,
        week=week,
        start=iso_week(week)[0],
        end=iso_week(week)[1],
        now=now,
        patience=HOUR,
        degraded=(),
        rule_set="0123456789abcdef",
    )


def tick(db, channel, now):
    """What the daemon does every minute: plan the digest that is due, deliver what waits."""
    if week := due_week(now, Digest(), not_before=WEEK_START):
        plans.schedule_digest(db, week, plan_digest(week, POLICY), now=now)
    return deliver_due(db, channel, ENVELOPE, now=now, clock=lambda: now, report=report_at(db, now)).accepted


def test_it_goes_once_to_each_recipient_and_week_also_when_nothing_happened(registered_db, tmp_path):
    """Fault 15: the clock steps an hour back and forth around the hour; the daemon is down for days."""
    channel = FolderChannel(tmp_path / "mail")
    monday = kl("2026-11-23 08:00:00")
    steps = [-HOUR, -timedelta(seconds=1), timedelta(0), HOUR, -HOUR, timedelta(0), DAY, 6 * DAY, WEEK + 3 * DAY]
    sent = [tick(registered_db, channel, monday + step) for step in steps]
    assert sent == [0, 0, 2, 0, 0, 0, 0, 0, 2]
    mails = [read_mail(path.read_bytes()) for path in sorted((tmp_path / "mail").iterdir())]
    told = sorted((mail["To"], re.search(r"2026-W\d\d", mail["Subject"])[0]) for mail in mails)
    assert told == [(who, week) for who in TEAM for week in ("2026-W47", "2026-W48")]


# ---------------------------------------------------------------- what it says


def letter(report, language=Language.MS, *, now=WEEK_START + WEEK + 8 * HOUR):
    return digest_letter(report, language, ENVELOPE, pictures={"pantau-carta": "cid:x"}, now=now)


def gap(begin, end, cause=Cause.RATE_LIMIT):
    return Interval(kind=CoverageKind.GAP, start=WEEK_START + begin * HOUR, end=WEEK_START + end * HOUR, cause=cause)


HOLED = week_report(accounts=(account_week(), account_week(Verdict.GAPS, gap(3, 8), account=account("lain"))))
BLIND = week_report(accounts=(account_week(Verdict.BLIND, gap(0, 168, Cause.NOT_FOUND)),))
UNRECORDED = week_report(accounts=(account_week(Verdict.BLIND),))
DEGRADED = week_report(accounts=(account_week(account=account("lama", "myspace"), degraded=True),))
EMPTY = week_report(accounts=())
SILENCE = Silent(since=WEEK_START - 7 * DAY, days=14, active=52, of=60)
SILENT = week_report(accounts=(replace(account_week(), silent=SILENCE),))
VANISHED = week_report(accounts=(replace(account_week(), vanished=12),))
NOTHING = {Language.MS: "Tiada apa-apa untuk dilaporkan", Language.EN: "othing to report"}


@pytest.mark.parametrize("language", Language)
def test_a_week_without_anything_says_so_clearly(language):
    made = letter(week_report(), language)
    for words in (made.text, made.html):
        assert NOTHING[language] in words
    assert "1/1" in made.subject


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("report", [HOLED, BLIND, UNRECORDED, DEGRADED, EMPTY])
def test_no_findings_is_never_said_over_a_gap(report, language):
    made = letter(report, language)
    for words in (made.text, made.html):
        assert NOTHING[language] not in words
    proven = {Language.MS: "Tiada makluman dibuka pada minggu ini", Language.EN: "No alert was opened in this week"}
    assert proven[language] not in made.text
    assert proven[language] not in made.html


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(("report", "number"), [(SILENT, "14"), (VANISHED, "12")], ids=["silent", "emptied"])
def test_an_account_that_is_odd_against_its_own_history_needs_the_reader(language, report, number):
    """Fault 21."""
    made = letter(report, language)
    for words in (made.text, made.html):
        assert NOTHING[language] not in words
        begin = words.index("x/jpd")
        assert number in words[begin : begin + 120]


def test_a_week_without_a_single_account_says_that_nothing_was_monitored():
    made = letter(EMPTY)
    assert "TIADA AKAUN DIPANTAU" in made.subject
    assert "tiada apa-apa yang dipantau" in made.text.casefold()
    assert "tiada apa-apa yang dipantau" in made.html.casefold()


def test_a_week_that_still_runs_says_until_when():
    made = letter(week_report(), now=WEEK_START + 2 * DAY)
    assert "belum berakhir" in made.text
    assert "setakat ini" in made.text
    assert "belum berakhir" not in letter(week_report()).text


@pytest.mark.parametrize("part", ["text", "html"])
def test_what_needs_the_reader_comes_first_then_coverage_and_the_chain_near_the_end(part):
    words = getattr(letter(busy_week(), now=MONDAY), part).casefold()
    order = ["perkara yang memerlukan tindakan", "liputan pemantauan", "lewat: 3", "masa tindak balas"]
    order += ["makluman mengikut agensi", "peraturan yang mengesan", "peraturan percubaan", "wajar dilihat"]
    order += ["diketepikan: 2", "perubahan peraturan", "akses dan had", "ujian harian", "penghantaran e-mel"]
    order += ["gambar dan dokumen", "rantaian audit", "dibuka semula"]
    place = words.index("saya merujuk")
    for name in order:
        place = words.index(name, place)  # raises where one does not follow


@pytest.mark.parametrize("language", Language)
def test_one_line_says_how_it_stands(language):
    subject = letter(busy_week(), language, now=MONDAY).subject
    assert re.search(r"25/34 .*\b21 .*\b13 .*\b3 ", subject)


@pytest.mark.parametrize("language", Language)
def test_nothing_needs_the_reader_of_a_week_in_which_all_went_well(language):
    made = letter(week_report(), language)
    nothing = {
        Language.MS: "PERKARA YANG MEMERLUKAN TINDAKAN\n\n   Tiada.",
        Language.EN: "WHAT NEEDS YOU\n\n   Nothing.",
    }
    assert nothing[language] in made.text


def test_a_gap_is_named_with_its_times_and_its_cause():
    words = letter(HOLED).text
    assert "x/lain (Jabatan JPD): dipantau sebahagian masa; dibaca 93 %" in words
    assert "16/11 03:00 – 16/11 08:00 (5 jam): had bacaan yang ditetapkan oleh platform telah dicapai" in words


def test_of_many_gaps_the_largest_are_named_and_the_rest_summed_up():
    many = tuple(gap(10 * n, 10 * n + 1 + n) for n in range(6))
    (hole,) = weekly.words(week_report(accounts=(account_week(Verdict.GAPS, *many),)), Language.MS)["holes"]
    assert [re.search(r"\((\d jam)\)", line)[1] for line in hole.gaps] == ["4 jam", "5 jam", "6 jam", "6 jam"]
    assert hole.gaps[-1] == "dan 3 lagi (6 jam)"


def test_blind_accounts_come_first_with_cause_and_case_and_what_helps_is_said_once():
    line = alert_line("PTU-2026-000077", kind=AlertKind.BLIND, clauses=(), rules=())
    report = replace(
        HOLED,
        accounts=(
            *HOLED.accounts,
            *(
                account_week(Verdict.BLIND, gap(0, 168, Cause.NOT_FOUND), account=account(name))
                for name in ("jpd", "jpd2")
            ),
        ),
        alerts=(line,),
    )
    words = letter(report).text
    assert words.index("x/jpd (Jabatan JPD): tidak dapat dipantau; dibaca 0 %") < words.index("x/lain (Jabatan JPD)")
    assert "akaun tidak ditemui" in words
    assert words.count("Semak akaun itu sekarang.") == 1
    assert "dibaca 0 %; kes PTU-2026-000077" in words


@pytest.mark.parametrize(
    ("part", "shown"),
    [(1.0, "100 %"), (0.99999, "> 99.9 %"), (0.935, "93.5 %"), (0.00001, "< 0.1 %"), (0.0, "0 %")],
)
def test_a_share_never_rounds_a_hole_away(part, shown):
    assert weekly.share(part) == shown


def test_alerts_are_counted_by_agency_and_clause_and_once_in_the_whole():
    lines = (
        alert_line("PTU-2026-000001", clauses=("3b", "3c")),
        alert_line("PTU-2026-000002", clauses=("3c",)),
        alert_line("PTU-2026-000003", kind=AlertKind.BLIND, clauses=()),
        alert_line("PTU-2026-000004", kind=AlertKind.CREDENTIAL, agency="", account="", clauses=()),
    )
    found = weekly.words(week_report(alerts=lines), Language.MS)
    assert found["tally_heads"] == ["3(b)", "3(c)", "5", "–"]
    assert [(t.agency, t.counts, t.total) for t in found["tallies"]] == [
        ("Jabatan JPD", (1, 2, 1, 0), 3),
        ("(tiada agensi)", (0, 0, 0, 1), 1),
    ]
    assert (found["tally_total"].counts, found["tally_total"].total) == ((1, 2, 1, 1), 4)
    assert "Jabatan JPD: 3 (3(b): 1, 3(c): 2, 5: 1)" in letter(week_report(alerts=lines)).text


def test_response_times_are_median_and_longest_of_what_was_answered():
    opened = WEEK_START + DAY
    lines = [
        alert_line(
            f"PTU-2026-00000{n}",
            opened_at=opened,
            first_mail_at=opened + timedelta(minutes=n),
            acknowledged_at=opened + n * HOUR if n < 3 else None,
            state=AlertState.ACKNOWLEDGED if n < 3 else AlertState.OPEN,
        )
        for n in range(1, 4)
    ]
    backlog = alert_line("PTU-2026-000009", kind=AlertKind.BACKLOG, first_mail_at=None)
    words = letter(week_report(alerts=(*lines, backlog))).text
    assert "Makluman yang perlu dijawab: 3" in words
    assert "e-mel pertama dihantar: 3; masa median 2 minit, paling lama 3 minit" in words
    assert "diakui terima: 2; masa median 1 jam 30 minit, paling lama 2 jam" in words
    assert "selesai: 0; masa median –" in words
    assert "belum dijawab: 1" in words


def test_shadow_rules_are_told_apart():
    words = letter(
        week_report(rules=(rule_count("mampu-2009/3c/marking"), rule_count("mampu-2009/3a/judi", shadow=True)))
    ).text
    live, shadow = (line for line in words.splitlines() if "Penandaan" in line)
    assert "peraturan percubaan" not in live
    assert "peraturan percubaan" in shadow


def test_findings_too_low_for_a_mail_are_no_nothing():
    assert NOTHING[Language.MS] not in letter(week_report(rules=(rule_count("mampu-2009/3c/marking"),))).text
    assert NOTHING[Language.MS] in letter(week_report(rules=(rule_count("mampu-2009/3c/marking", shadow=True),))).text


def test_a_dying_platform_is_said_to_give_only_a_part():
    assert "MySpace (1 akaun): platform ini hanya menyediakan sebahagian hantaran" in letter(DEGRADED).text


@pytest.mark.parametrize("language", Language)
def test_with_200_accounts_and_300_alerts_gmail_cuts_nothing_off(language):
    """Gmail clips the page of a mail at 102 KB."""
    names = {"name": "Majlis Perbandaran " + "Kuala Terengganu Selatan " * 3}
    week = busy_week(200, 300)
    week = replace(week, agencies=tuple(replace(one, **names) for one in week.agencies))
    page = letter(week, language, now=MONDAY).html
    assert len(page.encode()) < 100_000


def test_a_thousand_blind_accounts_are_a_bounded_mail_and_counted():
    blind = tuple(account_week(Verdict.BLIND, *[gap(0, 100)] * 20, account=account(f"akaun{n}")) for n in range(1000))
    alerts = tuple(alert_line(f"PTU-2026-{n:06d}") for n in range(1000))
    made = letter(week_report(accounts=blind, alerts=alerts))
    assert len(made.html) < 100_000
    assert f"dan {1000 - weekly.HOLES} lagi; dalam fail CSV yang dilampirkan" in made.text
    assert f"dan {1000 - weekly.CASES} lagi; dalam fail CSV yang dilampirkan" in made.text
    assert "0/1000" in made.subject


# ---------------------------------------------------------------- overdue


@pytest.mark.parametrize(
    ("changes", "late"),
    [
        pytest.param({}, False, id="one that nobody was told of yet"),
        pytest.param({"steps": 1, "next_action_at": NOW + HOUR}, False, id="the head still has time"),
        pytest.param({"steps": 1, "next_action_at": NOW}, True, id="the head's time is over, the reminder is due"),
        pytest.param(
            {"steps": 1, "next_action_at": NOW, "first_mail_at": None}, False, id="nobody was told: the mail waits"
        ),
        pytest.param({"steps": 2, "next_action_at": NOW + HOUR}, True, id="reminded already"),
        pytest.param({"steps": 2, "state": AlertState.RESOLVED}, False, id="resolved after a reminder"),
        pytest.param({"steps": 2, "state": AlertState.SUPPRESSED}, False, id="set aside"),
        pytest.param({"steps": 3, "kind": AlertKind.BACKLOG}, False, id="a back catalogue waits for nobody"),
        pytest.param({"state": AlertState.ACKNOWLEDGED, "steps": 3, "deadline": NOW + HOUR}, False, id="in hand"),
        pytest.param({"state": AlertState.ACKNOWLEDGED, "deadline": NOW}, True, id="its owner's time is over"),
        pytest.param({"round": 1, "reopened_for": f"{ACKNOWLEDGEMENT_ENDED} (Aminah)"}, True, id="open again for that"),
        pytest.param({"round": 1, "reopened_for": "the post is back"}, False, id="open again for another reason"),
    ],
)
def test_an_alert_is_overdue_when_a_deadline_passed_without_an_answer(changes, late):
    assert is_overdue(replace(alert_line(), **changes), NOW) is late


def test_what_is_overdue_is_counted_by_severity_and_named():
    lines = (
        replace(alert_line("PTU-2026-000001", severity=Severity.CRITICAL), steps=2),
        replace(alert_line("PTU-2026-000002", severity=Severity.HIGH), steps=1, next_action_at=WEEK_START + 30 * DAY),
        alert_line("PTU-2026-000003", state=AlertState.ACKNOWLEDGED),
    )
    older = (replace(alert_line("PTU-2026-000004", opened_at=WEEK_START - DAY), steps=3),)
    words = letter(week_report(alerts=lines, still_open=older)).text
    assert "Kritikal: baharu 1, terbuka 1, diakui 0, lewat 1" in words
    assert "Tinggi: baharu 2, terbuka 2, diakui 1, lewat 1" in words
    assert "Jumlah: baharu 3, terbuka 3, diakui 1, lewat 2" in words
    late, waiting = words.partition("Lewat: 2")[2].split("Belum selesai, masih dalam tempoh: 2")
    assert re.findall(r"PTU-2026-\d+", late) == ["PTU-2026-000001", "PTU-2026-000004"]
    assert re.findall(r"PTU-2026-\d+", waiting)[:2] == ["PTU-2026-000002", "PTU-2026-000003"]


# ---------------------------------------------------------------- rules, silences, changes, platforms, mails


def test_a_rule_tells_how_many_of_its_alerts_were_false_alarms():
    words = letter(week_report(rules=(rule_count("r/1", findings=9, low=2, resolved=3, false_alarms=2),))).text
    assert "Penandaan (perenggan 3(c), r/1): 7; tahap Tinggi; amaran palsu: 2 daripada 3 yang selesai (67 %)" in words
    assert "Penandaan (3(c)): 2" in words.partition("WAJAR DILIHAT")[2]


def test_a_silence_is_told_with_author_reason_expiry_and_what_it_covered():
    words = letter(busy_week(), now=MONDAY).text
    assert (
        "x/kkm_rasmi · mampu-2009/4/private-phone: Kempen derma darah: nombor telefon rasmi diulang setiap hari, telah "
        "disemak; Nurul Huda (ICTSO); sehingga 7 Disember 2026; makluman: 2 (PTU-2026-001005, PTU-2026-001015)"
    ) in words


def test_an_alert_set_aside_without_a_silence_on_record_is_named():
    line = replace(alert_line("PTU-2026-000009", state=AlertState.SUPPRESSED), silence_id=7)
    assert "Tanpa arahan senyap dalam rekod: PTU-2026-000009" in letter(week_report(alerts=(line,))).text


def test_changes_are_told_by_name_and_number_and_hashes_are_cut():
    words = letter(busy_week(), now=MONDAY).text
    assert "akaun ditambah: x/baharu0, x/baharu1, x/baharu2 (+2), agensi diubah: KPM" in words
    assert "set peraturan: abababababab → 012301230123, diubah: mampu-2009/4/mykad, bilangan peraturan: 75" in words


def test_dead_credentials_and_used_up_budgets_are_told_apart():
    words = letter(busy_week(), Language.EN, now=MONDAY).text
    needs, _, rest = words.partition("4. COVERAGE")
    assert "Facebook: the platform refuses Pantau's credential (token), since 22/11 01:00 (1 d 7 h)" in needs
    assert "X (Twitter): the platform" not in needs
    assert "since 23/11 07:00 (1 h); it is asked again at 23/11 10:00" in rest.partition("11. CREDENTIALS")[2]


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        pytest.param(
            Language.EN,
            (
                "YouTube: units: 120 an hour are needed for 30 accounts",
                "X (Twitter): US dollars: 410 of 500 for this month are spent; at this rate it ends on 28 November 2026",
                "Facebook: the credential ends on 4 December 2026",
            ),
            id="en",
        ),
        pytest.param(
            Language.MS,
            (
                "YouTube: unit: 120 sejam diperlukan supaya 30 akaun",
                (
                    "X (Twitter): dolar AS: 410 daripada 500 bagi bulan ini telah digunakan; pada kadar ini had itu habis pada"
                    " 28 November 2026"
                ),
                "Facebook: akses (token) ini tamat pada 4 Disember 2026",
            ),
            id="ms",
        ),
    ],
)
def test_the_digest_tells_how_budgets_and_credentials_will_last(language, sentences):
    text = " ".join(letter(busy_week(), language).text.split())
    units, dollars, credential = sentences
    assert text.count(units) == 1  # among the budgets alone
    assert text.count(dollars) == text.count(credential) == 2  # also among what needs the reader


def test_a_day_without_the_daily_test_counts_only_where_others_ran():
    absent = tuple(CanaryDay(day=WEEK_START.date() + n * DAY, outcome=CanaryOutcome.NOT_RUN) for n in range(7))
    assert "dimatikan dalam tetapan" in letter(week_report(canary=absent)).text
    mixed = (*absent[:1], *busy_week().canary[1:])
    assert "ujian harian tidak sampai pada 2 hari" in letter(week_report(canary=mixed)).text


@pytest.mark.parametrize("language", Language)
def test_the_chain_s_head_is_printed_whole_and_can_be_read_back(language):
    head = f"18734:{'0f' * 32}"
    made = letter(week_report(chain_head=head), language)
    assert head in made.text
    assert head in made.html


# ---------------------------------------------------------------- CSV


def csv_of(report, number):
    content = csv_files(report)[number].content
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_the_csv_files_hold_what_the_mail_leaves_out():
    week = busy_week(200, 300)
    alerts, coverage = csv_of(week, 0), csv_of(week, 1)
    assert len(alerts) == 330
    assert len({row["account"] for row in coverage}) == 200
    assert sum(row["overdue"] == "yes" for row in alerts) == weekly.words(week, Language.MS)["overdue_total"]
    assert sum(len(one.gaps) or 1 for one in week.accounts) == len(coverage)


def test_a_row_of_the_csv_is_in_malaysian_time_and_in_words_that_scripts_know():
    line = alert_line(
        clauses=("3c", "4"), state=AlertState.RESOLVED, resolved_at=NOW, acknowledged_at=NOW, severity=Severity.HIGH
    )
    (row,) = csv_of(week_report(alerts=(replace(line, resolution=Resolution.FALSE_ALARM),)), 0)
    assert (row["opened"], row["told"]) == ("2026-11-17 00:00:00", "2026-11-17 00:02:00")
    assert (row["resolved"], row["state"], row["resolution"]) == ("2026-11-24 12:00:00", "resolved", "false alarm")
    assert (row["severity"], row["clauses"], row["this_week"]) == ("high", "3c 4", "yes")
    (_, hole) = csv_of(HOLED, 1)
    assert (hole["from"], hole["to"], hole["minutes"]) == ("2026-11-16 03:00:00", "2026-11-16 08:00:00", "300.0")
    assert hole["cause"] == "rate limit"


@pytest.mark.parametrize(
    "text", ["=1+1", "+60123", "-2", "@SUM(A1)", "\t=1", "\r\n=1", "\u200b=1", "＝1＋1", "＠x", "|cmd", "%x"]
)
def test_no_cell_is_a_formula(text):
    line = alert_line(agency=text, account=text, platform=text)
    week = account_week(account=account(text, platform=text, agency=text))
    report = week_report(alerts=(line,), accounts=(week,))
    for number in (0, 1):
        for row in csv_of(report, number):
            assert row["account"].startswith("'")
            assert all(not value or value.isprintable() for value in row.values())
            assert not [value for value in row.values() if value[:1] in set("=+-@|%＝＋－＠")]


def test_the_csv_files_go_with_the_mail():
    mail = read_mail(compose_digest(busy_week(), delivery(template="digest", alert_id=None), ENVELOPE, now=MONDAY))
    files = list(mail.iter_attachments())
    assert [file.get_filename() for file in files] == ["pantau-2026-W47-alerts.csv", "pantau-2026-W47-coverage.csv"]
    assert {(file.get_content_type(), file.get_content_charset()) for file in files} == {("text/csv", "utf-8")}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_name_of_the_week_breaks_out_of_the_mail(text, monkeypatch):
    """Fault 28, for what the digest says beyond alerts and coverage."""
    for chart in ("week_chart", "coverage_map"):
        monkeypatch.setattr(charts, chart, lambda *_: b"\x89PNG")  # drawn below; slow
    week = replace(
        hostile_week(text),
        silences=(replace(busy_week().silences[0], author=text, reason=text, rule=text),),
        changes=(Change(at=NOW, event=text, actor=text, facts={text: {text: 1}, "old": text, "new": text}),),
        shut=(ShutPlatform(platform=text, cause=Cause.CREDENTIAL, since=WEEK_START, retry_at=None),),
        media_unreadable={text: 2},
        reopened=(replace(alert_line(agency=text, account=text), round=1, reopened_for=text),),
        unconfirmed=(alert_line(agency=text, account=text),),
        rules=(rule_count(text, text, text, text, low=3, resolved=2, false_alarms=1),),
    )
    for language in Language:
        mail = read_mail(compose_digest(week, delivery(template="digest", language=language), ENVELOPE, now=NOW))
        assert_harmless(mail)
        assert len(mail.get_body(("html",)).get_content().encode()) < 100_000


# ---------------------------------------------------------------- in a real browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 600])
def test_a_busy_week_can_be_read_on_a_telephone_and_in_the_dark(width, scheme):
    pictures = {"pantau-carta": PIXEL, "pantau-liputan": PIXEL}
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        for language in Language:
            page.set_content(digest_letter(busy_week(), language, ENVELOPE, pictures=pictures, now=MONDAY).html)
            assert flaws(page, width) == []


# ---------------------------------------------------------------- the chart


def png_size(picture):
    """Check a PNG's chunks and return (width, height)."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    stream, kinds = io.BytesIO(picture[8:]), []
    while head := stream.read(8):
        length, kind = struct.unpack(">I4s", head)
        body = stream.read(length)
        assert struct.unpack(">I", stream.read(4))[0] == zlib.crc32(kind + body)
        kinds.append(kind)
    assert kinds[-1] == b"IEND"
    return struct.unpack(">II", picture[16:24])


TREND = tuple((f"2026-W{number}", {"3c": number - 40, "4": 1}) for number in range(40, 48))


@pytest.mark.parametrize("report", [week_report(), EMPTY, replace(HOLED, alerts_per_week=TREND)])
def test_the_chart_is_a_png_of_a_known_size_whatever_happened(report):
    picture = charts.week_chart(report, Language.MS)
    assert png_size(picture) == (1200, 900)
    assert len(picture) < 100_000
    assert charts.week_chart(report, Language.MS) == picture


def test_the_map_shows_at_most_forty_accounts_the_worst_first():
    week = busy_week(300, 0)
    shown = charts.mapped(days_of(week))
    assert len(shown) == 40
    assert [one.whole for one in shown] == [False] * 40
    picture = charts.coverage_map(week, Language.MS)
    assert png_size(picture)[0] == 1200
    assert len(picture) < 200_000
    assert picture == charts.coverage_map(week, Language.MS)


def test_wholly_read_accounts_stand_beside_a_hole_so_that_it_shows_and_alone_when_there_is_none():
    weeks = tuple(account_week(account=account(f"a{n}")) for n in range(9))
    assert len(charts.mapped(days_of(week_report(accounts=weeks)))) == 4
    shown = charts.mapped(days_of(week_report(accounts=(*weeks, HOLED.accounts[1]))))
    assert [one.account for one in shown] == ["x/lain", "x/a0", "x/a1", "x/a2"]


@pytest.mark.parametrize("name", ["$\\frac{a$", "名前\U0001f600", "x" * 500, "a\nb", "\u202egnp", "$$$", "_^{}"])
def test_any_name_can_be_drawn(name):
    holed = account_week(Verdict.GAPS, gap(3, 8), account=account(name))
    week = week_report(accounts=(holed,), alerts_per_week=(("2026-W47", {name: 3, "": 1}),))
    assert png_size(charts.coverage_map(week, Language.EN))[0] == 1200
    assert png_size(charts.week_chart(week, Language.EN)) == (1200, 900)


def test_a_day_is_the_share_that_was_read_of_what_there_was_to_read():
    since = replace(account("baharu"), registered_at=WEEK_START + 12 * HOUR)
    week = account_week(Verdict.GAPS, gap(12, 18), gap(30, 30.01), account=since)
    (days,) = days_of(week_report(accounts=(week,), as_of=WEEK_START + 3 * DAY))
    assert [percent(share) for share in days.shares] == ["50", "99", "100", "–", "–", "–", "–"]


def test_a_never_read_account_has_no_day():
    (days,) = days_of(UNRECORDED)
    assert set(days.shares) == {0.0}


def test_the_chart_is_in_the_mail_and_its_numbers_are_in_the_text():
    report = replace(HOLED, alerts_per_week=TREND)
    mail = read_mail(compose_digest(report, delivery(template="digest", alert_id=None), ENVELOPE, now=NOW))
    pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    for picture in pictures:
        cid = picture["Content-ID"].strip("<>")
        assert f'src="cid:{cid}"' in mail.get_body(("html",)).get_content()
    assert [png_size(picture.get_content())[0] for picture in pictures] == [1200, 1200]
    for words in (mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()):
        assert "2026-W43" in words
        assert re.search(r"3\(c\):[ \xa0]7, 4:[ \xa0]1", words)
    assert mail["List-Id"] == "Pantau <digest.pantau.jdn.example.my>"


def test_as_a_page_the_digest_needs_nothing_beside_it():
    page = digest_html(week_report(), Language.EN, ENVELOPE, now=NOW)
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert png_size(base64.b64decode(picture))[0] == 1200
    assert not re.search(r'(?:src|href)="(?!data:|https://p\.my)', page)


def test_files_of_a_digest_can_be_made_without_a_recipient(tmp_path):
    (tmp_path / "pantau.toml").write_text('[digest]\nlanguage = "en"\n')
    made = digest_files(week_report(), load_settings(tmp_path, {}), ENVELOPE, now=WEEK_START + WEEK)
    assert "2026-W47" in made.text
    assert "<html" in made.html
    assert read_mail(made.mail)["To"] == "pantau@jdn.example.my"


# ---------------------------------------------------------------- from the database


def test_what_the_database_holds_is_what_the_digest_says(registered_db):
    db, at = registered_db, WEEK_START + 2 * DAY
    first = claim_accounts(db, now=at, lease=HOUR, limit=1, platform="x")[0]
    judged = Judged(post=post(text="SULIT", published_at=at), findings=(finding(),))
    save_page(db, first, [judged], rule_set="r", now=at, reread_window=DAY, end=None)
    save_failure(
        db,
        Failure(
            claimed=first,
            cause=Cause.UNAVAILABLE,
            error="no answer",
            now=at,
            interval=HOUR,
            next_check_at=at + HOUR,
            retry_at=None,
            blind_after=HOUR,
        ),
    )
    report = report_at(db, WEEK_START + WEEK)("2026-W47")
    words = letter(report).text
    assert "0/1 AKAUN DIPANTAU SEPENUHNYA, 1 MAKLUMAN BAHARU, 1 BELUM SELESAI, 0 LEWAT" in letter(report).subject
    assert "Hantaran baharu yang dibaca: 1" in words
    assert "Jabatan JPD: 1 (3(c): 1)" in words
    assert "2026-W47: 1 (3(c): 1)" in words
    assert "mampu-2009/3c/marking): 1" in words
    assert "x/jpd (Jabatan JPD): tidak dapat dipantau" in words


@pytest.fixture
def lively(db):
    """An archive in which a person has answered, something was set aside, a mail was refused, a platform went dark."""
    make = ArchiveMaker(db)
    at = WEEK_START + 9 * HOUR
    make.post(f"SULIT {SECRET}", at=at, found=(marking(),), resolution=Resolution.FALSE_ALARM)
    make.post(f"SULIT lagi {SECRET}", at=at, found=(marking(),), resolution=Resolution.ACTION_TAKEN)
    kept = make.post(f"SULIT {SECRET}", at=at, found=(marking(),))
    make.post(f"lemah {SECRET}", at=at, found=(marking(Severity.LOW),))
    told = make.post(f"SULIT {SECRET}", at=at, found=(marking(),), by="KCM")
    silence = life.add_silence(
        db, author="Nurul", reason="telah disemak", expires_at=MONDAY, rule=MARKING_RULE, account_id=None, now=at
    )
    with db.write() as connection:
        life.suppress(connection, find_case(db, make.case(kept)), silence, now=at)
        connection.execute(
            insert(media),
            {
                "post_version_id": 1, "position": 0, "kind": "document", "url": f"https://a.my/{SECRET}",
                "alt_text": SECRET, "state": "unreadable", "reason": "the document needs a password",
            },
        )  # fmt: skip
        audit.append(connection, "rule set changed", now=at, facts={"old": "", "new": "ab" * 32})
        audit.append(connection, "rule set changed", now=at - WEEK, facts={"old": "", "new": "cd" * 32})
    removed = find_case(db, make.case(told))
    life.resolve(db, removed, resolution=Resolution.POST_REMOVED, by="Aminah", note=SECRET, via="test", now=at + HOUR)
    open_again = find_case(db, make.case(1))
    life.reopen(db, open_again, by="Aminah", reason=f"kerana {SECRET}", now=at + 2 * HOUR)
    facts = {"cause": Cause.CREDENTIAL, "error": "401", "retry_at": None, "probe_at": MONDAY, "now": at}
    shut_platform(db, "facebook", **facts)
    return db


SECRET = "rahsia-tanaman-7731"


def test_the_week_s_report_counts_what_the_database_holds(lively):
    report = report_at(lively, MONDAY)("2026-W47")
    (rule,) = report.rules
    assert (rule.findings, rule.low) == (5, 1)
    assert (rule.resolved, rule.false_alarms) == (2, 0)  # the false alarm was opened again
    assert [(one.state, one.silence_id) for one in report.alerts if one.silence_id] == [(AlertState.SUPPRESSED, 1)]
    assert [one.author for one in report.silences] == ["Nurul"]
    assert [one.facts["new"] for one in report.changes] == ["ab" * 32]
    assert [one.platform for one in report.shut] == ["facebook"]
    assert report.media_unreadable == {"the document needs a password": 1}
    assert [one.round for one in report.reopened] == [1]
    assert [one.resolution for one in report.unconfirmed] == [Resolution.POST_REMOVED]
    assert report.chain_head == str(audit.head(lively))


def test_no_word_of_a_post_or_of_a_note_is_in_the_mail_or_its_files(lively):
    """I12."""
    report = report_at(lively, MONDAY)("2026-W47")
    for language in Language:
        mail = read_mail(compose_digest(report, delivery(template="digest", language=language), ENVELOPE, now=MONDAY))
        texts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
        assert len(texts) == 4
        assert SECRET not in "".join(texts) + str(mail["Subject"])


def test_mails_that_wait_are_counted_without_the_digest_that_is_being_written(lively):
    plans.schedule_digest(lively, "2026-W46", plan_digest("2026-W46", POLICY), now=MONDAY - 5 * HOUR)
    plans.schedule_digest(lively, "2026-W47", plan_digest("2026-W47", POLICY), now=MONDAY)
    report = report_at(lively, MONDAY)("2026-W47")
    assert report.mails_waiting == 2
    assert report.oldest_waiting_at == MONDAY - 5 * HOUR
    assert "ada e-mel yang menunggu pelayan e-mel selama 5 jam" in letter(report).text


def test_mails_that_were_refused_or_came_back_are_told(lively):
    plans.schedule_digest(lively, "2026-W45", plan_digest("2026-W45", POLICY), now=WEEK_START)
    states = (NotificationState.DEAD, NotificationState.BOUNCED)
    with lively.write() as connection:
        for one, state in zip(TEAM, states, strict=True):
            mine = and_(notification.c.period == "2026-W45", notification.c.recipient == one)
            values = {"state": state.value, "ended_at": WEEK_START + DAY, "accepted_at": WEEK_START}
            connection.execute(update(notification).where(mine).values(**values))
    report = report_at(lively, MONDAY)("2026-W47")
    assert (report.mails_dead, report.mails_bounced, report.mails_waiting) == (1, 1, 0)
    assert "2 e-mel ditolak atau dipulangkan" in letter(report).text


def test_a_restart_in_the_middle_sends_each_digest_once(registered_db, tmp_path):
    """The first mail has left, the process dies; the next one plans again and sends only the second."""
    db, channel, now = registered_db, FolderChannel(tmp_path / "mail"), MONDAY
    assert plans.schedule_digest(db, "2026-W47", plan_digest("2026-W47", POLICY), now=now) == 2
    first = deliver_due(db, channel, ENVELOPE, now=now, clock=lambda: now, report=report_at(db, now), limit=1)
    assert first.accepted == 1
    assert len(store.claim_batch(db, now=now, lease=HOUR, limit=1)) == 1  # in hand when it died
    store.release_abandoned(db, now)
    assert tick(db, channel, now + timedelta(minutes=1)) == 1
    assert tick(db, channel, now + 2 * HOUR) == 0
    mails = [read_mail(path.read_bytes()) for path in (tmp_path / "mail").iterdir()]
    assert sorted(mail["To"] for mail in mails) == sorted(TEAM)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 90), st.sampled_from(["read", "gap", "unreachable"])), max_size=9),
    st.integers(-200, 200),
)
def test_a_week_s_coverage_is_the_same_as_from_all_intervals_there_ever_were(registered_db, lengths, first):
    """Only what reaches into the week is read from the database, and the last one before: it may go on."""
    begin = WEEK_START + first * HOUR
    rows, at = [], begin
    for hours, kind in lengths:
        cause = None if kind == "read" else Cause.UNAVAILABLE
        rows.append(Interval(kind=CoverageKind(kind), start=at, end=at + hours * HOUR, cause=cause))
        at += hours * HOUR
    with registered_db.write() as connection:
        connection.execute(update(account_table).values(registered_at=begin))
        connection.execute(delete(coverage))
        for one in rows:
            cause = one.cause.value if one.cause else None
            facts = {"account_id": 1, "kind": one.kind.value, "start": one.start, "end": one.end, "cause": cause}
            connection.execute(insert(coverage), facts)
    end = WEEK_START + WEEK
    found = coverage_of(registered_db, start=WEEK_START, end=end, patience=HOUR)
    wanted = intervals.within(intervals.up_to(rows, begin=begin, now=end, patience=HOUR), WEEK_START, end)
    assert [(one.gaps, one.covered) for one in found] == [(intervals.gaps(wanted), intervals.covered(wanted))][
        : begin < end
    ]


@pytest.mark.parametrize(
    ("turns", "active"),
    [
        pytest.param([], [(0, 7)], id="an account that nothing happened to counts all week"),
        pytest.param([(8, "retired")], [(0, 7)], id="one that was retired on the day of the digest was there all week"),
        pytest.param([(3, "retired")], [(0, 3)], id="one that was retired on Thursday counts until then"),
        pytest.param(
            [(-2, "paused"), (8, "active")], [], id="one that was paused all week counts not, and is not blind"
        ),
        pytest.param([(-2, "paused"), (9, "retired")], [], id="nor when it was retired afterwards"),
        pytest.param([(2, "paused"), (5, "active")], [(0, 2), (5, 7)], id="a pause is no gap"),
    ],
)
def test_a_week_tells_of_the_accounts_that_were_active_in_it(sqlite_db, turns, active):
    save_register(sqlite_db, [agency()], [account()], now=WEEK_START - 3 * DAY)
    for day, status in turns:
        changed = replace(account(), status=AccountStatus(status))
        save_register(sqlite_db, [agency()], [changed], now=WEEK_START + day * DAY)
    reads = [(-3, 30)] if active[-1:] != [(5, 7)] else [(-3, 2), (5, 30)]
    with sqlite_db.write() as connection:
        for first, last in reads:
            times = {"start": WEEK_START + first * DAY, "end": WEEK_START + last * DAY}
            connection.execute(insert(coverage), {"account_id": 1, "kind": "read", "cause": None} | times)
    found = coverage_of(sqlite_db, start=WEEK_START, end=WEEK_START + WEEK, patience=HOUR)
    assert [(one.verdict, one.covered, one.gaps) for one in found] == [(Verdict.FULL, 1.0, ())] * bool(active)
    with sqlite_db.read() as connection:
        rows = connection.execute(select(account_table)).mappings().all()
        spans = active_spans(connection, rows, start=WEEK_START, end=WEEK_START + WEEK).get(1, ())
    assert [tuple((at - WEEK_START) / DAY for at in one) for one in spans] == active


def test_what_the_policy_escalated_is_overdue_and_a_shared_mail_tells_of_each(sqlite_db, tmp_path):
    """Two alerts of one account share the first mail on Tuesday noon; one is answered, nobody answers the other."""
    make, channel = ArchiveMaker(sqlite_db), FolderChannel(tmp_path / "mail")
    cases = [make.case(make.post(f"SULIT {n}", found=(marking(),))) for n in range(2)]
    wednesday, monday = NOW + DAY, kl("2026-11-30 08:00:00")

    def work(now):
        plan_due(sqlite_db, POLICY, now=now, grouping=Grouping(interval=timedelta(minutes=2)))
        report = report_at(sqlite_db, now)
        return deliver_due(sqlite_db, channel, ENVELOPE, now=now, clock=lambda: now, report=report).accepted

    assert work(NOW) + work(NOW + timedelta(minutes=3)) == 1
    answered = find_case(sqlite_db, cases[0])
    life.acknowledge(sqlite_db, answered, by="Aminah", deadline=monday + DAY, via="test", now=NOW + HOUR)
    assert work(wednesday) > 0
    report = report_at(sqlite_db, monday)("2026-W48")
    assert [one.first_mail_at is not None for one in report.alerts] == [True, True]
    found = weekly.words(report, Language.MS)
    assert [case.case for case in found["overdue"]] == [cases[1]]
    assert [case.case for case in found["waiting"]] == [cases[0]]
    assert found["told"].number == 2
