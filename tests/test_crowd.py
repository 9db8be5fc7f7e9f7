"""The crowd: thousands of accounts that publish by a seed, shown by the world's clock, as any other post."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.sandbox.crowd import Crowd, counts, populate
from connectors.sandbox.world import World

UNTIL = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CROWD = Crowd(platform="x", accounts=50, posts=2000, until=UNTIL, span=timedelta(days=30))


def crowded(platform: str = "x", *, at: datetime = UNTIL, seed: int = 1) -> World:
    world = World()
    world.clock = lambda: at
    populate(world, Crowd(platform=platform, accounts=50, posts=2000, until=UNTIL, span=timedelta(days=30), seed=seed))
    return world


def shown(world: World, number: int, platform: str = "x", **how: datetime) -> list[tuple[str, datetime, str]]:
    holder = world.holder(platform, f"akaun{number}")
    assert holder is not None
    return [(p.native_id, p.at, p.latest.text) for p in world.timeline(platform, holder.native_id, **how)]


def busiest() -> int:
    return max(range(50), key=counts(CROWD).__getitem__)


def test_the_same_seed_makes_the_same_crowd_and_another_one_another():
    first, again, other = ([shown(crowded(seed=seed), n) for n in range(50)] for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_posts_add_up_and_a_tenth_of_the_accounts_publishes_most_of_them():
    crowd = Crowd(platform="x", accounts=10_000, posts=1_000_000, until=UNTIL, span=timedelta(days=365))
    found = sorted(counts(crowd), reverse=True)
    assert sum(found) == 1_000_000
    assert sum(found[:1000]) > 500_000
    assert found[0] < 50_000


@pytest.mark.parametrize("platform", ["x", "facebook", "rss"])
def test_a_timeline_is_sorted_and_each_post_is_found_by_its_id(platform):
    world, number = crowded(platform), busiest()
    posts = shown(world, number, platform)
    assert [at for _, at, _ in posts] == sorted((at for _, at, _ in posts), reverse=True)
    assert len({one for one, _, _ in posts}) == len(posts) == counts(CROWD)[number]
    assert [world.find(platform, one).latest.text for one, _, _ in posts] == [text for _, _, text in posts]


def test_a_crowds_post_shows_itself_when_the_clock_has_come_to_it():
    world, number = crowded(), busiest()
    newest, at, _ = shown(world, number)[0]
    world.clock = lambda: at - timedelta(milliseconds=1)
    assert newest not in [one for one, _, _ in shown(world, number)]
    assert world.find("x", newest) is None
    world.clock = lambda: at
    assert shown(world, number)[0][0] == newest


def test_since_a_time_only_what_came_or_changed_from_then_on_is_shown():
    world, number = crowded(), busiest()
    posts = shown(world, number)
    middle = posts[10][1]
    assert shown(world, number, since=middle) == posts[:11]
    world.edit("x", posts[20][0], "disunting", at=UNTIL)
    assert [text for _, _, text in shown(world, number, since=middle)[11:]] == ["disunting"]


def test_a_crowds_post_is_edited_and_deleted_as_any_other():
    world, number = crowded(), busiest()
    (first, at, _), (second, _, _), *rest = shown(world, number)
    world.edit("x", first, "disunting", at=UNTIL)
    world.delete("x", second)
    left = shown(world, number)
    assert left == [(first, at, "disunting"), *rest]
    assert world.find("x", second) is None


def test_a_post_of_the_past_takes_its_place_among_those_of_the_crowd():
    world, number = crowded(), busiest()
    posts = shown(world, number)
    late = posts[10][1] - timedelta(milliseconds=1)
    native_id = world.publish("x", f"akaun{number}", "lewat", at=late)
    assert [one for one, _, _ in shown(world, number)] == [
        *(one for one, _, _ in posts[:11]),
        native_id,
        *(one for one, _, _ in posts[11:]),
    ]
