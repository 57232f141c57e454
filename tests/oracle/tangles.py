"""Worlds that are all identity: few identifiers and many links between them, limits and acts. Knows no answer.

Nothing is bought and no clock goes on before the end, so one is played ten times as fast as another world, and who is
whose is as hard as it gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final

from tests.oracle.random_acts import acts_about
from tests.oracle.rules import CHANNELS, DEFAULT, HOUR_MS, MINUTE_MS, Rules
from tests.oracle.touchpoints import Touchpoint
from tests.oracle.worlds import START_MS, World

_TYPES: Final = ("user_id", "user_id", "loyalty_id", "email", "device_id", "anonymous_id", "anonymous_id")


def tangle(seed: int) -> World:
    """The tangle of this seed; the same seed always gives the same one."""
    rng = Random(f"tangle {seed}")
    pool = [f"{type_}:{type_[0]}{n}" for n, type_ in enumerate(rng.choices(_TYPES, k=rng.randint(3, 9)))]
    at_ms, touchpoints = START_MS, []
    for n in range(rng.randint(1, rng.choice([4, 8, 16]))):
        at_ms += rng.choice([0, 1, MINUTE_MS, HOUR_MS])
        arrival_ms = at_ms + rng.choice([0, 0, 0, 1, 5 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS])
        touchpoints.append(_touchpoint(f"m{n}", at_ms, arrival_ms, rng.choice(CHANNELS), _shown(rng, pool)))
    fed = sorted(touchpoints, key=lambda touchpoint: touchpoint.arrival_ms)
    acts = acts_about(rng, pool, fed, rng.randint(1, 5))
    return World(seed, tuple(fed), (), _rules(rng), acts)


def _rules(rng: Random) -> Rules:
    style = rng.choice(["none", "keep", "keep", "move"])
    moving = ["device_id", *rng.sample(("loyalty_id", "email", "anonymous_id"), rng.choice([0, 1]))]
    limits = {"user_id": 1} if style != "none" else {}
    return replace(DEFAULT, limits=limits, moving=frozenset(moving if style == "move" else ()))


def _shown(rng: Random, pool: Sequence[str]) -> dict[str, str]:
    """One to three identifiers, each of another type; two as a rule, since one links nobody."""
    shown = rng.sample(pool, min(len(pool), rng.choice([1, 2, 2, 2, 3])))
    return dict(identifier.split(":") for identifier in shown)


def _touchpoint(
    message_id: str, at_ms: int, arrival_ms: int, channel: str, identifiers: dict[str, str]
) -> Touchpoint:
    return Touchpoint(
        message_id=message_id,
        event="Email Opened",
        occurred_ms=at_ms,
        received_ms=arrival_ms,
        arrival_ms=arrival_ms,
        identifiers=identifiers,
        channel=channel,
    )
