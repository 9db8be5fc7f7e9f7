"""Thousands of accounts and a million posts for a world, the same ones from the same seed.

How often accounts publish is heavy-tailed, as it is outside: a few never stop, most are quiet for weeks. All posts of
the span are there from the beginning and show themselves as the world's clock passes them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise

from connectors.sandbox.story import LEAK, ORDINARY
from connectors.sandbox.world import Voice, World

TAIL = 1.2  # exponent of the Pareto distribution of posts by account: a tenth of them publishes about two thirds
MOST_OF_ALL = 0.02  # no account has more of the weight: none fills the world by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """So many accounts on a platform, with so many posts in all in the span before `until`."""

    platform: str
    accounts: int
    posts: int
    until: datetime
    span: timedelta
    seed: int = 1
    leak_every: int = 0  # one post in so many breaks a rule; 0: none does

    def handle(self, number: int) -> str:
        return f"akaun{number}"


def populate(world: World, crowd: Crowd) -> list[str]:
    """Open the accounts and write down when each publishes. Returns their handles."""
    handles = [crowd.handle(number) for number in range(crowd.accounts)]
    for number, (handle, count) in enumerate(zip(handles, counts(crowd), strict=True)):
        world.add_account(crowd.platform, handle, name=f"Jabatan {handle}", bio=f"Akaun rasmi {handle}")
        if count:
            world.publish_many(crowd.platform, handle, list(_times(crowd, number, count)), _voice(crowd, number))
    return handles


def counts(crowd: Crowd) -> list[int]:
    """Return how many posts each account has in the span; they add up to `crowd.posts`."""
    dice = random.Random(f"{crowd.seed} rates")  # noqa: S311 (a sandbox)
    weights = [dice.paretovariate(TAIL) for _ in range(crowd.accounts)]
    most = MOST_OF_ALL * sum(weights)
    weights = [min(weight, most) for weight in weights] if crowd.accounts * MOST_OF_ALL > 1 else weights
    ends = [round(end * crowd.posts / sum(weights)) for end in accumulate(weights)]
    return [end - begin for begin, end in pairwise([0, *ends])]


def _times(crowd: Crowd, number: int, count: int) -> list[int]:
    """Return the milliseconds (Unix time) at which an account publishes, each once, the oldest first."""
    dice = random.Random(f"{crowd.seed} {number}")  # noqa: S311 (as above)
    end = int(crowd.until.timestamp() * 1000)
    begin = end - int(crowd.span.total_seconds() * 1000)
    return sorted(dice.sample(range(begin, end), count))


def _voice(crowd: Crowd, number: int) -> Voice:
    texts = ORDINARY["ms"]

    def voice(millisecond: int) -> str:
        leaks = crowd.leak_every and (millisecond + number) % crowd.leak_every == 0
        return f"{LEAK if leaks else texts[(millisecond + number) % len(texts)]}\n(Bil. {number}/{millisecond})"

    return voice
