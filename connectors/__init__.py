"""A file or a folder a platform. `CONNECTORS` names each by a dotted path: a library is loaded when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

CONNECTORS: Mapping[str, str] = {
    "x": "connectors.x:XConnector",
    "facebook": "connectors.facebook:FacebookConnector",
    "instagram": "connectors.instagram:InstagramConnector",
    "threads": "connectors.threads:ThreadsConnector",
    "tiktok": "connectors.tiktok:TikTokConnector",
    "linkedin": "connectors.linkedin:LinkedInConnector",
    "myspace": "connectors.myspace:MySpaceConnector",
    "rss": "connectors.rss:RssConnector",
    "web": "connectors.web:WebConnector",
    "youtube": "connectors.youtube:YouTubeConnector",
    "mastodon": "connectors.mastodon:MastodonConnector",
    "telegram": "connectors.telegram:TelegramConnector",
    "bluesky": "connectors.bluesky:BlueskyConnector",
}
ALIASES: Mapping[str, str] = {"twitter": "x"}


def load(platform: str) -> type[Any]:
    """Return the connector class of a platform. Raises KeyError for an unknown one."""
    module, _, name = CONNECTORS[platform].partition(":")
    loaded: type[Any] = getattr(importlib.import_module(module), name)
    return loaded
