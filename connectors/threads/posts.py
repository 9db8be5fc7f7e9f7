"""What Threads is asked to show of a profile and its posts, and how that becomes posts and a profile. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectors.graph.answers import files_in, items_of, time_of, without_credentials
from connectors.links import links_in
from connectors.markup import joined, unique
from connectors.payload import identifier, inner, string
from connectors.threads.refusals import DIALECT
from monitor.model import Json, Media, MediaKind, Post, PostKind, Profile

OWN_PROFILE_FIELDS = "id,username,name,threads_profile_picture_url,threads_biography"
PROFILE_FIELDS = "username,name,profile_picture_url,biography"
SHOWN = "id,text,username,permalink,media_type,media_url,thumbnail_url,alt_text"
REFERENCES = ("quoted_post", "reposted_post")
OWN = ("id", "text", "text_attachment", "media_type")  # what tells versions apart where a quoted post was not shown
CHILDREN = "children{id,media_type,media_url,thumbnail_url,alt_text}"
COMMON = "id,media_type,media_url,permalink,username,text,timestamp,shortcode,thumbnail_url,is_quote_post"
ATTACHED = "alt_text,link_attachment_url,gif_url,poll_attachment,topic_tag,text_attachment"
# From the fullest question to what every version has shown: where one is refused, the next is asked.
FIELDS = (
    f"{COMMON},{ATTACHED},{CHILDREN},is_reply,replied_to,quoted_post{{{SHOWN}}},reposted_post{{{SHOWN}}}",
    f"{COMMON},{ATTACHED},{CHILDREN},is_reply,replied_to,quoted_post,reposted_post",
    f"{COMMON},{CHILDREN}",
    "id,media_type,media_url,permalink,username,text,timestamp",
)


def parse_items(listing: Json) -> tuple[Post, ...]:
    """Return the posts of one page. Raises SchemaDrift."""
    return tuple(map(parse_post, items_of(listing, DIALECT)))


def authors_in(listing: Json) -> Iterator[str]:
    """Yield who has published what one page shows, but for reposts: whose name those bear is nowhere said."""
    items = items_of(listing, DIALECT)
    yield from (string(item, "username") for item in items if _kind(item) is not PostKind.REPOST)


def parse_post(item: Json) -> Post:
    """Return one post. Raises SchemaDrift when it has no id or no time."""
    raw = without_credentials(item)
    native_id = identifier(raw)
    if not native_id:
        raise DIALECT.drift("a post has no id")
    shown = [raw, *filter(None, (inner(raw, key) for key in REFERENCES))]
    text = joined(words for part in shown for words in _words(part))
    return Post(
        native_id=native_id,
        url=_permalink(raw),
        published_at=time_of(raw, "timestamp", DIALECT),
        text=text,
        kind=_kind(raw),
        media=unique(media for part in shown for media in _media(part)),
        links=unique(link for part in shown for link in _links(part)),
        raw=raw,
        own={key: raw[key] for key in OWN if key in raw} if unread_references(raw) else None,
    )


def unread_references(item: Json) -> tuple[str, ...]:
    """Return the ids of quoted or reposted posts that an answer names without showing them."""
    named = (inner(item, key) for key in REFERENCES)
    return tuple(identifier(one) for one in named if identifier(one) and not one.keys() - {"id"})


def parse_profile(item: Json) -> Profile:
    """Return what a profile says of itself. Without an id, the username stands for it. Raises SchemaDrift."""
    raw = without_credentials(item)
    username = string(raw, "username")
    if not username:
        raise DIALECT.drift("a profile has no username")
    return Profile(
        native_id=identifier(raw) or username.casefold(),
        name=string(raw, "name") or username,
        handle=username,
        bio=string(raw, "threads_biography") or string(raw, "biography"),
        picture_url=string(raw, "threads_profile_picture_url") or string(raw, "profile_picture_url"),
    )


def _permalink(item: Json) -> str:
    if permalink := string(item, "permalink"):
        return permalink
    profile = f"https://www.threads.com/@{string(item, 'username')}"
    shortcode = string(item, "shortcode")
    return f"{profile}/post/{shortcode}" if shortcode else profile


def _kind(item: Json) -> PostKind:
    if string(item, "media_type") == "REPOST_FACADE" or item.get("reposted_post"):
        return PostKind.REPOST
    if item.get("is_quote_post") is True or item.get("quoted_post"):
        return PostKind.QUOTE
    return PostKind.REPLY if item.get("is_reply") is True or item.get("replied_to") else PostKind.ORIGINAL


def _words(item: Json) -> Iterator[str]:
    """Yield everything that stands in a post as text: its own, the long text attached, a poll's options, the topic."""
    yield string(item, "text")
    yield string(inner(item, "text_attachment"), "plaintext")
    poll = inner(item, "poll_attachment")
    yield "\n".join(filter(None, (string(poll, f"option_{letter}") for letter in "abcd")))
    yield string(item, "topic_tag")


def _links(item: Json) -> Iterator[str]:
    for text in (string(item, "text"), string(inner(item, "text_attachment"), "plaintext")):
        yield from links_in(text)
    attached = (string(item, "link_attachment_url"), string(inner(item, "text_attachment"), "link_attachment_url"))
    yield from filter(None, attached)


def _media(item: Json) -> Iterator[Media]:
    yield from files_in(item, page=_permalink(item))
    if gif := string(item, "gif_url"):
        yield Media(kind=MediaKind.PICTURE, url=gif, text=string(item, "alt_text"))


def with_shown(item: Json, found: Mapping[str, Json | None]) -> Json:
    shown = {key: found.get(identifier(inner(item, key))) for key in REFERENCES if unread_references(item)}
    return {**item, **{key: post for key, post in shown.items() if post}}
