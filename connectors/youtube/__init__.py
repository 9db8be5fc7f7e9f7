"""YouTube: channels, their uploads and videos read again, by the Data API v3; without a key, by the channels' feeds.

Plain requests: the google client brings httplib2, which takes neither our session nor its guards, and discovery
documents for what are three addresses here. `search.list` is never asked: 100 units a call, and it leaves videos out.
Facts: the Data API's reference, as gathered in the design's platforms.md. A channel without a video answers
`playlistNotFound` for its uploads. The API shows nobody but the owner what is private: to us it is gone like a deleted
video. The key travels in the query string: no message here repeats an address, nor anything a server said.
"""

from connectors.youtube.connector import YouTubeConnector, YouTubeSettings

__all__ = ["YouTubeConnector", "YouTubeSettings"]
