"""LinkedIn pages by the versioned REST API: posts of organisations whose administrator has consented.

Facts: Microsoft Learn on the Posts, Images, Videos, Documents and Organization Lookup APIs. Posts are listed by when
they were last changed, so an edited or a scheduled post is at the top again; text is in LinkedIn's "little" format;
pictures and films are named by urns that have addresses elsewhere; what a reshare passes on is a post of its own.
"""

from connectors.linkedin.connector import LinkedInConnector, LinkedInSettings

__all__ = ["LinkedInConnector", "LinkedInSettings"]
