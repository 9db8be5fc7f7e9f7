"""TikTok as its Display API answers: recorded shapes, whose token is whose, and tokens that are renewed and kept."""

from __future__ import annotations

import json
import multiprocessing
import threading
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import requests
from builders import account
from replay import Answer, Replay, as_json, by_path, recorded

from connectors import base
from connectors.base import ConnectorError, ConnectorMisconfigured, CredentialRefused, PermissionMissing, SchemaDrift
from connectors.sandbox.server import Sandbox
from connectors.sandbox.tiktok_twin import CLIENT_KEY
from connectors.sandbox.world import World
from connectors.tiktok import TikTokConnector, TikTokSettings
from connectors.tiktok.posts import parse_listing, parse_post
from connectors.tiktok.refusals import ConsentEnded
from connectors.tiktok.tokens import Grant, Tokens
from monitor.model import Cause, MediaKind
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOKEN = "act.plantedTokenThatNobodyMaySee"
JPD = account("jpd.demo", "tiktok", id=1, native_id="open-1")
USER = {"data": {"user": {"open_id": "open-1", "username": "jpd.demo", "display_name": "JPD"}}, "error": {"code": "ok"}}
LIST = recorded("tiktok/list")


def connector(url: str, *, token: str = TOKEN, folder: Path = Path("/nonexistent"), **more: object) -> TikTokConnector:
    settings = TikTokSettings(access_token=Secret(token), base_url=url, tokens=folder, **more)
    return TikTokConnector(settings, Network(timeout=timedelta(seconds=5)), base.Bounds(back_catalogue=3200))


def pull(url: str, cursor=None, *, of=JPD, **how: object) -> list[base.Page]:
    return list(connector(url, **how).pull(of, cursor, now=NOW))


def refusal(code: str, *, status: int) -> Answer:
    error = {"code": code, "message": f"no {TOKEN}", "log_id": "1"}
    return as_json({"data": {}, "error": error}, status=status)


def listing(*videos: object, cursor: int = 0, more: bool = False) -> dict[str, object]:
    return {"data": {"videos": list(videos), "cursor": cursor, "has_more": more}, "error": {"code": "ok"}}


def video(number: int) -> dict[str, object]:
    return {"id": str(7000 + number), "create_time": int((NOW - number * HOUR).timestamp()), "title": f"video {number}"}


# ---------------------------------------------------------------- what videos say


@pytest.fixture(scope="module")
def posts():
    return parse_listing(LIST["data"])


def test_title_and_description_are_told_once_and_links_are_found(posts):
    assert posts[0].text == "Borang baharu: https://www.jpd.example.my/borang. #JPD"
    assert posts[0].links == ("https://www.jpd.example.my/borang",)
    assert posts[1].text == "Majlis penyerahan di dewan"


def test_a_video_is_named_by_its_page_without_counters_and_comes_with_its_cover(posts):
    assert posts[0].url == "https://www.tiktok.com/@jpd.demo/video/7380080137682881835"
    assert [media.kind for media in posts[0].media] == [MediaKind.PICTURE, MediaKind.VIDEO]
    assert posts[0].media[1].url == posts[0].url


def test_nulls_numbers_for_ids_and_digits_for_times_are_no_drift(posts):
    assert (posts[2].native_id, posts[2].text) == ("7380080137682881837", "")
    assert posts[1].published_at == datetime.fromtimestamp(1795500000, UTC)
    assert posts[2].url == "https://www.tiktok.com/video/7380080137682881837"


def test_another_signature_on_a_cover_is_no_edit():
    one = LIST["data"]["videos"][0]
    again = json.loads(json.dumps(one).replace("x-signature=a", "x-signature=b"))
    assert parse_post(one).content_hash == parse_post(again).content_hash


DRIFTS = {
    "no data": {"error": {"code": "ok"}},
    "neither videos nor their end": {"data": {"cursor": 0}, "error": {"code": "ok"}},
    "videos that are no list": {"data": {"videos": {}}, "error": {"code": "ok"}},
    "a video without an id": listing({"create_time": 1795600000}),
    "a video without a time": listing({"id": "1"}),
    "a time in milliseconds": listing({"id": "1", "create_time": 1795600000000}),
    "a list": as_json([]),
}


