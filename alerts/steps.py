"""What to do on each platform: take a post down, lock an account that may have been taken over.

The words are data, in templates/steps.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from alerts.rendering import TEMPLATES
from monitor.model import Language

WEBSITES = frozenset({"rss", "web"})  # a feed is a website's: what is published there is taken down there


def unpublish(platform: str, language: Language) -> tuple[str, ...]:
    return _of("unpublish", platform, language)


def lock(platform: str, language: Language) -> tuple[str, ...]:
    return (*_of("lock", platform, language), str(_words()["no_links"][language.value]))


def _of(what: str, platform: str, language: Language) -> tuple[str, ...]:
    table = _words()[what]
    by_language = table.get("website" if platform in WEBSITES else platform, table["other"])
    return tuple(by_language[language.value])


@cache
def _words() -> Mapping[str, Any]:
    words: Mapping[str, Any] = yaml.safe_load((TEMPLATES / "steps.yaml").read_text(encoding="utf-8"))
    return words
