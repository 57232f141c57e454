"""What each part of the core's step costs a touchpoint: the real functions, on inputs captured from a whole run.

CPU of this process, the least of some rounds. Parts that need state get a state of their own, so that they can be
measured one by one; what they leave of the whole step is order, bookkeeping and messages.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from schemas.catalog import Catalog
from schemas.codec import check_rest, read_head, stitch, stitched_suffix
from streams.core.actor import Actor, Actors, Change
from streams.core.identifier import Identifiers
from streams.core.identity import Belonging
from streams.core.outputs import action_records, cart_records, identity_records, session_records
from streams.core.profile import Changed, Profiles
from streams.core.shapes import Profile
from streams.core.step import Effects, Step
from streams.core.touchpoint import Reader, Record, Touchpoint, stitched_ids
from streams.runtime.batches import pack
from streams.runtime.changelog import changelog_batch
from streams.runtime.store.memory import MemoryStore
from tests.bench.report import Row, Section
from tests.bench.stream import Stream
from tests.bench.tasks import BATCH_RECORDS, RULES, Tasks, rounds_of

Timed = Callable[[], float]
"""Sets something up, runs it, and says how many CPU seconds the run alone took."""


class Taken(NamedTuple):
    """A touchpoint that a root took in, and the session it went into."""

    root: str
    profile_id: str
    touchpoint: Touchpoint
    session_id: str | None


class _Profiles(Profiles):
    """Remembers what roots take in; merges are few enough to be timed one by one."""

    __slots__ = ("absorb_s", "taken")

    def __init__(self) -> None:
        super().__init__(RULES)
        self.taken: list[Taken] = []
        self.absorb_s = 0.0

    def absorb(self, actor: Actor, other: Actor, now_ms: int) -> None:
        started_s = time.process_time()
        super().absorb(actor, other, now_ms)
        self.absorb_s += time.process_time() - started_s

    def take(self, actor: Actor, profile: Profile, touchpoint: Touchpoint, member: int) -> str | None:
        session_id = super().take(actor, profile, touchpoint, member)
        self.taken.append(Taken(actor.identifier, actor.profile_id, touchpoint, session_id))
        return session_id


class _Actors(Actors):
    """Times the encoding of state, a batch at a time."""

    __slots__ = ("changes_s",)

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.changes_s = 0.0

    def changes(self) -> list[Change]:
        started_s = time.process_time()
        changes = super().changes()
        self.changes_s += time.process_time() - started_s
        return changes


class Probe(Step):
    """A step that is the only task, keeps what its parts are given, and times what works on whole batches."""

    def __init__(self) -> None:
        store = MemoryStore()
        super().__init__(0, 1, RULES, store, catalog=Catalog.embedded())
        self.store = store
        self.actors = self._actors = _Actors(store)
        self.profiles = self._profiles = _Profiles()
        self._identity._actors, self._identity._profiles = self.actors, self.profiles
        self.routed: list[Touchpoint] = []
        self.changed: list[Changed] = []
        self.belongings: list[list[Belonging]] = []
        self.timers_s = 0.0

    def _route(self, identifier: str, touchpoint: Touchpoint, record: Record) -> None:
        self.routed.append(touchpoint)
        super()._route(identifier, touchpoint, record)

    def _fire(self, now_ms: int) -> dict[str, int]:
        started_s = time.process_time()
        held = super()._fire(now_ms)
        # What `_finish` does next, done once more so that it can be timed apart: it is safe to repeat.
        for actor in self.actors.dirty():
            if actor.identifier not in held:
                self._set_timer(actor.identifier)
        self.timers_s += time.process_time() - started_s
        return held

    def _finish(self, now_ms: int) -> Effects:
        effects = super()._finish(now_ms)
        self.changed.append(self.profiles.changed)
        self.belongings.append(self._identity.belongings)
        return effects


class Captured(NamedTuple):
    """What a run of one task over the stream was made of."""

    stream: Stream
    probe: Probe
    effects: list[Effects]


def section(stream: Stream, *, repeats: int) -> Section:
    """The step as a whole for one task and for four, and its parts beside what the design allows them."""
    whole = {partitions: _whole(stream, partitions, repeats=repeats) for partitions in (1, 4)}
    captured = _capture(stream)
    rows = list(_parts(captured, repeats=repeats))
    per_us = 1e6 / len(stream.records)
    known_us = sum(row.value for row in rows if not row.name.startswith("  "))
    step_us, apply_us = (spent_s * per_us for spent_s in whole[1])
    return Section(
        "The step of the core, by part, without Kafka",
        [
            *rows,
            Row("rest of the step", step_us - known_us, note="order, batches, messages, counts"),
            Row("the whole step, 1 task", step_us),
            Row("the whole step, 4 tasks", whole[4][0] * per_us),
            *_after_the_step(captured, repeats=repeats),
            Row("apply to the store", apply_us),
        ],
        f"batches of {BATCH_RECORDS:,} touchpoints a task; least of {repeats}; "
        "the design's budgets are for 60,000/s on a machine of its own",
    )


def _whole(stream: Stream, partitions: int, *, repeats: int) -> tuple[float, float]:
    rounds = rounds_of(stream, partitions)
    best = float("inf"), 0.0
    with _no_garbage():
        for _ in range(repeats):
            tasks = Tasks(partitions)
            tasks.run(rounds)
            best = min(best, (tasks.step_s, tasks.apply_s))
    return best


def _capture(stream: Stream) -> Captured:
    tasks, probe, effects = Tasks(1), Probe(), []
    tasks.steps, tasks.stores = [probe], [probe.store]
    tasks.run(rounds_of(stream, 1), see=lambda _, batch: effects.append(batch))
    return Captured(stream, probe, effects)


def _parts(captured: Captured, *, repeats: int) -> Iterator[Row]:
    """Rows in the order of the step; a name that is indented is part of the row above."""
    stream, probe, _ = captured
    touchpoints = len(stream.records)

    def cost(timed: Timed) -> float:
        with _no_garbage():
            return min(timed() for _ in range(repeats)) / touchpoints * 1e6

    yield Row("hot head (Reader.read)", cost(lambda: _read(stream)), budget=5.0, note="with cart entries")
    yield Row("  read_head alone", cost(lambda: _read_heads(stream)))
    yield Row(
        "  check_rest alone", cost(lambda: _check_rests(stream)), note="the rest of the record is sound"
    )
    yield Row(
        "identity",
        cost(lambda: _identify(probe.routed)),
        budget=2.0,
        note="claims and hand-overs of empty profiles",
    )
    absorbed_us = probe.profiles.absorb_s / touchpoints * 1e6
    yield Row("merges", absorbed_us, note="one profile absorbs another; once, of the captured run")
    bare = [msgspec.structs.replace(taken.touchpoint, cart=None) for taken in probe.profiles.taken]
    without_us = cost(lambda: _take(probe.profiles.taken, bare))
    whole = [taken.touchpoint for taken in probe.profiles.taken]
    yield Row("journal and sessions", without_us, budget=2.0, note="with the look for duplicates")
    yield Row("carts", cost(lambda: _take(probe.profiles.taken, whole)) - without_us, budget=0.7)
    yield Row("stitched record", cost(lambda: _stitch(probe.profiles.taken)), budget=1.0)
    yield Row("session records", cost(lambda: _drain(session_records(c) for c in probe.changed)))
    yield Row("cart records", cost(lambda: _drain(cart_records(c) for c in probe.changed)))
    yield Row("action records", cost(lambda: _drain(action_records(c, RULES) for c in probe.changed)))
    yield Row("identity records", cost(lambda: _drain(identity_records(b, 0) for b in probe.belongings)))
    yield Row(
        "timers", probe.timers_s / touchpoints * 1e6, note="once, of the captured run; fired ones included"
    )
    encoded_us = probe.actors.changes_s / touchpoints * 1e6
    yield Row("changelog encoding", encoded_us, budget=1.5, note="once, of the captured run")


def _after_the_step(captured: Captured, *, repeats: int) -> Iterator[Row]:
    per_us = 1e6 / len(captured.stream.records)
    with _no_garbage():
        spent_s = min(_pack(captured.effects) for _ in range(repeats))
    yield Row("pack into record batches", spent_s * per_us, budget=1.5, note="budget: the whole transaction")


@contextmanager
def _no_garbage() -> Iterator[None]:
    """What was made before is not looked at again by the collector, as it would not be in a worker."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _read(stream: Stream) -> float:
    read = Reader(Catalog.embedded(), Identifiers(RULES.ranks, 1), RULES).read
    started_s = time.process_time()
    for _, _, value, arrival_ms in stream.records:
        read(value, arrival_ms)
    return time.process_time() - started_s


