"""Recorded answers with one part at a time made strange: what comes out is posts, or an error that says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from replay import recorded

from connectors.base import SchemaDrift
from connectors.bluesky.listing import parse_feed
from connectors.graph.listing import next_question
from connectors.instagram import posts as instagram
from connectors.linkedin import posts as linkedin
from connectors.payload import onward
from connectors.threads import posts as threads
from connectors.tiktok import posts as tiktok
from monitor.model import Post, Profile

GONE = object()
STRANGE = (GONE, None, True, 0, -1, 3.5, 10**40, "", "x", "\x00\ud800", "http://[::1", "9" * 50, "1795600000000")
STRANGE += ("0001-01-01T00:00:00+14:00", [], {}, [None], ["x"], [[]], {"data": None}, {"data": [1]}, {"id": {}})


def on_instagram(payload: Any) -> Any:
    media = instagram.discovered_media(payload, first=True)
    next_question(media, {})
    return instagram.parse_items(media)


def on_threads(payload: Any) -> Any:
    next_question(payload, {})
    return threads.parse_items(payload)


def on_linkedin(payload: Any) -> Any:
    elements = linkedin.elements_of(payload, what="linkedin")
    linkedin.next_start(payload, 0)
    files = {"urn:li:image:D4E10AQE71V5w1": {"downloadUrl": 5}}
    out = [one for one in elements if linkedin.is_published(one) and linkedin.changed_at(one)]
    return [linkedin.parse_post(one, parent=elements[0], files=files) for one in out]


READERS = {
    "instagram": (recorded("instagram/discovery"), on_instagram),
    "instagram's profile": (
        recorded("instagram/profile")["business_discovery"],
        lambda one: [instagram.parse_profile(one)],
    ),
    "threads": (recorded("threads/posts"), on_threads),
    "tiktok": (recorded("tiktok/list")["data"], tiktok.parse_listing),
    "linkedin": (recorded("linkedin/posts"), on_linkedin),
    "linkedin's profile": (
        recorded("linkedin/organizations")["elements"][0],
        lambda one: [linkedin.parse_profile(one)],
    ),
}


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*before, key)
        yield from places(part, (*before, key))


def changed(value: Any, place: tuple[Any, ...], new: object) -> Any:
    """Return the payload with another thing in one place, or with nothing there."""
    copy = value.copy()
    if len(place) > 1:
        copy[place[0]] = changed(value[place[0]], place[1:], new)
    elif new is GONE:
        del copy[place[0]]
    else:
        copy[place[0]] = new
    return copy


def is_whole(one: Post | Profile) -> bool:
    if isinstance(one, Profile):
        return all(isinstance(part, str) for part in (one.native_id, one.name, one.handle, one.bio, one.picture_url))
    texts = [one.native_id, one.url, one.text, *one.links, *(part for m in one.media for part in (m.url, m.text))]
    return all(isinstance(part, str) for part in texts) and bool(one.native_id) and one.published_at.tzinfo is not None


@pytest.mark.parametrize(("payload", "read"), READERS.values(), ids=READERS)
def test_a_strange_part_is_posts_or_drift_and_no_crash(payload, read):
    tried = 0
    for place in places(payload):
        for new in STRANGE:
            tried += 1
            try:
                found = read(changed(payload, place, new))
            except SchemaDrift:
                continue
            assert all(is_whole(one) and one.content_hash for one in found), (place, new)
    assert tried > 100


NO_WORDS = (True, 3.5, ["x"], {"x": 1})
ENDS = {
    "meta's next": lambda value: next_question({"data": [], "paging": {"next": value}}, {}),
    "meta's cursor": lambda value: next_question({"data": [{}], "paging": {"cursors": {"after": value}}}, {}),
    "bluesky's cursor": lambda value: parse_feed({"feed": [], "cursor": value}),
    "youtube's and x's token": lambda value: onward({"nextPageToken": value}, "nextPageToken"),
}


@pytest.mark.parametrize("read", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("value", NO_WORDS, ids=str)
def test_what_does_not_lead_to_the_next_page_is_no_end(read, value):
    """I1: at a first read all that lies below would be lost."""
    with pytest.raises(SchemaDrift):
        read(value)


@pytest.mark.parametrize("value", [7, "x", True])
def test_paging_that_is_no_object_is_no_end(value):
    with pytest.raises(SchemaDrift):
        next_question({"data": [{"id": "1"}], "paging": value}, {})
    with pytest.raises(SchemaDrift):
        tiktok.next_cursor({"has_more": "x", "cursor": 5}, None)
