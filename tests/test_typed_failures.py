"""Each library's own exceptions have a meaning here: a class that is new, and in no table, fails a test.

Those of requests are in test_http.py, tweepy's in test_x.py, facebook-sdk's in test_facebook.py.
"""

from __future__ import annotations

import inspect

import defusedxml.common
import feedparser.exceptions
import pytest
import urllib3.exceptions
from builders import NOW
from replay import DATA

from connectors import http, rss
from connectors.base import ConnectorError, SchemaDrift, Unavailable
from connectors.myspace import atom as myspace
from connectors.seen import remembered
from connectors.youtube import feeds as youtube

FEED = (DATA / "rss" / "wordpress.xml").read_bytes()


def classes(module, base=Exception):
    found = {one for _, one in inspect.getmembers(module, inspect.isclass) if issubclass(one, base)}
    return {one for one in found if one.__module__ == module.__name__ and not issubclass(one, Warning)}


# ---------------------------------------------------------------- urllib3: raised while a body is read

ARRIVING = {  # what http._arriving turns into an exception of requests, itself or by its class
    "ProtocolError",
    "IncompleteRead",
    "InvalidChunkLength",
    "ResponseNotChunked",
    "DecodeError",
    "ReadTimeoutError",
    "SSLError",
    "BodyNotHttplibCompatible",  # only for answers that http.client did not make
}
BEFORE = {  # before there is a body: requests has an exception of its own for each
    "HTTPError",
    "PoolError",
    "RequestError",
    "ProxyError",
    "MaxRetryError",
    "HostChangedError",
    "TimeoutStateError",
    "TimeoutError",
    "ConnectTimeoutError",
    "NewConnectionError",
    "NameResolutionError",
    "EmptyPoolError",
    "FullPoolError",
    "ClosedPoolError",
    "LocationValueError",
    "LocationParseError",
    "URLSchemeUnknown",
    "ResponseError",
    "InvalidHeader",
    "ProxySchemeUnknown",
    "ProxySchemeUnsupported",
    "HeaderParsingError",
    "UnrewindableBodyError",
}


def test_every_exception_of_urllib3_has_a_place():
    assert {one.__name__ for one in classes(urllib3.exceptions)} == ARRIVING | BEFORE


class Breaks:
    """An answer whose body ends in an exception."""

    def __init__(self, error):
        self.raw, self.error = self, error

    def read1(self, *_, **__):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(urllib3.exceptions.ProtocolError("reset"), id="reset"),
        pytest.param(urllib3.exceptions.IncompleteRead(3, 9), id="cut short"),
        pytest.param(urllib3.exceptions.ResponseNotChunked("no chunks"), id="no chunks"),
        pytest.param(urllib3.exceptions.DecodeError("gzip"), id="broken packing"),
        pytest.param(urllib3.exceptions.ReadTimeoutError(None, "/", "slow"), id="too slow"),
        pytest.param(urllib3.exceptions.SSLError("tls"), id="broken TLS"),
    ],
)
def test_what_breaks_a_body_is_a_passing_fault_that_names_no_address(error):
    with pytest.raises(http.requests.RequestException) as raised:
        list(http._arriving(Breaks(error)))
    told = http.failure(raised.value, what="x/jpd")
    assert isinstance(told, Unavailable)
    assert str(told) != "x/jpd: the request failed"  # a sentence of its own, from the table


# ---------------------------------------------------------------- XML and feeds


def bombs():
    """A document for each thing that defusedxml refuses."""
    return {
        "EntitiesForbidden": b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><rss version="2.0">&b;</rss>',
        "ExternalReferenceForbidden": b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><feed>&x;</feed>',
    }


def test_every_refusal_of_defusedxml_is_caught_by_its_base_class():
    refusals = classes(defusedxml.common)
    assert all(issubclass(one, defusedxml.common.DefusedXmlException) for one in refusals)
    # A document type alone is let through: old feeds have one. The fourth is about Python's missing modules.
    rest = {one.__name__ for one in refusals} - {"DefusedXmlException", "DTDForbidden", "NotSupportedError"}
    assert rest == bombs().keys()


READERS = {
    "rss": lambda body: rss.parse_feed(
        body, headers={}, url="https://a.my/", what="rss/a", seen=remembered(None), now=NOW
    ),
    "myspace": lambda body: myspace.parse_atom(body, handle="a", what="myspace/a"),
    "youtube": lambda body: youtube.parse_feed(body, what="youtube/a"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("bomb", bombs())
def test_a_document_that_is_refused_is_no_empty_list(reader, bomb):
    with pytest.raises(SchemaDrift):
        READERS[reader](bombs()[bomb])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "error", sorted(classes(defusedxml.common), key=lambda one: one.__name__), ids=lambda e: e.__name__
)
def test_whatever_defusedxml_raises_is_one_of_ours(reader, error, monkeypatch):
    arguments = {"DTDForbidden": 3, "EntitiesForbidden": 6, "ExternalReferenceForbidden": 4}.get(error.__name__, 0)

    def refuse(*_, **__):
        raise error(*["x"] * arguments)

    monkeypatch.setattr(myspace, "fromstring", refuse)
    monkeypatch.setattr(youtube, "fromstring", refuse)
    monkeypatch.setattr(rss.sax, "parseString", refuse)
    with pytest.raises(ConnectorError):
        READERS[reader](FEED)


def test_feedparser_keeps_its_exceptions_to_itself():
    """They are told as `bozo_exception` of what was read; a new one may be raised, and then has to be in rss.TRIPS."""
    known = {"ThingsNobodyCaresAboutButMe", "CharacterEncodingOverride", "CharacterEncodingUnknown"}
    known |= {"NonXMLContentType", "UndeclaredNamespace"}
    assert {one.__name__ for one in classes(feedparser.exceptions)} == known


@pytest.mark.parametrize("error", rss.TRIPS, ids=lambda one: one.__name__)
def test_whatever_feedparser_trips_over_is_one_of_ours(error, monkeypatch):
    def trip(*_, **__):
        raise error("tag")

    monkeypatch.setattr(rss.feedparser, "parse", trip)
    with pytest.raises(SchemaDrift, match=error.__name__):
        READERS["rss"](FEED)
