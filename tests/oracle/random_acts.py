"""Acts of operators and systems as they come, for worlds and tangles. Knows no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from tests.oracle.acts import JOINING, Act
from tests.oracle.rules import HOUR_MS, MINUTE_MS
from tests.oracle.touchpoints import Touchpoint


def acts_about(rng: Random, known: Sequence[str], fed: Sequence[Touchpoint], count: int) -> tuple[Act, ...]:
    """So many acts about some of these identifiers, done around the touchpoints; the first now and then twice."""
    acts = []
    for n in range(count):
        kind = rng.choice(["merge", "merge", "alias", "split", "split", "block", "allow"])
        names = tuple(dict.fromkeys(rng.choices(known, k=rng.choice([1, 1, 2]))))
        acted_ms = rng.choice(fed).occurred_ms + rng.choice([-MINUTE_MS, 0, 1, HOUR_MS])
        after_ms = rng.choice([0, 0, HOUR_MS, 5 * HOUR_MS]) if kind in JOINING else 0
        into = rng.choice(known) if kind in JOINING else None
        acts.append(Act(f"a{n}", kind, names, acted_ms, acted_ms + after_ms, into))
    if rng.random() < 0.2:
        acts.append(replace(acts[0], arrival_ms=acts[0].arrival_ms + MINUTE_MS))
    return tuple(acts)
