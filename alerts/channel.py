"""What a way of sending mail must do, and the one error it may raise."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Protocol

from alerts.policy import ascii_domain
from monitor.disclosure import one_line


class DeliveryFailed(Exception):
    """The mail was not, or not certainly, accepted. The message is shown to operators: it holds no secret.

    Without a flag: a passing failure of this mail. `permanent`: this mail will never be accepted. `uncertain`: the
    answer was lost after the whole mail had been handed over. `server`: the next mail would fail the same way.
    `unrelayed`: the server does not send to this address for us; perhaps to no other either.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        uncertain: bool = False,
        server: bool = False,
        unrelayed: bool = False,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.uncertain = uncertain
        self.server = server
        self.unrelayed = unrelayed


class Channel(Protocol):
    """Takes finished mails, one envelope a recipient. Used by one thread at a time."""

    def announce(self, *, recipient: str, message_id: str) -> None:
        """Say which mail comes next, that the server may look at it already; without `send` it comes to nothing.

        Raises nothing: what is wrong shows in `send`.
        """

    def send(self, mail: bytes, *, recipient: str, message_id: str) -> str:
        """Hand the mail over and return where it went, for the log. Raises DeliveryFailed."""

    def check(self) -> str:
        """Prove the way without sending anything and return a sentence about it. Raises DeliveryFailed."""

    def rest(self) -> None:
        """Let go of connections that were not used for a while; called after each run."""

    def close(self) -> None:
        """Let go of connections; the channel can be used again afterwards."""


@lru_cache(maxsize=1024)
def ascii_address(address: str) -> str:
    """Return the address as every mail server takes it. Raises DeliveryFailed for what can never be delivered."""
    local, _, domain = address.rpartition("@")
    host = ascii_domain(domain)
    if not local or not host or not (local + host).isascii() or re.search(r"[\s<>\x00-\x1f\x7f]", local + host):
        raise DeliveryFailed(
            f"'{one_line(address)}': not an address that mail servers take (plain ASCII before the @); correct it",
            permanent=True,
        )
    return f"{local}@{host}"
