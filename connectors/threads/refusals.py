"""How the Graph API says no in the name of Threads. Pure."""

from __future__ import annotations

from connectors.base import AccountNotFound, PermissionMissing
from connectors.graph.refusals import Dialect, Refused, lacks_way

UNSEEN = (
    "Threads shows no such profile: it may be private, have fewer than 100 followers, or be renamed or gone; look at "
    "it, then correct the handle in the register"
)
DIALECT = Dialect(
    platform="threads",
    name="Threads",
    holder="profile",
    new_token="make a new long-lived token and put it into connectors.threads.access_token_file",  # noqa: S106 (a remedy)
    grant="the app needs threads_basic, threads_read_replies, and for profiles of others threads_profile_discovery "
    "with advanced access",
    codes=(((24, 110), AccountNotFound, UNSEEN),),
)


def may_be_a_field(refused: Refused) -> bool:
    words = refused.refusal.message.lower()
    return refused.refusal.code == 100 and ("field" in words or "expand" in words)


def is_not_ours(refused: Refused) -> bool:
    """Say whether replies are closed to the token, or unknown to the server."""
    return isinstance(refused.error, PermissionMissing) or (lacks_way(refused.refusal) and not may_be_a_field(refused))
