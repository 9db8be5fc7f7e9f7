"""How the Graph API says no in the name of Instagram. Pure."""

from __future__ import annotations

from connectors.base import AccountNotFound, ConnectorMisconfigured, PermissionMissing
from connectors.graph.refusals import Dialect, Refused

UNSEEN = (
    "Instagram shows no professional account of this name (personal, private, restricted by age, renamed or gone); "
    "look at it, then correct the handle in the register"
)
DIALECT = Dialect(
    platform="instagram",
    name="Instagram",
    holder="account",
    new_token="make a new system-user token and put it into connectors.instagram.access_token_file",  # noqa: S106 (a remedy)
    grant="grant the app instagram_basic, instagram_manage_insights and pages_read_engagement, and make sure that the "
    "token's own professional account is linked to a page",
    codes=(
        ((24, 110), AccountNotFound, UNSEEN),
        ((25,), PermissionMissing, "Instagram has restricted the account in whose name is asked; look at it"),
    ),
)


def not_own(asker: str) -> ConnectorMisconfigured:
    sentence = f"the token does not show the account {asker}; correct it, or leave it empty"
    return ConnectorMisconfigured(f"connectors.instagram.user_id: {sentence}")


def names_a_field(refused: Refused) -> bool:
    """Say whether a field was refused: as nonexisting, or with a hint to the documentation for supported fields."""
    words = refused.refusal.message.lower()
    told = "nonexisting field" in words or "supported field" in words
    return refused.refusal.code == 100 and told and "(business_discovery)" not in words
