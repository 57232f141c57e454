"""What the benchmark of timers works out itself."""

from __future__ import annotations

from streams.core.actor import Actor
from streams.core.timers import SPAN_MS, Timers
from tests.bench.armed import ARMED_WITHIN_MS, START_MS, People
from tests.bench.timers import added
from tests.unit.core.records import FakeStore


def test_each_entry_is_counted_once_however_often_its_list_is_written() -> None:
    """A list that is written anew counts for what is new in it; one that goes takes nothing away."""
    store, held, counted = FakeStore(), dict[bytes, int](), 0
    timers = Timers(store)
    for batch in range(100):
        for name in (f"user_id:{batch}", f"user_id:{batch}-too"):
            timers.set(Actor(name, name, None), 2 * SPAN_MS, 0)
        changes = [(b"user_id:1", b"no list"), *timers.changes()]
        store.apply(changes)
        counted += added(changes, held)
    timers.due(4 * SPAN_MS)
    assert (counted, added(timers.changes(), held), held) == (200, 0, {})


def test_nobody_is_due_while_timers_are_armed() -> None:
    """Else memory a timer would be that of fewer."""
    for is_scattered in (False, True):
        people = People(10_000, is_scattered)
        first_ms = min(people.due_ms(number) for number in range(people.count))
        assert first_ms > START_MS + ARMED_WITHIN_MS
