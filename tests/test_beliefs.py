"""What a connector takes for true of a server after one refusal: kept for a while, then asked anew.

The refusal may have been a passing fault: what is believed for ever makes every later answer poorer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import test_bluesky
import test_facebook
import test_instagram
import test_mastodon
import test_threads
import test_x_questions
from replay import Asked, Replay, Script, as_json, by_path, recorded

from connectors.bluesky import BlueskyConnector, BlueskySettings
from connectors.mastodon import MastodonConnector, MastodonSettings
from connectors.mastodon.places import Place
from connectors.remembered import Belief
from monitor.model import Account

NOW = test_x_questions.NOW
NO_FIELD = as_json({"error": {"message": "(#100) Tried accessing nonexisting field (x)", "code": 100}}, status=400)
NO_NAMES = as_json({"errors": [{"parameters": {"tweet.fields": ["edit_history_tweet_ids"]}}]}, status=400)
MEDIA = test_instagram.FIRST_PAGE["business_discovery"]["media"]["data"]
IDS = [str(one["id"]) for one in MEDIA]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a server answers, how it is read, and whether a question is the one that it refused at first."""

    routes: dict[str, Any]
    open: Callable[[Replay], Any]
    is_first: Callable[[Asked], bool]
    account: Account
    rereads: bool = False

    def ask(self, connector: Any, now: datetime) -> None:
        if self.rereads:
            connector.reread(self.account, IDS, now=now)
        else:
            list(connector.pull(self.account, None, now=now))

    @property
    def script(self) -> Script:
        return by_path(self.routes, otherwise=as_json(test_facebook.NO_EDGE, status=400))


CASES = {
    "x: the old names": Case(
        routes={"/tweets": [NO_NAMES, recorded("x/timeline_renamed")]},
        open=test_x_questions.reading,
        is_first=lambda asked: "tweet.fields" in asked.query and "post.fields" not in asked.query,
        account=test_x_questions.ACCOUNT,
    ),
    "facebook: the first edge": Case(
        routes={"/published_posts": [as_json(test_facebook.NO_EDGE, status=400), {"data": []}], "/posts": {"data": []}},
        open=lambda server: test_facebook.connector(server.url),
        is_first=lambda asked: asked.path.endswith("/published_posts"),
        account=test_facebook.JPD,
    ),
    "instagram: all fields": Case(
        routes={f"/{test_instagram.ASKER}": [NO_FIELD, test_instagram.discovered([])]},
        open=lambda server: test_instagram.connector(server.url),
        is_first=lambda asked: "alt_text" in asked.query["fields"],
        account=test_instagram.JPD,
    ),
    "instagram: others' posts by id": Case(
        routes={
            f"/{test_instagram.ASKER}": test_instagram.FIRST_PAGE,
            "/v26.0/": [as_json(test_instagram.GONE, status=400), {str(one["id"]): one for one in MEDIA}],
        },
        open=lambda server: test_instagram.connector(server.url),
        is_first=lambda asked: "ids" in asked.query,
        account=test_instagram.JPD,
        rereads=True,
    ),
    "threads: all fields": Case(
        routes={"/me": test_threads.ME, "/profile_posts": [NO_FIELD, {"data": []}]},
        open=lambda server: test_threads.connector(server.url),
        is_first=lambda asked: "quoted_post{" in asked.query.get("fields", "") or asked.path.endswith("/me"),
        account=test_threads.JPD,
    ),
    "bluesky: the AppView": Case(
        routes={"getAuthorFeed": [test_bluesky.NO_APPVIEW, {"feed": []}], "listRecords": {"records": []}},
        open=lambda server: BlueskyConnector(BlueskySettings(base_url=server.url), test_bluesky.LOOPBACK),
        is_first=lambda asked: asked.path.endswith("getAuthorFeed"),
        account=test_bluesky.ACCOUNT,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_server_refused_once_is_asked_again_after_a_while(case):
    with Replay(case.script) as server:
        connector = case.open(server)
        asked = []
        for now in (NOW, NOW + Belief.LASTS / 2, NOW + 2 * Belief.LASTS):
            before = len(server.asked)
            case.ask(connector, now)
            asked.append(any(case.is_first(one) for one in server.asked[before:] if not one.path.endswith("/me")))
    assert asked == [True, False, True]


def test_where_a_domain_s_server_is_is_asked_again_after_a_while(monkeypatch):
    with Replay(by_path({"/.well-known/webfinger": {"links": []}})) as server:
        mastodon = MastodonConnector(MastodonSettings(), test_mastodon.LOOPBACK)
        account = Account(agency="JPD", platform="mastodon", handle="jpd@jpd.example.my", native_id="7")
        mastodon._home(account, Place(user="jpd", domain="jpd.example.my", base=server.url, is_guess=True), NOW)
        monkeypatch.setattr(mastodon, "_home", lambda *_: "asked anew")
        assert mastodon._place(account, NOW + Belief.LASTS / 2).base == server.url
        assert mastodon._place(account, NOW + 2 * Belief.LASTS).base == "asked anew"
