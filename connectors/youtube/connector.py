"""The connector of YouTube, and its settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote, unquote

import requests

from connectors import configured, http
from connectors.addresses import youtube as channel_addresses
from connectors.base import (
    BOUNDS,
    AccountNotFound,
    Allowance,
    Bounds,
    Capabilities,
    ConnectorError,
    Cursor,
    Gap,
    Page,
    RateLimited,
    Reread,
    SchemaDrift,
    Unavailable,
)
from connectors.owners import must_answer, must_be, must_hold_own
from connectors.payload import inner, onward, string
from connectors.portions import portions
from connectors.seen import remembered, window_page
from connectors.walk import Listed, Walk, begin_walk
from connectors.youtube.channels import channel_id_of, is_named, name_of, questions, user_of
from connectors.youtube.feeds import parse_feed
from connectors.youtube.posts import (
    SITE,
    fingerprint,
    is_gone,
    is_hidden,
    is_shown,
    items_of,
    listed_at,
    parse_channel,
    parse_upload,
    parse_video,
    video_id,
)
from connectors.youtube.refusals import DAY_REASONS, DRIFT, reasons_of, verdict
from connectors.youtube.units import Units, next_day
from monitor.model import Account, Cause, Json, Post, Profile
from monitor.settings import Network, Secret

USUAL = "https://www.googleapis.com/youtube/v3"
PAGE_SIZE = 50
IDS_PER_CALL = 50
FEED_SIZE = 15
CHANNEL_PARTS = "snippet,contentDetails,statistics"
ITEM_PARTS = "snippet,contentDetails,status"
VIDEO_PARTS = "snippet,status,liveStreamingDetails"
DAILY_UNITS = 10_000
# What a channel's page says of its id, in three places; the page is read for its id alone.
ID_ON_PAGE = re.compile(
    r"(?:<link rel=\"canonical\" href=\"https?://www\.youtube\.com/channel/"
    r"|<meta itemprop=\"(?:identifier|channelId)\" content=\""
    r"|/feeds/videos\.xml\?channel_id=)"
    rf"({channel_addresses.CHANNEL_ID.pattern})"
)
NAME_ON_PAGE = re.compile(r"\"vanityChannelUrl\":\"https?:(?:\\?/){2}www\.youtube\.com\\?/@([^\"\\/?]{1,300})\"")


@dataclass(frozen=True, slots=True, kw_only=True)
class YouTubeSettings:
    """Without `api_key` the feeds below `feed_url` are read."""

    api_key: Secret = field(default_factory=Secret)
    daily_units: int = DAILY_UNITS
    base_url: str = USUAL
    feed_url: str = SITE

    def problems(self) -> configured.Problems:
        return configured.only(
            base_url=configured.base_url_mistake(self.base_url, usual=USUAL),
            feed_url=configured.base_url_mistake(self.feed_url, usual=SITE),
            api_key=configured.token_mistake(self.api_key),
            daily_units="" if self.daily_units > 0 else "expected how many units a day the project has, like 10000",
        )


class _Refused(Exception):  # never leaves this module
    """A refusal with Google's own reasons."""

    def __init__(self, reasons: tuple[str, ...], error: ConnectorError) -> None:
        super().__init__(str(error))
        self.reasons = reasons
        self.error = error


