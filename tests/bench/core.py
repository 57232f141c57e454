"""What each part of the core's step costs a touchpoint: the real functions, over one stream, one part after another.

CPU of this process, the least of some rounds. Parts that need state get a state of their own, so that they can be
measured one by one; what they leave of the whole step is merges, messages, order and bookkeeping.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from schemas import wire
from schemas.catalog import Catalog
from schemas.codec import check_rest, owner_bytes, read_head, stitch
from streams.core.actor import Actor, Profile
from streams.core.actors import Change, write_parts
from streams.core.belongings import Belonging
from streams.core.changed import Changed
from streams.core.identifier import Identifiers
from streams.core.messages import Cause
from streams.core.outputs import action_records, cart_records, identity_records, session_records
from streams.core.profile import Profiles
from streams.core.sessions import session_id_of
from streams.core.step import Effects, Step
from streams.core.touchpoint import Reader, Touchpoint, stitched_ids
from streams.runtime.batches import pack
from streams.runtime.changelog import changelog_batches
from streams.runtime.store.memory import MemoryStore
from streams.runtime.worker import spare_garbage_collector
from tests.bench.report import Row, Section
from tests.bench.stream import Stream
from tests.bench.tasks import BATCH_RECORDS, RULES, Tasks, rounds_of

T = TypeVar("T")

Timed = Callable[[], float]
"""Sets something up, runs it, and says how many CPU seconds the run alone took."""


@dataclass(slots=True)
class Pass:
    """One run of the rules over all touchpoints: what each batch changed, and whose sessions they went into."""

    spent_s: float = 0.0
    changed: list[Changed] = field(default_factory=list)
    touched: list[dict[str, Actor]] = field(default_factory=list)
    owners: list[tuple[str, str]] = field(default_factory=list)


def section(stream: Stream, *, repeats: int) -> Section:
    """The step as a whole for one task and for four, and its parts beside what the design allows them."""
    whole = {partitions: _whole(stream, partitions, repeats=repeats) for partitions in (1, 4)}
    rows = list(_parts(stream, repeats=repeats))
    per_us = 1e6 / len(stream.records)
    known_us = sum(row.value for row in rows if not row.name.startswith("  "))
    step_us, apply_us = (spent_s * per_us for spent_s in whole[1])
    compiled = "interpreted" if wire.__file__.endswith(".py") else "compiled"
    return Section(
        f"The step of the core ({compiled}), by part, without Kafka",
        [
            *rows,
            Row("rest of the step", step_us - known_us, note="merges, messages, order, what is fired"),
            Row("the whole step, 1 task", step_us),
            Row("the whole step, 4 tasks", whole[4][0] * per_us),
            *_after_the_step(stream, repeats=repeats),
            Row("apply to the store", apply_us),
        ],
        f"batches of {BATCH_RECORDS:,} touchpoints a task; least of {repeats}; "
        "the design's budgets are for 60,000/s on a machine of its own",
    )


def _whole(stream: Stream, partitions: int, *, repeats: int) -> tuple[float, float]:
    rounds = rounds_of(stream, partitions)
    best = float("inf"), 0.0
    with no_garbage():
        for _ in range(repeats):
            tasks = Tasks(partitions)
            tasks.run(rounds)
            best = min(best, (tasks.step_s, tasks.apply_s))
    return best


def _parts(stream: Stream, *, repeats: int) -> Iterator[Row]:
    """Rows in the order of the step; a name that is indented is part of the row above."""
    read = Reader(Catalog.embedded(), Identifiers(RULES, 1), RULES).read
    touchpoints = [read(record.value, record.arrival_ms) for record in stream.records]
    roots, belongings, _ = _identify(touchpoints)
    whole = _take(touchpoints, roots)

    def cost(timed: Timed) -> float:
        with no_garbage():
            return min(timed() for _ in range(repeats)) / len(touchpoints) * 1e6

    yield Row("hot head (Reader.read)", cost(lambda: _read(stream)), budget=5.0, note="with cart entries")
    yield Row("  read_head alone", cost(lambda: _read_heads(stream)))
    yield Row("  check_rest alone", cost(lambda: _check_rests(stream)), note="the rest is sound")
    yield Row(
        "identity",
        cost(lambda: _identify(touchpoints)[2]),
        budget=2.0,
        note="profiles that hold nothing else",
    )
    bare = [_without_cart(touchpoint) for touchpoint in touchpoints]
    without_us = cost(lambda: _take(bare, roots).spent_s)
    yield Row("journal and sessions", without_us, budget=2.0, note="with the look for duplicates")
    yield Row("carts", cost(lambda: _take(touchpoints, roots).spent_s) - without_us, budget=0.7)
    yield Row("stitched record", cost(lambda: _stitch(touchpoints, whole.owners)), budget=1.0)
    yield Row("session records", cost(lambda: _timed(session_records, whole.changed)))
    yield Row("cart records", cost(lambda: _timed(cart_records, whole.changed)))
    yield Row("action records", cost(lambda: _timed(lambda c: action_records(c, RULES), whole.changed)))
    yield Row("identity records", cost(lambda: _timed(lambda b: identity_records(b, 0), [belongings])))
    yield Row("timers", cost(lambda: _timed(_next_timers, whole.touched)), note="when each is due next")
    yield Row(
        "changelog encoding", cost(lambda: _timed(_write, whole.touched)), budget=1.5, note="at their largest"
    )


def _after_the_step(stream: Stream, *, repeats: int) -> Iterator[Row]:
    tasks, effects = Tasks(1), list[Effects]()
    tasks.run(rounds_of(stream, 1), see=lambda _, batch: effects.append(batch))
    with no_garbage():
        spent_s = min(_timed(_pack, effects) for _ in range(repeats))
    per_us = 1e6 / len(stream.records)
    yield Row("pack into record batches", spent_s * per_us, budget=1.5, note="budget: the whole transaction")


@contextmanager
def no_garbage() -> Iterator[None]:
    """The collector as it is in a worker: what was made before is not looked at again, and what is new seldom."""
    before = gc.get_threshold()
    spare_garbage_collector()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def _read(stream: Stream) -> float:
    read = Reader(Catalog.embedded(), Identifiers(RULES, 1), RULES).read
    started_s = time.process_time()
    for _, _, value, arrival_ms in stream.records:
        read(value, arrival_ms)
    return time.process_time() - started_s


def _read_heads(stream: Stream) -> float:
    return _timed(read_head, [record.value for record in stream.records])


def _check_rests(stream: Stream) -> float:
    rests = [(record.value, read_head(record.value)[-1], record.channel) for record in stream.records]
    return _timed(lambda rest: check_rest(*rest), rests)


def _identify(touchpoints: Sequence[Touchpoint]) -> tuple[list[str], list[Belonging], float]:
    """The protocol as a step runs it, on profiles that hold nothing else; the root of each touchpoint."""
    step = Step(0, 1, RULES, MemoryStore())
    identity = step._identity
    roots = []
    started_s = time.process_time()
    for touchpoint in touchpoints:
        first = touchpoint.identifiers[0]
        cause = Cause(touchpoint.message_id, touchpoint.occurred_ms, touchpoint.digest, first)
        actor = identity.actor(first, cause)
        while actor.profile is None:
            actor = identity.actor(actor.root, cause)
        identity.link(actor, actor.profile, touchpoint, 0)
        step._deliver_local()
        roots.append(actor.identifier)
    return roots, identity.belongings, time.process_time() - started_s


def _take(touchpoints: Sequence[Touchpoint], roots: Sequence[str]) -> Pass:
    """Every touchpoint entered at its root, a new `Changed` for every batch."""
    actors = {root: Actor(root, root, Profile([root])) for root in set(roots)}
    profiles, done = Profiles(RULES), Pass()
    for at in range(0, len(touchpoints), BATCH_RECORDS):
        batch = [
            (actors[root], t)
            for root, t in zip(roots[at:], touchpoints[at : at + BATCH_RECORDS], strict=False)
        ]
        profiles.begin(profiles.now_ms)
        entered = []
        started_s = time.process_time()
        for actor, touchpoint in batch:
            if touchpoint.digest not in actor.journal:
                assert actor.profile is not None
                entered.append((actor, profiles.take(actor, actor.profile, touchpoint, 0)))
        done.spent_s += time.process_time() - started_s
        done.changed.append(profiles.changed)
        done.touched.append({actor.identifier: actor for actor, _ in batch})
        done.owners += [(actor.profile_id, session_id_of(s)) for actor, s in entered if s is not None]
    return done


def _without_cart(touchpoint: Touchpoint) -> Touchpoint:
    return Touchpoint(
        touchpoint.message_id, touchpoint.digest, touchpoint.channel, touchpoint.event, touchpoint.occurred_ms,
        touchpoint.arrival_ms, touchpoint.is_late, touchpoint.was_clamped, touchpoint.identifiers, None,
        touchpoint.campaign, touchpoint.value,
    )  # fmt: skip


def _stitch(touchpoints: Sequence[Touchpoint], owners: Sequence[tuple[str, str]]) -> float:
    ids = stitched_ids(Catalog.embedded())
    encoded = [owner_bytes(*owner) for owner in owners]
    started_s = time.process_time()
    for touchpoint, owner in zip(touchpoints, encoded, strict=False):
        stitch(
            touchpoint.value,
            ids[touchpoint.channel],
            owner,
            touchpoint.arrival_ms,
            touchpoint.is_late,
            touchpoint.identifiers[0],
        )
    return time.process_time() - started_s


def _next_timers(touched: dict[str, Actor]) -> None:
    profiles = Profiles(RULES)
    for actor in touched.values():
        assert actor.profile is not None
        profiles.next_timer(actor.profile)


def _write(touched: dict[str, Actor]) -> None:
    changes: list[Change] = []
    for actor in touched.values():
        write_parts(actor, changes)


def _pack(effects: Effects) -> None:
    changelog_batches(effects.changes, {}, timestamp_ms=0, limit_bytes=16 << 20)
    for rows in effects.outputs.values():
        list(pack(rows, 0))


def _timed(work: Callable[[T], object], inputs: Sequence[T]) -> float:
    started_s = time.process_time()
    for each in inputs:
        work(each)
    return time.process_time() - started_s