@pytest.mark.parametrize("payload", DRIFTS.values(), ids=DRIFTS)
def test_a_changed_schema_is_never_no_news(payload):
    with Replay(by_path({"/v2/user/info/": USER, "/v2/video/list/": payload})) as replay, pytest.raises(SchemaDrift):
        pull(replay.url)


# ---------------------------------------------------------------- the walk


def test_pages_follow_by_a_time_in_milliseconds():
    pages = [listing(video(1), cursor=1795600000123, more=True), listing(video(2))]
    with Replay(by_path({"/v2/user/info/": USER, "/v2/video/list/": pages})) as replay:
        found = pull(replay.url)
        bodies = [json.loads(asked.body) for asked in replay.asked if asked.method == "POST"]
        assert replay.asked[1].headers["authorization"] == f"Bearer {TOKEN}"
        assert "share_url" in replay.asked[1].query["fields"]
    assert bodies == [{"max_count": 20}, {"max_count": 20, "cursor": 1795600001123}]  # with that second once more
    assert [post.native_id for page in found for post in page.posts] == ["7001", "7002"]
    assert found[-1].gap is None


@pytest.mark.parametrize("count", [3, 4, 9])
def test_videos_of_one_second_are_not_lost_where_a_page_ends_between_them(count):
    with Sandbox(World()) as sandbox:
        native_id = sandbox.world.add_account("tiktok", "jpd.demo", name="JPD")
        sandbox.world.page_sizes["tiktok"] = 5
        times = [NOW - HOUR, *[NOW - 2 * HOUR] * 3, *[NOW - 3 * HOUR] * count, NOW - 4 * HOUR]
        wanted = {sandbox.world.publish("tiktok", "jpd.demo", f"{n}", at=at) for n, at in enumerate(times)}
        mine = account("jpd.demo", "tiktok", native_id=native_id)
        pages = list(connector(sandbox.base_url("tiktok"), token="sandbox").pull(mine, None, now=NOW))
    found = {post.native_id for page in pages for post in page.posts}
    assert found == wanted if count < 5 else len(wanted - found) <= count - 5  # of more than a page none can


def test_a_server_whose_list_never_ends_is_left():
    cursors = iter(range(1795600000000, 0, -1))
    script = by_path(
        {"/v2/user/info/": USER, "/v2/video/list/": lambda _: listing(video(1), cursor=next(cursors), more=True)}
    )
    with Replay(script) as replay:
        assert pull(replay.url)[-1].gap is not None
        assert len(replay.asked) <= 4


def test_an_account_without_videos_has_none():
    none = {"data": {"cursor": 0, "has_more": False}, "error": {"code": "ok"}}
    with Replay(by_path({"/v2/user/info/": USER, "/v2/video/list/": none})) as replay:
        (page,) = pull(replay.url)
    assert (page.posts, page.last) == ((), True)


def test_a_stretch_of_the_past_begins_where_it_ends():
    start, end = NOW - 5 * HOUR, NOW - 2 * HOUR
    with Replay(by_path({"/v2/user/info/": USER, "/v2/video/list/": listing(video(2), video(3), video(6))})) as replay:
        pages = list(connector(replay.url).backfill(JPD, start, end, now=NOW))
        assert json.loads(replay.asked[1].body)["cursor"] == int((end.timestamp() + 1) * 1000)
    assert [post.native_id for page in pages for post in page.posts] == ["7003"]


def test_known_videos_are_read_twenty_a_call_and_what_is_left_out_is_missing():
    queried = [listing(video(1)), listing()]
    with Replay(by_path({"/v2/user/info/": USER, "/v2/video/query/": queried})) as replay:
        answer = connector(replay.url).reread(JPD, [str(7000 + n) for n in range(1, 26)], now=NOW)
        sizes = [len(json.loads(asked.body)["filters"]["video_ids"]) for asked in replay.asked[1:]]
    assert sizes == [20, 5]
    assert [post.native_id for post in answer.posts] == ["7001"]
    assert len(answer.missing) == 24


def test_what_the_newest_videos_show_is_not_missing():
    routes = {"/v2/user/info/": USER, "/v2/video/query/": listing(), "/v2/video/list/": listing(video(1))}
    with Replay(by_path(routes)) as replay:
        answer = connector(replay.url).reread(JPD, ["7001", "7002"], now=NOW)
    assert answer.missing == {"7002"}


# ---------------------------------------------------------------- whose token it is


