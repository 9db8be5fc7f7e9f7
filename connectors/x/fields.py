"""What X is asked to show of a post and of a user, by its old names and by those it gave them in July 2026."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

TWEET_FIELDS = [
    "id",
    "text",
    "created_at",
    "edit_history_tweet_ids",
    "note_tweet",
    "referenced_tweets",
    "attachments",
    "entities",
    "lang",
    "in_reply_to_user_id",
    "author_id",
]
EXPANSIONS = [
    "attachments.media_keys",
    "attachments.poll_ids",
    "referenced_tweets.id",
    "referenced_tweets.id.attachments.media_keys",
]
MEDIA_FIELDS = ["media_key", "type", "url", "preview_image_url", "alt_text", "variants"]
POST_PARAMETERS: Mapping[str, Any] = {
    "tweet_fields": TWEET_FIELDS,
    "expansions": EXPANSIONS,
    "media_fields": MEDIA_FIELDS,
    "poll_fields": ["options"],
}
# The same in the words of X's document 2.167 (July 2026), for a server that refuses the old ones. tweepy knows none of
# them, so the fields travel with the session.
RENAMED_PARAMETERS: Mapping[str, Any] = {
    **{key: value for key, value in POST_PARAMETERS.items() if key not in {"tweet_fields", "expansions"}},
    "expansions": ["attachments.media_keys", "attachments.poll_ids", "referenced_posts"],
}
RENAMED_FIELDS: Mapping[str, str] = {"post.fields": "id,text,created_at,note_post,attachments,entities,lang"}
USER_FIELDS = ["id", "name", "username", "description", "profile_image_url", "verified", "protected"]


class ThreadFields(Mapping[str, str]):
    """What a thread's requests ask for beside what the library sends; the session that carries it is shared."""

    def __init__(self) -> None:
        self._own = threading.local()

    @contextmanager
    def asked(self, fields: Mapping[str, str]) -> Iterator[None]:
        self._own.fields = fields
        try:
            yield
        finally:
            self._own.fields = {}

    @property
    def _fields(self) -> Mapping[str, str]:
        return getattr(self._own, "fields", {})

    def __getitem__(self, key: str) -> str:
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)
