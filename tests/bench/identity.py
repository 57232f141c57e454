"""What identity costs a touchpoint of people who are known already: a second day of the shop, in two forms.

As it is: touchpoints show whatever identifiers they have, and lie where their lowest one lives. As it would be if
whoever sends them knew everybody: each shows the one identifier its person's state lives under, and lies where that
lives. Both forms meet the same people with the same state, and the same sessions come of it, which is checked. The
difference is what identity costs: more identifiers to read, looking them up, following pointers, links. A touchpoint
that another task has to process is paid twice, so in several tasks that is told apart: the difference is of those that
lie where their person lives, and what each other one costs beside it stands in a row of its own. CPU of the steps
alone, the forms in turns batch by batch, of each the least of some runs.

A batch is read within a moment, so nobody comes in it twice, nor in the next, which what is forwarded comes with: the
second day is what everybody does first, then what everybody does next in the same order, and so on as long as there are
enough people who do anything more. Else what is forwarded would come after what its person did hours later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from schemas.catalog import Catalog
from schemas.codec import decode, encode_touchpoint
from streams.core.identifier import Identifiers, murmur2
from streams.core.step import SESSIONS, Effects
from streams.core.touchpoint import Reader
from streams.simulator.emit import Emitted
from tests.bench.core import no_garbage
from tests.bench.report import Row, Section
from tests.bench.stream import Stream, shop_day
from tests.bench.tasks import RULES, Round, Tasks, rounds_of
from tests.stores import all_of

BUDGET_US = 3.0
ROUND_RECORDS = 250
"""Touchpoints that all tasks together take at a time."""
PEOPLE = 1_000
"""So many that their actors fit into the cache of one task: what is not in it has to be read by both forms."""
EVERY_MS = 100
"""Between two touchpoints."""
LATER_MS = 4 * 24 * 3_600_000
"""From one day to the other: the ticks that close the first say that three days have passed."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same touchpoints in both forms."""

    as_it_is: Stream
    known: Stream


@dataclass(frozen=True, slots=True)
class Cost:
    """Steps of a pair, in µs of CPU a touchpoint, and how often one is forwarded as it is."""

    as_it_is_us: float
    known_us: float
    forwarded: float

    @property
    def identity_us(self) -> float:
        """What knowing everybody would save."""
        return self.as_it_is_us - self.known_us


def section(people: int, *, repeats: int) -> Section:
    """In one task, where nothing is forwarded, and in four."""
    stream = shop_day(min(people, PEOPLE))
    rows: list[Row] = []
    touchpoints = 0
    for partitions in (1, 4):
        first = Tasks(partitions)
        first.run(rounds_of(stream, partitions))
        pairs = _second_day(stream, first)
        costs = _costs(pairs, first, repeats=repeats)
        of_every, of_those_at_home = costs[0], costs[-1]
        touchpoints = len(pairs[0].as_it_is.records)
        tasks = "1 task" if partitions == 1 else f"{partitions} tasks"
        rows += [
            Row(f"the step, {tasks}", of_every.as_it_is_us),
            Row("  one identifier each, its root's", of_every.known_us),
            Row(f"identity, {tasks}", of_those_at_home.identity_us, budget=BUDGET_US),
        ]
        if of_every.forwarded:
            beside_us = of_every.identity_us - of_those_at_home.identity_us
            rows.append(
                Row(
                    "  beside, each that is forwarded",
                    beside_us / (of_every.forwarded - of_those_at_home.forwarded),
                    budget=of_every.known_us,
                    note=f"paid twice: {of_every.forwarded:.0%} of touchpoints",
                )
            )
    return Section(
        "Identity of people who are known",
        rows,
        f"a second day of {touchpoints:,} touchpoints of the same people, whose state is the same in both forms; in "
        f"turns batch by batch, least of {repeats}",
    )