def test_the_token_of_another_account_shows_nothing_for_this_one():
    for of in (account("kcm.demo", "tiktok", id=2), account("kcm.demo", "tiktok", id=2, native_id="open-2")):
        with Replay(by_path({"/v2/user/info/": USER, "/v2/video/list/": LIST})) as replay:
            with pytest.raises(PermissionMissing, match=r"is that of @jpd\.demo"):
                pull(replay.url, of=of)
            assert [asked.path for asked in replay.asked] == ["/v2/user/info/"]


def test_an_account_that_was_renamed_is_known_by_its_id():
    with Replay(by_path({"/v2/user/info/": USER, "/v2/video/list/": LIST})) as replay:
        assert len(pull(replay.url, of=account("nama.lama", "tiktok", native_id="open-1"))[0].posts) == 3


def test_an_account_that_another_app_calls_by_another_id_is_known_by_its_name():
    with Replay(by_path({"/v2/user/info/": USER, "/v2/video/list/": LIST})) as replay:
        assert len(pull(replay.url, of=account("JPD.demo", "tiktok", native_id="open-of-the-old-app"))[0].posts) == 3


def test_a_consent_to_the_basic_scope_alone_is_enough():
    basic = {"data": {"user": {"open_id": "open-1", "display_name": "JPD"}}, "error": {"code": "ok"}}
    answers = [refusal("scope_not_authorized", status=401), basic]
    with Replay(by_path({"/v2/user/info/": answers})) as replay:
        profile = connector(replay.url).resolve(account("jpd.demo", "tiktok"))
        assert replay.asked[1].query["fields"] == "open_id,avatar_url,display_name"
    assert (profile.native_id, profile.name, profile.handle) == ("open-1", "JPD", "jpd.demo")


# ---------------------------------------------------------------- refusals


REFUSALS = {
    "a token that has ended": (refusal("access_token_invalid", status=401), CredentialRefused),
    "a scope that is missing": (refusal("scope_not_authorized", status=401), PermissionMissing),
    "calls used up": (refusal("rate_limit_exceeded", status=429), base.RateLimited),
    "a passing fault": (refusal("internal_error", status=500), base.Unavailable),
    "a question that is not understood": (refusal("invalid_params", status=400), SchemaDrift),
    "an error on a success": (refusal("access_token_invalid", status=200), CredentialRefused),
    "an unknown error": (refusal("something_new", status=400), SchemaDrift),
    "a page of HTML from a gateway": (Answer(status=502, body=b"<html>"), base.Unavailable),
}


@pytest.mark.parametrize(("answer", "kind"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_sorted_by_what_it_means(answer, kind):
    routes = {"/v2/user/info/": USER, "/v2/video/list/": answer}
    with Replay(by_path(routes)) as replay, pytest.raises(ConnectorError) as caught:
        pull(replay.url)
    assert type(caught.value) is kind
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


# ---------------------------------------------------------------- tokens that are renewed


APP = {"client_key": CLIENT_KEY, "client_secret": Secret("sandbox")}


class Platform:
    """TikTok's side of renewing: a refresh token works once."""

    def __init__(self, *, seconds: int = 7200) -> None:
        self.valid = "rft.0"
        self.renewals = 0
        self.seconds = seconds

    def __call__(self, asked):
        if asked.path == "/v2/oauth/token/":
            return self._renew(dict(parse_qsl(asked.body.decode())))
        if asked.headers.get("authorization") != f"Bearer act.{self.renewals}" or not self.renewals:
            return refusal("access_token_invalid", status=401)
        return as_json(USER if asked.path == "/v2/user/info/" else LIST)

    def _renew(self, form):
        if form["refresh_token"] != self.valid or form["client_key"] != CLIENT_KEY:
            return as_json({"error": "invalid_grant", "error_description": form["refresh_token"]}, status=400)
        self.renewals += 1
        self.valid = f"rft.{self.renewals}"
        return as_json(
            {
                "access_token": f"act.{self.renewals}",
                "refresh_token": self.valid,
                "expires_in": self.seconds,
                "refresh_expires_in": 180 * 86400,
            }
        )


def test_an_account_s_own_refresh_token_is_renewed_and_the_new_one_kept(tmp_path):
    (tmp_path / "jpd.demo").write_text("rft.0\n")
    platform = Platform()
    with Replay(platform) as replay:
        for _ in range(2):  # a new connector is what a restart is
            assert len(pull(replay.url, token="", folder=tmp_path, **APP)[0].posts) == 3
    kept = json.loads((tmp_path / "jpd.demo").read_text())
    ends = {"expires_at": (NOW + 2 * HOUR).isoformat(), "ends_at": (NOW + timedelta(days=180)).isoformat()}
    assert kept == {"access_token": "act.1", "refresh_token": "rft.1", **ends}
    assert (tmp_path / "jpd.demo").stat().st_mode & 0o077 == 0
    assert platform.renewals == 1
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".new")] == []


