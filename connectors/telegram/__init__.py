"""Telegram: public channels by the preview pages of t.me, and single messages by their embedded form. No credential.

Facts, as readers of these pages have noted them: a page shows about twenty messages, oldest first; older ones come by
`?before=`. `data-post` is channel and number, `data-view` and `data-peer` hold the channel's own number. The addresses
of pictures change within days and are no part of what a message is. A channel without a preview (restricted, private,
saving switched off) leads to its contact page. Asked too often, Telegram shows a page without messages: where messages
are known that is never "no news". A message that is gone is said so by its embedded form, and by nothing else.
"""

from connectors.telegram.connector import TelegramConnector, TelegramSettings

__all__ = ["TelegramConnector", "TelegramSettings"]
