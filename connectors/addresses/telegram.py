"""Addresses of public Telegram channels; invitations and private channels have no name to be read by."""

from __future__ import annotations

import re
from urllib.parse import SplitResult

from connectors.addresses.parts import host_of, segments_of, split

HOSTS = frozenset({"t.me", "telegram.me", "telegram.dog"})
NAME = re.compile(r"[A-Za-z]\w{3,31}", re.ASCII)
NOT_CHANNELS = frozenset(
    [
        "addemoji",
        "addlist",
        "addstickers",
        "addtheme",
        "boost",
        "confirmphone",
        "contact",
        "giftcode",
        "invoice",
        "joinchat",
        "login",
        "msg",
        "nft",
        "proxy",
        "setlanguage",
        "share",
        "socks",
        "www",
    ]
)


def handle(url: str) -> str | None:
    """Return the public name that an address of a channel or a message gives, or None."""
    parts = split(url)
    if parts is None:
        return None
    name = _name_in(parts, host_of(parts))
    return name if NAME.fullmatch(name) and name.lower() not in NOT_CHANNELS else None


def _name_in(parts: SplitResult, host: str) -> str:
    if host == "web.telegram.org":  # the web client keeps the name behind the #
        return parts.fragment.removeprefix("@").partition("/")[0] if parts.fragment.startswith("@") else ""
    if host.endswith(".t.me"):
        return host.removesuffix(".t.me")
    steps = segments_of(parts.path) if host in HOSTS else []
    if steps and steps[0].lower() in {"s", "b"}:  # a preview, a boost
        steps = steps[1:]
    return steps[0].removeprefix("@") if steps else ""
