"""What the sink reads of a fetch is what is committed, whole and once, with where to read on."""

from __future__ import annotations

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from sinks.clickhouse.fetching import opened
from tests.unit.runtime.test_fetched import Batch, batches, by_stock, laid_out

PLACE = ("sessions", 2)


@given(st.lists(batches, max_size=8), st.integers(0, 4))
def test_what_is_read_is_what_aiokafka_reads(found: list[Batch], skipped: int) -> None:
    """Aborted transactions and markers, compacted ends, an offset inside a batch, compressed batches, null values.

    Seen to fail when records before the offset were taken, when null values were, and when markers did not move the
    offset to read on from.
    """
    start = 100
    data, aborted = laid_out(found, start=start)
    # A broker begins with the batch that holds the offset.
    skipped = min(skipped, found[0].span - 1) if found else 0
    records, behind = by_stock(data, list(aborted), start + skipped)
    fetched = opened(PLACE, data, offset=start + skipped, end=1_000, aborted=aborted)
    assert fetched.records == [
        (offset, value) for _, _, offset, _, _, value, _ in records if value is not None
    ]
    assert fetched.next_offset == (behind if found else start + skipped)


def test_large_batches_are_read_to_the_last_record() -> None:
    """Lengths, offsets and times that take more than a byte."""
    data = Batch(700).encode(1 << 33)
    fetched = opened(PLACE, data, offset=1 << 33, end=1 << 34)
    assert fetched.records == [((1 << 33) + at, b"v" * at) for at in range(700) if at % 3]


def test_a_wrong_checksum_is_no_record() -> None:
    """One flipped bit, and the sink says so instead of landing it."""
    data = bytearray(Batch(3).encode(0))
    data[-1] ^= 1
    with pytest.raises(CorruptRecordException, match="checksum"):
        opened(PLACE, bytes(data), offset=0, end=3)


def test_a_batch_cut_off_comes_with_the_next_fetch() -> None:
    """A broker may end an answer inside a batch."""
    whole, cut = Batch(2).encode(0), Batch(2).encode(2)[:-1]
    fetched = opened(PLACE, whole + cut, offset=0, end=4)
    assert (fetched.records, fetched.next_offset) == ([(1, b"v")], 2)


def test_the_old_formats_are_read_too() -> None:
    """From before Kafka 0.11: each entry stands for itself. Seen to fail where the format was not looked at."""
    builder = LegacyRecordBatchBuilder(1, 0, 1_000_000)
    for at in range(3):
        builder.append(at, 1000, b"key", b"a value", [])
    fetched = opened(PLACE, bytes(builder.build()), offset=0, end=3)
    assert (fetched.records, fetched.next_offset) == ([(at, b"a value") for at in range(3)], 3)
