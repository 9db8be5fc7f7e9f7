"""The guarded session against real sockets: where it goes, how long it waits, how much it takes, what it says."""

from __future__ import annotations

import gc
import gzip
import ipaddress
import socket
import struct
import threading
import time
import traceback
import weakref
from datetime import UTC, datetime, timedelta

import pytest
import requests
from replay import Answer, Replay, as_json

from connectors import http
from connectors.base import AddressRefused, ConnectorError, RateLimited, SchemaDrift, Unavailable
from connectors.reach import is_admitted
from monitor.settings import Network

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"),)
SECRET = "EAABplantedTokenThatNobodyMaySee"
FINE = Answer(body=b"baik", headers={"X-App-Usage": "{}"})


def network(*, allow=(), timeout: float = 5.0, max_bytes: int = 1_000_000) -> Network:
    return Network(allow=allow, timeout=timedelta(seconds=timeout), max_bytes=max_bytes)


def refusal(session: requests.Session, url: str) -> ConnectorError:
    """Return what a request ends in, as the connectors see it."""
    try:
        session.get(url)
    except requests.RequestException as error:
        return http.failure(error, what="rss/jpd")
    raise AssertionError("the request went through")


@pytest.fixture
def server():
    with Replay(lambda _: FINE) as running:
        yield running


def test_a_session_that_is_let_go_lets_its_connections_go(server):
    session = http.open_session(network=network(allow=LOOPBACK))
    session.get(server.url)
    adapter = weakref.ref(session.get_adapter(server.url))
    del session
    gc.collect()
    assert adapter() is None


# ---------------------------------------------------------------- where it goes


PRIVATE = {
    "loopback": "http://127.0.0.1:9/",
    "loopback by name": "http://localhost:9/",
    "loopback as one number": "http://2130706433/",
    "loopback in hexadecimal": "http://0x7f000001/",
    "loopback, short": "http://127.1/",
    "loopback of the new protocol": "http://[::1]/",
    "loopback wrapped into the new protocol": "http://[::ffff:127.0.0.1]/",
    "every interface": "http://0.0.0.0/",
    "a private network": "http://10.1.2.3/",
    "a home network": "http://192.168.0.1/",
    "a carrier's network": "http://100.64.0.1/",
    "a cloud's metadata": "http://169.254.169.254/latest/meta-data/",
    "a unique local address": "http://[fd00::1]/",
    "multicast": "http://224.0.0.1/",
    "a user in front": "http://example.com@127.0.0.1/",
    "loopback in octal": "http://0177.0.0.1/",
    "a private network in hexadecimal parts": "http://0xa.0x1.2.3/",
    "loopback in wide digits": "http://\uff11\uff12\uff17.0.0.1/",
    "loopback with circled dots": "http://127\u30020\u30020\u30021/",
    "another loopback": "http://127.8.8.8:9/",
    "nothing, short": "http://0/",
    "this very network": "http://0.1.2.3/",
    "a network for tests": "http://198.18.0.1/",
    "the last address": "http://255.255.255.255/",
    "addresses that nobody has": "http://240.0.0.1/",
    "the relay of 6to4": "http://192.88.99.1/",
    "a cloud's metadata, mapped": "http://[::ffff:169.254.169.254]/",
    "a cloud's metadata of the new protocol": "http://[fd00:ec2::254]/",
    "every interface of the new protocol": "http://[::]/",
    "link-local of the new protocol": "http://[fe80::1]/",
    "link-local with its interface": "http://[fe80::1%25lo]/",
    "a site's own, as of old": "http://[fec0::1]/",
    "documentation": "http://[2001:db8::1]/",
}


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'{"id": "a\ud83d"}', {"id": "a\ufffd"}),
        (rb'["\uDE00b", {"\ud800": null}]', ["\ufffdb", {"\ufffd": None}]),
        (rb'["\ud83d\ude00"]', ["\U0001f600"]),
    ],
    ids=["a first half", "second halves, and keys", "a whole one"],
)
def test_half_a_character_in_json_is_none(body, value):
    """It could be neither asked for again nor looked up, and ended in an internal error."""
    with Replay(lambda _: Answer(body=body)) as server:
        answer = http.open_session(base_url=server.url, network=Network()).get(server.url)
    assert http.json_body(answer, what="x") == value


def test_a_connection_that_fails_names_the_host_and_nothing_else_of_the_address():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    session = http.open_session(network=network(allow=LOOPBACK))
    told = str(refusal(session, f"http://127.0.0.1:{port}/feed?access_token={SECRET}"))
    assert told.startswith("rss/jpd: the connection to 127.0.0.1 failed: ")
    assert SECRET not in told
    assert str(http.failure(requests.ConnectionError(), what="x")).startswith("x: the connection failed: ")


