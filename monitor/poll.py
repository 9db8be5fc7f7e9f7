"""Pull → evaluate → save: an account's check and a platform's round. Every outcome is written back in one place."""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from connectors.base import Connector, ConnectorError, Page
from monitor import work
from monitor.model import Account, AgencyKind, Cause, Finding, Post, Profile, Subject
from monitor.rules.evaluate import evaluate
from monitor.rules.history import History
from monitor.rules.rule import RuleSet
from monitor.schedule import PROFILE_EVERY, Outcome, next_check, next_interval, reread_soonest
from monitor.settings import Polling
from monitor.store.accounts import (
    Claimed,
    LeaseLostError,
    Shut,
    claim_accounts,
    open_platform,
    release,
    save_failure,
    save_profile,
    shut_platform,
    shut_platforms,
)
from monitor.store.database import Database, explained
from monitor.store.history import Fired, StoredHistory, Unsaved, peers, save_second_look
from monitor.store.posts import Judged, ReadEnd, Saved, mark_reread, newest_ids, save_page, to_reread, unseen

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=10)
BATCH = 200
REREADS_PER_CHECK = 100
REREADS_OF_A_PASS = 1000  # `pantau once` does not leave the rest for the next check
PROBES = 3  # accounts that try a platform which refused its credential, until an answer decides
DISPUTED = frozenset({Cause.NOT_FOUND, Cause.PERMISSION})  # about the account, and perhaps said without any call
SHOWN_FRAMES = 4
PROFILE_AGAIN = timedelta(minutes=15)  # a profile as old as this is read again before a rule believes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Poller:
    """What a check needs. `clock` gives the present; `stop` asks for an end between pages."""

    db: Database
    connectors: Mapping[str, Connector]
    rules: Callable[[], RuleSet]
    agency_kinds: Callable[[], Mapping[str, AgencyKind]]
    polling: Polling
    clock: Callable[[], datetime]
    stop: threading.Event = field(default_factory=threading.Event)
    unsaved: Unsaved = field(default_factory=Unsaved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of one account's check. `failure` is a sentence for people; None when all went well."""

    account: Account
    saved: Saved
    failure: str | None = None
    cause: Cause | None = None
    degraded: bool = False
    asked: bool = True  # False: not a single call was made, the platform is shut


class _Stopped(Exception):
    """Pantau is asked to end between two pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """Why something was not read."""

    cause: Cause
    words: str
    retry_at: datetime | None = None


def _word(error: ConnectorError) -> _Word:
    return _Word(cause=error.cause, words=str(error), retry_at=error.retry_at)


@dataclass(slots=True, kw_only=True)
class _Round:
    """Shared by the checks of one round: once the platform refuses as a whole, nobody asks it again."""

    everything: bool
    refusal: _Word | None = None  # its words name no account: each of the platform's meets it
    proven: bool = False  # an answer has shown that the credential is good
    unstored: bool = False  # the database failed: what is fetched from here on could not be kept
    fired: list[Fired] = field(default_factory=list)  # posts whose text stands elsewhere too, by a rule's word

    def note(self, error: ConnectorError, *, met_by: str) -> None:
        """Keep an error that the next account would meet as well."""
        if error.whole_platform:
            self.refusal = replace(_word(error), words=str(error).removeprefix(f"{met_by}: "))


Report = Callable[[Checked], None]


def poll_platform(
    poller: Poller, platform: str, *, everything: bool = False, workers: int = 1, report: Report | None = None
) -> list[Checked]:
    """Check the platform's due accounts (`everything`: all that it lets us) and return what became of each.

    A platform that refused as a whole rests until its time; then one account tries before the others follow.
    """
    visit = _Visit(poller=poller, platform=platform, everything=everything, workers=workers, report=report)
    while not poller.stop.is_set():
        shut = shut_platforms(poller.db).get(platform)
        if shut is not None and _rests(shut, poller.clock(), everything=everything):
            break
        gate = visit.probe(shut) if shut is not None else visit.round(BATCH)
        if gate is None or gate.unstored:
            break
        if gate.refusal is not None:
            visit.fail_the_rest(_shut(poller, platform, gate.refusal))
            break
        if shut is not None:
            open_platform(poller.db, platform, now=poller.clock())
            log.info("platform answers again", platform=platform)
    return visit.results


def _rests(shut: Shut, now: datetime, *, everything: bool) -> bool:
    until = shut.retry_at if everything else shut.probe_at
    return until is not None and until > now


def _shut(poller: Poller, platform: str, refusal: _Word) -> _Word:
    """Write the refusal down. Returns what stands now: a rate limit does not outrank a dead credential."""
    now = poller.clock()
    probe_at = max(now + poller.polling.max_interval, refusal.retry_at or now)
    if refusal.retry_at is not None and refusal.cause is Cause.RATE_LIMIT:
        probe_at = refusal.retry_at
    standing = shut_platform(
        poller.db,
        platform,
        cause=refusal.cause,
        error=refusal.words,
        retry_at=refusal.retry_at,
        probe_at=probe_at,
        now=now,
    )
    log.warning("platform refuses", platform=platform, cause=standing.cause.value, reason=standing.error)
    return _Word(cause=standing.cause, words=standing.error, retry_at=standing.retry_at)


@dataclass(slots=True, kw_only=True)
class _Visit:
    """One call of `poll_platform`: whom it has taken so far, and what became of them."""

    poller: Poller
    platform: str
    everything: bool
    workers: int
    report: Report | None
    results: list[Checked] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)

    def round(self, limit: int) -> _Round | None:
        """Check up to `limit` accounts. None: no account is due."""
        batch = self._claim(limit, exclude=self.taken if self.everything else ())
        if not batch:
            return None
        gate = _Round(everything=self.everything)
        for checked in _check_all(self.poller, self.platform, batch, gate, self.workers):
            self._keep(checked)
        if gate.fired and not gate.unstored:
            try:
                _second_look(self.poller, gate.fired)
            except OperationalError as error:  # what the round has stored stands
                log.warning("no second look", platform=self.platform, reason=explained(error))
        return gate

    def probe(self, shut: Shut) -> _Round | None:
        """Let accounts try a platform that refused, one after the other, until an answer decides. None: none is due.

        A time-out proves nothing of a credential, and neither does what a connector says of a handle by itself.
        """
        begin, gate = len(self.results), None
        for _ in range(PROBES):
            tried = self.round(1)
            if tried is None or self.poller.stop.is_set():
                break
            gate = tried
            if gate.refusal or gate.proven or gate.unstored or shut.cause is Cause.RATE_LIMIT:
                return gate
        if gate is not None and not self.poller.stop.is_set():
            disputed = any(one.cause in DISPUTED for one in self.results[begin:])
            self._decide(shut, gate, disputed=disputed)
            return gate
        return None

    def _decide(self, shut: Shut, gate: _Round, *, disputed: bool) -> None:
        """No account has decided: ask the platform about the credential itself, or let its refusal stand."""
        if disputed:
            try:
                self.poller.connectors[self.platform].check()
            except ConnectorError as error:
                gate.note(error, met_by=self.platform)
            else:
                gate.proven = True
                return
        if gate.refusal is None:
            gate.refusal = _Word(cause=shut.cause, words=shut.error)

    def fail_the_rest(self, refusal: _Word) -> None:
        """Write the platform's refusal down for its other due accounts, without a call for any of them."""
        while rest := self._claim(BATCH, exclude=self.taken):
            for claimed in rest:
                failed = _failed(self.poller, claimed, refusal, self.poller.clock(), Saved())
                self._keep(replace(failed, asked=False))

    def _claim(self, limit: int, *, exclude: Sequence[int]) -> list[Claimed]:
        batch = claim_accounts(
            self.poller.db,
            now=self.poller.clock(),
            lease=LEASE,
            limit=limit,
            platform=self.platform,
            everything=self.everything,
            exclude=exclude,
        )
        self.taken += [claimed.account.id for claimed in batch]
        return batch

    def _keep(self, checked: Checked) -> None:
        self.results.append(checked)
        if self.report is not None:
            self.report(checked)


def _check_all(
    poller: Poller, platform: str, batch: Sequence[Claimed], gate: _Round, workers: int
) -> Iterator[Checked]:
    connector = poller.connectors[platform]
    profiles = _profiles(poller, connector, batch, gate)
    jobs = [
        partial(check_account, poller, connector, claimed, gate, profiles.get(claimed.account.id)) for claimed in batch
    ]
    for checked in work.run(jobs, workers=workers, name=platform):
        if checked is not None:
            yield checked


def _wants_profile(claimed: Claimed, now: datetime) -> bool:
    seen = claimed.profile_at
    return not claimed.account.native_id or seen is None or now - seen >= PROFILE_EVERY or seen > now


def _profiles(
    poller: Poller, connector: Connector, batch: Sequence[Claimed], gate: _Round
) -> Mapping[int, Profile | ConnectorError]:
    """Read the batch's profiles in few calls, where the connector can."""
    resolve_many = getattr(connector, "resolve_many", None)
    wanted = [claimed.account for claimed in batch if _wants_profile(claimed, poller.clock())]
    if resolve_many is None or not wanted:
        return {}
    try:
        answers: Mapping[int, Profile | ConnectorError] = resolve_many(wanted)
    except ConnectorError as error:
        gate.note(error, met_by=batch[0].account.platform)
        return {one.id: error for one in wanted}
    for one in wanted:
        answer = answers.get(one.id)
        if isinstance(answer, ConnectorError):
            gate.note(answer, met_by=one.label)
        elif answer is not None:
            gate.proven = True
    return answers


def check_account(
    poller: Poller,
    connector: Connector,
    claimed: Claimed,
    gate: _Round,
    profile: Profile | ConnectorError | None = None,
) -> Checked | None:
    """Check one account. None: Pantau is ending, or another worker has taken over; nothing is lost by it."""
    now = poller.clock()  # what is published from here on is the next check's
    saved = Saved()
    try:
        if poller.stop.is_set() or gate.unstored:
            raise _Stopped
        if gate.refusal is not None:
            return replace(_failed(poller, claimed, gate.refusal, now, saved), asked=False)
        claimed = _with_profile(poller, connector, claimed, profile, now, gate)
        shown = _read(poller, connector, claimed, now, saved, gate)
        failure = _read_again(poller, connector, claimed, now, saved, gate, shown)
    except (_Stopped, LeaseLostError) as end:
        _let_go(poller, claimed, end)
        return None
    except ConnectorError as error:
        gate.note(error, met_by=claimed.account.label)
        return _guarded(claimed, connector, saved, partial(_failed, poller, claimed, _word(error), now, saved))
    except OperationalError as error:
        gate.unstored = True
        failed = partial(_failed, poller, claimed, _word(StorageFailedError(error)), now, saved)
        return _guarded(claimed, connector, saved, failed, words=explained(error))
    except Exception:
        log.exception("check failed", account=claimed.account.label)
        return _guarded(
            claimed, connector, saved, partial(_failed, poller, claimed, _word(InternalError()), now, saved)
        )
    log.info("checked", account=claimed.account.label, new=saved.new, edited=saved.edited, alerts=len(saved.alerts))
    return Checked(account=claimed.account, saved=saved, failure=failure, degraded=connector.capabilities.degraded)


def _let_go(poller: Poller, claimed: Claimed, end: Exception) -> None:
    if isinstance(end, LeaseLostError):
        log.warning("lease lost", account=claimed.account.label)
        return
    with suppress(OperationalError):  # then the lease runs out by itself
        release(poller.db, claimed)


class InternalError(ConnectorError):
    """A mistake of Pantau's own; the traceback is in the log."""

    cause = Cause.INTERNAL

    def __init__(self) -> None:
        super().__init__("Pantau itself failed here; the log has the traceback")


class StorageFailedError(ConnectorError):
    """The database could not keep what was read: a full disk, a lock, a server that is gone."""

    cause = Cause.INTERNAL

    def __init__(self, error: OperationalError) -> None:
        super().__init__(explained(error))


def _guarded(
    claimed: Claimed,
    connector: Connector,
    saved: Saved,
    write: Callable[[], Checked],
    *,
    words: str = str(InternalError()),
) -> Checked | None:
    """Write a failure down. When even that fails the lease runs out by itself and the account is due again."""
    try:
        return replace(write(), degraded=connector.capabilities.degraded)
    except LeaseLostError:
        return None
    except OperationalError as error:
        log.warning("failure could not be written", account=claimed.account.label, reason=explained(error))
    except Exception:
        log.exception("failure could not be written", account=claimed.account.label)
    failure = f"{claimed.account.label}: {words}"
    return Checked(account=claimed.account, saved=saved, failure=failure, cause=Cause.INTERNAL)


def _failed(poller: Poller, claimed: Claimed, why: _Word, now: datetime, saved: Saved) -> Checked:
    """Write a failed check down; `saved` is what its pages brought before it failed."""
    outcome = Outcome(failures=claimed.failures + 1, retry_at=why.retry_at)
    save_failure(
        poller.db,
        claimed,
        cause=why.cause,
        error=why.words,
        now=now,
        interval=next_interval(claimed.interval, outcome, poller.polling),
        next_check_at=next_check(claimed.interval, outcome, now, poller.polling),
        retry_at=why.retry_at,
        blind_after=poller.polling.blind_after,
    )
    label = claimed.account.label
    log.warning("not read", account=label, cause=why.cause.value, reason=why.words)
    named = why.words if why.words.startswith(f"{label}:") else f"{label}: {why.words}"
    return Checked(account=claimed.account, saved=saved, failure=named, cause=why.cause)


def _with_profile(
    poller: Poller,
    connector: Connector,
    claimed: Claimed,
    profile: Profile | ConnectorError | None,
    now: datetime,
    gate: _Round,
) -> Claimed:
    """Return the claim with the account's native id; a profile is read at first and once a day."""
    if profile is None:
        if not _wants_profile(claimed, now):
            return claimed
        try:
            profile = connector.resolve(claimed.account)
        except ConnectorError as error:
            profile = error
    if isinstance(profile, ConnectorError):
        if claimed.account.native_id and profile.cause in {Cause.UNAVAILABLE, Cause.SCHEMA_DRIFT}:
            return claimed  # the posts may be readable all the same; the profile's turn comes again
        raise profile
    gate.proven = True
    profile = storable_profile(profile)
    if save_profile(poller.db, claimed, profile, now=now):
        log.warning("profile changed", account=claimed.account.label)
    return replace(claimed, account=replace(claimed.account, native_id=profile.native_id), profile_at=now)


@dataclass(slots=True, kw_only=True)
class _ProfileLook:
    """Reads an account's profile again, once a check, when a rule asks whether it has changed."""

    poller: Poller
    connector: Connector
    claimed: Claimed
    now: datetime
    gate: _Round
    done: bool = False

    def __call__(self) -> None:
        seen = self.claimed.profile_at
        if self.done or self.gate.refusal or (seen is not None and abs(self.now - seen) < PROFILE_AGAIN):
            return
        self.done = True
        holder = self.claimed.account
        try:
            profile = storable_profile(self.connector.resolve(holder))
        except ConnectorError as error:
            self.gate.note(error, met_by=holder.label)
            log.warning("profile not read again", account=holder.label, cause=error.cause.value, reason=str(error))
            return
        if save_profile(self.poller.db, self.claimed, profile, now=self.now):
            log.warning("profile changed", account=holder.label)


def _read(
    poller: Poller, connector: Connector, claimed: Claimed, now: datetime, saved: Saved, gate: _Round
) -> set[str]:
    """Walk the pages, each committed before the next is asked for; the last writes coverage and cursor with it.

    Returns the native ids of the posts that were served.
    """
    shown: set[str] = set()
    look = _ProfileLook(poller=poller, connector=connector, claimed=claimed, now=now, gate=gate)
    for page in connector.pull(claimed.account, claimed.cursor, now=now):
        gate.proven = True
        fresh = _fresh(poller, claimed.account, page.posts)
        with poller.unsaved.holding(claimed.account, fresh):
            judged = _judged(poller, claimed.account, fresh, now, look)
            end = _read_end(poller, claimed, page, saved.new + len(judged), now) if page.last else None
            rules = poller.rules()
            saved.add(
                save_page(
                    poller.db,
                    claimed,
                    judged,
                    rule_set=rules.hash,
                    now=now,
                    reread_window=poller.polling.recheck_window,
                    reread_soonest=reread_soonest(poller.polling),
                    end=end,
                    held_until=poller.clock() + LEASE,
                )
            )
        gate.fired += _fired(rules, claimed.account, judged)
        shown |= {post.native_id for post in page.posts}
        if poller.stop.is_set() and not page.last:
            raise _Stopped
    return shown


def _read_end(poller: Poller, claimed: Claimed, page: Page, new: int, now: datetime) -> ReadEnd:
    outcome = Outcome(new_posts=new)
    gap = page.gap
    return ReadEnd(
        cursor=dict(page.cursor),
        hole=(gap.start, gap.end, gap.cause) if gap else None,
        heals=page.heals,
        interval=next_interval(claimed.interval, outcome, poller.polling),
        next_check_at=next_check(claimed.interval, outcome, now, poller.polling),
    )


def _read_again(
    poller: Poller,
    connector: Connector,
    claimed: Claimed,
    now: datetime,
    saved: Saved,
    gate: _Round,
    shown: set[str],
) -> str | None:
    """Look at recent posts again for edits and deletions. A failure of this leaves the posts due, and is named.

    What this very pass was `shown` is not deleted, whatever a look-up says.
    """
    if not connector.capabilities.rereads or poller.stop.is_set():
        return None
    window, soonest = poller.polling.recheck_window, reread_soonest(poller.polling)
    limit = REREADS_OF_A_PASS if gate.everything else REREADS_PER_CHECK
    everything = gate.everything
    ids = to_reread(poller.db, claimed.account.id, now=now, window=window, limit=limit, everything=everything)
    if not ids:
        return None
    try:
        newest = newest_ids(poller.db, claimed.account.id, ids)
        answer = connector.reread(claimed.account, ids, now=now, newest=newest)
        missing = answer.missing - shown
        if missing:  # twice, because a passing fault or a lost permission looks the same
            missing &= connector.reread(claimed.account, sorted(missing), now=now, newest=newest).missing
    except ConnectorError as error:
        gate.note(error, met_by=claimed.account.label)
        log.warning("not read again", account=claimed.account.label, cause=error.cause.value, reason=str(error))
        return f"{claimed.account.label}: recent posts could not be read again: {error}"
    look = _ProfileLook(poller=poller, connector=connector, claimed=claimed, now=now, gate=gate)
    fresh = _fresh(poller, claimed.account, answer.posts)
    with poller.unsaved.holding(claimed.account, fresh):
        judged = _judged(poller, claimed.account, fresh, now, look)
        saved.add(
            save_page(
                poller.db,
                claimed,
                judged,
                rule_set=poller.rules().hash,
                now=now,
                reread_window=window,
                reread_soonest=soonest,
                end=None,
            )
        )
    present = [post.native_id for post in answer.posts]
    saved.deleted += mark_reread(poller.db, claimed, present, sorted(missing), now=now, window=window, soonest=soonest)
    return None


def _fresh(poller: Poller, holder: Account, posts: Sequence[Post]) -> list[Post]:
    """Return the new and changed posts of a page, as they can be stored."""
    return unseen(poller.db, holder.id, [storable_post(post) for post in posts])


def _judged(
    poller: Poller, holder: Account, fresh: Sequence[Post], now: datetime, look: Callable[[], None]
) -> list[Judged]:
    """Return the posts with the rules' verdict on each. `look` brings the account's profile up to date."""
    live_from = (holder.registered_at or now) - poller.polling.live_window
    rules, kinds = poller.rules(), poller.agency_kinds()
    judged = []
    for post in fresh:
        history = StoredHistory(poller.db, holder, post, unsaved=poller.unsaved, look=look)
        findings, error = verdict(rules, subject_of(post, holder, kinds), history)
        is_old = post.published_at < live_from
        judged.append(Judged(post=post, findings=findings, error=error, back_catalogue=is_old))
    return judged


def _fired(rules: RuleSet, holder: Account, judged: Sequence[Judged]) -> list[Fired]:
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


def _second_look(poller: Poller, fired: Sequence[Fired]) -> None:
    """Judge again what others published before: whoever was first could not know of the ones who followed."""
    rules, kinds, now = poller.rules(), poller.agency_kinds(), poller.clock()
    asking = rules.asking_for_copies
    for peer in peers(poller.db, fired):
        history = StoredHistory(poller.db, peer.account, peer.post, unsaved=poller.unsaved)
        findings, _ = verdict(rules, subject_of(peer.post, peer.account, kinds), history)
        found = [finding for finding in findings if finding.rule in asking]
        if found and save_second_look(poller.db, peer, found, rule_set=rules.hash, now=now):
            log.info("seen on several accounts", account=peer.account.label)


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
    return replace(
        post,
        native_id=storable(post.native_id),
        url=storable(post.url),
        text=storable(post.text),
        language=storable(post.language),
        links=tuple(storable(link) for link in post.links),
        media=tuple(replace(m, url=storable(m.url), text=storable(m.text)) for m in post.media),
        raw=storable(post.raw),
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
