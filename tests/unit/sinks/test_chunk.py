"""Blocks hold the records they were made of, and tokens name nothing else."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from schemas.catalog import CHANNELS, Catalog
from schemas.wire import CodecError, unframe
from sinks.clickhouse.chunk import Block, ChunkWriter, Record, Span
from sinks.clickhouse.container import MIXED_PREFIX
from tests.unit.sinks.samples import OUTPUTS, framed, records

CATALOG = Catalog.embedded()
TOPIC = "touchpoints.stitched"


def placed(values: list[bytes], start: int, gaps: list[int]) -> list[Record]:
    """The values at rising offsets from `start`."""
    offsets, at = [], start
    for gap in gaps:
        offsets.append(at)
        at += gap
    return list(zip(offsets, values, strict=False))


def read(block: Block) -> list[dict[str, Any]]:
    """A block as an Avro reader sees it: the fields of each record, whichever schema it has."""
    rows = list(fastavro.reader(io.BytesIO(block.data)))
    assert len(rows) == block.rows
    return [row.get("record", row) for row in rows if isinstance(row, dict)]


def expected(record: Record, partition: int) -> dict[str, Any]:
    """A record decoded by itself, and its place."""
    schema_id, body = unframe(record[1])
    decoded: Any = fastavro.schemaless_reader(io.BytesIO(body), CATALOG.schema(schema_id), None)
    return {**decoded, "_partition": partition, "_offset": record[0]}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(records(), min_size=1, max_size=12),
    st.integers(0, 2**40),
    st.lists(st.integers(1, 3), min_size=12, max_size=12),
    st.integers(0, 1023),
    st.booleans(),
)
def test_any_records_come_back_as_they_were(
    values: list[bytes], start: int, gaps: list[int], partition: int, can_mix: bool
) -> None:
    """Whatever schemas meet in a range, each record is read back as itself, once, with its place."""
    batch = placed(values, start, gaps)
    span = Span(TOPIC, partition, start, batch[-1][0] + 1)
    blocks = ChunkWriter(CATALOG.schema).blocks(span, batch, can_mix=can_mix)
    rows = sorted((row for block in blocks for row in read(block)), key=lambda row: int(row["_offset"]))
    assert rows == [expected(record, partition) for record in batch]
    assert len(blocks) == (1 if can_mix else len({value[:5] for value in values}))
    assert [block.is_mixed for block in blocks] == [
        can_mix and len({value[:5] for value in values}) > 1
    ] * len(blocks)


def test_columns_are_the_fields_and_the_place() -> None:
    """A column a field, in the schema's order, then partition and offset."""
    value = framed("sessions")
    (block,) = ChunkWriter(CATALOG.schema).blocks(Span("sessions", 0, 5, 6), [(5, value)])
    names = [field["name"] for field in CATALOG.schema(306)["fields"]]
    assert block.columns == (*names, "_partition", "_offset")


def test_mixed_columns_name_each_field_once() -> None:
    """Fields that several channels have share a column, behind the path of a mixed file."""
    batch = [(n, framed(f"{TOPIC}.{channel}")) for n, channel in enumerate(CHANNELS)]
    (block,) = ChunkWriter(CATALOG.schema).blocks(Span(TOPIC, 0, 0, 15), batch, can_mix=True)
    assert len(block.columns) == len(set(block.columns))
    assert all(name.startswith(MIXED_PREFIX) for name in block.columns)
    assert {MIXED_PREFIX + "page_url", MIXED_PREFIX + "receipt_id", MIXED_PREFIX + "_offset"} <= set(
        block.columns
    )