def test_a_token_is_renewed_before_it_ends(tmp_path):
    (tmp_path / "jpd.demo").write_text("rft.0")
    with Replay(Platform()) as replay:
        one = connector(replay.url, token="", folder=tmp_path, **APP)
        for minutes, renewed in ((0, "rft.1"), (109, "rft.1"), (111, "rft.2"), (300, "rft.3")):
            list(one.pull(JPD, None, now=NOW + timedelta(minutes=minutes)))
            assert json.loads((tmp_path / "jpd.demo").read_text())["refresh_token"] == renewed


def test_a_token_that_is_refused_before_its_time_is_renewed_once(tmp_path):
    until = (NOW + 2 * HOUR).isoformat()
    held = {"access_token": "act.dead", "expires_at": until, "refresh_token": "rft.0"}
    (tmp_path / "jpd.demo").write_text(json.dumps(held))
    with Replay(Platform()) as replay:
        assert len(pull(replay.url, token="", folder=tmp_path, **APP)[0].posts) == 3


def test_a_configured_refresh_token_outlives_a_restart_in_the_folder(tmp_path):
    how = {"token": "", "folder": tmp_path / "var" / "tiktok", "refresh_token": Secret("rft.0"), **APP}
    platform = Platform()
    with Replay(platform) as replay:
        pull(replay.url, **how)
        list(connector(replay.url, **how).pull(JPD, None, now=NOW + 3 * HOUR))
    assert platform.renewals == 2


def test_the_first_end_of_the_consents_is_told(tmp_path):
    (tmp_path / "jpd.demo").write_text("rft.0")
    held = {"access_token": "a", "refresh_token": "r", "ends_at": (NOW + timedelta(days=9)).isoformat()}
    (tmp_path / "kcm.demo").write_text(json.dumps(held))
    with Replay(Platform()) as replay:
        one = connector(replay.url, token="", folder=tmp_path, **APP)
        list(one.pull(JPD, None, now=NOW))
    assert one.expires_at() == NOW + timedelta(days=9)
    assert connector("http://127.0.0.1:9", folder=tmp_path / "none").expires_at() is None


def test_a_consent_that_is_over_stops_its_own_account_alone(tmp_path):
    (tmp_path / "jpd.demo").write_text("rft.stale")
    with Replay(Platform()) as replay, pytest.raises(ConsentEnded) as caught:
        pull(replay.url, token="", folder=tmp_path, **APP)
    assert (caught.value.cause, caught.value.whole_platform) == (Cause.PERMISSION, False)
    assert "rft.stale" not in "".join(traceback.format_exception(caught.value))
    assert (tmp_path / "jpd.demo").read_text() == "rft.stale"


def test_an_account_without_a_file_does_not_stop_those_that_have_one(tmp_path):
    (tmp_path / "kcm.demo").write_text("rft.0")
    with Replay(Platform()) as replay, pytest.raises(ConsentEnded, match=r"no file named jpd\.demo"):
        pull(replay.url, token="", folder=tmp_path, **APP)


def test_an_app_that_is_refused_is_a_mistake_of_the_configuration(tmp_path):
    (tmp_path / "jpd.demo").write_text("rft.0")
    wrong = as_json({"error": "invalid_client", "error_description": "x"}, status=401)
    with (
        Replay(by_path({"/v2/oauth/token/": wrong})) as replay,
        pytest.raises(ConnectorMisconfigured, match="client_key"),
    ):
        pull(replay.url, token="", folder=tmp_path, **APP)


