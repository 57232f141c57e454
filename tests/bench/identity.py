"""What identity costs a touchpoint of people who are known already: a second day of the shop, in two forms.

As it is: touchpoints show whatever identifiers they have, and lie where their lowest one lives. As it would be if
whoever sends them knew everybody: each shows the one identifier its person's state lives under, and lies where that
lives. Both forms meet the same people with the same state, and the same sessions come of it, which is checked. The
difference is all that identity costs: more identifiers to read, looking them up, following pointers, links, and the way
to another task. CPU of the steps alone, the two forms in turns batch by batch, of each the least of some runs.

A batch is read within a moment, so nobody comes in it twice: the second day is what everybody does first, then what
everybody does next, and so on. Else what is forwarded would come after what its person did hours later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from schemas.catalog import Catalog
from schemas.codec import decode, encode_touchpoint
from streams.core.identifier import Identifiers
from streams.core.step import SESSIONS, Effects
from streams.core.touchpoint import Reader
from streams.simulator.emit import Emitted
from tests.bench.core import no_garbage
from tests.bench.report import Row, Section
from tests.bench.stream import Stream, shop_day
from tests.bench.tasks import RULES, Round, Tasks, rounds_of
from tests.stores import all_of

BUDGET_US = 3.0
ROUND_RECORDS = 500
"""Touchpoints that all tasks together take at a time: few enough that nobody comes twice."""
PEOPLE = 1_000
"""So many that their actors fit into the cache of one task: what is not in it has to be read by both forms."""
EVERY_MS = 100
"""Between two touchpoints."""
LATER_MS = 4 * 24 * 3_600_000
"""From one day to the other: the ticks that close the first say that three days have passed."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the second day, over so many tasks: its steps, in µs of CPU a touchpoint, and touchpoints forwarded in all."""

    as_it_is_us: float
    known_us: float
    forwarded: int


def section(people: int, *, repeats: int) -> Section:
    """In one task, where nothing is forwarded, and in four."""
    stream = shop_day(min(people, PEOPLE))
    rows: list[Row] = []
    for partitions in (1, 4):
        cost = _cost(stream, partitions, repeats=repeats)
        share = cost.forwarded / len(stream.records)
        tasks = "1 task" if partitions == 1 else f"{partitions} tasks"
        rows += [
            Row(f"the step, {tasks}", cost.as_it_is_us),
            Row("  one identifier each, its root's", cost.known_us),
            Row(
                f"identity, {tasks}",
                cost.as_it_is_us - cost.known_us,
                budget=BUDGET_US,
                note=f"{share:.0%} of touchpoints are forwarded",
            ),
        ]
    return Section(
        "Identity of people who are known",
        rows,
        f"a second day of {len(stream.records):,} touchpoints of the same people, whose state is the same in both "
        f"forms; in turns batch by batch, least of {repeats}",
    )


def _cost(stream: Stream, partitions: int, *, repeats: int) -> Cost:
    first = Tasks(partitions)
    first.run(rounds_of(stream, partitions))
    states = [all_of(store) for store in first.stores]
    days = [
        rounds_of(day, partitions, batch_records=ROUND_RECORDS // partitions)
        for day in _second_day(stream, first)
    ]
    ends = [_end(rounds, partitions, states) for rounds in days]
    assert ends[0].sessions == ends[1].sessions, "not the same was done in both forms"
    least = [[float("inf")] * len(rounds) for rounds in days]
    for _ in range(repeats):
        forms = [Tasks(partitions, states=states) for _ in days]
        with no_garbage():
            for number, batches in enumerate(zip(*days, strict=True)):
                for spent, tasks, batch in zip(least, forms, batches, strict=True):
                    before_s = tasks.step_s
                    tasks.take(batch)
                    spent[number] = min(spent[number], tasks.step_s - before_s)
    as_it_is_us, known_us = (sum(spent) / len(stream.records) * 1e6 for spent in least)
    return Cost(as_it_is_us, known_us, ends[0].forwarded)


@dataclass(slots=True)
class End:
    """What came of the second day: each session that stands, by id, and how many touchpoints went to another task."""

    sessions: dict[str, tuple[str, int, int, int]] = field(default_factory=dict)
    forwarded: int = 0


def _end(rounds: Sequence[Round], partitions: int, states: Sequence[Mapping[bytes, bytes]]) -> End:
    end = End()
    latest: dict[str, dict[str, Any]] = {}

    def see(_task: int, effects: Effects) -> None:
        end.forwarded += effects.counts.get("forwarded", 0)
        for _, value in effects.outputs.get(SESSIONS, ()):
            said = decode(value)[1]
            known = latest.get(said["session_id"])
            if known is None or said["revision"] >= known["revision"]:
                latest[said["session_id"]] = said

    tasks = Tasks(partitions, states=states)
    for batches in rounds:
        tasks.take(batches, see=see)
    tasks.finish(see=see)
    for session_id, said in latest.items():
        if not said["is_retracted"]:
            what = said["profile_id"], said["started_at"], said["ended_at"], said["touchpoints"]
            end.sessions[session_id] = what
    return end


def _second_day(stream: Stream, first: Tasks) -> tuple[Stream, Stream]:
    """As it is, and with one identifier each: what everybody does first, then what everybody does next, and so on."""
    identifiers = Identifiers(RULES, len(first.steps))
    read = Reader(Catalog.embedded(), identifiers, RULES).read
    waves: dict[int, list[tuple[str, Emitted]]] = {}
    seen: Counter[str] = Counter()
    for record in stream.records:
        root = _root(first, identifiers, read(record.value, record.arrival_ms).identifiers[0])
        seen[root] += 1
        waves.setdefault(seen[root], []).append((root, record))
    as_it_is: list[Emitted] = []
    known: list[Emitted] = []
    at_ms = stream.records[-1].arrival_ms + LATER_MS
    for root, record in chain.from_iterable(waves.values()):
        at_ms += EVERY_MS
        fields = decode(record.value)[1]
        fields |= {"message_id": f"m{len(known)}", "occurred_at": at_ms, "received_at": at_ms}
        as_it_is.append(Emitted(record.channel, record.key, encode_touchpoint(fields), at_ms))
        kind, _, name = root.partition(":")
        fields["identifiers"] = {kind: name}
        known.append(Emitted(record.channel, root.encode(), encode_touchpoint(fields), at_ms))
    return replace(stream, records=as_it_is), replace(stream, records=known)


def _root(tasks: Tasks, identifiers: Identifiers, identifier: str) -> str:
    """Where the pointers lead that the first day has left."""
    while True:
        actor = tasks.steps[identifiers.partition(identifier)]._actors.find(identifier)
        assert actor is not None, "an identifier that the first day has not shown"
        if actor.root == identifier:
            return identifier
        identifier = actor.root
