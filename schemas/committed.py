"""Which record batches of a fetch a read_committed reader reads: not those of aborted transactions, nor markers.

The broker says of each fetch which transactions were aborted (first offset and producer); a marker ends each. Knows the
record format through aiokafka's compiled reader only; must not know who reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka.errors import CorruptRecordException
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.structs import TopicPartition

__all__ = ["CommittedBatches"]


class CommittedBatches:
    """Batches of one partition, in order; `batches` is aiokafka's MemoryRecords, `aborted` (producer, first offset)."""

    __slots__ = ("_aborted", "_batches", "_excluded", "_tp", "has_next")

    def __init__(self, tp: TopicPartition, batches: Any, aborted: Iterable[tuple[int, int]]) -> None:
        self._tp = tp
        self._batches = batches
        self.has_next = batches.has_next
        """Whether there is another one, read or not."""
        # The first to begin stands last, to be popped.
        self._aborted = sorted(aborted, key=lambda transaction: transaction[1], reverse=True)
        self._excluded: set[int] = set()

    def next(self) -> tuple[Any, bool]:
        """The next batch, and whether its records are to be read. Raises CorruptRecordException."""
        batch = self._batches.next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException(f"the checksum of a record batch is wrong: {self._tp}")
        producer: int | None = batch.producer_id
        if producer is None or not (batch.is_transactional or batch.is_control_batch):
            return batch, not batch.is_control_batch
        while self._aborted and self._aborted[-1][1] <= batch.base_offset:
            self._excluded.add(self._aborted.pop()[0])
        if batch.is_control_batch:
            if ControlRecord.parse(next(batch).key) == ABORT_MARKER:
                self._excluded.discard(producer)
            return batch, False
        return batch, producer not in self._excluded
