"""What a page or document of MySpace shows. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model import Post, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a page or document shows. `undated` are ids of posts without a date of their own."""

    profile: Profile
    posts: tuple[Post, ...]
    undated: frozenset[str] = frozenset()
    atom: bool = False
