"""The core driven without Kafka: all tasks of a topology in this process, on a stream cut into batches.

Carries messages to the inbox of the receiving task's next batch and outputs nowhere. Must not know what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from schemas.catalog import Catalog
from streams.core.identifier import Identifiers, murmur2
from streams.core.rules import Rules
from streams.core.step import INBOX, INPUTS, Effects, Step
from streams.core.touchpoint import TICK_HEADER
from streams.runtime.store.memory import MemoryStore
from tests.bench.stream import CLOSING_MS, TICK_MS, KafkaRecord, Stream

BATCH_RECORDS = 2_000
"""Touchpoints a batch and task: what a worker takes at most."""

RULES = Rules(is_replay=True)

Batch = dict[str, list[KafkaRecord]]
Round = list[Batch]
"""One batch for each task, inputs only."""

See = Callable[[int, Effects], None]
"""Gets every batch's task and effects."""


def rounds_of(stream: Stream, partitions: int, *, batch_records: int = BATCH_RECORDS) -> list[Round]:
    """The stream as its tasks read it when none falls behind, with a tick at the end of each round that needs one."""
    rounds: list[Round] = []
    cuts = range(0, len(stream.records), batch_records * partitions)
    last_tick_ms = 0
    for cut in cuts:
        now: Round = [{} for _ in range(partitions)]
        records = stream.records[cut : cut + batch_records * partitions]
        for offset, (channel, key, value, arrival_ms) in enumerate(records, cut):
            topic, partition = f"touchpoints.{channel}", murmur2(key) % partitions
            record = KafkaRecord(topic, partition, offset, arrival_ms, key, value)
            now[partition].setdefault(topic, []).append(record)
        if records[-1].arrival_ms - 1 >= last_tick_ms + TICK_MS:
            last_tick_ms = records[-1].arrival_ms - 1
            _add_ticks(now, last_tick_ms)
        rounds.append(now)
    for after_ms in CLOSING_MS:
        for step in range(4):
            rounds.append([{} for _ in range(partitions)])
            _add_ticks(rounds[-1], stream.records[-1].arrival_ms + after_ms + step)
    return rounds


def _add_ticks(batches: Round, clock_ms: int) -> None:
    headers = [(TICK_HEADER, str(clock_ms).encode())]
    for partition, batch in enumerate(batches):
        for topic in INPUTS:
            tick = KafkaRecord(topic, partition, 1 << 40, clock_ms, None, None, headers)
            batch.setdefault(topic, []).append(tick)


class Tasks:
    """The tasks of one topology; `step_s` and `apply_s` are the CPU seconds of their steps and of their stores."""

    def __init__(
        self, partitions: int, *, step: type[Step] = Step, states: Sequence[Mapping[bytes, bytes]] = ()
    ) -> None:
        """`states` is what others have left to each task."""
        catalog = Catalog.embedded()
        self.stores = [MemoryStore() for _ in range(partitions)]
        for store, state in zip(self.stores, states, strict=False):
            store.apply(state.items())
        identifiers = Identifiers(RULES, partitions)
        self.steps = [
            step(p, partitions, RULES, self.stores[p], catalog=catalog, identifiers=identifiers)
            for p in range(partitions)
        ]
        self.step_s = 0.0
        self.apply_s = 0.0
        self._inboxes: list[list[KafkaRecord]] = [[] for _ in range(partitions)]

    def run(self, rounds: Sequence[Round], *, see: See | None = None) -> None:
        """All rounds, each followed by what messages it led to."""
        for batches in rounds:
            self.take(batches, see=see)
            self.finish(see=see)

    def finish(self, *, see: See | None = None) -> None:
        """What messages have led to, until there are none."""
        while any(self._inboxes) or any(step.has_news for step in self.steps):
            self.take([{} for _ in self.steps], see=see)

    def take(self, batches: Round, *, see: See | None = None) -> None:
        """One round, and the messages that the one before led to."""
        for partition, effects in self._processed(batches):
            for receiver, messages in effects.inbox.items():
                self._inboxes[receiver] += [
                    KafkaRecord(INBOX, receiver, offset, 0, key, value)
                    for offset, (key, value) in enumerate(messages, len(self._inboxes[receiver]))
                ]
            if see is not None:
                see(partition, effects)

    def _processed(self, batches: Round) -> Iterator[tuple[int, Effects]]:
        for partition, batch in enumerate(batches):
            heard, self._inboxes[partition] = self._inboxes[partition], []
            taken = {**batch, INBOX: heard} if heard else batch
            started_s = time.process_time()
            effects = self.steps[partition].process(taken, now_ms=0, caught_up={})
            ended_s = time.process_time()
            self.stores[partition].apply(effects.changes)
            self.step_s += ended_s - started_s
            self.apply_s += time.process_time() - ended_s
            yield partition, effects


def made_of(stream: Stream, topics: Iterable[str]) -> dict[str, list[bytes]]:
    """What one task makes of the stream, by topic."""
    made: dict[str, list[bytes]] = {topic: [] for topic in topics}

    def see(_: int, effects: Effects) -> None:
        for topic, values in made.items():
            values.extend(value for _, value in effects.outputs.get(topic, ()))

    Tasks(1).run(rounds_of(stream, 1), see=see)
    return made
