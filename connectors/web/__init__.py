"""A web site without a feed that the register names: its articles, each read from its own page. No credential.

The account's url is what is read. A feed that the page names is read as rss does; else the articles that the page, or
the site's sitemap, lists; else the page itself is the one post. What was found first stays the way, so that posts keep
their ids: another one is looked for only when it is gone. A look reads a bounded number of pages; the others wait in
the cursor. An article's id is `page:` and its address, which is also how it is read again.
"""

from connectors.web.connector import WebConnector, WebSettings

__all__ = ["WebConnector", "WebSettings"]
