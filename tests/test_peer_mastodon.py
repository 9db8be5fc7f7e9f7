"""The Mastodon connector against what Mastodon 4.x and mastodon.social really answered.

Mastodon.py's authors recorded it for their own tests (MIT); `tests/peers/install` fetches it, nothing of it is kept here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from conftest import unavailable
from peer_servers import PACKAGES
from replay import Answer, Asked, Replay

from connectors.base import AccountNotFound, PermissionMissing
from connectors.mastodon import MastodonConnector, MastodonSettings
from connectors.mastodon.posts import parse_account, parse_status
from connectors.mastodon.refusals import refusal
from monitor.model import Account, PostKind
from monitor.settings import Network

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
PARTS = {
    "min_id",
    "since_id",
    "pinned",
    "exclude_replies",
    "exclude_direct",
}  # other lists than the one that the connector reads
LARGEST = 400_000  # recordings beyond it hold uploaded pictures
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Recorded:
    file: str
    method: str
    path: str
    query: dict[str, str]
    status: int
    headers: dict[str, str]
    body: Any


@cache
def recordings() -> tuple[Recorded, ...]:
    """Return every recorded answer about accounts and statuses; skips the test where they are not installed."""
    files = sorted((PACKAGES / "tests").glob("cassettes*/*.yaml"))
    if not files:
        unavailable("no recordings: tests/peers/install fetches them from PyPI")
    texts = {
        f"{one.parent.name}/{one.name}": one.read_text(encoding="utf-8")
        for one in files
        if one.stat().st_size < LARGEST
    }
    wanted = re.compile(r"api/v1/(accounts/(\d+|lookup)|statuses|timelines)")
    read = {name: yaml.load(text, LOADER) for name, text in texts.items() if wanted.search(text)}
    return tuple(_recorded(name, one) for name, tape in read.items() for one in tape.get("interactions", ()))


def _recorded(file: str, one: dict[str, Any]) -> Recorded:
    parts, response = urlsplit(one["request"]["uri"]), one["response"]
    try:
        body = json.loads(response["body"]["string"])
    except (KeyError, ValueError, TypeError):
        body = None
    return Recorded(
        file=file,
        method=one["request"]["method"],
        path=parts.path,
        query={key: values[-1] for key, values in parse_qs(parts.query).items()},
        status=response["status"]["code"],
        headers={name: values[0] for name, values in response["headers"].items()},
        body=body,
    )


def statuses() -> Iterator[dict[str, Any]]:
    for one in recordings():
        listed = one.body if isinstance(one.body, list) else [one.body]
        is_of_statuses = re.search(r"/(statuses|timelines)\b", one.path) and "history" not in one.path
        if one.status == 200 and is_of_statuses:
            yield from (
                each for each in listed if isinstance(each, dict) and "content" in each and "created_at" in each
            )


def test_every_recorded_status_is_a_post_with_all_that_it_shows():
    read = 0
    for item in statuses():
        post, shown = parse_status(item), item["reblog"] or item
        read += 1
        assert post.native_id == item["id"]
        assert post.published_at == datetime.fromisoformat(item["created_at"])
        assert (post.kind is PostKind.REPOST) == (item["reblog"] is not None)
        assert shown["spoiler_text"] in post.text
        assert all(option["title"] in post.text for option in (shown.get("poll") or {"options": []})["options"])
        given = [one["url"] or one.get("remote_url") for one in shown["media_attachments"]]
        assert [one.url for one in post.media] == list(dict.fromkeys(url for url in given if url))
        assert post.url.startswith("http")
    assert read > 300


def test_no_word_of_a_recorded_status_is_lost():
    for item in statuses():
        content = re.sub(r'<p class="quote-inline">.*?</p>', "", (item["reblog"] or item)["content"])
        words = re.findall(r"\w+", unescape(re.sub(r"<[^>]*>", " ", re.sub(r"</?span[^>]*>", "", content))))
        assert set(words) <= set(re.findall(r"\w+", parse_status(item).text)), content


def test_recorded_warnings_polls_replies_and_quotations_are_among_them():
    kinds = {parse_status(item).kind for item in statuses()}
    assert kinds >= {PostKind.ORIGINAL, PostKind.REPLY, PostKind.REPOST, PostKind.QUOTE}
    assert any(item["spoiler_text"] for item in statuses())
    assert any(item.get("poll") for item in statuses())


def test_a_recorded_edit_is_another_version_of_the_same_post():
    made = {one.body["id"]: one.body for one in recordings() if one.method == "POST" and _is_status(one.body)}
    edits = [one.body for one in recordings() if one.method == "PUT" and _is_status(one.body)]
    assert edits
    for edit in (one for one in edits if one["id"] in made):
        before, after = parse_status(made[edit["id"]]), parse_status(edit)
        assert (after.native_id, after.published_at) == (before.native_id, before.published_at)
        is_changed = edit["content"] != made[edit["id"]]["content"]
        assert (after.edited_at is not None) >= is_changed
        assert (after.content_hash != before.content_hash) >= is_changed


def _is_status(body: Any) -> bool:
    return isinstance(body, dict) and "content" in body and "account" in body


def test_every_recorded_account_is_a_profile():
    found = [one.body for one in recordings() if one.status == 200 and re.search(r"accounts/(\d+|lookup)$", one.path)]
    profiles = [parse_account(one, server="localhost") for one in found]
    assert len(profiles) > 5
    assert all(profile.native_id and profile.name and profile.handle.count("@") == 1 for profile in profiles)


def listings() -> dict[str, list[Recorded]]:
    """Return the recorded pages of accounts' statuses, as they were asked for downwards, by recording."""
    found: dict[str, list[Recorded]] = {}
    for one in recordings():
        if one.status == 200 and re.search(r"/accounts/\d+/statuses$", one.path) and not PARTS & one.query.keys():
            found.setdefault(one.file + one.path, []).append(one)
    return found