def _costs(pairs: Sequence[Pair], first: Tasks, *, repeats: int) -> list[Cost]:
    """Of the second day, in one of its pairs after the other, by tasks that go on where `first` has ended."""
    partitions = len(first.steps)
    states = [all_of(store) for store in first.stores]
    days: list[list[Round]] = []
    forwarded: list[int] = []
    for pair in pairs:
        both = [
            rounds_of(day, partitions, batch_records=ROUND_RECORDS // partitions)
            for day in (pair.as_it_is, pair.known)
        ]
        ends = [_end(day, partitions, states) for day in both]
        assert ends[0].sessions == ends[1].sessions, "not the same was done in both forms"
        assert not ends[1].forwarded, "what lies where its person lives was forwarded"
        days += both
        forwarded.append(ends[0].forwarded)
    least = [[float("inf")] * len(rounds) for rounds in days]
    for _ in range(repeats):
        tasks_of_days = [Tasks(partitions, states=states) for _ in days]
        with no_garbage():
            for number in range(max(map(len, days))):
                for spent, tasks, rounds in zip(least, tasks_of_days, days, strict=True):
                    if number < len(rounds):
                        before_s = tasks.step_s
                        tasks.take(rounds[number])
                        spent[number] = min(spent[number], tasks.step_s - before_s)
    seconds = [sum(spent) for spent in least]
    costs: list[Cost] = []
    for pair, as_it_is_s, known_s, ways in zip(pairs, seconds[::2], seconds[1::2], forwarded, strict=True):
        number = len(pair.known.records)
        costs.append(Cost(as_it_is_s / number * 1e6, known_s / number * 1e6, ways / number))
    return costs


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


def _second_day(stream: Stream, first: Tasks) -> list[Pair]:
    """All of it, and what lies where its person lives alone if that is not all.

    Between two touchpoints of a person there are those of as many others as two rounds take.
    """
    partitions = len(first.steps)
    identifiers = Identifiers(RULES, partitions)
    read = Reader(Catalog.embedded(), identifiers, RULES).read
    of_people: dict[str, list[Emitted]] = {}
    for record in stream.records:
        root = _root(first, identifiers, read(record.value, record.arrival_ms).identifiers[0])
        of_people.setdefault(root, []).append(record)
    waves = [
        [(root, done[number]) for root, done in of_people.items() if len(done) > number]
        for number in range(max(map(len, of_people.values())))
    ]
    both: list[tuple[Emitted, Emitted]] = []
    at_ms = stream.records[-1].arrival_ms + LATER_MS
    for root, record in chain.from_iterable(wave for wave in waves if len(wave) > 2 * ROUND_RECORDS):
        at_ms += EVERY_MS
        fields = decode(record.value)[1]
        fields |= {"message_id": f"m{len(both)}", "occurred_at": at_ms, "received_at": at_ms}
        as_it_is = Emitted(record.channel, record.key, encode_touchpoint(fields), at_ms)
        kind, _, name = root.partition(":")
        fields["identifiers"] = {kind: name}
        both.append((as_it_is, Emitted(record.channel, root.encode(), encode_touchpoint(fields), at_ms)))
    at_home = [
        (one, known)
        for one, known in both
        if murmur2(one.key) % partitions == murmur2(known.key) % partitions
    ]
    parts = [both] if len(at_home) == len(both) else [both, at_home]
    return [_pair(stream, part) for part in parts]


def _pair(stream: Stream, both: Sequence[tuple[Emitted, Emitted]]) -> Pair:
    as_it_is, known = (replace(stream, records=list(form)) for form in zip(*both, strict=True))
    return Pair(as_it_is, known)


def _root(tasks: Tasks, identifiers: Identifiers, identifier: str) -> str:
    """Where the pointers lead that the first day has left."""
    while True:
        actor = tasks.steps[identifiers.partition(identifier)]._actors.find(identifier)
        assert actor is not None, "an identifier that the first day has not shown"
        if actor.root == identifier:
            return identifier
        identifier = actor.root
