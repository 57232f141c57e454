"""Records go into batches in order, whole, and no larger than allowed."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.batches import BatchTooLarge, pack, pack_one, pack_with_headers

rows = st.lists(
    st.tuples(st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=300)), max_size=60
)


def unpacked(batch: Any) -> list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]:
    """What a broker would append."""
    records = MemoryRecords(bytes(batch._build()))
    found = []
    while records.has_next():
        appended = records.next_batch()
        assert appended.validate_crc()
        found += [(record.key, record.value, list(record.headers)) for record in appended]
    return found


@given(rows, st.integers(100, 2000))
def test_batches_hold_the_rows_in_order(
    sent: list[tuple[bytes | None, bytes | None]], limit_bytes: int
) -> None:
    """All rows, in their order, nothing else; a batch over the limit holds a single row."""
    batches = list(pack(sent, 1, limit_bytes=limit_bytes))
    assert all(batch.size() <= limit_bytes or batch.record_count() == 1 for batch in batches)
    assert sum(batch.record_count() for batch in batches) == len(sent)
    assert [row for batch in batches for row in unpacked(batch)] == [(k, v, []) for k, v in sent]


def test_headers_travel_with_their_record() -> None:
    """Key, value and headers as they were given, across several batches."""
    sent = [((b"k%d" % i, bytes(400_000)), [("reason", b"r%d" % i)]) for i in range(5)]
    batches = list(pack_with_headers(sent, 1))
    assert len(batches) > 1
    assert [row for batch in batches for row in unpacked(batch)] == [(k, v, h) for (k, v), h in sent]


def test_one_batch_or_none() -> None:
    """What has to be appended together is refused if it does not fit into one batch."""
    changes = [(b"k%d" % i, bytes(100)) for i in range(100)]
    assert pack_one(changes, 1, limit_bytes=20_000).record_count() == 100
    with pytest.raises(BatchTooLarge, match="do not fit"):
        pack_one(changes, 1, limit_bytes=5_000)
    with pytest.raises(BatchTooLarge):
        pack_one([(b"k", bytes(6_000))], 1, limit_bytes=5_000)
