"""What can be wrong in a platform's section is said when the configuration is loaded, all of it, with key and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from builders import account

import connectors
from connectors.graph.refusals import FACEBOOK
from connectors.instagram import refusals as instagram
from connectors.linkedin import refusals as linkedin
from connectors.threads import refusals as threads
from connectors.x import refusals as x
from connectors.youtube import refusals as google
from monitor.configuration import Configuration, missing_credentials, platform_settings
from monitor.settings.load import load_settings

RIGHT = {
    "an address with a port and a path": '[connectors.x]\nbase_url = "http://127.0.0.1:8080/x/"',
    "an address by number": '[connectors.facebook]\nbase_url = "http://[::1]:8080"',
    "a version with and without its letter": '[connectors.facebook]\napi_version = "26.0"',
    "a token of every kind of character": '[connectors.x]\nbearer_token = "AAAA%2Fb-_.~|=:+/"',
    "a platform without settings": "[connectors.rss]",
}
WRONG = {
    "no scheme": ('[connectors.x]\nbase_url = "api.x.com"', "connectors.x.base_url", "https://api.x.com"),
    "another scheme": ('[connectors.x]\nbase_url = "ftp://api.x.com"', "connectors.x.base_url", "http://"),
    "no host": ('[connectors.facebook]\nbase_url = "https://"', "connectors.facebook.base_url", "a host"),
    "an empty address": ('[connectors.myspace]\nbase_url = ""', "connectors.myspace.base_url", "https://myspace.com"),
    "a port that is none": ('[connectors.x]\nbase_url = "https://a:99999"', "connectors.x.base_url", "port"),
    "port zero": ('[connectors.x]\nbase_url = "https://a:0"', "connectors.x.base_url", "1 to 65535"),
    "open brackets": ('[connectors.x]\nbase_url = "https://[::1"', "connectors.x.base_url", "brackets"),
    "a space": ('[connectors.x]\nbase_url = "https://api x.com"', "connectors.x.base_url", "a host"),
    "a password": ('[connectors.x]\nbase_url = "https://a:b@api.x.com"', "connectors.x.base_url", "a password"),
    "a query": ('[connectors.x]\nbase_url = "https://api.x.com?a=1"', "connectors.x.base_url", '"?"'),
    "a version that is none": ('[connectors.facebook]\napi_version = "terkini"', ".api_version", '"v26.0"'),
    "an empty version": ('[connectors.facebook]\napi_version = ""', "connectors.facebook.api_version", '"v26.0"'),
    "a year for a month": ('[connectors.linkedin]\nversion = "2026"', "connectors.linkedin.version", '"202605"'),
    "half of what renews": ('[connectors.linkedin]\nclient_id = "86a"', "linkedin.refresh_token", "together"),
    "a refresh token alone": ('[connectors.tiktok]\nrefresh_token = "rft.1"', ".refresh_token", "client_key"),
    "half of an app": ('[connectors.tiktok]\nclient_key = "aw1"', ".client_secret", "together"),
    "a username for an id": ('[connectors.instagram]\nuser_id = "jpd.demo"', "instagram.user_id", "numeric id"),
    "no calls at all": ("[connectors.threads]\ndaily_calls = 0", "threads.daily_calls", "like 1000"),
    "another version that is none": ('[connectors.instagram]\napi_version = "v"', "instagram.api_version", '"v26.0"'),
    "a token in two words": ('[connectors.x]\nbearer_token = "RAHSIA token"', "connectors.x.bearer_token", "copy"),
    "a token with a line break": ('[connectors.x]\nbearer_token = "RAHSIA\\ntoken"', ".bearer_token", "line break"),
    "a token with a dash of print": ('[connectors.facebook]\naccess_token = "RAHSIA–t"', ".access_token", "ASCII"),
    "a secret with a tab": ('[connectors.facebook]\napp_secret = "RAHSIA\\tt"', ".app_secret", "white space"),
}


def load(folder, toml):
    """Return the platforms' settings and what is wrong with them."""
    (folder / "pantau.toml").write_text(toml, encoding="utf-8")
    problems = []
    return platform_settings(load_settings(folder, {}), [], problems), problems


