"""What the Graph API is asked to show of a page and its posts, and how that becomes posts and a profile. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

from connectors.graph.answers import has_next, items_of, time_of, without_credentials
from connectors.graph.refusals import FACEBOOK
from connectors.markup import DOCUMENT_SUFFIXES
from connectors.owners import must_hold_own
from connectors.payload import inner, parts, string
from connectors.walk import Listed
from monitor.model import Json, Media, MediaKind, Post, PostKind, Profile

POST_FIELDS = (
    "id,message,story,created_time,updated_time,permalink_url,from,full_picture,is_published,is_hidden,status_type,"
    "parent_id,message_tags,attachments{media_type,url,unshimmed_url,title,description,media,subattachments}"
)
EDGES = ("published_posts", "posts", "feed")  # a page may show itself to a token by the later ones only
PROFILE_FIELDS = "id,name,username,about,description,picture{url}"
BASIC_PROFILE_FIELDS = "id,name,username"
DOCUMENT_TYPES = frozenset({"file", "file_upload", "document"})
OWN_MEDIA = frozenset({"photo", "album", "video", "profile_media", "cover_photo", "new_album", "video_inline"})


def parse_listing(payload: object, *, only: str = "") -> Listed:
    """Return one answer of a page's edge, with the posts of `only` alone. Raises SchemaDrift."""
    items = items_of(payload)
    own = (item for item in items if is_published(item) and _is_from(item, only))
    return Listed(
        posts=tuple(map(parse_post, own)),
        times=tuple(time_of(item, "created_time") for item in items),
        ids=frozenset(string(item, "id") for item in items),
        more=has_next(payload),
    )


def must_hold_posts_of(page: str, payload: object, *, what: str) -> None:
    """Raise AnotherAccount where none of an answer's posts is the page's, by publisher or id. Raises SchemaDrift.

    Posts that others have published with the page may stand among its own, and a visitor's on its wall bears its id.
    """
    told = (
        (string(inner(item, "from"), "id"), *re.findall(r"^(\d+)_\d", string(item, "id"))) for item in items_of(payload)
    )
    must_hold_own(what, [page], told)


def _is_from(item: Json, page: str) -> bool:
    publisher = string(inner(item, "from"), "id")
    return not page or not publisher or publisher == page


def parse_posts(payload: object) -> tuple[Post, ...]:
    """Return the published posts of one answer of `published_posts`. Raises SchemaDrift."""
    return tuple(parse_post(item) for item in items_of(payload) if is_published(item))


def parse_post(item: Json) -> Post:
    """Return one post of the Graph API. Raises SchemaDrift when it has no id or no time."""
    raw = without_credentials(item)
    native_id = raw.get("id")
    if not isinstance(native_id, str) or not native_id:
        raise FACEBOOK.drift("a post has no id")
    published_at = time_of(raw, "created_time")
    attachments = _attachments(raw)
    updated_at = time_of(raw, "updated_time") if raw.get("updated_time") else published_at
    return Post(
        native_id=native_id,
        url=string(raw, "permalink_url") or f"https://www.facebook.com/{native_id}",
        published_at=published_at,
        text=_text(raw, attachments),
        kind=PostKind.REPOST if _is_repost(raw, attachments) else PostKind.ORIGINAL,
        # Comments move updated_time as well; the content's hash decides whether there is a new version.
        edited_at=updated_at if updated_at > published_at else None,
        media=_media(raw, attachments),
        links=tuple(dict.fromkeys(filter(None, map(_link, attachments)))),
        raw=raw,
    )


def parse_profile(payload: object, *, handle: str = "") -> Profile:
    """Return what a page says of itself. `handle` serves a page without a username. Raises SchemaDrift."""
    item = without_credentials(payload) if isinstance(payload, Mapping) else {}
    native_id, name = string(item, "id"), string(item, "name")
    if not native_id or not name:
        raise FACEBOOK.drift("a profile has no id or no name")
    about, description = string(item, "about"), string(item, "description")
    return Profile(
        native_id=native_id,
        name=name,
        handle=string(item, "username") or handle,
        bio="\n\n".join(dict.fromkeys(filter(None, (about, description)))),
        picture_url=string(inner(inner(item, "picture"), "data"), "url"),
    )


def is_published(item: Json) -> bool:
    return item.get("is_published") is not False


