"""The changelog of a task: what its commits changed, and how far they had read. Reads it back into a store.

Every commit appends the changes of the step and, last, the offsets record, so state and input positions are one: in one
record batch where that holds them. Where it does not and there is no transaction, in several with a number each, which
count once the last of them is there. Must not know what keys and values mean, except those that are the runtime's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.runtime.batches import pack_one
from streams.runtime.changelog_reading import PART_KEY
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
from streams.runtime.store.format import HEADER_PREFIX, STATE_FORMAT, StateFormat

__all__ = [
    "OFFSETS_KEY",
    "Changelog",
    "ChangelogTruncated",
    "Restored",
    "changelog_batches",
    "changelog_rows",
]

_ENVELOPE_BYTES = 100
"""What a batch has besides its records, and the record with its number."""
_ROW_BYTES = 24
"""What a record has besides key and value, at most."""
_PARTITION_FETCH_BYTES = 16 * 1024 * 1024
"""As large as a batch may be."""
_FETCH_BYTES = 32 * 1024 * 1024
"""What a restore holds in memory besides the state, twice: as it came, and as a dict."""


def changelog_rows(changes: Iterable[Change], positions: Mapping[str, int]) -> list[Change]:
    """All changes of one commit, the end of its plan, and the positions they stand for."""
    return [*changes, (PLAN_KEY, None), (OFFSETS_KEY, msgspec.msgpack.encode(positions))]


def changelog_batches(
    changes: Iterable[Change], positions: Mapping[str, int], *, timestamp_ms: int, limit_bytes: int
) -> list[Any]:
    """The same as batches, each of which the broker appends whole or not at all. Raises BatchTooLarge for a value.

    More than one have to be appended one after the other, and behind a plan.
    """
    rows = changelog_rows(changes, positions)
    parts = _cut(rows, limit_bytes)
    if len(parts) > 1:
        for number, part in enumerate(parts):
            # A header stays in front: it says what the values behind it are.
            at = 1 if part[0][0].startswith(HEADER_PREFIX) else 0
            part.insert(at, (PART_KEY, number.to_bytes(4, "big")))
    return [pack_one(part, timestamp_ms, limit_bytes=limit_bytes) for part in parts]


def _cut(rows: Sequence[Change], limit_bytes: int) -> list[list[Change]]:
    """In their order, into as few as are sure to fit."""
    parts: list[list[Change]] = [[]]
    room = limit_bytes - _ENVELOPE_BYTES
    left = room
    for row in rows:
        size = _ROW_BYTES + len(row[0]) + len(row[1] or b"")
        if size > left and parts[-1]:
            parts.append([])
            left = room
        parts[-1].append(row)
        left -= size
    return parts


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
