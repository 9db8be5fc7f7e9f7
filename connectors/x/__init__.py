"""X (Twitter) by its API v2, through tweepy: user timelines, profiles, and posts read again by id.

Facts: api.x.com documents as gathered in the design's platforms.md. Timelines page newest first; an empty poll costs
nothing under pay-per-use, a post read again does; an edit is a new id in the post's edit history.
"""

from connectors.x.connector import XConnector, XSettings

__all__ = ["XConnector", "XSettings"]
