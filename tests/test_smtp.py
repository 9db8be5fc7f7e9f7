import asyncio
import time
from datetime import timedelta

import pytest
from aiosmtpd.smtp import AuthResult
from hypothesis import given
from hypothesis import strategies as st
from mail_servers import (
    Postbox,
    hang_up,
    make_certificates,
    read_mail,
    say_goodbye,
    scripted_server,
    smtp_server,
    taken_then_hung_up,
)

from alerts import smtp
from alerts.channel import DeliveryFailed, ascii_address
from alerts.smtp import SmtpChannel, wire_form
from monitor.settings import Mail, Secret

MAIL = b"From: pantau@example.my\r\nTo: ketua@jpd.example.my\r\nMessage-ID: <1@example.my>\r\n\r\nhello\r\n.dot\r\n"
WHO = "ketua@jpd.example.my"
PASSWORD = "k4ta-laluan-rahsia"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def box():
    return Postbox()


def channel(port, security="none", **changes):
    settings = {
        "transport": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "security": security,
        "sender": "Pantau <pantau@example.my>",
        "timeout": timedelta(seconds=5),
    }
    return SmtpChannel(Mail(**{**settings, **changes}))


def send(way, recipient=WHO, mail=MAIL):
    try:
        return way.send(mail, recipient=recipient, message_id="<1@example.my>")
    finally:
        way.close()


def refusal(way, recipient=WHO):
    with pytest.raises(DeliveryFailed) as caught:
        send(way, recipient)
    return caught.value


def kind(error):
    return (error.permanent, error.uncertain, error.server)


PASSING, FOR_GOOD, UNCERTAIN, SERVER = (
    (False, False, False),
    (True, False, False),
    (False, True, False),
    (False, False, True),
)


# ---------------------------------------------------------------- sending


def test_a_mail_arrives_as_it_was_with_the_server_s_answer(box):
    with smtp_server(box) as port:
        where = send(channel(port))
    assert "250 OK, taken" in where
    ((recipient, content),) = box.mails
    assert recipient == WHO
    assert content == MAIL


def test_a_run_uses_one_connection_for_all_its_mails(box):
    with smtp_server(box) as port:
        way = channel(port)
        for _ in range(3):
            way.send(MAIL, recipient=WHO, message_id="<1@example.my>")
        way.close()
    assert (len(box.mails), box.sessions) == (3, 1)


def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew(box):
    box.faults = [say_goodbye]
    with smtp_server(box) as port:
        way = channel(port)
        assert kind(refusal(way)) == PASSING
        assert "250" in send(way)
    assert box.sessions == 2


@given(st.binary(max_size=200))
def test_on_the_wire_a_mail_is_crlf_lines_with_dots_doubled_and_nothing_after_its_end(body):
    wire = wire_form(body)
    assert wire.endswith(b"\r\n.\r\n")
    lines = wire[:-5].split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert not any(line.startswith(b".") and not line.startswith(b"..") for line in lines)


@pytest.mark.parametrize(
    ("address", "as_sent"),
    [
        ("ketua@jpd.example.my", "ketua@jpd.example.my"),
        ("ketua@KERAJAAN.my", "ketua@kerajaan.my"),
        ("a@jabatañ.my", "a@xn--jabata-1wa.my"),
    ],
)
def test_addresses_go_out_in_ascii(address, as_sent):
    assert ascii_address(address) == as_sent


@pytest.mark.parametrize("address", ["a@b.my>\r\nRCPT TO:<x@y.my", "ketüa@b.my", "a b@c.my", "a@", "@b.my", "nobody"])
def test_what_is_no_address_is_given_up_before_anything_is_sent(box, address):
    with smtp_server(box) as port:
        error = refusal(channel(port), address)
    assert kind(error) == FOR_GOOD
    assert "\n" not in str(error)
    assert box.mails == []


def test_a_bad_sender_address_is_the_configuration_s_fault_and_kills_no_mail(box):
    with smtp_server(box) as port:
        error = refusal(channel(port, sender="Pantau <pantäu@example.my>"))
    assert kind(error) == SERVER
    assert "mail.sender" in str(error)


# ---------------------------------------------------------------- TLS (fault 6)


def test_starttls_is_verified_against_the_given_ca(box, certificates):
    with smtp_server(box, tls_context=certificates.localhost, require_starttls=True) as port:
        send(channel(port, "starttls", ca_file=certificates.ca_file))
    assert len(box.mails) == 1


