"""Facebook Pages through the Graph API: posts, profiles and re-reads, wrapped around facebook-sdk 3.1.0.

The SDK is unmaintained since 2018: it knows no version after 3.1, no proof of the app's secret, no headers and no
cursors, and it lets a network's errors through raw. It is built anew for each call, around a recorder that keeps the
answer, so that what it drops (headers, status) is still at hand. The token travels in the query string: no message here
repeats an address, nor anything a server said.
"""

from connectors.facebook.connector import FacebookConnector, FacebookSettings

__all__ = ["FacebookConnector", "FacebookSettings"]
