"""Facebook Pages through the Graph API: posts, profiles and re-reads, wrapped around facebook-sdk 3.1.0."""

from connectors.facebook.connector import FacebookConnector, FacebookSettings

__all__ = ["FacebookConnector", "FacebookSettings"]