def test_tls_from_the_first_byte_works(box, certificates):
    with smtp_server(box, implicit_tls=certificates.localhost) as port:
        send(channel(port, "tls", ca_file=certificates.ca_file))
    assert len(box.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("fault", ["unknown CA", "another name"])
def test_a_wrong_certificate_is_refused(box, certificates, security, fault):
    context = certificates.another_name if fault == "another name" else certificates.localhost
    ca_file = certificates.ca_file if fault == "another name" else None
    options = {"implicit_tls": context} if security == "tls" else {"tls_context": context}
    with smtp_server(box, **options) as port:
        error = refusal(channel(port, security, ca_file=ca_file, username="pantau", password=Secret(PASSWORD)))
    assert kind(error) == SERVER
    assert "certificate is not trusted" in str(error)
    assert "mail.ca_file" in str(error)
    assert box.mails == []


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"EHLO": "250 scripted"}, "offers no STARTTLS"),
        ({"EHLO": "250-scripted\r\n250 STARTTLS", "STARTTLS": "454 not now"}, "454 not now"),
    ],
    ids=["not offered", "refused"],
)
def test_when_starttls_is_stripped_nothing_is_said_in_clear(answers, told):
    heard = []
    answers |= {"AUTH": "235 ok", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", "QUIT": "221 bye"}
    with scripted_server(answers, heard) as port:
        error = refusal(channel(port, "starttls", username="pantau", password=Secret(PASSWORD)))
    assert kind(error) == SERVER
    assert told in str(error)
    assert heard
    assert {said.split(" ")[0] for said in heard} <= {"ehlo", "EHLO", "STARTTLS", "QUIT", "quit"}


def test_mail_in_clear_to_another_machine_is_refused_without_connecting():
    error = refusal(channel(25, host="192.0.2.1"))
    assert kind(error) == SERVER
    assert "this machine only" in str(error)


def test_a_missing_ca_file_is_named(box, certificates, tmp_path):
    with smtp_server(box, tls_context=certificates.localhost) as port:
        error = refusal(channel(port, "starttls", ca_file=tmp_path / "no-such.pem"))
    assert kind(error) == SERVER
    assert "mail.ca_file" in str(error)
    assert "no-such.pem" in str(error)


# ---------------------------------------------------------------- signing in


def signing_in(certificates):
    def authenticator(server, session, envelope, mechanism, data):
        return AuthResult(handled=False, success=data.login == b"pantau" and data.password == PASSWORD.encode())

    return {"tls_context": certificates.localhost, "authenticator": authenticator, "auth_required": True}


def test_it_signs_in_over_tls(box, certificates):
    with smtp_server(box, **signing_in(certificates)) as port:
        way = channel(port, "starttls", ca_file=certificates.ca_file, username="pantau", password=Secret(PASSWORD))
        assert "signed in as pantau" in way.check()
        send(way)
    assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("password", "hint"), [("wrong", "mail.password"), ("päss-wörd", "plain ASCII"), ("", "mail.username")]
)
def test_a_refused_sign_in_names_the_keys_and_never_the_password(box, certificates, password, hint):
    with smtp_server(box, **signing_in(certificates)) as port:
        username = "pantau" if password else ""
        way = channel(port, "starttls", ca_file=certificates.ca_file, username=username, password=Secret(password))
        error = refusal(way)
    assert kind(error) == SERVER
    assert hint in str(error)
    assert not password or (password not in str(error) and "\\xe4" not in str(error))


def test_a_password_that_a_server_echoes_is_not_repeated():
    echoed = f"535 no user pantau with {PASSWORD}"
    answers = {"EHLO": "250-scripted\r\n250 AUTH LOGIN PLAIN", "AUTH": echoed, "QUIT": "221 bye"}
    with scripted_server(answers, []) as port:
        error = refusal(channel(port, username="pantau", password=Secret(PASSWORD)))
    assert PASSWORD not in str(error)
    assert "no user pantau with …" in str(error)


def test_a_server_without_sign_in_is_told_apart_from_one_that_is_away(box):
    with smtp_server(box) as port:
        error = refusal(channel(port, username="pantau", password=Secret(PASSWORD)))
    assert kind(error) == SERVER
    assert "no way to sign in" in str(error)


# ---------------------------------------------------------------- faults 2 to 5 and 7


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("451 4.3.0 try again later", PASSING),
        ("452 4.2.2 over quota", PASSING),
        ("421 4.3.2 shutting down", PASSING),
        ("550 5.7.1 refused by policy", FOR_GOOD),
        ("554 5.6.0 not a mail", FOR_GOOD),
    ],
)
def test_a_mail_refused_after_data_is_passing_or_for_good_by_its_code(box, answer, expected):
    box.faults = [answer]
    with smtp_server(box) as port:
        error = refusal(channel(port))
    assert kind(error) == expected
    assert answer[:3] in str(error)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("550 5.1.1 no such user", FOR_GOOD),
        ("450 4.2.0 greylisted", PASSING),
        ("550 5.7.1 Relaying denied", PASSING),
        ("530 5.7.0 Authentication required", SERVER),
    ],
)
def test_a_refused_recipient_is_the_recipient_s_fault_unless_the_server_does_not_send_for_us(box, answer, expected):
    box.refused = {WHO: answer}
    with smtp_server(box) as port:
        error = refusal(channel(port))
    assert kind(error) == expected
    assert box.handed_over == []


