"""MySpace, which the circular names: profile pages, and ActivityStreams of its old API where any are left.

The API has shown no sign of life since about 2013, and pages of abandoned profiles lose their content. So the
capability says "degraded", and a page without the landmarks of a profile is SchemaDrift: the account shows as blind,
which is what a head of department needs to know of an abandoned profile.
"""

from connectors.myspace.connector import MySpaceConnector, MySpaceSettings

__all__ = ["MySpaceConnector", "MySpaceSettings"]
