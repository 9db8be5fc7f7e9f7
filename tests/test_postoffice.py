"""The real parts: an alert through Postfix to Dovecot, over TLS and signed in; the journal; mails that come back."""

import imaplib
import smtplib
import ssl
from datetime import timedelta

import pytest
from builders import NOW
from conftest import unavailable
from mail_servers import Postbox, make_certificates, read_mail, smtp_server, taken_then_hung_up
from postoffice import JOURNAL, PASSWORD, SENDER, missing, needs_root, post_office
from test_mailbox import report
from test_outbox import APART, ENVELOPE, POLICY, deliver_due, open_office, plan_due, smtp

from alerts import mailbox
from alerts.channel import DeliveryFailed
from alerts.mailbox import BounceReader, MailboxUnreachable
from alerts.smtp import SmtpChannel
from monitor.model import AlertKind
from monitor.settings import Secret
from monitor.store import outbox as store
from monitor.store import tables, undelivered
from monitor.store.listings import list_alerts

HEAD, STRANGER = "ketua@jpd.example.my", "tiada@jpd.example.my"
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def post():
    if reason := needs_root():
        pytest.skip(reason)
    if reason := missing():
        unavailable(reason)
    with post_office([HEAD]) as running:
        yield running


@pytest.fixture
def office(sqlite_db, post):
    """An office whose mails go through the real post office."""
    opened = open_office(sqlite_db, SmtpChannel(post.mail()))
    yield opened
    opened.channel.close()


def sent_by(office, **options):
    return deliver_due(
        office.db,
        office.channel,
        ENVELOPE,
        now=office.now,
        clock=lambda: office.now,
        report=lambda week: None,
        **options,
    )


def read_back(post, user, message_id):
    """Read a mail the way its recipient's program does."""
    context = ssl.create_default_context(cafile=str(post.certificates.ca_file))
    with imaplib.IMAP4_SSL("localhost", post.imaps_port, ssl_context=context, timeout=10) as connection:
        connection.login(user, PASSWORD)
        connection.select("INBOX", readonly=True)
        _, (found,) = connection.search(None, "HEADER", "Message-ID", f'"{message_id}"')
        return [read_mail(connection.fetch(number, "(RFC822)")[1][0][1]) for number in found.split()]


# ---------------------------------------------------------------- sending


def test_an_alert_goes_through_starttls_and_a_sign_in_and_is_read_back_over_imap(office, post):
    office.breach("1")
    plan_due(office.db, POLICY, now=office.now, grouping=APART)
    assert sent_by(office).accepted == 1
    (row,) = office.rows()
    post.wait_for_mails(HEAD)
    (mail,) = read_back(post, HEAD, row["message_id"])
    assert "PTU-2026-000001" in mail.get_body(("plain",)).get_content()
    assert "ESMTPSA" in mail["Received"], "over TLS, and signed in"


def test_postfix_takes_the_beginning_of_a_mail_in_one_go_and_keeps_the_connection(office, post):
    office.breach(*map(str, range(5)))
    plan_due(office.db, POLICY, now=office.now, grouping=APART)
    before = post.log().count(": connect from")
    assert sent_by(office).accepted == 5
    assert post.log().count(": connect from") == before + 1


def test_a_certificate_of_another_authority_is_refused_and_nothing_is_sent(post, tmp_path):
    """Fault 6."""
    other = make_certificates(tmp_path)
    channel = SmtpChannel(post.mail(ca_file=other.ca_file))
    before = len(post.mails(JOURNAL))
    with pytest.raises(DeliveryFailed, match="certificate is not trusted"):
        channel.send(b"Subject: x\r\n\r\nx\r\n", recipient=HEAD, message_id="<x@x>")
    assert len(post.mails(JOURNAL)) == before


def test_a_wrong_password_is_refused_and_not_repeated(post):
    channel = SmtpChannel(post.mail(password=Secret("salah-benar")))
    with pytest.raises(DeliveryFailed, match="mail\\.password") as caught:
        channel.check()
    assert "salah-benar" not in str(caught.value)


# ---------------------------------------------------------------- the journal


@pytest.fixture
def lossy(sqlite_db, post):
    """A mail server that takes mails, hands them on to the journal when told to, and loses its answers."""
    box = Postbox()
    for place in ("new", "cur"):  # the same alert of another test has the same Message-ID
        for mail in (post.maildir(JOURNAL) / place).glob("*"):
            mail.unlink()
    with smtp_server(box) as port:
        opened = open_office(sqlite_db, smtp(port))
        yield opened, box
        opened.channel.close()


@pytest.fixture
def journal(post):
    opened = mailbox.Journal(post.mailbox(JOURNAL, journal="INBOX"))
    yield opened
    opened.close()


def journalled(post, content):
    with smtplib.SMTP("127.0.0.1", post.plain_port, timeout=10) as connection:
        count = len(post.mails(JOURNAL))
        connection.sendmail(SENDER, [HEAD], content)
    post.wait_for_mails(JOURNAL, count + 1)


def lose_an_answer(office, box, journal):
    office.breach("1")
    plan_due(office.db, POLICY, now=office.now, grouping=APART)
    box.faults = [taken_then_hung_up]
    assert sent_by(office, journal=journal).retried == 1
    assert office.states() == ["uncertain"]


def test_a_mail_whose_answer_was_lost_is_found_in_the_journal_and_not_sent_again(lossy, journal, post):
    """Fault 2."""
    office, box = lossy
    lose_an_answer(office, box, journal)
    journalled(post, box.mails[0][1])
    office.now += 2 * MINUTE
    assert sent_by(office, journal=journal).accepted == 1
    assert office.states() == ["accepted"]
    assert len(box.mails) == 1