def _read_heads(stream: Stream) -> float:
    started_s = time.process_time()
    for record in stream.records:
        read_head(record.value)
    return time.process_time() - started_s


def _check_rests(stream: Stream) -> float:
    rests = [(record.value, read_head(record.value)[-1], record.channel) for record in stream.records]
    started_s = time.process_time()
    for value, end, channel in rests:
        check_rest(value, end, channel)
    return time.process_time() - started_s


def _identify(touchpoints: Sequence[Touchpoint]) -> float:
    """The protocol as a step runs it, on profiles that hold nothing else."""
    step = Step(0, 1, RULES, MemoryStore())
    identity = step._identity
    started_s = time.process_time()
    for touchpoint in touchpoints:
        first, cause = touchpoint.identifiers[0], touchpoint.message_id
        actor = identity.actor(first, cause)
        while actor.profile is None:
            actor = identity.actor(actor.root, cause)
        if first not in actor.index:
            identity.claim(actor, first, cause)
        identity.link(actor, touchpoint.identifiers, cause)
        step._deliver_local()
    return time.process_time() - started_s


def _take(taken: Sequence[Taken], touchpoints: Sequence[Touchpoint]) -> float:
    heads = {root: Profile([root]) for root in {entry.root for entry in taken}}
    actors = {root: Actor(root, head) for root, head in heads.items()}
    work = [
        (actors[entry.root], heads[entry.root], touchpoint)
        for entry, touchpoint in zip(taken, touchpoints, strict=True)
    ]
    profiles = Profiles(RULES)
    take = profiles.take
    started_s = time.process_time()
    for number, (actor, profile, touchpoint) in enumerate(work):
        if touchpoint.digest not in actor.journal:
            take(actor, profile, touchpoint, 0)
        if number % BATCH_RECORDS == 0:
            profiles.changed = Changed()
    return time.process_time() - started_s


def _stitch(taken: Sequence[Taken]) -> float:
    ids = stitched_ids(Catalog.embedded())
    started_s = time.process_time()
    for _, profile_id, touchpoint, session_id in taken:
        suffix = stitched_suffix(profile_id, session_id, touchpoint.arrival_ms, touchpoint.is_late)
        stitch(touchpoint.value, ids[touchpoint.channel], suffix)
    return time.process_time() - started_s


def _drain(batches: Iterable[Iterable[object]]) -> float:
    started_s = time.process_time()
    for batch in batches:
        list(batch)
    return time.process_time() - started_s


def _pack(batches: Sequence[Effects]) -> float:
    started_s = time.process_time()
    for effects in batches:
        changelog_batch(effects.changes, {}, timestamp_ms=0, limit_bytes=16 << 20)
        for rows in effects.outputs.values():
            list(pack(rows, 0))
    return time.process_time() - started_s