@pytest.mark.parametrize("toml", RIGHT.values(), ids=RIGHT)
def test_what_is_right_is_taken(tmp_path, toml):
    assert load(tmp_path, toml)[1] == []


@pytest.mark.parametrize(("toml", "place", "remedy"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_key_and_remedy_and_without_the_token(tmp_path, toml, place, remedy):
    platforms, (problem,) = load(tmp_path, toml)
    assert platforms == {}
    assert problem.place.endswith(place)
    assert remedy in problem.message
    assert "RAHSIA" not in str(problem)


def test_a_token_s_file_is_looked_into_as_well(tmp_path):
    (tmp_path / "token").write_text("AAAA BBBB\n")
    _, (problem,) = load(tmp_path, '[connectors.x]\nbearer_token_file = "token"')
    assert "one line" in str(problem)


@pytest.mark.parametrize("platform", connectors.CONNECTORS)
def test_the_defaults_of_every_platform_are_right(platform):
    assert connectors.load(platform).Settings().problems() == []


TIKTOK_APP = '[connectors.tiktok]\nclient_key = "a"\nclient_secret = "b"\n'
LACKING = {
    "nothing": ("", ["connectors.tiktok.client_key"]),
    "an app and no consent": (TIKTOK_APP, ["connectors.tiktok.tokens"]),
    "a token": ('[connectors.tiktok]\naccess_token = "act.1"', []),
    "what a token is renewed with": (f'{TIKTOK_APP}refresh_token = "rft.1"', []),
    "a folder of consents": (f'{TIKTOK_APP}tokens = "consents"', []),
    "a folder with another's consent": (f'{TIKTOK_APP}tokens = "others"', ["connectors.tiktok.tokens"]),
}


@pytest.mark.parametrize(("toml", "missing"), LACKING.values(), ids=LACKING)
def test_one_credential_may_stand_for_another(tmp_path, toml, missing):
    (tmp_path / "consents").mkdir()
    (tmp_path / "consents" / "jpd").write_text("rft.1")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "kcm").write_text("rft.1")
    (tmp_path / "others" / ".jpd.lock").touch()
    (tmp_path / "pantau.toml").write_text(toml, encoding="utf-8")
    settings, accounts = load_settings(tmp_path, {}), [account("jpd", "tiktok")]
    platforms = platform_settings(settings, accounts, [])
    configuration = Configuration(
        settings=settings,
        agencies=[],
        accounts=accounts,
        rules=None,
        platforms=platforms,
        escalation=None,
        fingerprint="",
    )
    assert [problem.place for problem in missing_credentials(configuration)] == missing


def test_of_many_accounts_without_a_consent_the_first_are_named(tmp_path):
    (tmp_path / "pantau.toml").write_text(TIKTOK_APP, encoding="utf-8")
    accounts = [account(f"jpd{number}", "tiktok") for number in range(7)]
    table = platform_settings(load_settings(tmp_path, {}), accounts, [])["tiktok"]
    ((key, sentence),) = table.lacking(accounts)
    assert key == "tokens"
    assert "no file named jpd0, jpd1, jpd2, jpd3, jpd4 and 2 more; write" in sentence


def test_a_folder_that_is_not_named_lies_beside_the_configuration(tmp_path):
    (tmp_path / "pantau.toml").write_text(TIKTOK_APP, encoding="utf-8")
    platforms = platform_settings(load_settings(tmp_path, {}), [], [])
    assert platforms["tiktok"].tokens == tmp_path / "var" / "tiktok"


@pytest.mark.parametrize(
    "remedy",
    [
        FACEBOOK.new_token,
        instagram.DIALECT.new_token,
        threads.DIALECT.new_token,
        google.NEW_KEY,
        linkedin.NEW_TOKEN,
        x.STATUSES[401][1],
    ],
)
def test_a_remedy_names_the_key_that_the_default_configuration_shows(remedy):
    platform, key = re.search(r"into connectors\.(\w+)\.(\w+)", remedy).groups()
    defaults = (Path(__file__).parent.parent / "config" / "pantau.toml").read_text(encoding="utf-8")
    section = defaults.split(f"[connectors.{platform}]")[1].split("\n[")[0]
    assert f"# {key} = " in section
