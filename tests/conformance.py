"""The kit every connector is held to: each platform's twin, an account on it, and what the situations look like there.

A new platform adds one `Setup` and passes `test_connectors_conformance.py` unchanged.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import connectors
from connectors.base import Bounds, ConnectorError, Page
from connectors.sandbox import instagram_twin
from connectors.sandbox.server import Sandbox
from monitor.model import Account, Cause, Post
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
TOKEN = "sandbox"
PLANTED = "EAAB0plantedTokenThatNobodyMaySee"
PATIENCE = timedelta(minutes=2)
LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a platform is reached and how it answers in each situation of the kit."""

    name: str
    platform: str
    twin: str = ""  # which of the sandbox's twins shows it, where that is not the platform's own
    credential: str = ""  # the settings' key of the token
    one_budget: bool = False  # without a token as well, all accounts share the server's patience
    paged: bool = True  # has pages to walk; else one window of recent posts
    path: str = ""  # what a request for posts has in its address
    unauthorised: Cause = Cause.PERMISSION
    html: bytes = b"<!DOCTYPE html><html><body>Sila log masuk</body></html>"
    cut_short: bytes = b'{"data": [{"id": "1", "te'
    wrong_schema: bytes = b'{"unexpected": {"shape": true}}'
    atom: bool = False
    names_owner: bool = True  # its answers say whose they are
    optional: bool = False  # can also be read without the credential, in another way
    base: str = "base_url"  # the setting that leads to the twin
    based: bool = True  # has a `base_url`; else the account's own address leads to the twin
    address: Callable[[Sandbox, str], str] = lambda _sandbox, _handle: ""  # what stands in the url column
    settings: Mapping[str, object] = field(default_factory=dict)  # what the connector needs besides
    patience: Callable[[datetime], Mapping[str, str]] = field(
        default=lambda at: {"Retry-After": at.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    )


SETUPS = (
    Setup(
        name="x",
        platform="x",
        credential="bearer_token",
        path="/tweets",
        unauthorised=Cause.CREDENTIAL,
        patience=lambda at: {"x-rate-limit-reset": str(int(at.timestamp()))},
    ),
    Setup(
        name="facebook",
        platform="facebook",
        credential="access_token",
        path="published_posts",
        unauthorised=Cause.CREDENTIAL,
    ),
    Setup(
        name="instagram",
        platform="instagram",
        credential="access_token",
        path="media.limit",
        unauthorised=Cause.CREDENTIAL,
        settings={"user_id": instagram_twin.OWN_ID},
    ),
    Setup(
        name="threads",
        platform="threads",
        credential="access_token",
        path="profile_posts",
        unauthorised=Cause.CREDENTIAL,
    ),
    Setup(
        name="tiktok",
        platform="tiktok",
        credential="access_token",
        path="/v2/video/list/",
        unauthorised=Cause.CREDENTIAL,
    ),
    Setup(
        name="linkedin",
        platform="linkedin",
        credential="access_token",
        path="q=author",
        unauthorised=Cause.CREDENTIAL,
    ),
    Setup(
        name="myspace",
        platform="myspace",
        paged=False,
        cut_short=b'<html><head></head><body data-entity-key="profile_1"><li data-entity-key="status_1">',
        wrong_schema=b"<html><head><title>Myspace</title></head><body>Discover</body></html>",
    ),
    Setup(
        name="myspace-atom",
        platform="myspace",
        paged=False,
        atom=True,
        names_owner=False,  # a feed's name for itself is known once the account was read, and need not last
        address=lambda sandbox, handle: f"{sandbox.base_url('myspace')}/{handle}/activities.atom",
        path=".atom",
        cut_short=b'<feed xmlns="http://www.w3.org/2005/Atom"><title>J</title><entry><id>1</id>',
        wrong_schema=b'<feed xmlns="urn:other"><entry/></feed>',
    ),
    Setup(
        name="rss",
        platform="rss",
        paged=False,
        based=False,
        names_owner=False,  # where a feed says it is from is wrong too often: moved, copied, behind another name
        address=lambda sandbox, handle: sandbox.feed_url(handle),
        cut_short=b'<?xml version="1.0"?><rss version="2.0"><channel><title>J</title><item><title>tajuk',
        wrong_schema=b'<?xml version="1.0"?><catalogue><book/></catalogue>',
    ),
    *(
        Setup(
            name=f"web, {way}",
            platform="web",
            paged=False,
            based=False,
            names_owner=False,  # as with feeds
            path=section,
            address=lambda sandbox, handle, section=section: f"{sandbox.base_url('web')}/{handle}/{section}",
            cut_short=b'<!DOCTYPE html><html><head><script type="application/ld+json">{"@type": "ItemLi',
            wrong_schema=b"<!DOCTYPE html><html><body><nav><a href='/'>Utama</a></nav></body></html>",
        )
        for way, section in (("list", "berita"), ("feed", "suapan"), ("sitemap", "arkib"))
    ),
    Setup(
        name="youtube",
        platform="youtube",
        credential="api_key",
        optional=True,
        path="playlistItems",
        unauthorised=Cause.CREDENTIAL,
        cut_short=b'{"kind": "youtube#playlistItemListResponse", "items": [{"id": "1", "sn',
    ),
    Setup(
        name="youtube-feed",
        platform="youtube",
        paged=False,
        base="feed_url",
        path="videos.xml",
        cut_short=b'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>J</title><entry><id>1',
        wrong_schema=b'<feed xmlns="urn:other"><entry/></feed>',
    ),
    Setup(
        name="mastodon",
        platform="mastodon",
        credential="access_token",
        optional=True,
        path="/statuses",
        unauthorised=Cause.CREDENTIAL,
        cut_short=b'[{"id": "1", "content": "<p>te',
        patience=lambda at: {"X-RateLimit-Reset": at.strftime("%Y-%m-%dT%H:%M:%S.000000Z")},
    ),
    Setup(
        name="telegram",
        platform="telegram",
        one_budget=True,
        path="/s/",
        cut_short=b'<html><body><div class="tgme_channel_info"></div><section class="tgme_channel_history"><div class="tgme',
        wrong_schema=b"<html><body><div class='tgme_channel_info'></div></body></html>",
    ),
    Setup(
        name="bluesky",
        platform="bluesky",
        path="getAuthorFeed",
        one_budget=True,
        patience=lambda at: {"RateLimit-Reset": str(int(at.timestamp()))},
    ),
    Setup(
        name="bluesky-pds",
        platform="bluesky",
        twin="bluesky-pds",
        path="listRecords",
        one_budget=True,
        patience=lambda at: {"RateLimit-Reset": str(int(at.timestamp()))},
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One platform's account in the sandbox, and a connector that reads it."""

    setup: Setup
    sandbox: Sandbox
    account: Account

    def connector(self, *, token: str = TOKEN, timeout: float = 5.0, page_limit: int = 40) -> Any:
        cls = connectors.load(self.setup.platform)
        given: dict[str, object] = dict(self.setup.settings)
        if self.setup.based:
            given[self.setup.base] = self.sandbox.base_url(self.setup.twin or self.setup.platform)
        if self.setup.credential:
            given[self.setup.credential] = Secret(token)
        allow = () if self.setup.based else LOOPBACK
        network = Network(allow=allow, timeout=timedelta(seconds=timeout))
        return cls(
            cls.Settings(**given),
            network,
            Bounds(page_limit=page_limit, back_catalogue=3200),
        )

    def pull(self, cursor: Any = None, *, now: datetime = NOW, **how: Any) -> list[Page]:
        return list(self.connector(**how).pull(self.account, cursor, now=now))

    def publish(self, text: str, *, at: datetime = NOW, **more: Any) -> str:
        return self.sandbox.world.publish(self.setup.platform, self.account.handle, text, at=at, **more)

    def fail(self, **how: Any) -> None:
        self.sandbox.world.fail(self.setup.twin or self.setup.platform, path_contains=self.setup.path, **how)

    def refusal(self, **how: Any) -> ConnectorError:
        """Return the error that a pull ends in."""
        try:
            self.pull(**how)
        except ConnectorError as error:
            return error
        raise AssertionError("the pull went well")


def open_case(setup: Setup, sandbox: Sandbox, handle: str) -> Case:
    native_id = sandbox.world.add_account(setup.platform, handle, name="Jabatan Perkhidmatan Demo")
    url = setup.address(sandbox, handle)
    account = Account(agency="JPD", platform=setup.platform, handle=handle, url=url, id=1)
    return Case(setup=setup, sandbox=sandbox, account=replace(account, native_id=native_id))


def texts(pages: list[Page]) -> list[str]:
    """Return the first line of every post, oldest first: what the twins show of a text differs in the rest."""
    return [first_line(post) for post in sorted(shown(pages), key=lambda post: post.published_at)]


def shown(pages: list[Page]) -> list[Post]:
    return [post for page in pages for post in page.posts]


def first_line(post: Post) -> str:
    lines = [line for line in post.text.splitlines() if "updated their status" not in line and line]
    return lines[0]
