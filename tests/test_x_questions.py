"""What the X connector asks, judged by X's published documents: every parameter known, every value one that is allowed.

The documents (2.159, and 2.167 with its new names) are held as facts in data/x/questions.json. Once, by hand, the
connector was also run against them whole in Prism: 2.159 finds nothing wrong, 2.167 refuses the old expansions.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from replay import Answer, Asked, Replay, as_json, recorded

from connectors.base import SchemaDrift
from connectors.x import XConnector, XSettings
from monitor.model import Account, PostKind
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ACCOUNT = Account(agency="JPD", platform="x", handle="jpdemo", native_id="1410060000000000001", id=1)
CURSORS = {
    "the first time": None,
    "since a settled post": {"v": 1, "newest_id": "1992000000000000000", "settled": True},
    "since a young post": {"v": 1, "newest_id": "1992000000000000000", "newest_at": NOW.isoformat()},
    "since an id without a time": {"v": 1, "newest_id": "77", "newest_at": NOW.isoformat()},
}


def mistakes(asked: Asked, document: str) -> dict[str, str]:
    """Return what is wrong with a question, by parameter."""
    for path, known in recorded("x/questions")[document]["questions"].items():
        if re.fullmatch(path.replace("{id}", "[0-9]+").replace("{name}", "[A-Za-z0-9_]+"), asked.path):
            missing = {key: "missing" for key, rule in known.items() if rule.get("needed") and key not in asked.query}
            unknown = {key: "not one of this question" for key in asked.query if key not in known}
            wrong = {key: _wrong(value, known[key]) for key, value in asked.query.items() if key in known}
            return missing | unknown | {key: words for key, words in wrong.items() if words}
    return {"path": asked.path}


def _wrong(text: str, rule: dict[str, Any]) -> str:
    values = text.split(",")
    if "from" in rule:
        return "" if text.isdigit() and rule["from"] <= int(text) <= rule["to"] else f"{text} is out of bounds"
    if "like" in rule:
        return "" if re.search(rule["like"], text) else f"[{text}] has another form"
    if "each_like" in rule:
        is_right = len(values) <= rule["most"] and all(re.search(rule["each_like"], one) for one in values)
        return "" if is_right else f"[{text}] has another form, or is too much"
    others = [one for one in values if one not in rule["each_of"]]
    return f"[{','.join(others)}] is not one of them" if others or len(set(values)) < len(values) else ""


def judged(document: str, *, timeline: str = "x/timeline") -> Replay:
    """Return a server that answers right questions with recorded posts, and refuses the others as X does."""

    def script(asked: Asked) -> Answer:
        if found := mistakes(asked, document):
            errors = [
                {"parameters": {key: [asked.query.get(key, "")]}, "message": words} for key, words in found.items()
            ]
            return as_json({"errors": errors, "title": "Invalid Request"}, status=400)
        if asked.path.startswith("/2/users") and not asked.path.endswith("/tweets"):
            return as_json({"data": [{"id": ACCOUNT.native_id, "username": "jpdemo", "name": "JPD"}]})
        return as_json(recorded(timeline) | {"meta": {"result_count": 1}})

    return Replay(script)


def reading(server: Replay) -> XConnector:
    return XConnector(XSettings(bearer_token=Secret("rahsia"), base_url=server.url), Network())


def wrong_of(server: Replay, document: str) -> list[dict[str, str]]:
    return [found for asked in server.asked if (found := mistakes(asked, document))]


@pytest.mark.parametrize("cursor", CURSORS.values(), ids=CURSORS)
def test_posts_are_asked_for_as_the_document_says(cursor):
    with judged("old") as server:
        list(reading(server).pull(ACCOUNT, cursor, now=NOW))
    assert server.asked
    assert wrong_of(server, "old") == []


def test_profiles_known_posts_the_token_and_the_past_are_asked_for_as_the_document_says():
    with judged("old") as server:
        x = reading(server)
        x.check()
        x.resolve_many([ACCOUNT, Account(agency="JPD", platform="x", handle="jpdemo", id=2)])
        x.reread(ACCOUNT, ["1992000000000000000", "77"], now=NOW)
        list(x.backfill(ACCOUNT, NOW - 9 * DAY, NOW - 2 * DAY, now=NOW))
    assert len({asked.path for asked in server.asked}) == 4
    assert wrong_of(server, "old") == []


def test_a_hundred_posts_are_all_that_is_asked_for_at_once():
    with judged("old") as server:
        reading(server).reread(ACCOUNT, [str(1_992_000_000_000_000_000 + n) for n in range(250)], now=NOW)
    assert wrong_of(server, "old") == []


def test_where_x_knows_only_the_new_names_one_refusal_teaches_them():
    with judged("renamed", timeline="x/timeline_renamed") as server:
        x = reading(server)
        pages = list(x.pull(ACCOUNT, None, now=NOW))
        x.reread(ACCOUNT, ["1992000000000000000"], now=NOW)
        x.resolve(ACCOUNT)
    refused = wrong_of(server, "renamed")
    assert len(refused) == 1
    assert refused[0].keys() == {"expansions", "tweet.fields"}
    assert PostKind.REPOST in {post.kind for page in pages for post in page.posts}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"errors": 7}', b'{"errors": [{"parameters": {"start_time": ["x"]}}]}'])
def test_any_other_refusal_of_a_question_is_told_and_not_asked_again(body):
    with Replay(lambda _: Answer(status=400, body=body)) as server:
        with pytest.raises(SchemaDrift):
            list(reading(server).pull(ACCOUNT, None, now=NOW))
        assert len(server.asked) == 1