def replayed(pages: list[Recorded]):
    """Return a server that answers with recorded pages by their max_id, and with nothing beyond them."""
    by_max_id = {page.query.get("max_id", ""): page for page in pages}

    def script(asked: Asked) -> Answer:
        page = by_max_id.get(asked.query.get("max_id", ""))
        kept = {"link", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}
        headers = {name: value for name, value in (page.headers if page else {}).items() if name.lower() in kept}
        return Answer(body=json.dumps(page.body if page else []).encode(), headers=headers)

    return Replay(script)


def test_recorded_pages_are_walked_to_the_end_and_each_status_comes_once():
    paged = [pages for pages in listings().values() if any("max_id" in page.query for page in pages)]
    assert paged
    for pages in paged:
        with replayed(pages) as server:
            connector = MastodonConnector(MastodonSettings(base_url=server.url), Network())
            owner = pages[0].path.split("/")[-2]
            account = Account(agency="JPD", platform="mastodon", handle="jpd@localhost.my", native_id=owner, id=1)
            read = [post.native_id for page in connector.pull(account, None, now=NOW) for post in page.posts]
        first = next(page for page in pages if "max_id" not in page.query)
        assert read[: len(first.body)] == [item["id"] for item in first.body]
        assert len(read) == len(set(read)) > len(first.body)
        assert [budget.limit for budget in connector.allowances()] == [300] * ("x-ratelimit-limit" in first.headers)


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [(r"/accounts/lookup$", 404, AccountNotFound), (r"/timelines/home$", 401, PermissionMissing)],
)
def test_recorded_refusals_say_why(path, status, kind):
    one = next(one for one in recordings() if one.status == status and re.search(path, one.path))
    import requests

    response = requests.Response()
    response.status_code = one.status
    response.headers.update(one.headers)
    assert type(refusal(response, what="x", now=NOW, alone=False, token=False)) is kind
