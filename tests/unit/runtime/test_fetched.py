"""What is read of fetched bytes is what aiokafka's own reader hands out, whatever the pieces it is taken in."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.fetched import Fetched, KafkaRecord

TP = TopicPartition("touchpoints.web", 2)
Seen = tuple[str, int, int, int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]

CONTROL, LOG_APPEND_TIME = 0x20, 0x08


@dataclass(frozen=True)
class Batch:
    """A record batch to be; `removed` of its offsets, at the end, compaction has taken."""

    records: int
    removed: int = 0
    producer: int = -1
    is_transactional: bool = False
    marker: int | None = None
    """0 ends a transaction as aborted, 1 as committed."""
    has_headers: bool = False
    is_appended_at: bool = False
    codec: int = 0

    def encode(self, base_offset: int) -> bytes:
        """As it lies in a partition."""
        builder = DefaultRecordBatchBuilder(
            2,
            self.codec,
            is_transactional=self.is_transactional,
            producer_id=self.producer,
            producer_epoch=0,
            base_sequence=0,
            batch_size=1_000_000,
        )
        if self.marker is not None:
            builder.append(0, 0, struct.pack(">hh", 0, self.marker), b"\0" * 6, [])
        headers: list[tuple[str, bytes | None]] = [("a", b"1"), ("b", None)] if self.has_headers else []
        for at in range(self.records):
            key, value = (b"k%d" % at, b"v" * at) if at % 3 else (None, None)
            builder.append(at, 1000 + at, key, value, headers)
        return self._completed(bytearray(builder.build()), base_offset)

    def _completed(self, data: bytearray, base_offset: int) -> bytes:
        """What a broker adds: offset, flags, and the checksum over them."""
        attributes = struct.unpack_from(">h", data, 21)[0]
        attributes |= CONTROL if self.marker is not None else 0
        attributes |= LOG_APPEND_TIME if self.is_appended_at else 0
        struct.pack_into(">q", data, 0, base_offset)
        struct.pack_into(">hi", data, 21, attributes, self.span - 1)
        struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
        return bytes(data)

    @property
    def span(self) -> int:
        """How many offsets it takes up."""
        return self.records + self.removed + (self.marker is not None)


def laid_out(batches: Sequence[Batch], *, start: int) -> tuple[bytes, list[tuple[int, int]]]:
    """A partition's bytes from an offset on, and what the broker says of aborted transactions in it."""
    data, offset, begun, aborted = b"", start, dict[int, int](), list[tuple[int, int]]()
    for batch in batches:
        if batch.is_transactional:
            begun.setdefault(batch.producer, offset)
        if batch.marker is not None:
            first = begun.pop(batch.producer, None)
            if batch.marker == 0 and first is not None:
                aborted.append((batch.producer, first))
        data += batch.encode(offset)
        offset += batch.span
    return data, aborted


batches = st.one_of(
    st.builds(
        Batch,
        records=st.integers(1, 6),
        removed=st.integers(0, 2),
        has_headers=st.booleans(),
        is_appended_at=st.booleans(),
        codec=st.sampled_from([0, 1, 3, 4]),
    ),
    st.builds(Batch, records=st.integers(1, 4), producer=st.integers(1, 3), is_transactional=st.booleans()),
    st.builds(
        Batch,
        records=st.just(0),
        producer=st.integers(1, 3),
        is_transactional=st.just(True),
        marker=st.sampled_from([0, 1]),
    ),
)


def by_stock(data: bytes, aborted: list[tuple[int, int]], position: int) -> tuple[list[Seen], int]:
    """What aiokafka makes of it, and where that leaves the position."""
    reader = PartitionRecords(TP, MemoryRecords(data), aborted, position, None, None, True, READ_COMMITTED)
    found: list[Seen] = [
        (r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in reader
    ]
    return found, reader.next_fetch_offset


def seen(records: Sequence[KafkaRecord]) -> list[Seen]:
    """The same of ours."""
    return [(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in records]


def in_pieces(fetched: Fetched, room: int) -> Iterator[list[KafkaRecord]]:
    """All of it, so many records at a time."""
    while not fetched.is_empty:
        yield fetched.take(room)


@given(st.lists(batches, max_size=8), st.integers(0, 4), st.integers(1, 9))
def test_what_is_read_is_what_aiokafka_reads(found: list[Batch], skipped: int, room: int) -> None:
    """Aborted transactions, control records, compacted ends, a position inside a batch, headers, codecs, times.

    Fails if any one of the checks in `_is_to_be_read` or `_records_of`, or the position of `take`, is removed.
    """
    start = 100
    data, aborted = laid_out(found, start=start)
    expected, behind = by_stock(data, list(aborted), start + skipped)
    fetched = Fetched(TP, data, position=start + skipped, aborted=aborted)
    assert fetched.end == (behind if found else start + skipped), "known before anything is opened"
    pieces = list(in_pieces(fetched, room))
    assert seen([record for piece in pieces for record in piece]) == expected
    assert all(len(piece) <= room for piece in pieces)
    assert fetched.position == (behind if found else start + skipped)


def test_a_piece_moves_the_position_behind_itself() -> None:
    """Whoever stops between two pieces goes on with the record after the first; a finished batch with the next one."""
    data, _ = laid_out([Batch(3, removed=2), Batch(1)], start=10)
    fetched = Fetched(TP, data, position=10)
    positions = [(len(fetched.take(2)), fetched.position) for _ in range(2)]
    assert positions == [(2, 12), (2, 16)]


def test_a_wrong_checksum_is_no_record() -> None:
    """One flipped bit, and nothing of the batch is handed out."""
    data = bytearray(Batch(3).encode(0))
    data[-1] ^= 1
    with pytest.raises(CorruptRecordException, match="checksum"):
        Fetched(TP, bytes(data), position=0).take(10)


def test_a_batch_cut_off_is_not_read() -> None:
    """A broker may end an answer inside a batch: that batch comes with the next fetch."""
    whole, cut = Batch(2).encode(0), Batch(2).encode(2)[:-1]
    fetched = Fetched(TP, whole + cut, position=0)
    assert fetched.end == 2
    assert (len(fetched.take(10)), fetched.is_empty, fetched.position) == (2, True, 2)


def test_the_old_formats_end_where_they_say() -> None:
    """Entries from before Kafka 0.11 stand for themselves; their bytes where a batch has its last offset mean another
    thing. Seen to fail where the format is not looked at."""
    builder = LegacyRecordBatchBuilder(1, 0, 1_000_000)
    for at in range(3):
        builder.append(at, 1000, b"key", b"a value", [])
    data = bytes(builder.build())
    fetched = Fetched(TP, data, position=0)
    assert fetched.end == 3
    assert (len(fetched.take(10)), fetched.position) == (3, 3)
