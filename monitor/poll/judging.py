"""The rules' verdict on what was read, and what of it a database can store."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from monitor.model import Account, AgencyKind, Finding, Post, Profile, Subject
from monitor.poll.poller import Poller
from monitor.rules.evaluate import evaluate, evaluate_all
from monitor.rules.history import History
from monitor.rules.rule import RuleSet
from monitor.store.accounts import LeaseLostError
from monitor.store.history import Fired, StoredHistory, peers, save_second_look
from monitor.store.posts import Judged, unseen

log = structlog.get_logger(__name__)

SHOWN_FRAMES = 4


def fresh_posts(poller: Poller, holder: Account, posts: Sequence[Post]) -> list[Post]:
    """Return the new and changed posts of a page, as they can be stored."""
    fresh = unseen(poller.db, holder.id, [storable_post(post) for post in posts])
    return [replace(post, raw=storable(post.raw)) for post in fresh]


def judge(
    poller: Poller, holder: Account, fresh: Sequence[Post], now: datetime, look: Callable[[], None]
) -> list[Judged]:
    """Return the posts with the rules' verdict on each. `look` brings the account's profile up to date."""
    live_from = (holder.registered_at or now) - poller.polling.live_window
    rules, kinds = poller.rules(), poller.agency_kinds()
    subjects = [subject_of(post, holder, kinds) for post in fresh]
    histories = [StoredHistory(poller.db, holder, post, unsaved=poller.unsaved, look=look) for post in fresh]
    return [
        Judged(post=post, findings=findings, error=error, back_catalogue=post.published_at < live_from)
        for post, (findings, error) in zip(fresh, verdicts(rules, subjects, histories), strict=True)
    ]


def fired_rules(rules: RuleSet, holder: Account, judged: Sequence[Judged]) -> list[Fired]:
    """Return the posts on which a rule fired that asks for the same text elsewhere."""
    asking = rules.asking_for_copies
    if not asking:
        return []
    hits = ((one.post, [asking[f.rule] for f in one.findings if f.rule in asking]) for one in judged)
    return [
        Fired(account_id=holder.id, text=post.text, at=post.published_at, within=max(spans))
        for post, spans in hits
        if spans
    ]


def look_again(poller: Poller, fired: Sequence[Fired]) -> None:
    """Judge again what others published before: whoever was first could not know of the ones who followed."""
    rules, kinds, now = poller.rules(), poller.agency_kinds(), poller.clock()
    asking = rules.asking_for_copies
    for peer in peers(poller.db, fired):
        history = StoredHistory(poller.db, peer.account, peer.post, unsaved=poller.unsaved)
        findings, _ = verdict(rules, subject_of(peer.post, peer.account, kinds), history)
        found = [finding for finding in findings if finding.rule in asking]
        if found and save_second_look(poller.db, peer, found, rule_set=rules.hash, now=now):
            log.info("seen on several accounts", account=peer.account.label)


def verdicts(
    rules: RuleSet, subjects: Sequence[Subject], histories: Sequence[History]
) -> list[tuple[tuple[Finding, ...], str]]:
    """Return what `verdict` does of each subject: all at once, and one by one where one of them makes a rule crash."""
    try:
        return [(found, "") for found in evaluate_all(rules, subjects, histories)]
    except (OperationalError, LeaseLostError):
        raise
    except Exception:  # noqa: BLE001 (which of them it was shows when each is judged alone)
        return [verdict(rules, subject, history) for subject, history in zip(subjects, histories, strict=True)]


def verdict(rules: RuleSet, subject: Subject, history: History | None = None) -> tuple[tuple[Finding, ...], str]:
    """Evaluate, and turn a rule's crash into words: one poison post must not stop the others.

    The words tell the kind of error and its place in the code, never its message: that may repeat the post. Raises what
    the database or another worker is to blame for: that says nothing of the post.
    """
    try:
        return evaluate(rules, subject, history), ""
    except (OperationalError, LeaseLostError):
        raise
    except Exception as error:  # noqa: BLE001 (quarantine: the post is stored, the error alerts)
        frames = traceback.format_tb(error.__traceback__)[-SHOWN_FRAMES:]
        return (), f"{''.join(frames)}{type(error).__name__}"


def subject_of(post: Post, holder: Account, kinds: Mapping[str, AgencyKind]) -> Subject:
    """Return what the rules look at: the post's text, and what the platform itself says of its pictures."""
    described = {f"{item.kind.value}:{n}": item.text for n, item in enumerate(post.media) if item.text}
    return Subject(
        fields={"text": post.text, **described},
        platform=holder.platform,
        agency=holder.agency,
        agency_kind=kinds.get(holder.agency),
        kind=post.kind,
        language=post.language,
        published_at=post.published_at,
        links=post.links,
    )


UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(value: Any) -> Any:
    """Replace NUL and lone surrogates one for one, in texts at any depth of JSON: no database takes them."""
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def storable_post(post: Post) -> Post:
    """Make a post storable, all but its raw payload: that is the largest part, and most posts are known."""
    return replace(
        post,
        native_id=storable(post.native_id),
        url=storable(post.url),
        text=storable(post.text),
        language=storable(post.language),
        links=tuple(storable(link) for link in post.links),
        media=tuple(replace(m, url=storable(m.url), text=storable(m.text)) for m in post.media),
        own=storable(post.own),
    )


def storable_profile(profile: Profile) -> Profile:
    return replace(
        profile,
        name=storable(profile.name),
        handle=storable(profile.handle),
        bio=storable(profile.bio),
        picture_url=storable(profile.picture_url),
    )
