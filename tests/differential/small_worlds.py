"""Random small worlds as people of the shop: the touchpoints of many seeds, each world's people nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice

from schemas.codec import encode_touchpoint
from streams.core.rules import Rules as CoreRules
from streams.simulator.emit import Emitted
from tests.differential.scenarios import OPENED_MS, marked
from tests.differential.stream import Scenario
from tests.oracle.persons import is_allowed, persons_of
from tests.oracle.rules import DEFAULT
from tests.oracle.touchpoints import Touchpoint, usable_identifiers
from tests.oracle.worlds import START_MS, World
from tests.simulation.feed import envelope_of, key_of
from tests.simulation.play import is_beyond_comparison, world_of

__all__ = ["small_worlds", "worlds_of_the_shop"]


def small_worlds(first: int, worlds: int) -> Scenario:
    """The records of so many worlds, with nobody in two of them."""
    records = [
        marked(_record(point), f"{mark:03}")
        for mark, each in enumerate(worlds_of_the_shop(first, worlds))
        for point in each.touchpoints
    ]
    return Scenario("small worlds", tuple(records))


def worlds_of_the_shop(first: int, worlds: int) -> Iterator[World]:
    """The worlds of the first so many seeds from there on that can be judged, under the rules that an installation has.

    Without their acts and ticks.
    """
    return islice((each for seed in count(first) if _can_be_judged(each := _of_the_shop(seed))), worlds)


def _of_the_shop(seed: int) -> World:
    """In the shop's hours; nothing of it is received later than Kafka has it: see `scenarios.START_MS`."""
    points = [_moved(point, seed) for point in world_of(seed).touchpoints]
    return World(seed, tuple(points), (), DEFAULT)


def _can_be_judged(each: World) -> bool:
    """By the oracle, which does not know what many use in common, nor who comes first of many phones."""
    accounts = {name for point in each.touchpoints for name in usable_identifiers(point) if "_id:" in name}
    is_few = len(accounts) < CoreRules().shared_profiles
    return is_few and not _may_have_too_many(each) and not is_beyond_comparison(each)


def _may_have_too_many(each: World) -> bool:
    """Whether people could come to a limit above one: who is refused there is decided by who comes first."""
    several = {type_: most for type_, most in DEFAULT.limits.items() if most > 1}
    people = persons_of(each.touchpoints, replace(DEFAULT, limits={}))
    return not all(is_allowed(person.identifiers, replace(DEFAULT, limits=several)) for person in people)


def _moved(point: Touchpoint, seed: int) -> Touchpoint:
    later_ms = OPENED_MS - START_MS
    arrival_ms = point.arrival_ms + later_ms
    return replace(
        point,
        message_id=f"{seed}-{point.message_id}",
        # What claims to be of 1970 goes on to do so.
        occurred_ms=max(0, point.occurred_ms + later_ms) if point.occurred_ms else 0,
        received_ms=min(arrival_ms, point.received_ms + later_ms),
        arrival_ms=arrival_ms,
    )


def _record(point: Touchpoint) -> Emitted:
    return Emitted(
        point.channel, key_of(point).encode(), encode_touchpoint(envelope_of(point)), point.arrival_ms
    )
