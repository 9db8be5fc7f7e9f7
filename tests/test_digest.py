import base64
import io
import re
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
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
from mail_servers import read_mail

from alerts import charts, weekly
from alerts.compose import Envelope, compose_digest, digest_letter
from alerts.digest import digest_files, digest_html, due_week, iso_week, week_of
from alerts.folder import FolderChannel
from alerts.outbox import deliver_due
from alerts.policy import Policy, plan_digest
from monitor.model import (
    MALAYSIA,
    AlertKind,
    AlertState,
    Cause,
    CoverageKind,
    Interval,
    Language,
    RuleCount,
    Severity,
    Verdict,
)
from monitor.settings import Digest, load_settings
from monitor.store import outbox as store
from monitor.store.accounts import claim_accounts, save_failure
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register
from monitor.store.reports import week_report as stored_report

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
ENVELOPE = Envelope(sender="Pantau <pantau@jdn.example.my>", slogans=(), post_link=True, public_url="https://p.my")
TEAM = ("a@csirt.example.my", "b@csirt.example.my")
POLICY = Policy(instance="i", sender_domain="pantau.example.my", security_team=TEAM)
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
        store.schedule_digest(db, week, plan_digest(week, POLICY), now=now)
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
    return digest_letter(report, language, ENVELOPE, chart="cid:x", now=now)


def gap(begin, end, cause=Cause.RATE_LIMIT):
    return Interval(kind=CoverageKind.GAP, start=WEEK_START + begin * HOUR, end=WEEK_START + end * HOUR, cause=cause)


HOLED = week_report(accounts=(account_week(), account_week(Verdict.GAPS, gap(3, 8), account=account("lain"))))
BLIND = week_report(accounts=(account_week(Verdict.BLIND, gap(0, 168, Cause.NOT_FOUND)),))
UNRECORDED = week_report(accounts=(account_week(Verdict.BLIND),))
DEGRADED = week_report(accounts=(account_week(account=account("lama", "myspace"), degraded=True),))
EMPTY = week_report(accounts=())
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
def test_coverage_comes_first_and_the_rule_set_last(part):
    report = replace(
        HOLED,
        alerts=(alert_line(),),
        rules=(rule_count(), rule_count("mampu-2009/3a/judi", shadow=True)),
        mails_accepted=9,
    )
    words = getattr(letter(report), part).casefold()
    order = ["liputan", "makluman mengikut agensi", "masa tindak balas", "akaun yang tidak dapat dipantau"]
    order += ["peraturan yang mengesan", "penghantaran e-mel", "set peraturan", "0123456789ab"]
    places = [words.index(name, words.index("saya merujuk")) for name in order]
    assert places == sorted(places)


def rule_count(rule="mampu-2009/3c/marking", *, shadow=False):
    return RuleCount(
        rule=rule,
        title_ms="Penandaan",
        title_en="Marking",
        clause="3c",
        severity=Severity.HIGH,
        findings=7,
        shadow=shadow,
    )


def test_a_gap_is_named_with_its_times_and_its_cause():
    words = letter(HOLED).text
    assert "x/lain (Jabatan JPD): dipantau sebahagian masa; dibaca 93 %" in words
    assert "16/11 03:00 – 16/11 08:00 (5 jam): had bacaan yang ditetapkan oleh platform telah dicapai" in words


def test_of_many_gaps_the_largest_are_named_and_the_rest_summed_up():
    many = tuple(gap(10 * n, 10 * n + 1 + n) for n in range(6))
    (hole,) = weekly.words(week_report(accounts=(account_week(Verdict.GAPS, *many),)), Language.MS)["holes"]
    assert len(hole.gaps) == 4
    assert "(6 jam)" in hole.gaps[0]
    assert hole.gaps[-1] == "dan 3 lagi (6 jam)"


