"""Timers: nobody's is forgotten, over any order of batches and restarts, and nothing is left behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.core.actor import Actor
from streams.core.timers import LIST_BYTES, SPAN_MS, Timers
from tests.unit.core.records import FakeStore

START_MS = 1_772_000_000_000
NAMES = [f"user_id:{number}" for number in range(5)]


class World:
    """Actors whose timers are moved, the clock, and a store that takes what each batch changes."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.timers = Timers(self.store)
        self.actors: dict[str, Actor] = {}
        self.due_ms: dict[str, int] = {}
        self.clock_ms = START_MS

    def actor(self, name: str) -> Actor:
        """Kept in memory from now on."""
        return self.actors.setdefault(name, Actor(name, name, None))

    def batch(self, pass_ms: int, moved: dict[str, int]) -> set[str]:
        """The clock goes on, timers are put so long after it; returns who was due."""
        self.clock_ms += pass_ms
        fired = set()
        for name, entry_ms in self.timers.due(self.clock_ms):
            actor = self.actor(name)
            if actor.timer_ms not in (None, entry_ms):
                continue
            actor.timer_ms = None
            due_ms = self.due_ms.get(name)
            if due_ms is not None and due_ms <= self.clock_ms:
                fired.add(name)
                del self.due_ms[name]
            elif due_ms is not None:
                self.timers.set(actor, due_ms, self.clock_ms)
        for name, after_ms in moved.items():
            self.due_ms[name] = self.clock_ms + after_ms
            self.timers.set(self.actor(name), self.due_ms[name], self.clock_ms)
        self.store.apply(self.timers.changes())
        return fired

    def restart(self) -> None:
        """Another process: what is not in the store is gone."""
        self.timers, self.actors = Timers(self.store), {}


spans = st.integers(0, 3 * SPAN_MS) | st.sampled_from(
    [0, 1, SPAN_MS - 1, SPAN_MS, SPAN_MS + 1, 100 * SPAN_MS]
)
moves = st.dictionaries(st.sampled_from(NAMES), spans | st.just(-SPAN_MS), max_size=3)
steps = st.lists(st.tuples(spans, moves, st.booleans()), max_size=12)


@given(steps)
def test_whoever_is_due_comes_up_in_that_very_batch(script: list[tuple[int, dict[str, int], bool]]) -> None:
    """Catches an entry that is lost with its span, at a restart, or where its actor was read anew."""
    world = World()
    for pass_ms, moved, is_restart in script:
        expected = {name for name, at in world.due_ms.items() if at <= world.clock_ms + pass_ms}
        assert world.batch(pass_ms, moved) == expected
        if is_restart:
            world.restart()
    world.batch(1000 * SPAN_MS, {})
    world.batch(SPAN_MS, {})
    assert (world.due_ms, dict(world.store)) == ({}, {})


def test_a_span_is_kept_in_lists_of_bounded_length() -> None:
    """A span that fills up slowly writes a short list anew each time, one that fills at once no long one."""
    world = World()
    names = [f"user_id:{number:06d}" for number in range(3000)]
    for name in names[:1000]:
        world.batch(0, {name: 5 * SPAN_MS})
    world.batch(0, dict.fromkeys(names[1000:], 5 * SPAN_MS))
    assert max(map(len, world.store.values())) < LIST_BYTES + len(names[0]) + 1
    world.restart()
    assert world.batch(5 * SPAN_MS, {}) == set(names)


def test_no_batch_has_all_of_a_span_to_look_through() -> None:
    """A tenth of a span later, a tenth of the next one's lists; those that are added meanwhile are not forgotten.

    Seen to fail where lists are looked through when their span begins: all 400 come up at once.
    """
    world = World()
    world.clock_ms = START_MS // SPAN_MS * SPAN_MS
    world.batch(0, {f"user_id:{number:032}": SPAN_MS + number for number in range(400)})
    came: list[int] = []
    for tenth in range(10):
        world.clock_ms += SPAN_MS // 10
        due = world.timers.due(world.clock_ms)
        came.append(len(due))
        for name, _ in due:
            world.actor(name).timer_ms = None
            world.timers.set(world.actor(name), world.due_ms[name], world.clock_ms)
        late = f"user_id:late-{tenth}"
        world.due_ms[late] = world.clock_ms + SPAN_MS
        world.timers.set(world.actor(late), world.due_ms[late], world.clock_ms)
        world.store.apply(world.timers.changes())
    assert max(came) <= 2 * 400 // 10
    assert sum(came) >= 400 * 9 // 10
    fired = world.batch(SPAN_MS, {}) | world.batch(SPAN_MS, {})
    assert len(fired) == 400 + 10
