"""LinkedIn's access token: as it was configured, or renewed by a refresh token that LinkedIn gave with the consent.

A refresh token holds for a year from the consent and is not used up by a renewal, so nothing need be written down:
after a restart it serves again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

import requests

from connectors import http
from connectors.base import ConnectorError, ConnectorMisconfigured, CredentialRefused, SchemaDrift, Unavailable
from connectors.lifetime import in_seconds
from monitor.settings import Network, Secret

EARLY = timedelta(hours=1)  # renewed so long before the end
WHAT = "linkedin: renewing the token"
CONSENT = (
    "let the pages' administrator consent again, and put the new token into connectors.linkedin.refresh_token_file"
)
# What the token's address answers (OAuth 2).
CODES: Mapping[str, tuple[type[ConnectorError], str]] = {
    "invalid_request": (CredentialRefused, f"the refresh token is refused; {CONSENT}"),
    "invalid_grant": (CredentialRefused, f"the refresh token is refused or has ended; {CONSENT}"),
    "invalid_client": (ConnectorMisconfigured, "correct connectors.linkedin.client_id and client_secret"),
    "invalid_client_id": (ConnectorMisconfigured, "correct connectors.linkedin.client_id"),
    "unauthorized_client": (ConnectorMisconfigured, "LinkedIn lets this app renew no tokens; see README: LinkedIn"),
    "access_denied": (ConnectorMisconfigured, "LinkedIn lets this app renew no tokens; see README: LinkedIn"),
}


class Bearer:
    """The token of all calls. Thread-safe; one thread renews while the others wait."""

    def __init__(
        self,
        *,
        access_token: Secret,
        client_id: str,
        client_secret: Secret,
        refresh_token: Secret,
        url: str,
        network: Network,
    ) -> None:
        self._token = access_token.reveal().strip()
        self._form = {
            "grant_type": "refresh_token",
            "client_id": client_id.strip(),
            "client_secret": client_secret.reveal().strip(),
            "refresh_token": refresh_token.reveal().strip(),
        }
        self._url = url.strip()
        self._session = http.open_session(base_url=self._url, network=network, credential=True)
        self._ends: datetime | None = None
        self.consent_ends: datetime | None = None  # of the refresh token, as the last renewal told
        self._lock = threading.Lock()

    @property
    def renews(self) -> bool:
        return all(self._form.values())

    def token(self, now: datetime) -> str:
        """Return the token to ask with; empty when there is none. Raises ConnectorError."""
        with self._lock:
            is_over = not self._token or (self._ends is not None and now >= self._ends - EARLY)
            if is_over and self.renews:
                self._renew(now)
            return self._token

    def after_refusal(self, refused: str, now: datetime) -> str:
        """Return another token than the one that was refused; empty when there is none. Raises ConnectorError."""
        with self._lock:
            if self._token == refused and self.renews:
                self._renew(now)
            return self._token if self._token != refused else ""

    def _renew(self, now: datetime) -> None:
        try:
            answer = self._session.post(self._url, data=self._form)
        except requests.RequestException as error:
            raise http.failure(error, what=WHAT) from None
        payload = _payload(answer)
        told = payload.get("error")
        if answer.status_code >= 400 or told:
            raise _refused(answer.status_code, told)
        token = payload.get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise SchemaDrift(f"{WHAT}: an answer has no access_token; see connectors.linkedin.token_url")
        self._token, self._ends = token, in_seconds(payload.get("expires_in"), now)
        self.consent_ends = in_seconds(payload.get("refresh_token_expires_in"), now)


def _payload(answer: requests.Response) -> Mapping[str, object]:
    try:
        content = http.json_body(answer, what=WHAT)
    except (SchemaDrift, Unavailable):
        if answer.status_code < 400:
            raise
        content = None
    return content if isinstance(content, Mapping) else {}


def _refused(status: int, told: object) -> ConnectorError:
    code = told if isinstance(told, str) and re.fullmatch(r"[a-z_]{2,40}", told) else ""
    kind, sentence = CODES.get(code) or (
        (Unavailable, "LinkedIn has a passing fault; it is tried again")
        if status >= 500 or status == requests.codes.too_many_requests
        else (CredentialRefused, f"the refresh token is refused; {CONSENT}")
    )
    return kind(f"{WHAT}: {sentence} ({code or f'HTTP {status}'})")