def test_nothing_is_renewed_where_it_could_not_be_kept(tmp_path, monkeypatch):
    (tmp_path / "jpd.demo").write_text("rft.0")

    def full(*_: object, **__: object):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("connectors.tiktok.tokens.tempfile.mkstemp", full)
    platform = Platform()
    with Replay(platform) as replay, pytest.raises(ConnectorMisconfigured, match="nothing was renewed"):
        pull(replay.url, token="", folder=tmp_path, **APP)
    assert platform.renewals == 0


@pytest.mark.parametrize("content", ["", "two words", "{", '{"access_token": "a"}', "[]\x00"])
def test_a_file_that_holds_no_token_says_so(tmp_path, content):
    (tmp_path / "jpd.demo").write_text(content)
    with Replay(Platform()) as replay, pytest.raises(ConnectorMisconfigured, match=r"connectors\.tiktok\.tokens"):
        pull(replay.url, token="", folder=tmp_path, **APP)


def test_a_name_leads_to_no_other_file(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret").write_text("rft.0")
    tokens = Tokens(access_token=Secret("a"), refresh_token=Secret(), folder=tmp_path / "inside", renews=True)
    assert [tokens.has_own(name) for name in ("../secret", "..", ".", "", "/etc/hostname")] == [False] * 5


def renewing_once(spent: list[str], lock: threading.Lock):
    """A platform where each refresh token works once."""

    def renew(old: str) -> Grant:
        with lock:
            assert old not in spent
            spent.append(old)
            return Grant(access_token=f"act.{len(spent)}", refresh_token=f"rft.{len(spent)}", expires_at=NOW + 2 * HOUR)

    return renew


def test_threads_that_need_a_token_at_once_renew_it_once(tmp_path):
    (tmp_path / "jpd").write_text("rft.0")
    spent: list[str] = []
    renew = renewing_once(spent, threading.Lock())
    found: list[str] = []

    def ask() -> None:
        tokens = Tokens(access_token=Secret(), refresh_token=Secret(), folder=tmp_path, renews=True)
        found.append(tokens.access_token("jpd", NOW, renew))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (spent, set(found)) == (["rft.0"], {"act.1"})


def _in_a_process(folder: str, log: str) -> None:
    def renew(old: str) -> Grant:
        with Path(log).open("a") as lines:
            lines.write(f"{old}\n")
        return Grant(access_token="act.1", refresh_token="rft.1", expires_at=NOW + 2 * HOUR)

    tokens = Tokens(access_token=Secret(), refresh_token=Secret(), folder=Path(folder), renews=True)
    assert tokens.access_token("jpd", NOW, renew) == "act.1"


def test_processes_that_need_a_token_at_once_renew_it_once(tmp_path):
    (tmp_path / "jpd").write_text("rft.0")
    log = tmp_path.parent / f"{tmp_path.name}.log"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_in_a_process, args=(str(tmp_path), str(log))) for _ in range(3)]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    assert [one.exitcode for one in processes] == [0, 0, 0]
    assert log.read_text() == "rft.0\n"


# ---------------------------------------------------------------- the sandbox


def test_the_sandbox_keeps_tokens_apart_and_renews_them(tmp_path):
    with Sandbox(World()) as sandbox:
        for name in ("jpd.demo", "kcm.demo"):
            sandbox.world.add_account("tiktok", name, name=name.upper())
            sandbox.world.publish("tiktok", name, f"video {name}", at=NOW - HOUR)
            (tmp_path / name).write_text(f"rft.0.{name}")
        one = connector(sandbox.base_url("tiktok"), token="", folder=tmp_path, **APP)
        texts = [
            next(one.pull(account(name, "tiktok"), None, now=NOW)).posts[0].text for name in ("jpd.demo", "kcm.demo")
        ]
        assert one.check() == "tiktok: the consent of jpd.demo, kcm.demo is accepted; tokens are renewed"
    assert texts == ["video jpd.demo", "video kcm.demo"]


@pytest.mark.parametrize(("count", "fields"), [(21, "id"), (20, "id,caption"), (20, ""), ("20", "id")])
def test_the_sandbox_refuses_more_than_twenty_and_unknown_fields(count, fields):
    with Sandbox(World()) as sandbox:
        sandbox.world.add_account("tiktok", "jpd", name="JPD")
        address = f"{sandbox.base_url('tiktok')}/v2/video/list/"
        bearer = {"Authorization": "Bearer sandbox"}
        answer = requests.post(address, params={"fields": fields}, json={"max_count": count}, headers=bearer, timeout=5)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_params")
