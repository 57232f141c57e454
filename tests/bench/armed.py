"""Millions of timers in one task: armed, moved, fired. In a process of its own, so that its memory is theirs.

    python -m tests.bench.armed memory|rocksdb shop|scattered TIMERS DIRECTORY

Over the store asked for, as a task of a worker holds them: what a batch of 2,000 changes is in the store before the
next, and nobody's actor stays in memory. Prints a line of JSON: bytes, and seconds of CPU; must not judge them.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from streams.core.actor import Actor
from streams.core.rules import HOUR_MS, LATE_MS
from streams.core.timers import PREFIX as LISTS
from streams.core.timers import SPAN_MS, Timers
from streams.runtime.allocator import set_up_allocator
from streams.runtime.engine import Reflected, Store
from streams.runtime.worker import spare_garbage_collector
from tests.bench.inputs import addition_ns
from tests.bench.profiles import rss_bytes
from tests.stores import stores_in

START_MS = 1_772_000_000_000
BATCH = 2_000
ARMED_WITHIN_MS = 25 * 60_000
"""All are armed before the first is due."""
MINUTE_MS = 60_000
GAP_MS = 30 * MINUTE_MS
FIRST_DUE_MS = START_MS + GAP_MS - MINUTE_MS
MOVED_SHARE = 10
"""One of so many is moved."""
FIRED_SHARE = 5
"""One of so many comes due."""

Setting = tuple[Actor, int]
"""A timer to be set: its actor, and when it is due."""


@dataclass(frozen=True, slots=True)
class People:
    """Whose timers they are and when each is due, worked out from a number: nothing of them is remembered."""

    count: int
    is_scattered: bool
    returned: int = 0
    """Of those before it, all have a session."""

    def identifier(self, number: int) -> str:
        """Three of four are devices, one is an account."""
        if number % 4 == 3:
            return f"user_id:u{number:07d}"
        return f"anonymous_id:00000000-0000-4000-8000-{number:012d}"

    def is_away(self, number: int) -> bool:
        """Every other one has no session, and is forgotten next."""
        return number // 4 % 2 == 1

    def came_ms(self, number: int) -> int:
        """When the timer is armed."""
        return START_MS + number * ARMED_WITHIN_MS // self.count

    def due_ms(self, number: int) -> int:
        """In a shop: near to when others of its batch are due. Scattered: anywhere within 72 h."""
        chance = number * 2_654_435_761 % (1 << 32)
        if self.is_scattered:
            return FIRST_DUE_MS + chance % (LATE_MS - GAP_MS)
        if not self.is_away(number):
            return self.came_ms(number) + GAP_MS - chance % MINUTE_MS
        if number < self.returned:
            return START_MS + ARMED_WITHIN_MS + GAP_MS - chance % MINUTE_MS
        return self.came_ms(number) + LATE_MS - GAP_MS - chance % HOUR_MS


@dataclass(slots=True)
class Cost:
    """Seconds of CPU of so many timers, and the bytes that go to the changelog for them."""

    timers: int = 0
    due_s: float = 0.0
    set_s: float = 0.0
    lists_s: float = 0.0
    apply_s: float = 0.0
    longest_s: float = 0.0
    """The batch that took longest."""
    most: int = 0
    """The most that came up in a batch."""
    bytes: int = 0


@dataclass(slots=True)
class Found:
    """What is printed; `lists` are the bytes of all lists and their keys, `identifiers` those of what is in them."""

    rss: int = 0
    lists: int = 0
    identifiers: int = 0
    start_s: float = 0.0
    addition_ns: float = 0.0
    arm: Cost = field(default_factory=Cost)
    later: Cost = field(default_factory=Cost)
    earlier: Cost = field(default_factory=Cost)
    fire: Cost = field(default_factory=Cost)


class Task:
    """The timers of one task over its store."""

    def __init__(self, store: Store, people: People) -> None:
        self.store = store
        self.people = people
        self.timers = Timers(store)
        self.clock_ms = START_MS
        self._commits = store.reflected.offset

    def arm(self) -> Cost:
        """Everybody, one batch after another."""
        cost = Cost(self.people.count)
        for numbers in _batches(range(self.people.count)):
            self.clock_ms = self.people.came_ms(numbers[-1])
            self._set([(self._read(number), self.people.due_ms(number)) for number in numbers], cost)
        return cost

    def move(self, numbers: list[int], due_of: Callable[[int], int]) -> Cost:
        """Timers of actors that have stayed in memory since they were armed."""
        cost = Cost(len(numbers))
        for batch in _batches(numbers):
            settings = []
            for number in batch:
                actor = self._read(number)
                actor.timer_ms = self.people.due_ms(number) // SPAN_MS * SPAN_MS
                settings.append((actor, due_of(number)))
            self._set(settings, cost)
        return cost

    def fire(self, count: int) -> Cost:
        """The clock goes on in steps in which 2,000 timers come due, until so many have; the others are set again."""
        cost = Cost()
        step_ms = max(1, ARMED_WITHIN_MS * 2 * BATCH // self.people.count)
        self.clock_ms = FIRST_DUE_MS
        while cost.timers < count:
            self.clock_ms += step_ms
            started_s = time.process_time()
            found = self.timers.due(self.clock_ms)
            due_s = time.process_time() - started_s
            numbers = [int(identifier[-7:]) for identifier, _ in found]
            pending = [(n, due_ms) for n in numbers if (due_ms := self.people.due_ms(n)) > self.clock_ms]
            cost.timers += len(numbers) - len(pending)
            cost.most = max(cost.most, len(numbers))
            self._set([(self._read(number), due_ms) for number, due_ms in pending], cost, due_s)
        return cost

    def _set(self, settings: list[Setting], cost: Cost, due_s: float = 0.0) -> None:
        """These are set, then what the batch has changed is applied to the store."""
        set_timer, clock_ms = self.timers.set, self.clock_ms
        started_s = time.process_time()
        for actor, due_ms in settings:
            set_timer(actor, due_ms, clock_ms)
        set_s = time.process_time()
        changes = self.timers.changes()
        changed_s = time.process_time()
        self._commits += 1
        self.store.apply(changes, Reflected(self._commits))
        applied_s = time.process_time()
        cost.due_s += due_s
        cost.set_s += set_s - started_s
        cost.lists_s += changed_s - set_s
        cost.apply_s += applied_s - changed_s
        cost.longest_s = max(cost.longest_s, due_s + applied_s - started_s)
        cost.bytes += sum(len(key) + len(value or b"") for key, value in changes)

    def _read(self, number: int) -> Actor:
        """As it comes from the store: which entry is its own is not known."""
        identifier = self.people.identifier(number)
        return Actor(identifier, identifier, None)


def _batches(numbers: list[int] | range) -> Iterator[list[int]]:
    for first in range(0, len(numbers), BATCH):
        yield list(numbers[first : first + BATCH])


def measure(store: Store, people: People) -> Found:
    """Everything for one task; scattered timers are armed only."""
    found = Found()
    yardstick_ns = addition_ns()
    gc.collect()
    before = rss_bytes()
    task = Task(store, people)
    found.arm = task.arm()
    gc.collect()
    found.rss = rss_bytes() - before
    found.lists = sum(_sizes(store))
    found.identifiers = sum(len(people.identifier(number)) for number in range(people.count))
    started_s = time.process_time()
    Timers(store)
    found.start_s = time.process_time() - started_s
    if not people.is_scattered:
        away = [n for n in range(people.count * 2 // MOVED_SHARE) if people.is_away(n)]
        found.later = task.move(away, lambda number: people.due_ms(number) + HOUR_MS)
        back = replace(people, returned=people.count * 2 // MOVED_SHARE)
        found.earlier = task.move(away, back.due_ms)
        task.people = back
        found.fire = task.fire(people.count // FIRED_SHARE)
    found.addition_ns = (yardstick_ns + addition_ns()) / 2
    return found


def _sizes(store: Store) -> Iterable[int]:
    for key in store.keys_with(LISTS):
        yield len(key) + len(store.get(key) or b"")


def main() -> None:
    """One kind of store, one spread of due times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("memory", "rocksdb"))
    parser.add_argument("spread", choices=("shop", "scattered"))
    parser.add_argument("timers", type=int)
    parser.add_argument("directory", type=Path)
    asked = parser.parse_args()
    set_up_allocator()
    with stores_in(asked.directory / "state", asked.kind) as make_store:
        # What every worker has, however many timers: code, and the memory of a batch at work.
        Task(make_store(1), People(2 * BATCH, asked.spread == "scattered")).arm()
        spare_garbage_collector()
        print(json.dumps(asdict(measure(make_store(0), People(asked.timers, asked.spread == "scattered")))))


if __name__ == "__main__":
    main()
