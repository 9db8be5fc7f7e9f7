"""Threads by its Graph API: the token's own account with its replies, all others by profile discovery.

Facts: the Threads API's documents. Discovery goes by username, shows public profiles with 100 followers or more, posts
but no replies, and tells no id of an account: there the username stands for it. Known posts are looked up in the
listing, 100 a call. Nothing tells when a post was edited (within its first minutes): the content's hash does.
"""

from connectors.threads.connector import ThreadsConnector, ThreadsSettings

__all__ = ["ThreadsConnector", "ThreadsSettings"]
