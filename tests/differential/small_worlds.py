"""Random small worlds as people of the shop: the touchpoints of many seeds, each world's people nobody else's."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, islice

from schemas.codec import encode_touchpoint
from streams.core.rules import Rules as CoreRules
from streams.simulator.emit import Emitted
from tests.differential.scenarios import OPENED_MS, marked
from tests.differential.stream import Scenario
from tests.oracle.rules import DEFAULT
from tests.oracle.touchpoints import Touchpoint, usable_identifiers
from tests.oracle.worlds import START_MS, World
from tests.simulation.feed import envelope_of, key_of
from tests.simulation.play import is_beyond_comparison, world_of

__all__ = ["small_worlds"]


def small_worlds(first: int, worlds: int) -> Scenario:
    """The worlds of the first so many seeds from there on that can be judged, under the rules that an installation has.

    Without their acts and ticks.
    """
    judged = (each for seed in count(first) if _can_be_judged(each := _of_the_shop(seed)))
    records = [
        marked(_record(point), str(each.seed))
        for each in islice(judged, worlds)
        for point in each.touchpoints
    ]
    return Scenario("small worlds", tuple(records))


def _of_the_shop(seed: int) -> World:
    """In the shop's hours; nothing of it is received later than Kafka has it: see `scenarios.START_MS`."""
    points = [_moved(point, seed) for point in world_of(seed).touchpoints]
    return World(seed, tuple(points), (), DEFAULT)


def _can_be_judged(each: World) -> bool:
    """By the oracle, which does not know what many use in common."""
    accounts = {name for point in each.touchpoints for name in usable_identifiers(point) if "_id:" in name}
    return len(accounts) < CoreRules().shared_profiles and not is_beyond_comparison(each)


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
