"""X API v2 and the Graph API as their documents show them, on a plain http.server: not Pantau's own sandbox.

What an account publishes is held as the platform's JSON; tests change it and make requests fail.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from replay import Answer, Asked, Replay, as_json

SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
X_TOKEN = "AAAAAAAAAAAAAAAAAAAAAplantedBearerToken"
GRAPH_TOKEN = "EAABplantedGraphToken"
NOT_FOUND = "https://api.twitter.com/2/problems/resource-not-found"
UNAUTHORIZED = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
EXPIRED = {
    "error": {
        "message": "Error validating access token: Session has expired on Monday, 23-Nov-26 01:00:00 PST.",
        "type": "OAuthException",
        "code": 190,
        "error_subcode": 463,
        "fbtrace_id": "AbCdEfGhIjK",
    }
}
FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>Berita</title><link>https://jpd.example.my/</link>
<description>Berita rasmi</description>{items}</channel></rss>"""


def just_now(minutes_ago: float = 1) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=minutes_ago)


def snowflake(at: datetime, number: int) -> str:
    return str(((int(at.timestamp() * 1000) - SNOWFLAKE_EPOCH_MS) << 22) + number)


@dataclass
class Platforms:
    """Accounts, their posts newest last, and what stands in the way of the next requests."""

    page_size: int = 100
    users: dict[str, str] = field(default_factory=dict)  # X handle → id
    tweets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # user id → posts
    pages: dict[str, str] = field(default_factory=dict)  # page name → id
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # page id → posts
    articles: list[tuple[str, str, datetime]] = field(default_factory=list)
    before: Callable[[Asked], Answer | None] = lambda _: None
    former: dict[str, dict[str, Any]] = field(default_factory=dict)  # versions that were edited
    number: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    server: Replay = field(init=False)

    def __post_init__(self) -> None:
        self.server = Replay(self.answer)

    @property
    def url(self) -> str:
        return self.server.url

    def asked(self, part: str = "") -> list[str]:
        return [one.path for one in self.server.asked if part in one.path]

    # What is published.

    def open_x(self, handle: str) -> None:
        self.users[handle] = str(14_100_600_000 + len(self.users))
        self.tweets[self.users[handle]] = []

    def tweet(self, handle: str, text: str, *, at: datetime | None = None) -> str:
        self.number += 1
        moment = at or just_now()
        one = snowflake(moment, self.number)
        item = {"id": one, "text": escape(text, quote=False), "author_id": self.users[handle], "lang": "in"}
        item |= {"created_at": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "edit_history_tweet_ids": [one]}
        self.tweets[self.users[handle]].append(item)
        return one

    def edit_tweet(self, handle: str, one: str, text: str) -> str:
        """Publish a new version: on X it has an id of its own, and both name the whole history."""
        posts = self.tweets[self.users[handle]]
        old = next(item for item in posts if item["id"] == one)
        new = self.tweet(handle, text, at=just_now(0))
        posts[-1]["edit_history_tweet_ids"] = [*old["edit_history_tweet_ids"], new]
        posts.remove(old)
        self.former[one] = {**old, "edit_history_tweet_ids": [one, new]}
        return new

    def delete_tweet(self, handle: str, one: str) -> None:
        posts = self.tweets[self.users[handle]]
        posts[:] = [item for item in posts if item["id"] != one]

    def open_page(self, name: str) -> None:
        self.pages[name] = str(100_060_000_000_001 + len(self.pages))
        self.objects[self.pages[name]] = []

    def publish(self, name: str, message: str, *, at: datetime | None = None) -> str:
        self.number += 1
        page = self.pages[name]
        moment = (at or just_now()).strftime("%Y-%m-%dT%H:%M:%S+0000")
        one = f"{page}_{7000 + self.number}"
        self.objects[page].append(
            {
                "id": one,
                "message": message,
                "created_time": moment,
                "updated_time": moment,
                "permalink_url": f"https://www.facebook.com/{page}/posts/{7000 + self.number}",
                "from": {"id": page, "name": name},
                "is_published": True,
                "is_hidden": False,
                "status_type": "mobile_status_update",
            }
        )
        return one

    # How it is served.

    def answer(self, asked: Asked) -> Answer:
        if (refusal := self.before(asked)) is not None:
            return refusal
        with self.lock:
            if asked.path.startswith("/x/2/"):
                return self._x(asked, asked.path.removeprefix("/x/2/"))
            if asked.path.startswith("/graph/"):
                return self._graph(asked, asked.path.removeprefix("/graph/").partition("/")[2].strip("/"))
            return self._feed() if asked.path == "/feed.xml" else Answer(status=404, body=b"<html>404</html>")

    def _x(self, asked: Asked, path: str) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {X_TOKEN}":
            return as_json(UNAUTHORIZED, status=401)
        if path == "users/by":
            return _found({name: self._user(name) for name in asked.query["usernames"].split(",")}, "usernames", "user")
        if path == "users":
            names = {one: name for name, one in self.users.items()}
            return _found({one: self._user(names.get(one, "")) for one in asked.query["ids"].split(",")}, "ids", "user")
        if path == "tweets":
            known = {item["id"]: item for posts in self.tweets.values() for item in posts}
            known |= self.former
            return _found({one: known.get(one) for one in asked.query["ids"].split(",")}, "ids", "tweet")
        return self._timeline(asked, path.split("/")[1])

    def _user(self, name: str) -> dict[str, Any] | None:
        known = {handle.casefold(): handle for handle in self.users}
        handle = known.get(name.casefold())
        if handle is None:
            return None
        return {"id": self.users[handle], "name": handle.upper(), "username": handle, "description": "Akaun rasmi"}

    def _timeline(self, asked: Asked, user: str) -> Answer:
        since = int(asked.query.get("since_id", 0))
        shown = [item for item in self.tweets[user] if int(item["id"]) > since]
        shown.sort(key=lambda item: int(item["id"]), reverse=True)
        begin = int(asked.query.get("pagination_token", "t0")[1:])
        page = shown[begin : begin + min(self.page_size, int(asked.query["max_results"]))]
        meta: dict[str, Any] = {"result_count": len(page)}
        if page:
            meta |= {"newest_id": page[0]["id"], "oldest_id": page[-1]["id"]}
        if begin + len(page) < len(shown):
            meta["next_token"] = f"t{begin + len(page)}"
        return as_json({"data": page, "meta": meta} if page else {"meta": meta}, x_rate_limit_remaining="899")

    def _graph(self, asked: Asked, path: str) -> Answer:
        told = {**dict(parse_qsl(asked.body.decode())), **asked.query}
        if told.get("access_token") != GRAPH_TOKEN:
            return as_json(EXPIRED, status=400)
        if "batch" in told:
            return as_json([self._part(one["relative_url"]) for one in json.loads(told["batch"])])
        if not path:
            names = asked.query["ids"].split(",")
            found = {name: self._object(name) for name in names}
            missing = next((name for name, item in found.items() if item is None), "")
            return _no_object(missing) if missing else as_json(found)
        name, _, edge = path.partition("/")
        if edge == "published_posts":
            return self._posts(asked, self.pages.get(name, name))
        item = self._object(name)
        return as_json(item) if item is not None else _no_object(name)

    def _part(self, relative_url: str) -> dict[str, Any]:
        parts = urlsplit(relative_url)
        query = {**dict(parse_qsl(parts.query)), "access_token": GRAPH_TOKEN}
        answer = self._graph(Asked(path=parts.path, query=query, headers={}), parts.path.strip("/"))
        return {"code": answer.status, "headers": [], "body": answer.body.decode()}

    def _object(self, name: str) -> dict[str, Any] | None:
        names = {one: handle for handle, one in self.pages.items()}
        handle = name if name in self.pages else names.get(name)
        if handle is not None:
            return {"id": self.pages[handle], "name": handle.upper(), "username": handle, "about": "Laman rasmi"}
        return next((item for posts in self.objects.values() for item in posts if item["id"] == name), None)

    def _posts(self, asked: Asked, page: str) -> Answer:
        since = int(asked.query.get("since", 0))
        items = self.objects[page]
        shown = sorted((i for i in items if _seconds(i) >= since), key=lambda i: i["created_time"], reverse=True)
        begin = int(asked.query.get("after", 0))
        part = shown[begin : begin + min(self.page_size, int(asked.query["limit"]))]
        content: dict[str, Any] = {"data": part}
        if part:
            content["paging"] = {"cursors": {"before": str(begin), "after": str(begin + len(part))}}
            if begin + len(part) < len(shown):  # the address carries the token, as the real one does
                content["paging"]["next"] = (
                    f"{self.url}{asked.path}?access_token={GRAPH_TOKEN}&after={begin + len(part)}"
                )
        return as_json(content, x_app_usage='{"call_count":1,"total_cputime":0,"total_time":1}')

    def _feed(self) -> Answer:
        items = "".join(
            f"<item><guid>{link}</guid><link>{link}</link><title><![CDATA[{title}]]></title>"
            f"<pubDate>{at:%a, %d %b %Y %H:%M:%S} GMT</pubDate></item>"
            for link, title, at in self.articles
        )
        return Answer(body=FEED.format(items=items).encode(), headers={"Content-Type": "application/rss+xml"})


def _seconds(item: dict[str, Any]) -> float:
    return datetime.fromisoformat(item["created_time"]).timestamp()


def _found(items: dict[str, dict[str, Any] | None], parameter: str, kind: str) -> Answer:
    content: dict[str, Any] = {"data": [item for item in items.values() if item is not None]}
    errors = [
        {
            "value": name,
            "detail": f"Could not find {kind} with {parameter}: [{name}].",
            "title": "Not Found Error",
            "resource_type": kind,
            "parameter": parameter,
            "resource_id": name,
            "type": NOT_FOUND,
        }
        for name, item in items.items()
        if item is None
    ]
    content = {key: value for key, value in {**content, "errors": errors}.items() if value}
    return as_json(content)


def _no_object(name: str) -> Answer:
    message = (
        f"Unsupported get request. Object with ID '{name}' does not exist, cannot be loaded due to missing permissions"
    )
    error = {"message": message, "type": "GraphMethodException", "code": 100, "error_subcode": 33}
    return as_json({"error": error}, status=400)
