"""What a fetch brought for one partition: record batches, opened one by one as their records are taken.

Leaves out what is not committed (see `committed`) and what lies before the position. Must not know tasks or
connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any

import msgspec
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from schemas.committed import CommittedBatches

__all__ = ["Fetched", "KafkaRecord", "end_of"]

_NO_HEADERS: tuple[tuple[str, bytes], ...] = ()

_BATCH_HEAD = Struct(">qiibiHi")
"""First offset, bytes from here on, leader epoch, format, checksum (in its place: of format 2), attributes, last offset
less the first."""
_LENGTH_BYTES = 12
"""The first two of these, which the length does not count."""


class KafkaRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as it was read. A third of the cost of aiokafka's own, and nothing for the garbage collector."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = _NO_HEADERS


class Fetched:
    """Records of one partition, to be taken in order and in pieces; `position` is the offset behind the last taken, and
    `end` the one behind all of it."""

    __slots__ = ("_at", "_batches", "_end", "_open", "_tp", "end", "position", "size_bytes")

    def __init__(
        self, tp: TopicPartition, data: bytes, *, position: int, aborted: Iterable[tuple[int, int]] = ()
    ) -> None:
        self.position = position
        self.end = end_of(data, position=position)
        self.size_bytes = len(data)
        self._tp = tp
        self._batches = CommittedBatches(tp, MemoryRecords(data), aborted)
        self._open: list[KafkaRecord] = []
        self._at = 0
        self._end = position

    @property
    def is_empty(self) -> bool:
        """True when everything was taken."""
        return self._at == len(self._open) and not self._batches.has_next()

    def take(self, room: int) -> list[KafkaRecord]:
        """The next records, up to so many. Raises CorruptRecordException."""
        taken: list[KafkaRecord] = []
        while len(taken) < room and not self.is_empty:
            if self._at == len(self._open):
                self._open_next()
            piece = self._open[self._at : self._at + room - len(taken)]
            self._at += len(piece)
            taken += piece
            is_rest_open = self._at < len(self._open)
            self.position = piece[-1].offset + 1 if is_rest_open else self._end
        return taken

    def _open_next(self) -> None:
        batch, is_to_be_read = self._batches.next()
        self._open = self._records_of(batch) if is_to_be_read else []
        self._at = 0
        # Not what the last record says: compaction may have removed that one.
        self._end = batch.next_offset

    def _records_of(self, batch: Any) -> list[KafkaRecord]:
        topic, partition = self._tp
        records = [
            KafkaRecord(
                topic,
                partition,
                record.offset,
                record.timestamp,
                record.key,
                record.value,
                record.headers or _NO_HEADERS,
            )
            for record in batch
        ]
        if records and records[0].offset < self.position:
            # A broker begins at the batch that holds the position.
            return [record for record in records if record.offset >= self.position]
        return records


def end_of(data: bytes, *, position: int) -> int:
    """The offset behind the last whole record batch, from the batches' heads alone; `position` if there is none."""
    at = 0
    while at + _BATCH_HEAD.size <= len(data):
        first, length, _, version, _, _, last = _BATCH_HEAD.unpack_from(data, at)
        at += _LENGTH_BYTES + length
        if at > len(data):
            # The broker cut it off where the answer was full.
            break
        # Before format 2, which Kafka 0.11 brought, each entry stands for itself and has the last offset in it.
        position = first + (last if version >= 2 else 0) + 1
    return position
