"""Bluesky and its like: posts, reposts, profiles and re-reads, from an AppView or from a plain PDS.

An AppView (public.api.bsky.app) shows posts with their pictures and quotations; a PDS holds nothing but its accounts'
records. Which of the two `base_url` is, shows at the first question that a PDS does not know. No credential is needed.
An edit keeps a post's uri and changes its cid; the account's DID stays when its handle changes.
"""

from connectors.bluesky.connector import BlueskyConnector, BlueskySettings

__all__ = ["BlueskyConnector", "BlueskySettings"]
