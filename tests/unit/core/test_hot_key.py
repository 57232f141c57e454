"""One profile with a million touchpoints: a crawler, a monitoring probe, a broken app."""

from __future__ import annotations

import time

import pytest

from streams.core.rules import Rules
from streams.core.step import Step
from tests.unit.core.records import HOUR_MS, FakeRecord, FakeStore, touchpoint

MACHINES, PEOPLE, BATCHES = 1_960, 40, 510
EVERY_MS = 100
"""A million in 28 hours, all of them within what is remembered of a profile."""


def batch(number: int) -> list[FakeRecord]:
    """What the machine does within 200 s, and forty people who come by once."""
    began_ms = number * MACHINES * EVERY_MS
    records = [touchpoint(f"m{number}-{i}", began_ms + i * EVERY_MS, user_id="bot") for i in range(MACHINES)]
    records += [
        touchpoint(f"p{number}-{i}", began_ms + i, user_id=f"person-{number}-{i}") for i in range(PEOPLE)
    ]
    return records


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_million_touchpoints_of_one_key_neither_stop_nor_bloat_their_task() -> None:
    """All are landed; a batch at the end costs and writes what one at the beginning did.

    Seen to fail without the bound on what a profile is remembered of: 30 MB of state.
    """
    store = FakeStore()
    step = Step(0, 1, Rules(is_replay=True), store)
    spent_s, written, landed = [], [], 0
    for number in range(BATCHES):
        records = {"touchpoints.web": batch(number)}
        began_s = time.process_time()
        effects = step.process(records, now_ms=0, caught_up={})
        spent_s.append(time.process_time() - began_s)
        store.apply(effects.changes)
        written.append(sum(len(key) + len(value or b"") for key, value in effects.changes))
        landed += len(effects.outputs["touchpoints.stitched"])
    tenth = BATCHES // 10
    first, last = (sorted(part)[tenth // 2] for part in (spent_s[:tenth], spent_s[-tenth:]))
    print(
        f"a batch: {first * 1e3:.1f} ms of CPU at first, {last * 1e3:.1f} at last; {max(written):,} bytes at most"
    )
    assert landed == BATCHES * (MACHINES + PEOPLE)
    assert BATCHES * MACHINES * EVERY_MS < 72 * HOUR_MS
    assert sum(len(value) for key, value in store.items() if b"bot" in key) < 2_000_000
    assert last < 2 * first
    assert max(written[-tenth:]) <= 1.1 * max(written[:tenth])
