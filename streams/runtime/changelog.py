"""The changelog of a task: what its commits changed, and how far they had read. Reads it back into a store.

Every commit appends exactly one record batch: the changes of the step and, last, the offsets record, so state and
input positions are one. Must not know what keys and values mean, except the one key that is the runtime's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.runtime.batches import pack_one
from streams.runtime.engine import Change, Record, Store
from streams.runtime.plan import PLAN_KEY, Plan, read_again
from streams.runtime.restoring import (
    OFFSETS_KEY,
    ChangelogTruncated,
    OnProgress,
    Progress,
    Restoration,
    Restored,
    log_progress,
)
from streams.runtime.store.format import STATE_FORMAT, StateFormat

__all__ = ["OFFSETS_KEY", "Changelog", "ChangelogTruncated", "Restored", "changelog_batch", "changelog_rows"]

_PARTITION_FETCH_BYTES = 16 * 1024 * 1024
"""As large as a commit may be."""
_FETCH_BYTES = 32 * 1024 * 1024
"""What a restore holds in memory besides the state, twice: as it came, and as a dict."""


def changelog_rows(changes: Iterable[Change], positions: Mapping[str, int]) -> list[Change]:
    """All changes of one commit, the end of its plan, and the positions they stand for."""
    return [*changes, (PLAN_KEY, None), (OFFSETS_KEY, msgspec.msgpack.encode(positions))]


def changelog_batch(
    changes: Iterable[Change], positions: Mapping[str, int], *, timestamp_ms: int, limit_bytes: int
) -> Any:
    """The same as one batch, which the broker appends whole or not at all. Raises BatchTooLarge."""
    return pack_one(changelog_rows(changes, positions), timestamp_ms, limit_bytes=limit_bytes)


class Changelog:
    """Reads changelog partitions to their end, the last stable offset."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        *,
        state_format: StateFormat = STATE_FORMAT,
        tell: Callable[[Progress], None] = log_progress,
    ) -> None:
        """`tell` hears every few seconds how far a restore is."""
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._state_format = state_format
        self._tell = tell

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
        """Fills the stores of the given partitions with what they do not reflect yet.

        `on_progress` hears of every chunk. Raises ChangelogTruncated, StateTooNew or KafkaError.
        """
        if not stores:
            return {}
        async with self._reader() as consumer:
            restoration = Restoration(
                consumer, self._topic, self._state_format, tell=self._tell, on_progress=on_progress
            )
            return await restoration.run(stores)

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
            max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
            fetch_max_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()
