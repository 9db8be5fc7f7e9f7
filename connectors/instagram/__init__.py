"""Instagram's professional accounts through the Graph API: own ones directly, all others by business discovery.

Facts: the Instagram Platform's documents. Discovery asks in the name of an own professional account, by username, and
shows business and creator accounts alone. Nothing tells when a caption was edited: the content's hash does. Media of
other accounts are mostly closed to a look-up by id; then they are found in the listing. Stories are in no listing.
"""

from connectors.instagram.connector import InstagramConnector, InstagramSettings

__all__ = ["InstagramConnector", "InstagramSettings"]
