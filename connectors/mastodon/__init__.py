"""Mastodon and every server that speaks its API (Pleroma, Akkoma, GoToSocial, Pixelfed, snac): posts and re-reads.

Plain requests instead of Mastodon.py (MIT): it retypes payloads, so that what the server sent is lost, wants an object
a server, asks each for its version first, and hides the headers; what is read here are six questions in JSON.

Each account is asked for at its own server, without a credential, and one server's failure is no other's. A configured
`base_url` answers for all accounts instead; only there a token is sent, for a token is one server's.
"""

from connectors.mastodon.connector import MastodonConnector, MastodonSettings

__all__ = ["MastodonConnector", "MastodonSettings"]