@pytest.mark.parametrize("can_mix", [False, True])
def test_token_names_the_range_and_the_bytes(can_mix: bool) -> None:
    """The same range with the same bytes has the same tokens; any other range or byte has others."""
    one, other, cart = framed("sessions", revision=1), framed("sessions", revision=2), framed("carts")

    def tokens(value: bytes, start: int, end: int, partition: int = 0) -> tuple[str, ...]:
        span = Span("sessions", partition, start, end)
        # A new writer each time: a restart must find the same token.
        blocks = ChunkWriter(CATALOG.schema).blocks(
            span, [(start, value), (start + 1, cart)], can_mix=can_mix
        )
        return tuple(block.token for block in blocks)

    assert tokens(one, 5, 7) == tokens(one, 5, 7)
    assert tokens(one, 5, 7)[0].startswith("sessions-0-5-7-302")
    different = {
        tokens(one, 5, 7),
        tokens(other, 5, 7),
        tokens(one, 4, 7),
        tokens(one, 5, 8),
        tokens(one, 5, 7, 1),
    }
    assert len(different) == 5


def test_few_schemas_with_many_records_are_not_mixed() -> None:
    """Mixing saves inserts and costs time a record."""
    batch = [(n, framed("sessions") if n % 2 else framed("carts")) for n in range(5_000)]
    chunks, span = ChunkWriter(CATALOG.schema), Span("sessions", 0, 0, 5_000)
    assert [block.rows for block in chunks.blocks(span, batch[:-1], can_mix=True)] == [4_999]
    assert [block.rows for block in chunks.blocks(span, batch, can_mix=True)] == [2_500, 2_500]


def test_ranges_together_are_one_block_with_each_record_in_its_place() -> None:
    """Of one schema or of several; another order of the ranges, or another range, has another token."""
    chunks = ChunkWriter(CATALOG.schema)
    web, till = framed(f"{TOPIC}.web"), framed(f"{TOPIC}.pos")
    for values in ([web, web], [web, till]):
        parts = {
            Span(TOPIC, 3, 5, 7): [(5, values[0]), (6, values[1])],
            Span(TOPIC, 1, 9_000, 9_001): [(9_000, values[1])],
        }
        block = chunks.together(parts)
        assert block.is_mixed == (values[0] != values[1])
        assert read(block) == [
            expected(record, span.partition) for span, records in parts.items() for record in records
        ]
        wider = {replace(span, end=span.end + 1): records for span, records in parts.items()}
        others = chunks.together(dict(reversed(parts.items()))), chunks.together(wider)
        assert len({block.token, *(each.token for each in others)}) == 3
        assert ChunkWriter(CATALOG.schema).together(parts).token == block.token


def test_ranges_are_one_block_where_that_is_better() -> None:
    """Few rows of many schemas, or one schema alone; never what cannot be mixed, nor what is no record."""
    chunks, carts, sessions = ChunkWriter(CATALOG.schema), framed("carts"), framed("sessions")

    def are_one(*values: bytes, can_mix: bool = True) -> bool:
        parts = {
            Span("t", at, 0, 2_500): [(n, value) for n in range(2_500)] for at, value in enumerate(values)
        }
        return chunks.are_one(parts, can_mix=can_mix)

    assert are_one(carts, carts, carts, can_mix=False)
    assert not are_one(carts, sessions, can_mix=False)
    assert not are_one(carts, sessions)
    assert are_one(carts, sessions, framed("actions"))
    assert not are_one(b"poison")
    assert not chunks.are_one({Span("t", 0, 0, 9): []}, can_mix=True)


def test_nothing_makes_no_block() -> None:
    """A range without records (only transaction markers) needs no insert."""
    assert ChunkWriter(CATALOG.schema).blocks(Span("sessions", 0, 5, 9), []) == []


@pytest.mark.parametrize("value", [b"", b"\0\0\0", b"\x01\0\0\x01\x2d1", codec.frame(99_999, b"")])
def test_what_is_no_output_record_stops_the_chunk(value: bytes) -> None:
    """Output records are ours: one that cannot be one is a broken invariant, never skipped."""
    with pytest.raises(CodecError):
        ChunkWriter(CATALOG.schema).blocks(Span("sessions", 0, 0, 1), [(0, value)])


def test_every_output_has_a_sample() -> None:
    """The strategy draws from every schema that can be landed."""
    assert {CATALOG.id_of(subject) for subject in OUTPUTS} == {*range(220, 235), 302, 303, 305, 306, 307}
