"""Where an account is: on which server, and under which name. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors.addresses import mastodon as addresses
from connectors.addresses.parts import split
from connectors.base import AccountNotFound
from monitor.model import Account

WRITE = "write the handle as user@server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an account is called (`user@domain`), and where it is asked for (`base`)."""

    user: str
    domain: str
    base: str
    is_guess: bool = False  # the handle's domain need not be the server's name


def place_of(account: Account, *, base_url: str = "") -> Place:
    """Return where the account is read. Raises AccountNotFound.

    The url tells the server where it is the account's own; a handle's domain may be another than that of its server.
    """
    written = account.handle.strip()
    named = addresses.handle(written) if "/" in written else addresses.named(written)
    if base_url:
        here = urlsplit(base_url).netloc.lower()
        named = named or addresses.handle(account.url) or (addresses.named(written, here) if written else None)
        return _placed(account, named, base_url.rstrip("/"))
    url, on_page = split(account.url), addresses.handle(account.url)
    server = addresses.server_of(url) if url is not None else ""
    if url is not None and on_page and on_page.endswith(f"@{server}"):
        user, domain = on_page.partition("@")[0], (named or on_page).partition("@")[2]
        return Place(user=user, domain=domain, base=f"{url.scheme}://{server}")
    return _placed(account, named or on_page, "")


def _placed(account: Account, named: str | None, base: str) -> Place:
    if named is None:
        raise AccountNotFound(f"{account.label}: names no account of a Mastodon server; {WRITE}")
    user, _, domain = named.partition("@")
    return Place(user=user, domain=domain, base=base or f"https://{domain}", is_guess=not base)
