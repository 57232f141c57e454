"""One commit of one task: everything a step wants written, in an order that makes a crash at any moment harmless.

The step before it and the tasks around it do not know which guarantee is at work: `Commit` is the one interface.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from streams.runtime.batches import BATCH_BYTES, pack, pack_one, pack_with_headers
from streams.runtime.changelog import changelog_batches
from streams.runtime.dead_letters import dead_rows
from streams.runtime.engine import Effects
from streams.runtime.failpoints import Point, hit
from streams.runtime.metrics import Metrics, Phase
from streams.runtime.plan import PLAN_KEY, Plan

__all__ = ["AtLeastOnce", "Batches", "Commit", "Fenced", "NotePositions", "TaskTopics", "packed"]

log = logging.getLogger(__name__)

Batches = list[tuple[str, int, Any]]
"""Topic, partition, record batch; in the order of sending."""

NotePositions = Callable[[int, Mapping[str, int]], None]
"""Takes the committed positions of a task, to report them to the group some time soon."""


@dataclass(frozen=True, slots=True)
class TaskTopics:
    """The topics a task reads and writes to; `outputs` are those of the engine."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    inbox: str
    changelog: str
    dead: str

    @property
    def read(self) -> tuple[str, ...]:
        """All topics of the consumer group."""
        return (*self.inputs, self.inbox)

    @property
    def written(self) -> tuple[str, ...]:
        """All topics that a commit may write to."""
        return (*self.outputs, self.inbox, self.changelog, self.dead)


class Fenced(Exception):
    """The broker no longer takes anything from this owner of a task: somebody else has it, or it was too slow."""


class Commit(Protocol):
    """Writes effects and the positions they stand for. Any exception from it has to end the process."""

    async def open(self, partition: int) -> None:
        """Before a task is restored: from here on no earlier owner may commit for it (where that can be had)."""
        ...

    async def commit(
        self, partition: int, effects: Effects, *, positions: Mapping[str, int], plan: Plan
    ) -> int:
        """When the broker has confirmed all of it: the offset behind what was appended to the changelog."""
        ...

    async def close(self, partition: int) -> None:
        """The task is given up; nothing of it is in flight."""
        ...

    def resume(self, partition: int, positions: Mapping[str, int]) -> None:
        """The task reads on from here: those who watch lag may have been told less."""
        ...


def packed(
    effects: Effects, topics: TaskTopics, *, partition: int, timestamp_ms: int, is_transactional: bool
) -> Iterator[tuple[str, int, Any]]:
    """Outputs, dead letters and inbox of one step, as whole record batches."""
    for topic, rows in effects.outputs.items():
        for batch in pack(rows, timestamp_ms, is_transactional=is_transactional):
            yield topic, partition, batch
    for batch in pack_with_headers(dead_rows(effects.dead), timestamp_ms, is_transactional=is_transactional):
        yield topics.dead, partition, batch
    for receiver, messages in effects.inbox.items():
        for batch in pack(messages, timestamp_ms, is_transactional=is_transactional):
            yield topics.inbox, receiver, batch


class AtLeastOnce:
    """The plan; outputs, dead letters and inbox; state and positions as one record batch; the group's offsets.

    0. If anything is to be sent, which batch it comes from is appended to the changelog. Awaited.
    1. Output, dead-letter and inbox batches are sent and all their acknowledgements awaited.
    2. All changes and the offsets record go into one batch of the changelog: the broker appends it whole or not at
       all, so what was counted and how far was read cannot come apart. Awaited as well. Changes that are too many for
       one go into several, one after the other, none of which counts before the last of them is there.
    3. The caller applies the changes to its store. The group's offsets follow some 0.1 s later, for those who watch
       lag; they decide nothing while the changelog has an offsets record.

    Delivery: at least once. After a crash between 0 and 2 the next owner first does the very batch that was planned,
    from the same state, and so sends the same bytes once more. State counts every record once, because it moves only
    with 2. Doubled outputs fall together in ClickHouse's views by their ids; doubled inbox records are recognised by
    their numbers and ignored. The guarantee breaks if an owner that the group has given up (stopped longer than its
    session) comes back and appends one more batch behind its successor's: only transactions fence that. It breaks as
    well if the owner dies between two batches of one commit, and the broker compacts the first of them before a
    successor has come: what those replaced is gone then, and the batch is done again upon what replaced it.
    """

    def __init__(
        self,
        producer: Callable[[], Any],
        topics: TaskTopics,
        *,
        note: NotePositions,
        metrics: Metrics,
        changelog_batch_bytes: int,
    ) -> None:
        self._producer = producer
        self._topics = topics
        self._note = note
        self._metrics = metrics
        self._changelog_batch_bytes = changelog_batch_bytes
        self._has_warned = False

    async def open(self, partition: int) -> None:
        """Nothing to do: an earlier owner cannot be fenced without transactions."""

    async def close(self, partition: int) -> None:
        """Nothing is held for a task."""

    def resume(self, partition: int, positions: Mapping[str, int]) -> None:
        """A report is refused during a rebalance, and lost with a crash."""
        self._note(partition, positions)

    async def commit(
        self, partition: int, effects: Effects, *, positions: Mapping[str, int], plan: Plan
    ) -> int:
        """See the class. Raises BatchTooLarge or aiokafka's KafkaError."""
        timestamp_ms = time.time_ns() // 1_000_000
        with self._metrics.phase(Phase.PACK):
            # The changelog first: if it is too large, nothing at all may be sent.
            changes = changelog_batches(
                effects.changes,
                positions,
                timestamp_ms=timestamp_ms,
                limit_bytes=self._changelog_batch_bytes,
            )
            batches = list(
                packed(
                    effects,
                    self._topics,
                    partition=partition,
                    timestamp_ms=timestamp_ms,
                    is_transactional=False,
                )
            )
        hit(Point.PACKED)
        if batches or len(changes) > 1:
            planned = pack_one([(PLAN_KEY, plan.encode())], timestamp_ms, limit_bytes=BATCH_BYTES)
            await self._send([(self._topics.changelog, partition, planned)])
            hit(Point.PLANNED)
            await self._send(batches)
            hit(Point.SENT)
        for batch in changes:
            [appended] = await self._send([(self._topics.changelog, partition, batch)])
        hit(Point.COMMITTED)
        self._note(partition, positions)
        self._warn_if_truncated(appended)
        return int(appended.offset) + int(changes[-1].record_count())

    async def _send(self, batches: Batches) -> list[Any]:
        producer = self._producer()
        sent = [await producer.send_batch(batch, topic, partition=to) for topic, to, batch in batches]
        return list(await asyncio.gather(*sent))

    def _warn_if_truncated(self, appended: Any) -> None:
        beginning = appended.log_start_offset or 0
        if beginning > 0 and not self._has_warned:
            self._has_warned = True
            log.warning(
                "the changelog %s[%d] now begins at offset %d: this run's state can no longer be restored after a "
                "stop. The embedded broker keeps 5 MiB a partition; use a real Kafka",
                appended.topic,
                appended.partition,
                beginning,
            )
