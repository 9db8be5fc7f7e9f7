"""The connector of MySpace, and its settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote

import requests

from connectors import addresses, configured, http
from connectors.base import BOUNDS, AccountNotFound, Bounds, Capabilities, Cursor, Page, Reread, SchemaDrift
from connectors.myspace.atom import parse_atom
from connectors.myspace.profile_page import parse_page
from connectors.myspace.shown import Shown
from connectors.seen import Seen, remembered, window_page
from monitor.model import Account, Cause, Profile
from monitor.settings import Network

USUAL = "https://myspace.com"
FOR_GOOD = frozenset({Cause.NOT_FOUND, Cause.PERMISSION})  # what a dead address answers; the rest passes by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class MySpaceSettings:
    base_url: str = USUAL

    def problems(self) -> configured.Problems:
        return configured.only(base_url=configured.base_url_mistake(self.base_url, usual=USUAL))


class MySpaceConnector:
    """Reads profiles. Thread-safe: only the session is shared."""

    platform: ClassVar[str] = "myspace"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=False, degraded=True)
    Settings: ClassVar[type[MySpaceSettings]] = MySpaceSettings
    credentials: ClassVar[tuple[str, ...]] = ()
    obtain: ClassVar[str] = (
        "Nothing: profiles are public as far as they still exist; the url column may name an ActivityStreams document."
    )

    def __init__(
        self,
        settings: MySpaceSettings,
        network: Network,
        bounds: Bounds = BOUNDS,  # noqa: ARG002 (a profile shows one page, and is read whole)
    ) -> None:
        self._base_url = settings.base_url.rstrip("/")
        own = (USUAL, "https://www.myspace.com", "http://myspace.com", "http://www.myspace.com")
        self._session = http.open_session(base_url=self._base_url, network=network, replaces=own)

    def resolve(self, account: Account) -> Profile:
        """Return what the profile says of itself. Raises ConnectorError."""
        return self._shown(account, remembered(None), datetime.now(UTC)).profile

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield the one page a profile has. Raises ConnectorError."""
        seen = remembered(cursor)
        shown = self._shown(account, seen, now, was_atom=bool(cursor and cursor.get("atom")))
        yield window_page(seen, shown.posts, now=now, undated=shown.undated, extra={"atom": shown.atom})

    def reread(self, *_: object, **__: object) -> Reread:
        """MySpace has no way left to ask for a post: nothing is decided."""
        return Reread()

    def check(self) -> str:
        return "myspace: profile pages need no credential; the platform is degraded"

    def _shown(self, account: Account, seen: Seen, now: datetime, *, was_atom: bool = False) -> Shown:
        """Read the account's Atom document where its url leads to one, else its profile page.

        Posts have other ids there than on the page: what was or names itself Atom is that or an error, never the page.
        """
        what, handle = account.label, handle_of(account)
        if leads_elsewhere(account.url):
            response = self._get(account.url, what)
            refused = http.refusal(response, what=what, now=now)
            if refused is None and is_atom(response):
                return parse_atom(response.content, handle=handle, what=what)
            if was_atom or names_atom(account.url) or (refused is not None and refused.cause not in FOR_GOOD):
                raise refused or SchemaDrift(f"{what}: the answer is no Atom document; correct the url column")
        if not handle:
            raise AccountNotFound(f"{what}: names no MySpace profile; write its name into the handle column")
        response = self._get(f"{self._base_url}/{quote(handle, safe='')}", what)
        refused = http.refusal(response, what=what, now=now)
        if refused is not None:
            raise refused
        page = response.content.decode("utf-8", errors="replace")
        return parse_page(page, handle=handle, url=response.url, what=what, seen=seen, now=now)

    def _get(self, url: str, what: str) -> requests.Response:
        try:
            return self._session.get(url)
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        except (UnicodeError, ValueError):
            raise AccountNotFound(f"{what}: the url column holds no valid address; correct it") from None


def handle_of(account: Account) -> str:
    """Return the profile's name: the handle, or what the address names."""
    handle = account.handle.strip().removeprefix("@")
    pasted = addresses.match(handle if "/" in handle else account.url) if "/" in handle or not handle else None
    if pasted is not None:
        return pasted[1] if pasted[0] == "myspace" else ""
    return "" if "/" in handle else handle


def leads_elsewhere(url: str) -> bool:
    """Say whether an address is another one than the profile page's own."""
    return bool(url) and (addresses.match(url) is None or names_atom(url))


def names_atom(url: str) -> bool:
    return re.split("[?#]", url.strip())[0].lower().endswith(".atom")


def is_atom(response: requests.Response) -> bool:
    kind = response.headers.get("Content-Type", "").lower()
    return "atom" in kind or re.search(rb"<(\w+:)?feed[\s>]", response.content[:2000]) is not None