class YouTubeConnector:
    """Reads channels. Thread-safe: the sessions and the count of units are shared."""

    platform: ClassVar[str] = "youtube"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[YouTubeSettings]] = YouTubeSettings
    credentials: ClassVar[tuple[str, ...]] = ()
    obtain: ClassVar[str] = (
        "An API key of a Google Cloud project with the YouTube Data API v3, in connectors.youtube.api_key_file; "
        "without one the feeds are read: the 15 newest videos of a channel, no deletions."
    )

    def __init__(self, settings: YouTubeSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._key = settings.api_key.reveal().strip()
        self._bounds = bounds
        self._units = Units(settings.daily_units)
        self._uploads: dict[str, str] = {}  # by channel: its list of uploads, where it is not called as usual
        base = settings.base_url.rstrip("/")
        self._api = base if base.endswith("/youtube/v3") else f"{base}/youtube/v3"
        self._site = settings.feed_url.rstrip("/")
        self._session = http.open_session(base_url=base, network=network, credential=True)
        self._feeds = http.open_session(base_url=self._site, network=network)

    def resolve(self, account: Account) -> Profile:
        """Return the channel's profile. Raises ConnectorError."""
        now = datetime.now(UTC)
        return parse_channel(self._channel(account, now)) if self._key else self._channel_by_feed(account, now)

    def resolve_many(self, accounts: Sequence[Account]) -> Mapping[int, Profile | ConnectorError]:
        """Return each account's profile, or why it has none, by account id; 50 known channels a call.

        Raises ConnectorError for what stops the whole platform.
        """
        found: dict[int, Profile | ConnectorError] = {}
        known = {account.id: channel_id_of(account) for account in accounts if self._key and is_named(account)}
        ids = list(dict.fromkeys(filter(None, known.values())))
        channels = {string(item, "id"): item for item in self._channels(ids, datetime.now(UTC))}
        for account in accounts:
            try:
                item = channels.get(known.get(account.id, ""))
                found[account.id] = parse_channel(item) if item else self.resolve(account)
            except ConnectorError as error:
                if error.whole_platform:
                    raise
                found[account.id] = error
        return found

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError.

        An unchanged first page is no news, for one unit; otherwise its videos are looked up for one more.
        """
        if not self._key:
            yield self._window(account, cursor, now)
            return
        channel = self._id_of(account, now)
        walk = begin_walk(account, cursor, self._bounds, now, promises=True, whole=True)
        payload = self._upload_page(account, channel, "", now)
        mark = fingerprint(items_of(payload, account.label))
        if cursor and cursor.get("page") == mark and not cursor.keys() & {"lost_after", "again"}:
            yield Page(posts=(), cursor=cursor, last=True)
            return
        known = frozenset((cursor or {}).get("shown", ()))
        shown = sorted(set(map(video_id, items_of(payload, account.label))))
        page = _dated(walk.take(self._listed(account, payload, walk, now, known)), known, now)
        while not page.last:
            yield page
            payload = self._upload_page(account, channel, onward(payload, "nextPageToken"), now)
            page = _dated(walk.take(self._listed(account, payload, walk, now, known)), known, now)
        yield replace(page, cursor={**page.cursor, "page": mark, "shown": shown})

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the videos published in [start, end), read again from the newest down. Raises ConnectorError.

        Without a key the feed shows what it shows, and the rest is a gap.
        """
        if not self._key:
            yield self._past_in_window(account, start, end, now)
            return
        token, channel = "", self._id_of(account, now)
        for left in reversed(range(self._bounds.page_limit)):
            payload = self._upload_page(account, channel, token, now)
            times = {video_id(item): listed_at(item) for item in items_of(payload, account.label)}
            token = onward(payload, "nextPageToken")
            wanted = [item for item in items_of(payload, account.label) if start <= times[video_id(item)] < end]
            ended = not token or not times or max(times.values()) < start
            reached = min([end, *times.values()])
            gap = None if ended or left or reached <= start else Gap(start=start, end=reached, cause=Cause.BURST)
            yield Page(posts=self._posts(account, wanted, now), cursor={}, last=ended or not left, gap=gap)
            if ended:
                return

    def _past_in_window(self, account: Account, start: datetime, end: datetime, now: datetime) -> Page:
        """Return what the feed shows of a stretch, and as a gap what lies below the feed."""
        _, shown = self._feed(account, now)
        oldest = min([end, *(post.published_at for post in shown)]) if len(shown) >= FEED_SIZE else start
        gap = Gap(start=start, end=oldest, cause=Cause.BURST) if oldest > start else None
        posts = tuple(post for post in shown if start <= post.published_at < end)
        return Page(posts=posts, cursor={}, last=True, gap=gap)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known videos again, 50 a call. Raises ConnectorError.

        What the API leaves out is deleted or private, it does not tell which; when it leaves all out, the channel must
        still be there. Without a key the feed tells of its videos, and nothing of the others.
        """
        asked = tuple(dict.fromkeys(native_ids))
        if not self._key:
            _, shown = self._feed(account, now)
            return Reread(posts=tuple(post for post in shown if post.native_id in asked))
        videos = self._videos(account, asked, now)
        if asked and not videos:
            self._channel(account, now)
        hidden = frozenset(one for one, item in videos.items() if is_hidden(item))
        gone = frozenset(one for one, item in videos.items() if is_gone(item))
        posts = tuple(_seen(parse_video(item), now) for one, item in videos.items() if one not in hidden | gone)
        return Reread(posts=posts, missing=gone - hidden | (frozenset(asked) - videos.keys()), hidden=hidden)

    def check(self) -> str:
        """Return a sentence on the key. Raises ConnectorError."""
        if not self._key:
            return "youtube: no api_key: the channels' feeds are read, the 15 newest videos of each"
        self._ask("channels", {"part": "id", "forHandle": "@YouTube"}, datetime.now(UTC), what="youtube: the API key")
        (units,) = self._units.allowances()
        return (
            f"youtube: the API key is accepted; {units.remaining:.0f} of {units.limit:.0f} units left as counted here"
        )

    def allowances(self) -> tuple[Allowance, ...]:
        """Return the day's units as counted here, until midnight Pacific time."""
        return self._units.allowances()

    # By the API.

    def _id_of(self, account: Account, now: datetime) -> str:
        return channel_id_of(account) or string(self._channel(account, now), "id")

    def _channel(self, account: Account, now: datetime) -> Json:
        """Return the account's channel. Raises AccountNotFound."""
        for asked in questions(account):
            items = items_of(
                self._ask("channels", {"part": CHANNEL_PARTS, **asked}, now, what=account.label), account.label
            )
            if items:
                must_be(account.label, *_names(asked, items[0]))
                return items[0]
        raise AccountNotFound(
            f"{account.label}: YouTube knows no such channel; correct the register, or it was deleted"
        )

    def _channels(self, ids: Sequence[str], now: datetime) -> Iterator[Json]:
        for part in portions(ids, IDS_PER_CALL):
            asked = {"part": CHANNEL_PARTS, "id": ",".join(part), "maxResults": str(PAGE_SIZE)}
            yield from items_of(self._ask("channels", asked, now, what="youtube: channels"), "youtube: channels")

    def _upload_page(self, account: Account, channel: str, token: str, now: datetime) -> Json:
        """Return one page of a channel's uploads; of a channel without any, an empty one."""
        usual = re.sub(r"^UC", "UU", channel)
        playlist = self._uploads.get(channel, usual)
        try:
            return self._playlist(account, channel, playlist, token, now)
        except _Refused as refused:
            if "playlistNotFound" not in refused.reasons:
                raise refused.error from None
        item = self._channel(replace(account, native_id=channel), now)
        told = string(inner(item, "contentDetails", "relatedPlaylists"), "uploads")
        if told and told != playlist:
            self._uploads[channel] = told
            return self._upload_page(account, channel, token, now)
        if str(inner(item, "statistics").get("videoCount", "0")) not in {"0", ""}:
            raise Unavailable(f"{account.label}: YouTube counts videos of this channel, but does not list them now")
        return {"items": []}

    def _playlist(self, account: Account, channel: str, playlist: str, token: str, now: datetime) -> Json:
        asked = {"part": ITEM_PARTS, "playlistId": playlist, "maxResults": str(PAGE_SIZE)}
        more = {"pageToken": token} if token else {}
        payload = self._try("playlistItems", {**asked, **more}, now, what=f"{account.label}: uploads")
        items = items_of(payload, account.label)  # videos of others may stand in it: published with them, or passed on
        told = (inner(item, "snippet") for item in items)
        must_hold_own(
            account.label, [playlist, channel], ([one.get("playlistId"), one.get("channelId")] for one in told)
        )
        return payload

    def _listed(self, account: Account, payload: Json, walk: Walk, now: datetime, known: frozenset[str]) -> Listed:
        """Return a page for the walk: one that shows known videos and reaches below them is the last one."""
        items = items_of(payload, account.label)
        times, ids = tuple(map(listed_at, items)), frozenset(map(video_id, items))
        reached = walk.since is not None and bool(ids & known) and min(times) < walk.since
        more = bool(onward(payload, "nextPageToken")) and not reached
        return Listed(posts=self._posts(account, items, now), times=times, ids=ids, more=more)

    def _posts(self, account: Account, items: Sequence[Json], now: datetime) -> tuple[Post, ...]:
        """Return the items as posts by their videos; one that cannot be looked up yet, by what the list says of it."""
        videos = self._videos(account, list(dict.fromkeys(map(video_id, items))), now)
        posts: dict[str, Post] = {}
        for item in items:
            one = video_id(item)
            if one not in videos and is_shown(item):
                posts[one] = parse_upload(item)
            elif one in videos and not is_hidden(videos[one]) and not is_gone(videos[one]):
                posts[one] = parse_video(videos[one])
        return tuple(posts.values())

    def _videos(self, account: Account, ids: Sequence[str], now: datetime) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for part in portions(ids, IDS_PER_CALL):
            asked = {"part": VIDEO_PARTS, "id": ",".join(part), "maxResults": str(PAGE_SIZE)}
            items = items_of(self._ask("videos", asked, now, what=f"{account.label}: videos"), account.label)
            must_answer(f"{account.label}: videos", part, (string(item, "id") for item in items))
            found |= {string(item, "id"): item for item in items if string(item, "id")}
        return found

    def _ask(self, method: str, asked: Mapping[str, str], now: datetime, *, what: str) -> Json:
        try:
            return self._try(method, asked, now, what=what)
        except _Refused as refused:
            raise refused.error from None

    def _try(self, method: str, asked: Mapping[str, str], now: datetime, *, what: str) -> Json:
        """Make one call. Raises _Refused for what the API says itself, ConnectorError for everything else."""
        self._units.spend(now, what=what)
        try:
            response = self._session.get(f"{self._api}/{method}", params={**asked, "key": self._key})
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        if response.status_code >= 400:
            raise self._refusal(response, now, what=what)
        payload = http.json_body(response, what=what)
        if not isinstance(payload, Mapping):
            raise SchemaDrift(f"{what}: the answer is no object; {DRIFT}")
        if "error" in payload:
            raise self._refusal(response, now, what=what)
        return payload

    def _refusal(self, response: requests.Response, now: datetime, *, what: str) -> _Refused:
        try:
            reasons = reasons_of(response.json())
        except (ValueError, RecursionError):
            reasons = ()
        kind, sentence = verdict(reasons, response.status_code)
        retry_at = http.retry_after(response.headers, now) if issubclass(kind, RateLimited | Unavailable) else None
        if DAY_REASONS & set(reasons) and issubclass(kind, RateLimited):
            self._units.are_gone(now)
            retry_at = next_day(now)
        label = reasons[0] if reasons else f"HTTP {response.status_code}"
        safe = label if re.fullmatch(r"[\w ]{1,60}", label) and label != self._key else f"HTTP {response.status_code}"
        return _Refused(reasons, kind(f"{what}: {sentence} ({safe})", retry_at=retry_at))

    # By the feed.

    def _window(self, account: Account, cursor: Cursor | None, now: datetime) -> Page:
        seen = remembered(cursor)
        _, posts = self._feed(account, now)
        return window_page(seen, posts, now=now, undated=frozenset(), extra={})

    def _channel_by_feed(self, account: Account, now: datetime) -> Profile:
        channel = self._id_by_page(account, now)
        profile, _ = self._feed(replace(account, native_id=channel), now)
        return replace(profile, native_id=channel, handle=name_of(account) if is_named(account) else "")

    def _feed(self, account: Account, now: datetime) -> tuple[Profile, tuple[Post, ...]]:
        channel = self._id_by_page(account, now)
        response = self._get("/feeds/videos.xml", {"channel_id": channel}, account, now)
        profile, posts = parse_feed(response.content, what=account.label)
        must_be(account.label, [channel, channel.removeprefix("UC")], [profile.native_id])  # it is told without UC
        return profile, posts

    def _id_by_page(self, account: Account, now: datetime) -> str:
        """Return the channel's id, read from its page where the register does not have it."""
        known = channel_id_of(account)
        if known:
            return known
        user, name = user_of(account), quote(name_of(account), safe="")
        response = self._get(f"/user/{quote(user, safe='')}" if user else f"/@{name}", {}, account, now)
        found = ID_ON_PAGE.search(response.text)
        if found is None:
            raise SchemaDrift(
                f"{account.label}: the channel's page shows no id; write the id (UC…) into the handle column"
            )
        told = NAME_ON_PAGE.search(response.text)
        must_be(account.label, [] if user else [unquote(name)], [unquote(told[1]) if told else ""])
        return found[1]

    def _get(self, path: str, asked: Mapping[str, str], account: Account, now: datetime) -> requests.Response:
        try:
            response = self._feeds.get(f"{self._site}{path}", params=dict(asked))
        except requests.RequestException as error:
            raise http.failure(error, what=account.label) from None
        refused = http.refusal(response, what=account.label, now=now)
        if refused is not None:
            raise refused
        return response


def _names(asked: Mapping[str, str], channel: Json) -> tuple[list[str], list[str]]:
    """Return what a channel was asked for by, and what it says of that. A user's name of old is told nowhere."""
    told = string(inner(channel, "snippet"), "customUrl")
    if "id" in asked:
        return [asked["id"]], [string(channel, "id")]
    return ([asked["forHandle"]], [told]) if "forHandle" in asked and told.startswith("@") else ([], [])


def _dated(page: Page, known: frozenset[str], now: datetime) -> Page:
    """Return a page whose known videos count as edited now: what is stored is only what differs from before."""
    posts = tuple(_seen(post, now) if post.native_id in known else post for post in page.posts)
    return replace(page, posts=posts)


def _seen(post: Post, now: datetime) -> Post:
    """Date an edit by when it is seen: YouTube does not tell it."""
    return replace(post, edited_at=max(now, post.published_at))