def test_after_a_refused_recipient_the_next_mail_goes_over_the_same_connection(box):
    box.refused = {WHO: "550 5.1.1 no such user"}
    with smtp_server(box) as port:
        way = channel(port)
        with pytest.raises(DeliveryFailed):
            way.send(MAIL, recipient=WHO, message_id="<1@example.my>")
        send(way, "timbalan@jpd.example.my")
    assert (len(box.mails), box.sessions) == (1, 1)


def test_an_answer_lost_after_the_mail_was_handed_over_is_uncertain(box):
    box.faults = [taken_then_hung_up]
    with smtp_server(box) as port:
        error = refusal(channel(port))
    assert kind(error) == UNCERTAIN
    assert len(box.mails) == 1


def test_a_mail_lost_with_its_connection_is_uncertain_too_for_nobody_can_tell(box):
    box.faults = [hang_up]
    with smtp_server(box) as port:
        assert kind(refusal(channel(port))) == UNCERTAIN
    assert box.mails == []


def test_a_250_later_than_the_time_out_is_uncertain(box):
    never = asyncio.Event()

    async def silent(server):
        await never.wait()

    box.faults = [silent]
    with smtp_server(box) as port:
        error = refusal(channel(port, timeout=timedelta(seconds=0.2)))
    assert kind(error) == UNCERTAIN
    assert "timed out" in str(error)


def test_a_connection_lost_before_the_mail_was_handed_over_is_certain():
    answers = {"EHLO": "250 scripted", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "421 bye"}
    with scripted_server(answers, heard := []) as port:
        error = refusal(channel(port))
    assert kind(error) == PASSING
    assert "hello" not in heard


# ---------------------------------------------------------------- commands that go together (RFC 2920)

TALK = {"EHLO": "250-scripted\r\n250 PIPELINING", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on"}
TALK |= {"RSET": "250 ok", "QUIT": "221 bye", ".": "250 taken"}


def test_a_server_that_can_gets_the_beginning_of_a_mail_in_one_go():
    with scripted_server(TALK, heard := [], in_one_go := []) as port:
        assert "250 taken" in send(channel(port))
    assert [said.split(" ")[0] for said in heard[:4]] == ["ehlo", "MAIL", "RCPT", "DATA"]
    assert any(chunk.startswith("MAIL") and "RCPT" in chunk and chunk.endswith("DATA\r\n") for chunk in in_one_go)


def test_a_server_that_did_not_say_so_gets_one_command_at_a_time():
    with scripted_server(TALK | {"EHLO": "250 scripted"}, [], in_one_go := []) as port:
        send(channel(port))
    assert not any("MAIL" in chunk and "RCPT" in chunk for chunk in in_one_go)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"MAIL": "451 busy", "RCPT": "503 no", "DATA": "503 no"}, PASSING),
        ({"MAIL": "553 not yours", "RCPT": "503 no", "DATA": "503 no"}, SERVER),
        ({"MAIL": "421 bye"}, SERVER),
        ({"RCPT": "550 5.1.1 no such user", "DATA": "554 no valid recipients"}, FOR_GOOD),
        ({"RCPT": "450 greylisted", "DATA": "503 no"}, PASSING),
        ({"RCPT": "550 5.7.1 Relaying denied", "DATA": "503 no"}, PASSING),
        ({"DATA": "451 disk full"}, PASSING),
        ({"DATA": "554 no"}, FOR_GOOD),
    ],
)
def test_each_of_the_answers_to_commands_that_went_together_is_understood(answers, expected):
    with scripted_server(TALK | answers, heard := []) as port:
        assert kind(refusal(channel(port))) == expected
    assert "hello" not in heard


def test_after_a_refusal_among_them_the_next_mail_goes_over_the_same_connection():
    answers = TALK | {"RCPT": "550 5.1.1 no such user", "DATA": "554 no valid recipients"}
    with scripted_server(answers, heard := []) as port:
        way = channel(port)
        for _ in range(2):
            with pytest.raises(DeliveryFailed):
                way.send(MAIL, recipient=WHO, message_id="<1@example.my>")
        way.close()
    assert [said for said in heard if said.startswith("ehlo")] == ["ehlo example.my"]


def test_a_server_that_waits_for_the_bytes_of_a_mail_to_nobody_gets_none():
    answers = TALK | {"RCPT": "550 5.1.1 no such user"}
    with scripted_server(answers, heard := []) as port:
        way = channel(port)
        assert kind(refusal(way)) == FOR_GOOD
    assert heard[-1] == "DATA", "the connection was given up: whatever came next would be the mail's text"