def test_blind_accounts_come_first_with_cause_remedy_and_case():
    line = alert_line("PTU-2026-000077", kind=AlertKind.BLIND, clauses=(), rules=())
    report = replace(
        HOLED,
        accounts=(*HOLED.accounts, account_week(Verdict.BLIND, gap(0, 168, Cause.NOT_FOUND))),
        alerts=(line,),
    )
    words = letter(report).text
    assert words.index("x/jpd (Jabatan JPD): tidak dapat dipantau; dibaca 0 %") < words.index("x/lain (Jabatan JPD)")
    assert "akaun tidak ditemui" in words
    assert "Semak akaun itu sekarang." in words
    assert "Kes PTU-2026-000077." in words


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
    assert "Jabatan JPD: 3 (3(b): 1, 3(c): 2, 5: 1)" in letter(week_report(alerts=lines)).text


def test_response_times_are_medians_of_what_was_answered():
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
    assert "e-mel pertama dihantar: 3; masa median 2 minit" in words
    assert "diakui terima: 2; masa median 1 jam 30 minit" in words
    assert "selesai: 0; masa median –" in words
    assert "belum dijawab: 1" in words


def test_shadow_rules_are_told_apart():
    words = letter(week_report(rules=(rule_count(), rule_count("mampu-2009/3a/judi", shadow=True)))).text
    live, shadow = (line for line in words.splitlines() if "Penandaan" in line)
    assert "peraturan percubaan" not in live
    assert "peraturan percubaan" in shadow


def test_findings_too_low_for_a_mail_are_no_nothing():
    assert NOTHING[Language.MS] not in letter(week_report(rules=(rule_count(),))).text
    assert NOTHING[Language.MS] in letter(week_report(rules=(rule_count(shadow=True),))).text


def test_a_dying_platform_is_said_to_give_only_a_part():
    assert "MySpace (1 akaun): platform ini hanya menyediakan sebahagian hantaran" in letter(DEGRADED).text


def test_a_thousand_blind_accounts_are_a_bounded_mail_and_counted():
    blind = tuple(account_week(Verdict.BLIND, *[gap(0, 100)] * 20, account=account(f"akaun{n}")) for n in range(1000))
    alerts = tuple(alert_line(f"PTU-2026-{n:06d}") for n in range(1000))
    made = letter(week_report(accounts=blind, alerts=alerts))
    assert len(made.html) + len(made.text) < 300_000
    assert "940 akaun lagi" in made.text
    assert "0/1000" in made.subject


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


def test_the_chart_is_in_the_mail_and_its_numbers_are_in_the_text():
    report = replace(HOLED, alerts_per_week=TREND)
    mail = read_mail(compose_digest(report, delivery(template="digest", alert_id=None), ENVELOPE, now=NOW))
    (picture,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    cid = picture["Content-ID"].strip("<>")
    assert f'src="cid:{cid}"' in mail.get_body(("html",)).get_content()
    assert png_size(picture.get_content()) == (1200, 900)
    for words in (mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()):
        assert "2026-W43" in words
        assert re.search(r"3\(c\):[ \xa0]7, 4:[ \xa0]1", words)
    assert mail["List-Id"] == "Pantau <digest.pantau.jdn.example.my>"


def test_as_a_page_the_digest_needs_nothing_beside_it():
    page = digest_html(week_report(), Language.EN, ENVELOPE, now=NOW)
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert png_size(base64.b64decode(picture)) == (1200, 900)
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
        first,
        cause=Cause.UNAVAILABLE,
        error="no answer",
        now=at,
        interval=HOUR,
        next_check_at=at + HOUR,
        retry_at=None,
        blind_after=HOUR,
    )
    report = report_at(db, WEEK_START + WEEK)("2026-W47")
    words = letter(report).text
    assert "0/1 AKAUN DIPANTAU SEPENUHNYA, 1 MAKLUMAN" in letter(report).subject
    assert "Hantaran baharu yang dibaca: 1" in words
    assert "Jabatan JPD: 1 (3(c): 1)" in words
    assert "2026-W47: 1 (3(c): 1)" in words
    assert "mampu-2009/3c/marking): 1" in words
    assert "x/jpd (Jabatan JPD): tidak dapat dipantau" in words