def test_a_mail_that_is_not_in_the_journal_is_sent_again_as_the_same_mail_once_it_would_show(lossy, journal):
    office, box = lossy
    lose_an_answer(office, box, journal)
    office.now += MINUTE
    assert sent_by(office, journal=journal).accepted == 0, "it may still show"
    office.now += MINUTE
    assert sent_by(office, journal=journal).accepted == 1
    (_, first), (_, second) = box.mails
    assert first == second


def test_what_a_dead_process_was_handing_over_is_looked_up_too(lossy, journal, post):
    """Fault 1."""
    office, box = lossy
    office.breach("1")
    plan_due(office.db, POLICY, now=office.now, grouping=APART)
    mail = office.claim()
    content = f"Message-ID: {mail.message_id}\r\n\r\nhello\r\n".encode()
    store.begin(office.db, mail, content, now=office.now, lease=5 * MINUTE)
    journalled(post, content)
    store.release_abandoned(office.db, office.now)
    assert sent_by(office, journal=journal).accepted == 1
    assert box.mails == []
    assert office.states() == ["accepted"]


def test_a_journal_that_cannot_be_read_holds_a_mail_for_an_hour_and_then_it_goes_again(lossy, post):
    office, box = lossy
    away = mailbox.Journal(post.mailbox(JOURNAL, journal="INBOX", port=1))
    lose_an_answer(office, box, away)
    minutes = 0
    while office.states() == ["uncertain"]:
        minutes += 1
        office.now += MINUTE
        sent_by(office, journal=away)
    assert 60 <= minutes <= 61
    assert len(set(box.message_ids())) == 1
    assert len(box.mails) == 2


# ---------------------------------------------------------------- what comes back


@pytest.fixture
def reader(post):
    return BounceReader(post.mailbox(SENDER), own=(SENDER,))


def test_a_mail_that_postfix_returns_is_told_to_the_operators_and_hastens_its_alert(office, post, reader):
    """Also what Postfix writes itself is understood: nobody has that mailbox."""
    office.breach("1")
    plan_due(office.db, POLICY, now=office.now, grouping=APART)
    with office.db.write() as connection:
        connection.execute(tables.notification.update().values(recipient=STRANGER))
    before = len(post.mails(SENDER))
    assert sent_by(office).accepted == 1
    office.now += MINUTE
    post.wait_for_mails(SENDER, before + 1)
    found = reader.read(office.db, clock=lambda: NOW)
    assert found.returned == 1
    assert office.states()[0] == "bounced"
    assert "unknown user" in office.rows()[0]["error"]
    dead = next(alert for alert in list_alerts(office.db) if alert.kind is AlertKind.DEAD_LETTER)
    assert dead is not None
    assert reader.read(office.db, clock=lambda: NOW).returned == 0, "a report is read once"


def deliver_to_sender(post, content):
    count = len(post.mails(SENDER))
    with smtplib.SMTP("127.0.0.1", post.plain_port, timeout=10) as connection:
        connection.sendmail("", [SENDER], content)
    post.wait_for_mails(SENDER, count + 1)


def flags(post, subject):
    context = ssl.create_default_context(cafile=str(post.certificates.ca_file))
    with imaplib.IMAP4_SSL("localhost", post.imaps_port, ssl_context=context, timeout=10) as connection:
        connection.login(SENDER, PASSWORD)
        connection.select("INBOX", readonly=True)
        _, (found,) = connection.search(None, "SUBJECT", f'"{subject}"')
        return imaplib.ParseFlags(connection.fetch(found.split()[-1], "(FLAGS)")[1][0])


def test_other_people_s_mails_in_the_mailbox_are_neither_read_nor_marked(office, post, reader):
    deliver_to_sender(post, b"Subject: surat-biasa\r\nTo: pantau\r\n\r\nTerima kasih\r\n")
    reader.read(office.db, clock=lambda: NOW)
    assert rb"\Seen" not in flags(post, "surat-biasa")


def test_a_mailbox_with_another_uidvalidity_is_read_from_its_beginning(office, post, reader):
    deliver_to_sender(post, report())
    first = reader.read(office.db, clock=lambda: NOW)
    assert first.unknown >= 1
    assert reader.read(office.db, clock=lambda: NOW).unknown == 0
    undelivered.keep_place(office.db, reader._place, 1, 10**6)
    assert reader.read(office.db, clock=lambda: NOW).unknown == first.unknown


def test_the_mailbox_s_certificate_is_verified(post, tmp_path):
    other = make_certificates(tmp_path)
    with pytest.raises(MailboxUnreachable, match="certificate is not trusted"):
        mailbox.check(post.mailbox(ca_file=other.ca_file))


def test_a_mailbox_is_proven_with_a_sentence(post):
    said = mailbox.check(post.mailbox(JOURNAL, journal="INBOX"))
    assert f"signed in as {JOURNAL}" in said


def test_a_mailbox_over_starttls_is_read_too(post):
    assert "can read INBOX" in mailbox.check(post.mailbox(security="starttls", port=post.imap_port))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"password": Secret("salah-benar")}, "mailbox cannot be read"),
        ({"password": Secret("sälah")}, "plain ASCII"),
        ({"bounces": "Tiada"}, "folder Tiada"),
        ({"port": 1}, "cannot be read"),
        ({"security": "none", "host": "192.0.2.1"}, "this machine only"),
    ],
)
def test_a_mailbox_that_cannot_be_read_says_why_and_never_the_password(post, changes, told):
    with pytest.raises(MailboxUnreachable, match=told) as caught:
        mailbox.check(post.mailbox(**changes))
    assert "salah-benar" not in str(caught.value)
    assert "lah" not in str(caught.value).replace("mailbox", "")
