"""From the outbox to the letter: a mail that follows says who was told before, and who comes next."""

import pytest
from builders import agency, alert
from mail_servers import read_mail
from test_compose import text_of
from test_outbox import HOUR, open_office

from alerts.folder import FolderChannel
from alerts.policy import next_roles
from monitor.escalation import Escalation, Role
from monitor.model import AlertKind, NotificationState, Profile, Resolution, Severity
from monitor.store import life, tables
from monitor.store.alerts import load_alert
from monitor.store.listings import mails_of, told_in_round
from monitor.store.opening import alert_for_profile
from monitor.store.register import registered

DEPUTY, ICTSO, HEAD = "timbalan@jpd.example.my", "ictso@jpd.example.my", "ketua@jpd.example.my"


@pytest.fixture
def office(sqlite_db, tmp_path):
    return open_office(sqlite_db, FolderChannel(tmp_path / "mail"))


def letters(office):
    """Return the planned mails in their order, each as (template, recipient, text)."""
    return [
        (row["template"], row["recipient"], " ".join(text_of(read_mail(row["rendered"])).split()))
        for row in office.rows()
        if row["rendered"] is not None
    ]


def climb(office, steps):
    office.breach("1")
    office.deliver()
    for _ in range(steps):
        office.now = load_alert(office.db, 1).next_action_at
        office.deliver()


def test_the_first_mail_names_the_hour_until_which_an_answer_is_awaited(office):
    """Noon on a Tuesday, and four hours of work."""
    climb(office, 0)
    ((template, recipient, words),) = letters(office)
    assert (template, recipient) == ("alert", HEAD)
    assert "sebelum Selasa, 24 November 2026, 16:00 (waktu Malaysia), satu peringatan akan dihantar" in words


def test_a_reminder_names_since_when_and_who_is_told_next(office):
    climb(office, 1)
    template, recipient, words = letters(office)[-1]
    assert (template, recipient) == ("reminder", HEAD)
    assert "belum dijawab sejak Selasa, 24 November 2026, 12:00" in words
    assert "dipanjangkan kepada Timbalan Ketua Jabatan dan Pegawai Keselamatan ICT (ICTSO)." in words


def test_an_escalation_names_those_who_did_not_answer(office):
    climb(office, 2)
    last = {recipient: words for template, recipient, words in letters(office) if template == "escalation"}
    assert set(last) == {DEPUTY, ICTSO}
    for words in last.values():
        assert "Selasa, 24 November 2026, 12:00 (waktu Malaysia): ketua@jpd.example.my" in words
        assert "Selasa, 24 November 2026, 16:00 (waktu Malaysia): ketua@jpd.example.my" in words
        assert "dipanjangkan kepada pasukan keselamatan" in words


def test_in_a_new_round_only_its_own_mails_count(office):
    climb(office, 1)
    office.now += HOUR
    life.resolve(office.db, 1, resolution=Resolution.FALSE_ALARM, by="a", via="command line", now=office.now)
    life.reopen(office.db, 1, by="ketua", reason="SULIT-MARKER", now=office.now)
    office.deliver()
    template, _, words = letters(office)[-1]
    assert template == "reopened"
    assert "seorang pegawai meminta" in words
    assert "MARKER" not in words
    assert [who for _, who in told_in_round(office.db, load_alert(office.db, 1))] == [HEAD]


def test_a_mail_that_came_back_told_nobody(office):
    climb(office, 0)
    with office.db.write() as connection:
        connection.execute(tables.notification.update().values(state=NotificationState.BOUNCED.value))
    assert told_in_round(office.db, load_alert(office.db, 1)) == []


def test_a_case_that_shares_a_mail_was_told_by_it(office):
    office.grouping = type(office.grouping)()
    office.breach("1", "2")
    office.deliver()
    assert len(office.rows()) == 1
    for number in (1, 2):
        assert [mail.recipient for mail in mails_of(office.db, number)] == [HEAD]
        assert len(told_in_round(office.db, load_alert(office.db, number))) == 1


def test_a_renamed_account_is_told_with_both_names(office):
    (holder,) = registered(office.db)
    before = Profile(native_id="1", name="Jabatan Digital", handle="jpd", picture_url="https://a/1")
    after = Profile(native_id="1", name="Shib https://evil.example\nhandle: a → b", handle="jpd")
    with office.db.write() as connection:
        alert_for_profile(connection, holder=holder, before=before, after=after, now=office.now)
    office.deliver()
    ((template, _, words),) = letters(office)
    assert template == "profile"
    assert "“Jabatan Digital” → “Shib https[:]//evil[.]example handle: a -> b”" in words
    assert "Gambar : telah berubah" in words


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        pytest.param(alert(steps=1), (Role.HEAD,), id="after the first mail the head is reminded"),
        pytest.param(alert(steps=2), (Role.DEPUTY, Role.ICTSO), id="then others of the agency"),
        pytest.param(alert(steps=9), (Role.SECURITY_TEAM,), id="the last step again and again"),
        pytest.param(
            alert(steps=2, agency=agency(ictso_email="")), (Role.DEPUTY,), id="a role without an address is left out"
        ),
        pytest.param(
            alert(steps=2, agency=agency(deputy_email="", ictso_email="")),
            (Role.SECURITY_TEAM,),
            id="a step without anybody is passed over",
        ),
        pytest.param(
            alert(steps=1, severity=Severity.CRITICAL), (Role.HEAD, Role.DEPUTY, Role.ICTSO), id="a critical one"
        ),
        pytest.param(alert(kind=AlertKind.BLIND, steps=1), (), id="a blind account does not escalate"),
    ],
)
def test_to_whom_the_next_step_goes(about, expected):
    assert next_roles(about, Escalation()) == expected