def test_a_server_that_can_is_asked_to_return_headers_only_and_to_name_mail_and_recipient():
    answers = TALK | {"EHLO": "250-scripted\r\n250 DSN"}
    with scripted_server(answers, heard := []) as port:
        send(channel(port), recipient="ketua+kes=1@jpd.example.my")
    assert heard[1] == "MAIL FROM:<pantau@example.my> RET=HDRS ENVID=1@example.my"
    wish = "NOTIFY=FAILURE,DELAY ORCPT=rfc822;ketua+2Bkes+3D1@jpd.example.my"
    assert heard[2] == f"RCPT TO:<ketua+kes=1@jpd.example.my> {wish}"


# ---------------------------------------------------------------- a mail that is announced


def announce(way, recipient=WHO):
    way.announce(recipient=recipient, message_id="<1@example.my>")


def test_a_mail_announced_over_an_open_connection_is_begun_once():
    with scripted_server(TALK, heard := []) as port:
        way = channel(port)
        for _ in range(2):
            announce(way)
            way.send(MAIL, recipient=WHO, message_id="<1@example.my>")
        way.close()
    assert sum(said.startswith("MAIL") for said in heard) == 2
    assert sum(said.startswith("ehlo") for said in heard) == 1
    assert heard.count("hello") == 2


@pytest.mark.parametrize("end", ["rest", "close"])
def test_a_mail_announced_but_not_sent_is_not_delivered(end):
    with scripted_server(TALK, heard := []) as port:
        way = channel(port)
        way.send(MAIL, recipient=WHO, message_id="<1@example.my>")
        announce(way)
        getattr(way, end)()
        assert way._connection is None
    assert heard.count("hello") == 1
    assert "QUIT" not in heard, "the server would take it for the mail's text"


def test_another_mail_than_the_announced_one_goes_over_a_connection_of_its_own():
    with scripted_server(TALK, heard := []) as port:
        way = channel(port)
        way.send(MAIL, recipient=WHO, message_id="<1@example.my>")
        announce(way, recipient="lain@jpd.example.my")
        way.send(MAIL, recipient=WHO, message_id="<1@example.my>")
        way.close()
    assert sum(said.startswith("ehlo") for said in heard) == 2
    assert heard.count("hello") == 2


def test_an_announced_address_that_cannot_be_is_refused_when_it_is_sent(box):
    with smtp_server(box) as port:
        way = channel(port)
        way.send(MAIL, recipient=WHO, message_id="<1@example.my>")
        announce(way, recipient="tiada alamat")
        with pytest.raises(DeliveryFailed, match="not an address"):
            way.send(MAIL, recipient="tiada alamat", message_id="<1@example.my>")
        way.close()


# ---------------------------------------------------------------- the lasting connection


def test_an_idle_connection_is_kept_for_a_while_and_then_let_go(box, monkeypatch):
    with smtp_server(box) as port:
        way = channel(port)
        for seconds in (60.0, 0.0):
            monkeypatch.setattr(smtp, "IDLE_SECONDS", seconds)
            way.send(MAIL, recipient=WHO, message_id="<1@example.my>")
            way.rest()
        assert box.sessions == 1
        send(way)
    assert (len(box.mails), box.sessions) == (3, 2)


def test_a_connection_that_the_server_closed_while_it_was_idle_costs_no_mail(box):
    with smtp_server(box, timeout=0.1) as port:
        way = channel(port)
        way.send(MAIL, recipient=WHO, message_id="<1@example.my>")
        time.sleep(0.5)
        assert "250" in send(way)
    assert (len(box.mails), box.sessions) == (2, 2)


def test_a_server_that_is_away_fails_for_every_mail(box):
    with smtp_server(box) as port:
        pass
    error = refusal(channel(port))
    assert kind(error) == SERVER
    assert "mail.host" in str(error)


def test_a_server_that_never_greets_does_not_hold_the_run_up():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        error = refusal(channel(deaf.getsockname()[1], timeout=timedelta(seconds=0.2)))
    assert kind(error) == SERVER
    assert "time-out" in str(error) or "timed out" in str(error)


def test_a_sender_that_is_refused_is_named_and_stops_the_run():
    answers = {"EHLO": "250 scripted", "MAIL": "553 5.7.1 not yours", "RSET": "250 ok", "QUIT": "221 bye"}
    with scripted_server(answers, []) as port:
        error = refusal(channel(port))
    assert kind(error) == SERVER
    assert "pantau@example.my" in str(error)


def test_headers_and_body_of_a_mail_come_through_a_real_server_unchanged(box):
    with smtp_server(box) as port:
        send(channel(port), mail=b"Subject: =?utf-8?q?Kes?=\r\n\r\n.satu\r\n..dua\r\n")
    ((_, content),) = box.mails
    assert read_mail(content).get_content() == ".satu\r\n..dua\r\n"
