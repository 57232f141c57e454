"""A batch is worked on in slices, so that what else a worker does need not wait for all of it."""

from __future__ import annotations

from streams.core.rules import Rules
from streams.core.step import Step
from tests.unit.core.records import FakeRecord, FakeStore, touchpoint

RECORDS = 1_000


def batch() -> dict[str, list[FakeRecord]]:
    """A thousand touchpoints of a hundred people, who each come by ten times."""
    came = [touchpoint(f"m{i}", i * 1_000, user_id=f"person-{i % 100}") for i in range(RECORDS)]
    return {"touchpoints.web": came}


def test_slices_are_short_and_come_to_what_one_go_does() -> None:
    """Reading and routing are cut into parts of less than a tenth; what is written does not depend on it.

    Seen to fail with a slice of 1,000 records: there are then three pauses.
    """
    sliced, whole = (Step(0, 1, Rules(is_replay=True), FakeStore()) for _ in range(2))
    work = sliced.work(batch(), now_ms=0, caught_up={})
    pauses = 0
    while True:
        try:
            next(work)
        except StopIteration as done:
            effects = done.value
            break
        pauses += 1
    expected = whole.process(batch(), now_ms=0, caught_up={})
    assert pauses >= 2 * 10
    assert len(effects.outputs["touchpoints.stitched"]) == RECORDS
    assert (effects.outputs, effects.changes) == (expected.outputs, expected.changes)