def _attachments(item: Json) -> list[Json]:
    """Return the attachments, each followed by those inside it (an album's pictures)."""
    if item.get("attachments") is None:
        return _attached_of_old(item)
    if not isinstance(inner(item, "attachments").get("data"), list):
        raise FACEBOOK.drift("a post's attachments hold no list (data)")
    return [
        part
        for outer in parts(item, "attachments", "data")
        for part in (outer, *parts(outer, "subattachments", "data"))
    ]


def _attached_of_old(item: Json) -> list[Json]:
    """Return what a post of an answer in the words of versions before 3.3 links to: it stood in the post itself."""
    if not item.get("link"):
        return []
    words = {"title": string(item, "name"), "description": string(item, "description")}
    picture = {"src": string(item, "full_picture") or string(item, "picture")}
    media = {"image": picture, "source": string(item, "source")}
    return [{**words, "url": string(item, "link"), "type": string(item, "type"), "media": media}]


def _text(item: Json, attachments: Iterable[Json]) -> str:
    """Join the message (without one, the story) and the words of what is attached, which are published as well."""
    text = string(item, "message") or string(item, "story")
    for part in (string(a, key) for a in attachments for key in ("title", "description")):
        if part and part not in text:  # a lone picture's description repeats the message
            text = f"{text}\n\n{part}" if text else part
    return text


def _is_repost(item: Json, attachments: Iterable[Json]) -> bool:
    """Say whether the post passes on another one. `shared_story` alone is also said of plain links."""
    if item.get("parent_id"):
        return True
    targets = (_target(a) for a in attachments)
    return item.get("status_type") == "shared_story" and any(_is_on_facebook(target) for target in targets)


def _target(attachment: Json) -> str:
    """Return where an attachment leads, without Facebook's detour and click counter."""
    url = string(attachment, "unshimmed_url") or string(attachment, "url")
    try:
        parts = urlsplit(url)
        if parts.path == "/l.php" and _is_own_host(url):
            return _unmarked(parse_qs(parts.query).get("u", [""])[0])
    except ValueError:
        return ""
    return _unmarked(url)


def _unmarked(url: str) -> str:
    """Drop `fbclid`, which is another one at each reading and would look like an edit."""
    return re.sub(r"\?$", "", re.sub(r"([?&])fbclid=[^&#]*(?:&|(?=#|$))", r"\1", url)).rstrip("&")


def _is_on_facebook(url: str) -> bool:
    """Say whether an address leads to what people publish there: other hosts of Facebook are blogs and documents."""
    pages = r"(?:(?:www|m|web|mbasic|touch|[a-z]{2}-[a-z]{2})\.)?facebook\.com"
    return re.fullmatch(pages, _host(url)) is not None


def _is_own_host(url: str) -> bool:
    return f".{_host(url)}".endswith(".facebook.com")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _kind(attachment: Json) -> str:
    return string(attachment, "media_type") or string(attachment, "type")


def _link(attachment: Json) -> str:
    target = _target(attachment)
    return "" if _kind(attachment) in OWN_MEDIA and _is_own_host(target) else target


def _is_document(attachment: Json) -> bool:
    try:
        path = urlsplit(_target(attachment)).path.lower()
    except ValueError:
        path = ""
    return _kind(attachment) in DOCUMENT_TYPES or path.endswith(DOCUMENT_SUFFIXES)


def _media(item: Json, attachments: Sequence[Json]) -> tuple[Media, ...]:
    found = [media for attachment in attachments for media in _media_of(attachment)]
    if not any(media.kind is MediaKind.PICTURE for media in found) and string(item, "full_picture"):
        found.append(Media(kind=MediaKind.PICTURE, url=string(item, "full_picture")))
    return tuple({media.url: media for media in reversed(found)}.values())[::-1]


def _media_of(attachment: Json) -> Iterator[Media]:
    words = string(attachment, "description") or string(attachment, "title")
    picture = string(inner(inner(attachment, "media"), "image"), "src")
    if picture and not parts(attachment, "subattachments", "data"):  # an album's own picture is its first one again
        yield Media(kind=MediaKind.PICTURE, url=picture, text=words)
    video = string(inner(attachment, "media"), "source")
    if video or _kind(attachment).startswith("video"):
        yield Media(kind=MediaKind.VIDEO, url=video or _target(attachment), text=words)
    if _is_document(attachment) and _target(attachment):
        yield Media(kind=MediaKind.DOCUMENT, url=_target(attachment), text=words)
