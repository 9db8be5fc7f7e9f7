"""TikTok by its Display API: the public videos of accounts that have consented, each with a token of its own.

Facts: TikTok for Developers' documents. Every answer has an envelope with an error, whose code is "ok" when there is
none. Videos come newest first, 20 a call, and can be read by id; `cursor` is a time in milliseconds. A token shows the
videos of whoever consented, whatever account is asked for: so whose it is is compared with the register.
"""

from connectors.tiktok.connector import TikTokConnector, TikTokSettings

__all__ = ["TikTokConnector", "TikTokSettings"]
