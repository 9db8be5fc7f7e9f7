"""What the register calls a channel, and how it is asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.addresses import youtube as channel_addresses
from connectors.base import AccountNotFound
from monitor.model import Account


def channel_id_of(account: Account) -> str:
    """Return the channel's id as far as it is known without asking; else empty."""
    if account.native_id:
        return account.native_id
    name = name_of(account)
    return name if channel_addresses.CHANNEL_ID.fullmatch(name) else ""


def name_of(account: Account) -> str:
    """Return what the register calls the channel: an id, a handle or an older name. Raises AccountNotFound."""
    handle = account.handle.strip()
    pasted = channel_addresses.handle(handle if "/" in handle else account.url) or ""
    name = pasted if "/" in handle or not handle else handle.removeprefix("@")
    if not name:
        raise AccountNotFound(f"{account.label}: names no YouTube channel; write its handle or its id (UC…)")
    return name


def user_of(account: Account) -> str | None:
    """Return the name where the register gives an address /user/NAME."""
    return next(filter(None, map(channel_addresses.user, (account.handle, account.url))), None)


def questions(account: Account) -> Iterator[dict[str, str]]:
    """Yield how to ask for an account's channel. /user/NAME is never taken for @NAME: that may be another's."""
    if channel := channel_id_of(account):
        yield {"id": channel}
        return
    if user := user_of(account):
        yield {"forUsername": user}
        return
    name = name_of(account)
    yield {"forHandle": f"@{name}"}
    yield {"forUsername": name}


def is_named(account: Account) -> bool:
    try:
        return bool(account.native_id or name_of(account))
    except AccountNotFound:
        return False