def test_a_redirect_is_looked_at_like_any_address():
    """Every hop, with whatever it leads to: a picture's address may have been harmless when it was stored."""
    for url in filter(str.isascii, PRIVATE.values()):
        with Replay(lambda _, to=url: Answer(status=302, headers={"Location": to})) as public:
            session = http.open_session(base_url=public.url, network=network())
            assert isinstance(refusal(session, public.url), AddressRefused), url
            assert len(public.asked) == 1


LED = {
    "8.8.8.8": True,
    "2001:4860:4860::8888": True,
    "::ffff:8.8.8.8": True,
    "64:ff9b::8.8.8.8": True,  # all the old Internet, where only the new one is spoken
    "2002:808:808::1": True,
    "64:ff9b::127.0.0.1": False,
    "64:ff9b::10.1.2.3": False,
    "64:ff9b::169.254.169.254": False,
    "64:ff9b:1::8.8.8.8": False,  # a site's own translation: nobody outside knows where it leads
    "2002:7f00:1::": False,
    "2002:a01:203::1": False,
    "2002:c0a8:1::1": False,
    "::127.0.0.1": False,
    "::10.1.2.3": False,
    "::8.8.8.8": False,  # no gateway is left that takes it
    "::ffff:0:10.1.2.3": False,
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": False,  # Teredo
    "4000::1": False,
    "3fff::1": False,
    "ff0e::1": False,
    "fe80::1%eth0": False,
}


@pytest.mark.parametrize(("address", "admitted"), LED.items(), ids=LED)
def test_an_address_is_as_public_as_where_it_leads(address, admitted):
    assert is_admitted(address, allow=()) is admitted


def test_whoever_admits_a_network_admits_the_ways_that_lead_into_it():
    inside = [ipaddress.ip_network("10.1.0.0/16")]
    ways = ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1")
    assert [is_admitted(way, allow=inside) for way in ways] == [True] * 4
    assert not is_admitted("64:ff9b::10.2.2.3", allow=inside)


def test_a_site_s_cookies_are_not_kept():
    with Replay(lambda _: Answer(body=b"baik", headers={"Set-Cookie": f"a={'x' * 4000}; Path=/"})) as running:
        session = http.open_session(base_url=running.url, network=network())
        for _ in range(2):
            session.get(running.url)
        assert "cookie" not in running.asked[-1].headers
        assert len(session.cookies) == 0


@pytest.mark.parametrize("url", PRIVATE.values(), ids=PRIVATE)
def test_nothing_is_asked_of(url):
    assert isinstance(refusal(http.open_session(network=network()), url), AddressRefused)


def test_the_administrator_can_admit_a_network(server):
    assert http.open_session(network=network(allow=LOOPBACK)).get(server.url).text == "baik"


def test_the_base_url_needs_no_permission(server):
    assert http.open_session(base_url=server.url, network=network()).get(f"{server.url}/a").text == "baik"


def test_another_port_of_the_base_url_s_host_does(server):
    with Replay(lambda _: FINE) as other:
        error = refusal(http.open_session(base_url=server.url, network=network()), other.url)
        assert isinstance(error, AddressRefused)
        assert other.asked == []


def test_a_redirect_to_loopback_is_refused(server):
    with Replay(lambda _: Answer(status=302, headers={"Location": server.url})) as public:
        session = http.open_session(base_url=public.url, network=network())
        assert isinstance(refusal(session, public.url), AddressRefused)
    assert server.asked == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://example.com/", "//127.0.0.1:9/", "http://[/"])
def test_a_redirect_to_anything_else_is_refused(location):
    with Replay(lambda _: Answer(status=302, headers={"Location": location})) as public:
        session = http.open_session(base_url=public.url, network=network())
        assert isinstance(refusal(session, public.url), AddressRefused)


def test_a_redirect_in_a_circle_ends():
    with Replay(lambda _: Answer(status=302, headers={"Location": "/"})) as circle:
        session = http.open_session(network=network(allow=LOOPBACK))
        assert isinstance(refusal(session, circle.url), AddressRefused)
        assert len(circle.asked) < 10


def test_a_name_server_that_changes_its_mind_is_caught_at_the_connection(server, monkeypatch):
    """The second look-up is what the connection uses: only a patched resolver can lie between the two."""
    port = int(server.url.rpartition(":")[2])
    public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))]
    monkeypatch.setattr("connectors.http.socket.getaddrinfo", _first(public, socket.getaddrinfo))
    error = refusal(http.open_session(network=network()), f"http://localhost:{port}/")
    assert isinstance(error, AddressRefused)
    assert server.asked == []


