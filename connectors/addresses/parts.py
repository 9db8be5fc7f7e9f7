"""Pasted addresses taken apart. Pure; what comes from an officer's clipboard is never trusted to be an address."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import SplitResult, unquote, urlsplit

from monitor.model import Account


def split(url: str) -> SplitResult | None:
    text = url.strip().rstrip(".,;)")
    try:
        parts = urlsplit(text if "//" in text else f"https://{text}")
        known = bool(parts.hostname) and parts.scheme in {"http", "https"}
    except ValueError:
        return None
    return parts if known else None


def hashbang_path(parts: SplitResult) -> str:
    """Return the path; before 2012 both X and Facebook wrote it behind `#!`."""
    return parts.fragment.removeprefix("!") if parts.fragment.startswith("!/") else parts.path


def segments_of(path: str) -> list[str]:
    return [unquote(segment).strip() for segment in path.split("/") if segment.strip()]


def host_of(parts: SplitResult) -> str:
    """Return the host without `www.`, `m.` or `mobile.` in front and a dot behind."""
    return re.sub(r"^(www|m|mobile)\.", "", parts.hostname or "").removesuffix(".")


def named_by(account: Account, handle: Callable[[str], str | None], *, usable: str) -> str:
    """Return what the register calls an account: by its handle, which may be an address, else by its url; else "".

    `handle` reads the platform's addresses, and `usable` is what its names look like: officers also write an account's
    title into that column.
    """
    written = account.handle.strip().removeprefix("@")
    named = handle(written) if "/" in written else written
    return named if named and re.fullmatch(usable, named) else handle(account.url) or ""
