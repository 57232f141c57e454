"""What is written out step by step for its speed is what the plain way makes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.wire import CodecError, frame, long_bytes, unframe
from sinks.clickhouse.rows import Record, joined, schema_ids_of

schema_ids = st.integers(0, 2**32 - 1)
bodies = st.binary(max_size=20)


def plainly(records: list[Record], partition: int, branches: dict[int, bytes]) -> bytes:
    """A block's body, in the words of its definition."""
    rows = [(*unframe(value), offset) for offset, value in records]
    return b"".join(
        branches.get(schema_id, b"") + body + long_bytes(partition) + long_bytes(offset)
        for schema_id, body, offset in rows
    )


@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 3 << 16]), bodies, st.integers(1, 3)), max_size=300),
    st.integers(0, 2**40),
    st.integers(0, 2_000),
    st.booleans(),
)
@example([(1, b"x", 1)] * 300, 8_100, 3, True)
@example([(1, b"x", 1)] * 300, (1 << 27) - 10, 3, False)
@example([(1, b"x", 1)] * 300, (1 << 41) - 10, 3, True)
def test_a_body_is_its_rows_behind_each_other(
    given: list[tuple[int, bytes, int]], start: int, partition: int, is_mixed: bool
) -> None:
    """Whatever the offsets, across every length that an offset has in Avro, and however many rows there are.

    Seen to fail when the last bytes of an offset were kept for one offset too long, and when the last rows, fewer than
    are joined at once, were left out.
    """
    records, offset = list[Record](), start
    for schema_id, body, step in given:
        records.append((offset, frame(schema_id, body)))
        offset += step
    branches = {schema_id: long_bytes(at) for at, schema_id in enumerate((1, 2, 3 << 16))} if is_mixed else {}
    assert b"".join(joined(records, partition, branches)) == plainly(records, partition, branches)


@given(st.lists(st.tuples(schema_ids, bodies), max_size=30))
def test_schema_ids_are_found_once_and_in_order(given: list[tuple[int, bytes]]) -> None:
    """All 32 bits of them."""
    records = [(at, frame(schema_id, body)) for at, (schema_id, body) in enumerate(given)]
    assert schema_ids_of(records) == sorted({schema_id for schema_id, _ in given})


@pytest.mark.parametrize("value", [b"", b"\0\0\0\1", b"\1\0\0\0\1x"])
def test_what_is_not_framed_has_no_schema(value: bytes) -> None:
    """Too short, or without the zero byte in front. Seen to fail when only the length was looked at."""
    with pytest.raises(CodecError):
        schema_ids_of([(0, frame(1, b"x")), (1, value)])
