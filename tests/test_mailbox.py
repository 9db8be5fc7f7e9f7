"""Reports of returned mail as servers write them, and what is asked of the journal and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.mailbox import Fate, concerns, parse_report
from alerts.outbox import JOURNAL_PATIENCE, journal_retry, settled_at
from monitor.model import Delivery, Language

HEAD, MESSAGE_ID = "ketua@jpd.example.my", "<pantau.0123@pantau.example.my>"
NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STATUS = """Reporting-MTA: dns; mx.jpd.example.my
Original-Envelope-Id: pantau.0123@pantau.example.my

Original-Recipient: rfc822;ketua@jpd.example.my
Final-Recipient: rfc822; Ketua@JPD.example.my
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user
"""
ORIGINAL = f"From: pantau@pantau.example.my\nMessage-ID: {MESSAGE_ID}\nSubject: =?utf-8?q?SULIT?=\n"


def report(status=STATUS, original=ORIGINAL, original_type="message/rfc822", kind="multipart/report"):
    parts = [("text/plain", "sorry\n"), ("message/delivery-status", status)]
    if original is not None:
        parts.append((original_type, original))
    body = "".join(f"--b\nContent-Type: {name}\n\n{content}\n" for name, content in parts)
    head = f'From: MAILER-DAEMON@mx\nMIME-Version: 1.0\nContent-Type: {kind}; report-type=delivery-status; boundary="b"'
    return f"{head}\n\n{body}--b--\n".replace("\n", "\r\n").encode()


# ---------------------------------------------------------------- reports


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        pytest.param(STATUS, {}, id="with the whole mail"),
        pytest.param(STATUS, {"original_type": "text/rfc822-headers"}, id="with its headers only"),
        pytest.param(STATUS, {"original_type": "message/global"}, id="with a mail of RFC 6533"),
        pytest.param(STATUS, {"original": None}, id="with nothing but the envelope id"),
        pytest.param(
            STATUS.replace("Original-Envelope-Id: pantau.0123@pantau.example.my\n", ""), {}, id="without envelope id"
        ),
        pytest.param(STATUS, {"original": f"Message-ID:\n {MESSAGE_ID}\n"}, id="with a folded Message-ID"),
    ],
)
def test_a_report_names_the_mail_and_what_became_of_it(status, changes):
    found = parse_report(report(status, **changes))
    assert found.message_id == MESSAGE_ID
    (fate,) = found.fates
    assert fate.action == "failed"
    assert fate.addresses == {HEAD}
    assert fate.words == "5.1.1 550 5.1.1 no such user"


def test_a_report_about_several_recipients_tells_of_each():
    more = f"{STATUS}\nFinal-Recipient: rfc822; jurnal@pantau.example.my\nAction: delayed\nStatus: 4.2.2\n"
    first, second = parse_report(report(more)).fates
    assert (first.action, second.action) == ("failed", "delayed")
    assert second.words == "4.2.2"


def test_a_report_that_is_cut_off_in_the_returned_mail_is_still_understood():
    whole = report(original=f"{ORIGINAL}\n" + "kandungan\n" * 1000)
    assert parse_report(whole[:2000]).message_id == MESSAGE_ID


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Subject: Cuti\r\n\r\nSaya bercuti", id="an answer from a person"),
        pytest.param(report(kind="multipart/mixed"), id="a mail that only looks like one"),
        pytest.param(report(status="", original=ORIGINAL), id="without a status"),
        pytest.param(report(STATUS.partition("\n\n")[2], original="Subject: x\n"), id="about no mail"),
    ],
)
def test_what_is_no_report_about_a_mail_is_left_alone(content):
    assert parse_report(content) is None


@given(st.binary(max_size=400))
def test_no_mail_however_broken_stops_the_reading(rubbish):
    parse_report(rubbish)
    parse_report(report().replace(b"Action: failed", rubbish))
    parse_report(report()[:400] + rubbish)


def test_words_of_a_report_are_one_short_line():
    status = STATUS.replace("no such user", "no\u202e such " + "user " * 200)
    (fate,) = parse_report(report(status)).fates
    assert len(fate.words) <= 320
    assert "\n" not in fate.words


OWN = frozenset({"jurnal@pantau.example.my", "pantau@pantau.example.my"})


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        pytest.param({HEAD}, True, id="the recipient"),
        pytest.param({"datuk.peribadi@elsewhere.my"}, True, id="somebody the recipient's mail is forwarded to"),
        pytest.param({HEAD, "datuk.peribadi@elsewhere.my"}, True, id="both"),
        pytest.param(set(), True, id="nobody is named"),
        pytest.param({"jurnal@pantau.example.my"}, False, id="the journal, whose copy it was"),
    ],
)
def test_a_fate_is_the_recipient_s_unless_it_is_the_journal_s(addresses, expected):
    assert concerns(Fate(addresses=frozenset(addresses), action="failed", words=""), HEAD.upper(), OWN) is expected


# ---------------------------------------------------------------- when the journal is asked

UNCERTAIN = Delivery(
    id=1,
    fence=1,
    alert_id=1,
    period="",
    step="first",
    template="alert",
    recipient=HEAD,
    language=Language.MS,
    message_id=MESSAGE_ID,
    attempts=1,
    rendered=b"mail",
    uncertain=True,
    handed_over_at=NOW,
)


@pytest.mark.parametrize(
    ("attempts", "after", "expected"),
    [
        pytest.param(1, 1, 2, id="a mail may show in the journal for two minutes"),
        pytest.param(1, 2, None, id="then it was never accepted"),
        pytest.param(3, 2, 15, id="a server that loses its answers again and again is not asked at once"),
        pytest.param(0, 0, 2, id="a process that died did not count its try"),
        pytest.param(1, -60, None, id="a try from before the clock stepped back does not wait for the clock"),
    ],
)
def test_a_mail_that_is_not_in_the_journal_counts_as_lost_after_a_while(attempts, after, expected):
    at = settled_at(replace(UNCERTAIN, attempts=attempts), 2 * MINUTE, now=NOW + after * MINUTE)
    assert at == (None if expected is None else NOW + expected * MINUTE)


@pytest.mark.parametrize(
    ("after", "expected"),
    [(0, 1), (1, 2), (4, 8), (40, 60), (59, 60), (60, None), (-60, None)],
)
def test_a_journal_that_cannot_be_read_is_waited_for_at_growing_intervals_and_at_most_an_hour(after, expected):
    at = journal_retry(UNCERTAIN, now=NOW + after * MINUTE)
    assert at == (None if expected is None else NOW + expected * MINUTE)
    assert timedelta(hours=1) == JOURNAL_PATIENCE
