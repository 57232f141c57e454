"""The changelog of a task: what its commits changed, and how far they had read. Reads it back into a store.

Every commit appends exactly one record batch: the changes of the step and, last, the offsets record, so state and
input positions are one. Must not know what keys and values mean, except the one key that is the runtime's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from streams.runtime.batches import pack_one
from streams.runtime.engine import Change, Record, Store
from streams.runtime.plan import PLAN_KEY, Plan, read_again

__all__ = ["OFFSETS_KEY", "Changelog", "ChangelogTruncated", "Restored", "changelog_batch", "changelog_rows"]

OFFSETS_KEY = b"\x00offsets"
"""The runtime's own key: msgpack {topic: next offset}, for every input topic and the inbox. The core never sees it."""

OnProgress = Callable[[Mapping[int, float], int], None]
"""Takes, while a restore reads: partition -> share that is read, and the records that came since last told."""

_FETCH_BYTES = 16 * 1024 * 1024


class ChangelogTruncated(Exception):
    """The broker has dropped the beginning of a changelog, so the state cannot be rebuilt from it."""

    def __init__(self, topic: str, partition: int, *, beginning: int) -> None:
        super().__init__(
            f"the changelog {topic}[{partition}] now begins at offset {beginning}, so the state cannot be restored: "
            "the embedded broker keeps 5 MiB a partition and this run's changelog outgrew it; use a real Kafka"
        )


@dataclass(frozen=True, slots=True)
class Restored:
    """What a changelog says besides state: positions (topic -> next offset), where the changelog itself ends, and
    what an earlier owner had begun to send without committing it."""

    positions: dict[str, int]
    end: int
    plan: Plan | None = None


def changelog_rows(changes: Iterable[Change], positions: Mapping[str, int]) -> list[Change]:
    """All changes of one commit, the end of its plan, and the positions they stand for."""
    return [*changes, (PLAN_KEY, None), (OFFSETS_KEY, msgspec.msgpack.encode(positions))]


def changelog_batch(
    changes: Iterable[Change], positions: Mapping[str, int], *, timestamp_ms: int, limit_bytes: int
) -> Any:
    """The same as one batch, which the broker appends whole or not at all. Raises BatchTooLarge."""
    return pack_one(changelog_rows(changes, positions), timestamp_ms, limit_bytes=limit_bytes)


class Changelog:
    """Reads changelog partitions from their beginning to their end."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Where the changelogs of the partitions end now."""
        wanted = self._topic_partitions(partitions)
        if not wanted:
            return {}
        async with self._reader() as consumer:
            return {tp.partition: end for tp, end in (await consumer.end_offsets(wanted)).items()}

    async def restore(
        self, stores: Mapping[int, Store], *, on_progress: OnProgress = lambda shares, records: None
    ) -> dict[int, Restored]:
        """Fills the stores of the given partitions. Raises ChangelogTruncated."""
        wanted = self._topic_partitions(stores)
        if not wanted:
            return {}
        async with self._reader() as consumer:
            ends = await self._read(consumer, wanted, stores=stores, on_progress=on_progress)
        return {
            partition: Restored(_take_positions(store), ends[partition], _take_plan(store))
            for partition, store in stores.items()
        }

    async def read_again(self, partition: int, plan: Plan) -> dict[str, list[Record]]:
        """The records of a batch that an earlier owner began to send. Raises PlanLost."""
        async with self._reader() as consumer:
            return await read_again(consumer, partition, plan)

    def _topic_partitions(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition) for partition in partitions]

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[Any]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="none",
            # A transaction that never committed never happened.
            isolation_level="read_committed",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_bytes=4 * _FETCH_BYTES,
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()

    async def _read(
        self,
        consumer: Any,
        wanted: Sequence[TopicPartition],
        *,
        stores: Mapping[int, Store],
        on_progress: OnProgress,
    ) -> dict[int, int]:
        consumer.assign(wanted)
        await self._refuse_truncated(consumer, wanted)
        for tp in wanted:
            consumer.seek(tp, 0)
        ends = await consumer.end_offsets(wanted)
        # By position, never by counting: compaction and transaction markers leave holes.
        while behind := [tp for tp in wanted if await consumer.position(tp) < ends[tp]]:
            try:
                fetched = await consumer.getmany(*behind, timeout_ms=1000)
            except OffsetOutOfRangeError:
                await self._refuse_truncated(consumer, wanted)
                raise
            for tp, records in fetched.items():
                stores[tp.partition].apply([(record.key, record.value) for record in records])
                on_progress({tp.partition: min(1.0, (records[-1].offset + 1) / ends[tp])}, len(records))
        return {tp.partition: end for tp, end in ends.items()}

    async def _refuse_truncated(self, consumer: Any, wanted: Sequence[TopicPartition]) -> None:
        for tp, beginning in (await consumer.beginning_offsets(wanted)).items():
            if beginning > 0:
                raise ChangelogTruncated(self._topic, tp.partition, beginning=beginning)


def _take_positions(store: Store) -> dict[str, int]:
    """Takes the offsets record out of a restored store: the core sees its own keys only."""
    held = store.get(OFFSETS_KEY)
    if held is None:
        return {}
    store.apply([(OFFSETS_KEY, None)])
    return msgspec.msgpack.decode(held, type=dict[str, int])


def _take_plan(store: Store) -> Plan | None:
    held = store.get(PLAN_KEY)
    if held is None:
        return None
    store.apply([(PLAN_KEY, None)])
    return msgspec.msgpack.decode(held, type=Plan)