def _first(answer, then):
    answers = [answer]
    return lambda *args, **how: answers.pop() if answers else then(*args, **how)


def test_a_library_s_own_origin_is_replaced_with_its_path_and_query(server):
    session = http.open_session(base_url=f"{server.url}/tiruan/", network=network(), replaces=("https://api.x.com",))
    session.get("https://api.x.com/2/users", params={"ids": "1"})
    assert (server.asked[0].path, server.asked[0].query) == ("/tiruan/2/users", {"ids": "1"})


def test_an_origin_that_only_begins_alike_is_not_replaced(server):
    session = http.open_session(
        base_url=server.url, network=network(), replaces=("https://api.x.com",), credential=True
    )
    assert isinstance(refusal(session, "https://api.x.com.example/2/users"), AddressRefused)
    assert server.asked == []


def test_a_credential_goes_nowhere_but_to_the_base_url(server):
    with Replay(lambda _: Answer(status=307, headers={"Location": f"{server.url}/?access_token={SECRET}"})) as own:
        session = http.open_session(base_url=own.url, network=network(allow=LOOPBACK), credential=True)
        error = refusal(session, own.url)
    assert isinstance(error, AddressRefused)
    assert SECRET not in "".join(traceback.format_exception(error))
    assert server.asked == []


def test_a_proxy_of_the_environment_is_not_used(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert http.open_session(base_url=server.url, network=network()).get(server.url).text == "baik"


def test_a_name_nobody_has_is_named():
    error = refusal(http.open_session(network=network()), "http://tiada.invalid/")
    assert isinstance(error, Unavailable)
    assert "tiada.invalid" in str(error)


# ---------------------------------------------------------------- how long, how much


def test_a_server_that_says_nothing_is_left():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        error = refusal(http.open_session(base_url=url, network=network(timeout=0.2)), url)
    assert (type(error), "in time" in str(error)) == (Unavailable, True)


def test_a_body_that_drips_for_ever_is_left():
    with Replay(lambda _: Answer(drip=b"x" * 1000, pause=0.05)) as dripping:
        begin = time.monotonic()
        error = refusal(http.open_session(base_url=dripping.url, network=network(timeout=0.1)), dripping.url)
        assert time.monotonic() - begin < 5
    assert isinstance(error, Unavailable)


def test_an_answer_that_is_too_large_is_refused_while_it_is_read():
    with Replay(lambda _: Answer(body=b"x" * 50_000)) as large:
        session = http.open_session(base_url=large.url, network=network(max_bytes=10_000))
        assert "max_bytes" in str(refusal(session, large.url))


def test_what_is_small_packed_and_large_unpacked_is_too_large():
    bomb = Answer(body=gzip.compress(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"})
    with Replay(lambda _: bomb) as running:
        assert isinstance(
            refusal(http.open_session(base_url=running.url, network=network()), running.url), AddressRefused
        )


PACKINGS = {"not at all": ("identity", b"baik"), "gzip": ("gzip", gzip.compress(b"baik")), "nothing": ("gzip", b"")}


@pytest.mark.parametrize(("coding", "body"), PACKINGS.values(), ids=PACKINGS)
def test_a_body_is_read_whole_however_it_is_packed(coding, body):
    with Replay(lambda _: Answer(body=body, headers={"Content-Encoding": coding})) as running:
        answer = http.open_session(base_url=running.url, network=network()).get(running.url)
    assert answer.content == (b"baik" if body else b"")


def test_a_body_that_arrives_in_pieces_is_read_whole():
    with Replay(lambda _: Answer(body=b"a" * 300_000, drip=b"bcd", pause=0.01)) as running:
        answer = http.open_session(base_url=running.url, network=network()).get(running.url)
    assert (len(answer.content), answer.content[-3:]) == (300_003, b"bcd")


def test_one_connection_serves_many_requests():
    with Replay(lambda _: FINE) as running:
        session = http.open_session(base_url=running.url, network=network())
        for _ in range(3):
            session.get(running.url)
        (pool,) = session.get_adapter(running.url).poolmanager.pools._container.values()
        assert pool.num_connections == 1
        assert pool.num_requests == 3


def test_headers_of_the_answer_are_kept(server):
    assert http.open_session(base_url=server.url, network=network()).get(server.url).headers["x-app-usage"] == "{}"


BROKEN = {
    "a body that ends too early": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhanya ini",
    "pieces that end too early": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhanya",
    "a packing that is none": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbaik",
    "no HTTP at all": b"220 mail.example.my ESMTP\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_unavailable(answer):
    assert isinstance(_answered_by(answer, reset=False), Unavailable)


def test_a_reset_is_unavailable():
    assert isinstance(_answered_by(b"", reset=True), Unavailable)


def _answered_by(raw: bytes, *, reset: bool) -> ConnectorError:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer_once, args=(listener, raw, reset), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/?access_token={SECRET}"
        error = refusal(http.open_session(base_url=url.partition("?")[0], network=network(timeout=2)), url)
    assert SECRET not in "".join(traceback.format_exception(error))
    return error


def _answer_once(listener: socket.socket, raw: bytes, reset: bool) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(raw)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# ---------------------------------------------------------------- what it says


def test_every_exception_of_requests_has_a_row_of_its_own_or_of_a_near_relative():
    classes = [one for one in vars(requests.exceptions).values() if isinstance(one, type)]
    known = [
        one for one in classes if issubclass(one, requests.RequestException) and one is not requests.RequestException
    ]
    assert len(known) > 15
    assert [one.__name__ for one in known if not any(parent in http.FAILURES for parent in one.__mro__)] == []
    assert requests.RequestException not in http.FAILURES  # else the line above could not fail


WAITS = {
    "seconds": ("90", NOW + timedelta(seconds=90)),
    "a date": ("Tue, 24 Nov 2026 03:00:00 GMT", datetime(2026, 11, 24, 3, 0, tzinfo=UTC)),
    "a date without a zone": ("Tue, 24 Nov 2026 03:00:00 -0000", datetime(2026, 11, 24, 3, 0, tzinfo=UTC)),
    "seconds of days": ("999999", NOW + timedelta(days=1)),
    "a date in a week": ("Tue, 01 Dec 2026 03:00:00 GMT", NOW + timedelta(days=1)),
    "seconds of years": ("999999999", None),
    "a date of another age": ("Sun, 24 Nov 9999 03:00:00 GMT", None),
    "a word": ("soon", None),
    "nothing": ("", None),
    "a number below zero": ("-5", None),
}


@pytest.mark.parametrize(("header", "at"), WAITS.values(), ids=WAITS)
def test_a_wait_is_read_from(header, at):
    assert http.retry_after({"Retry-After": header}, NOW) == at


def test_a_site_s_limit_is_its_own():
    with Replay(lambda _: Answer(status=429)) as running:
        answer = http.open_session(base_url=running.url, network=network()).get(running.url)
    error = http.refusal(answer, what="rss/jpd", now=NOW)
    assert (isinstance(error, RateLimited), error.whole_platform, error.retry_at) == (True, False, None)


@pytest.mark.parametrize("status", [200, 304])
def test_an_answer_to_be_read_is_no_refusal(status):
    with Replay(lambda _: Answer(status=status)) as running:
        answer = http.open_session(base_url=running.url, network=network()).get(running.url)
    assert http.refusal(answer, what="rss/jpd", now=NOW) is None


BODIES = {
    "a page": (b"<html>", SchemaDrift, "expected JSON"),
    "half an object": (b'{"a": ', Unavailable, "cut short"),
    "nothing": (b"", SchemaDrift, "is empty"),
    "lists without end": (b"[" * 100_000 + b"]" * 100_000, SchemaDrift, "too deep"),
    "a number without end": (b'{"a": ' + b"9" * 5000 + b"}", SchemaDrift, "too long"),
}


@pytest.mark.parametrize(("body", "error", "words"), BODIES.values(), ids=BODIES)
def test_what_is_no_json_is_told_apart(body, error, words):
    with Replay(lambda _: Answer(body=body)) as running:
        answer = http.open_session(base_url=running.url, network=network()).get(running.url)
    with pytest.raises(error, match=words):
        http.json_body(answer, what="x/jpd")


def test_json_with_a_byte_order_mark_is_json():
    marked = Answer(body=b"\xef\xbb\xbf" + as_json({"a": 1}).body)
    with Replay(lambda _: marked) as running:
        answer = http.open_session(base_url=running.url, network=network()).get(running.url)
    assert http.json_body(answer, what="x/jpd") == {"a": 1}


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2026-11-24T02:05:00.264888Z", datetime(2026, 11, 24, 2, 5, 0, 264888, tzinfo=UTC)),
        ("2026-11-24T02:05:00", datetime(2026, 11, 24, 2, 5, tzinfo=UTC)),
        ("1795485900", datetime(2026, 11, 24, 2, 5, tzinfo=UTC)),
        ("2026-12-01T00:00:00Z", NOW + timedelta(days=1)),
        ("2031-01-01T00:00:00Z", NOW + timedelta(minutes=1)),
        ("soon", NOW + timedelta(minutes=1)),
    ],
)
def test_a_budget_is_full_again_by_its_own_header_or_else_by_the_wait(said, at):
    headers = {"X-RateLimit-Reset": said, "Retry-After": "60"}
    assert http.reset(headers, "X-RateLimit-Reset", NOW) == at
