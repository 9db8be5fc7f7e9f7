"""What X allows by its headers, and what it bills: counted from its answers, as X itself offers no cheap look at it.

X bills each post and each user that an answer holds (pay per use: $0.005 and $0.010); an empty answer costs nothing.
Posts that come along with others (quoted, reposted) are counted as well: whether X bills them is not documented, and a
budget that is counted too high warns too early rather than too late.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from connectors.base import Allowance, no_later
from monitor.model import Json

POST_PRICE, USER_PRICE = 0.005, 0.010  # dollars
WINDOW = timedelta(minutes=15)  # of all of X's limits of calls
WAYS = (  # whose calls X counts apart, by path; the first is what live reading takes
    ("calls", r"/2/users/\d+/tweets"),
    ("look-ups of posts", r"/2/tweets"),
    ("look-ups of profiles", r"/2/users(?:/by)?(?:/username/\w+|/\d+)?"),
)


class Bill:
    """Counts what was read since the process began. Shared by the threads of a connector."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._allowances: dict[str, Allowance] = {}
        self._posts = 0
        self._users = 0

    def note(self, path: str, headers: Mapping[str, str], now: datetime) -> None:
        """Keep what an answer's headers say of its way's calls."""
        allowance = parse_allowance(path, headers, now)
        if allowance is not None:
            with self._lock:
                self._allowances[allowance.name] = allowance

    def count(self, payload: Json) -> None:
        posts, users = resources(payload)
        with self._lock:
            self._posts += posts
            self._users += users

    def allowances(self) -> tuple[Allowance, ...]:
        with self._lock:
            return tuple(self._allowances.values())

    def spent(self) -> Mapping[str, float]:
        with self._lock:
            return {"posts": self._posts, "dollars": self._posts * POST_PRICE + self._users * USER_PRICE}


def parse_allowance(path: str, headers: Mapping[str, str], now: datetime) -> Allowance | None:
    """Read x-rate-limit-*. What cannot be read is no allowance: the headers are advice, not data."""
    name = next((name for name, way in WAYS if re.search(f"{way}$", path)), None)
    told = [headers.get(f"x-rate-limit-{key}", "") for key in ("limit", "remaining", "reset")]
    if name is None or not all(re.fullmatch(r"[0-9]{1,11}", one) for one in told):
        return None
    limit, remaining, reset = map(int, told)
    resets_at = no_later(datetime.fromtimestamp(reset, UTC), now)
    return Allowance(name=name, limit=limit, remaining=remaining, resets_at=resets_at, window=WINDOW) if limit else None


def resources(payload: Json) -> tuple[int, int]:
    """Return how many posts and users an answer holds."""
    data = payload.get("data")
    items = [data] if isinstance(data, Mapping) else data if isinstance(data, list) else []
    users = sum(isinstance(item, Mapping) and "username" in item for item in items)
    includes = payload.get("includes")
    extra = [includes.get(key) for key in ("tweets", "posts")] if isinstance(includes, Mapping) else []
    return len(items) - users + sum(len(one) for one in extra if isinstance(one, list)), users
