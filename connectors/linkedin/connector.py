"""The connector of LinkedIn pages, and its settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import quote, unquote

import requests

from connectors import configured, http
from connectors.addresses import linkedin as addresses
from connectors.addresses.parts import named_by
from connectors.base import (
    BOUNDS,
    AccountNotFound,
    Bounds,
    Capabilities,
    ConnectorMisconfigured,
    CredentialRefused,
    Cursor,
    Page,
    PermissionMissing,
    Reread,
    SchemaDrift,
)
from connectors.linkedin.posts import (
    CHANGED,
    ORGANISATION,
    PAGE_SIZE,
    changed_at,
    elements_of,
    file_urns,
    is_published,
    next_start,
    parent_urn,
    parse_post,
    parse_profile,
    status_of,
)
from connectors.linkedin.refusals import NEW_TOKEN, Refused, refusal
from connectors.linkedin.token import Bearer
from connectors.listing import stretch
from connectors.markup import unique
from connectors.owners import must_be
from connectors.payload import parts, string
from connectors.portions import portions
from connectors.remembered import Remembered
from connectors.walk import Listed, Listing, begin_walk, walked
from monitor.model import Account, Json, Post, Profile
from monitor.settings import Network, Secret

USUAL = "https://api.linkedin.com"
TOKEN_URL = "https://www.linkedin.com/oauth/v2/accessToken"  # noqa: S105 (an address)
IDS_PER_CALL = 50
REMEMBERED = timedelta(hours=1)  # where files are, and what reshared posts said: not asked for at every check
BARREN = 2  # pages in a row without anything new: the listing gets nowhere
VANITY = r"[\w\-.%]{1,120}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedInSettings:
    access_token: Secret = field(default_factory=Secret)
    client_id: str = ""
    client_secret: Secret = field(default_factory=Secret)
    refresh_token: Secret = field(default_factory=Secret)
    version: str = "202605"  # a month; each is served for a year
    base_url: str = USUAL
    token_url: str = TOKEN_URL

    @property
    def renews(self) -> bool:
        return bool(self.client_id.strip() and self.client_secret and self.refresh_token)

    def lacks(self) -> tuple[str, ...]:
        """Return which credential is missing: a token, or what one can be made of."""
        return () if self.access_token or self.renews else ("access_token",)

    def problems(self) -> configured.Problems:
        is_half = any((self.client_id.strip(), self.client_secret, self.refresh_token)) and not self.renews
        is_version = re.fullmatch(r"20[0-9]{2}(0[1-9]|1[0-2])(\.[0-9]{1,2})?", self.version.strip())
        return configured.only(
            base_url=configured.base_url_mistake(self.base_url, usual=USUAL),
            version="" if is_version else f"'{self.version}': expected a month such as \"202605\"",
            token_url=configured.base_url_mistake(self.token_url, usual=TOKEN_URL),
            access_token=configured.token_mistake(self.access_token),
            client_secret=configured.token_mistake(self.client_secret),
            refresh_token=configured.token_mistake(self.refresh_token)
            or ("client_id, client_secret and refresh_token are set together or not at all" if is_half else ""),
        )


def page_of(account: Account) -> str:
    """Return what the register calls the page: its number, or its name in addresses. Raises AccountNotFound."""
    page = named_by(account, addresses.handle, usable=VANITY)
    if not page:
        message = f"{account.label}: names no LinkedIn page; write what stands behind /company/ in its address"
        raise AccountNotFound(message)
    return page


def _number(urn: str) -> str:
    return urn.rpartition(":")[2]


def urn_of(native_id: str) -> str:
    return native_id if native_id.startswith("urn:") else ORGANISATION + native_id


class LinkedInConnector:
    """Reads the pages that the token's member administers. Thread-safe: the session is all that is shared."""

    platform: ClassVar[str] = "linkedin"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[LinkedInSettings]] = LinkedInSettings
    credentials: ClassVar[tuple[str, ...]] = ("access_token",)
    obtain: ClassVar[str] = (
        "An app on linkedin.com/developers with the Community Management API (LinkedIn reviews it), and the token of a "
        "member whom each agency has made an administrator of its page (r_organization_social, rw_organization_admin), "
        "in connectors.linkedin.access_token_file; it ends after 60 days: renew it and write it there again, or give "
        "client_id, client_secret_file and refresh_token_file where LinkedIn lets the app renew tokens."
    )

    def __init__(self, settings: LinkedInSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._bearer = Bearer(
            access_token=settings.access_token,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            refresh_token=settings.refresh_token,
            url=settings.token_url,
            network=network,
        )
        self._seen_files: Remembered[Json] = Remembered(REMEMBERED)
        self._seen_parents: Remembered[Json] = Remembered(REMEMBERED)
        self._version = settings.version.strip()
        self._base_url = settings.base_url.strip().rstrip("/")
        self._session = http.open_session(base_url=self._base_url, network=network, credential=True)

    def resolve(self, account: Account) -> Profile:
        """Return the page's profile, by its number or its name. Raises ConnectorError."""
        now, what = datetime.now(UTC), f"{account.label}: profile"
        page = account.native_id.removeprefix(ORGANISATION) or page_of(account)
        if page.isdigit():
            profile = parse_profile(self._ask(f"organizations/{page}", {}, now, what=what))
            must_be(what, [page], [_number(profile.native_id)])
            return profile
        if page.startswith("urn:"):
            page = page_of(account)
        asked = {"q": "vanityName", "vanityName": quote(page, safe="%")}
        elements = elements_of(self._ask("organizations", asked, now, what=what, method="FINDER"), what=what)
        if not elements:
            raise AccountNotFound(f"{what}: no page has this name; correct the handle in the register")
        must_be(what, [unquote(page)], [unquote(string(elements[0], "vanityName"))])
        return parse_profile(elements[0])

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages, what was last changed first; the cursor moves on the last. Raises ConnectorError."""
        walk = begin_walk(account, cursor, self._bounds, now, whole=True)
        yield from walked(walk, self._listing(account, now))

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the posts of [start, end), read again from the listing. Raises ConnectorError."""
        yield from stretch(self._listing(account, now), start, end)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known posts again, 50 a call; hidden is what is there and closed to the token. Raises ConnectorError.

        When none is left, the newest posts must still be readable: a lost role looks the same.
        """
        asked, what = tuple(dict.fromkeys(native_ids)), f"{account.label}: known posts"
        found, refused = self._posts(asked, now, what=what)
        gone = {one for one, status in refused.items() if status in {404, 410}}
        gone |= {one for one, item in found.items() if not is_published(item)}
        items = [item for one, item in found.items() if one not in gone]
        if asked and not items:
            shown = {string(item, "id"): item for item in self._newest(account, now)}
            items = [shown[one] for one in asked if one in shown]
        posts = self._parsed(items, now, what=what)
        closed = {one for one, status in refused.items() if status == requests.codes.forbidden} if posts else set()
        present = {post.native_id for post in posts}
        return Reread(posts=posts, missing=frozenset(gone - present), hidden=frozenset(closed - present))

    def check(self) -> str:
        """Return a sentence on the token: how many pages its member administers. Raises ConnectorError."""
        now, what = datetime.now(UTC), "linkedin: the token"
        asked = {"q": "roleAssignee", "role": "ADMINISTRATOR", "state": "APPROVED", "count": "100"}
        try:
            elements = elements_of(self._ask("organizationAcls", asked, now, what=what, method="FINDER"), what=what)
        except PermissionMissing:
            return "linkedin: the token is accepted, but may not list the pages that its member administers"
        count = len({string(one, "organization") or string(one, "organizationTarget") for one in elements})
        pages = "one page" if count == 1 else f"{count} pages"
        renewed = ", and renewed by itself" if self._bearer.renews else ""
        return f"linkedin: the token is accepted{renewed}; its member administers {pages}"

    def expires_at(self) -> datetime | None:
        """Return when the consent ends, as the last renewal told; LinkedIn tells no end of a token by itself."""
        return self._bearer.consent_ends

    # How it is read.

    def _listing(self, account: Account, now: datetime) -> Listing:
        """Yield the pages of a page's posts, by when they were last changed, newest first."""
        urn, what = self._urn(account), f"{account.label}: posts"
        start: int | None = 0
        seen: set[str] = set()
        barren = 0
        while start is not None and barren < BARREN:
            payload = self._page(urn, start, now, what=what)
            elements = elements_of(payload, what=what)
            further = next_start(payload, start)
            ids = frozenset(string(item, "id") for item in elements)
            posts = self._parsed([item for item in elements if is_published(item)], now, what=what)
            if not (
                yield Listed(posts=posts, times=tuple(map(changed_at, elements)), ids=ids, more=further is not None)
            ):
                start = further
                barren = 0 if ids - seen else barren + 1
                seen |= ids

    def _newest(self, account: Account, now: datetime) -> list[Json]:
        what = f"{account.label}: posts"
        elements = elements_of(self._page(self._urn(account), 0, now, what=what), what=what)
        return [item for item in elements if is_published(item)]

    def _urn(self, account: Account) -> str:
        return urn_of(account.native_id or self.resolve(account).native_id)

    def _page(self, urn: str, start: int, now: datetime, *, what: str) -> Json:
        asked = {"author": quote(urn, safe=""), "q": "author", "count": str(PAGE_SIZE), "sortBy": "LAST_MODIFIED"}
        payload = self._ask("posts", {**asked, "start": str(start)}, now, what=what, method="FINDER")
        authors = (string(item, "author") for item in parts(payload, "elements"))
        must_be(what, [_number(urn)], map(_number, authors))  # a page's brand is an urn of its own, with one number
        return payload

    def _parsed(self, items: Sequence[Json], now: datetime, *, what: str) -> tuple[Post, ...]:
        """Return posts with what they pass on and the addresses of their files, in a few calls for all."""
        known = {string(item, "id"): item for item in items}
        known |= self._parents(
            unique(urn for item in items if (urn := parent_urn(item)) and urn not in known), now, what=what
        )
        shown = [*items, *(known[urn] for item in items if (urn := parent_urn(item)) in known)]
        files = self._files(unique(urn for item in shown for urn in file_urns(item)), now, what=what)
        return tuple(parse_post(item, parent=known.get(parent_urn(item)), files=files) for item in items)

    def _parents(self, urns: Sequence[str], now: datetime, *, what: str) -> Mapping[str, Json]:
        """Return those of other authors' posts that the token may read; they are closed to most."""
        known = self._seen_parents.known(urns, now)
        unknown = [urn for urn in urns if urn not in known]
        try:
            found = self._posts(unknown, now, what=what)[0]
        except (PermissionMissing, AccountNotFound, SchemaDrift):
            found = {}
        self._seen_parents.keep(unknown, found, now)
        return {urn: item for urn, item in known.items() if item} | found

    def _posts(self, urns: Sequence[str], now: datetime, *, what: str) -> tuple[dict[str, Json], dict[str, int]]:
        """Read posts by urn; the status of each that was refused stands beside them."""
        found: dict[str, Json] = {}
        refused: dict[str, int] = {}
        for part in portions(urns, IDS_PER_CALL):
            try:
                results, statuses = self._many("posts", part, now, what=what)
            except Refused as error:
                results, statuses = self._singly(part, error, now, what=what)
            found |= results
            refused |= statuses
        return found, refused

    def _many(
        self, resource: str, urns: Sequence[str], now: datetime, *, what: str
    ) -> tuple[dict[str, Json], dict[str, int]]:
        """Read things by urn in one call. Raises Refused where the call as a whole is."""
        ids = ",".join(quote(urn, safe="") for urn in urns)
        payload = self._attempt(resource, {"ids": f"List({ids})"}, now, what=what, method="BATCH_GET")
        results = payload.get("results")
        if not isinstance(results, Mapping):
            raise SchemaDrift(f"{what}: an answer has no results; {CHANGED}")
        found = {urn: item for urn in urns if isinstance(item := results.get(urn), Mapping) and item}
        return found, {urn: status for urn in urns if urn not in found and (status := status_of(payload, urn))}

    def _singly(
        self, urns: Sequence[str], error: Refused, now: datetime, *, what: str
    ) -> tuple[dict[str, Json], dict[str, int]]:
        """Read posts one by one, where a server does not read many; else pass the refusal on."""
        if error.code or error.status not in {400, 404, 405, 501}:
            raise error.error from None
        found: dict[str, Json] = {}
        refused: dict[str, int] = {}
        for urn in urns:
            try:
                found[urn] = self._attempt(f"posts/{quote(urn, safe='')}", {}, now, what=what)
            except Refused as alone:
                if not isinstance(alone.error, AccountNotFound | PermissionMissing):
                    raise alone.error from None
                if alone.code:  # a bare 404 is no word on a post
                    refused[urn] = alone.status
        return found, refused

    def _files(self, urns: Iterable[str], now: datetime, *, what: str) -> Mapping[str, Json]:
        """Return where files can be fetched; those that are closed to the token are left out."""
        urns = tuple(urns)
        known = self._seen_files.known(urns, now)
        unknown = [urn for urn in urns if urn not in known]
        found = self._fresh_files(unknown, now, what=what)
        self._seen_files.keep(unknown, found, now)
        return {urn: item for urn, item in known.items() if item} | found

    def _fresh_files(self, urns: Sequence[str], now: datetime, *, what: str) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for kind, resource in (("image", "images"), ("video", "videos"), ("document", "documents")):
            alike = [urn for urn in urns if urn.startswith(f"urn:li:{kind}:")]
            for part in portions(alike, IDS_PER_CALL):
                try:
                    found |= self._many(resource, part, now, what=what)[0]
                except SchemaDrift:
                    continue
                except Refused as refused:
                    if not isinstance(refused.error, PermissionMissing | AccountNotFound | SchemaDrift):
                        raise refused.error from None
        return found

    def _ask(self, path: str, asked: Mapping[str, str], now: datetime, *, what: str, method: str = "") -> Json:
        try:
            return self._attempt(path, asked, now, what=what, method=method)
        except Refused as refused:
            raise refused.error from None

    def _attempt(self, path: str, asked: Mapping[str, str], now: datetime, *, what: str, method: str = "") -> Json:
        """Ask once, and once more with a renewed token where the first was refused."""
        token = self._bearer.token(now)
        if not token:
            raise ConnectorMisconfigured(f"{what}: connectors.linkedin.access_token is not set; {NEW_TOKEN}")
        try:
            return self._call(path, asked, token, now, what=what, method=method)
        except Refused as refused:
            other = self._bearer.after_refusal(token, now) if isinstance(refused.error, CredentialRefused) else ""
            if not other:
                raise
            return self._call(path, asked, other, now, what=what, method=method)

    def _call(self, path: str, asked: Mapping[str, str], token: str, now: datetime, *, what: str, method: str) -> Json:
        """Make one call. Values are taken as written: List(…) must keep its brackets, and urns their escapes."""
        query = "&".join(f"{key}={value}" for key, value in asked.items())
        url = f"{self._base_url}/rest/{path}" + (f"?{query}" if query else "")
        headers = {"Authorization": f"Bearer {token}", "LinkedIn-Version": self._version}
        headers |= {"X-Restli-Protocol-Version": "2.0.0", **({"X-RestLi-Method": method} if method else {})}
        try:
            answer = self._session.get(url, headers=headers)
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        if answer.status_code >= 400:
            raise refusal(answer, now, what=what)
        content = http.json_body(answer, what=what)
        if not isinstance(content, Mapping):
            raise SchemaDrift(f"{what}: the answer is no object; base_url may lead elsewhere")
        return content
