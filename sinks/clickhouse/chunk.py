"""Records of one offset range into blocks ClickHouse reads by itself. Pure: no Kafka, no HTTP.

Avro is sequential, so a record with two more fields is the record's bytes and then theirs: nothing is decoded
here. Each block has a deduplication token that names the range and fingerprints the bytes, so that a token never
stands for others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import xxhash

from schemas.wire import long_bytes, schema_id_of
from sinks.clickhouse.container import MIXED_PREFIX, SYNC, Schema, header, mixed, with_position

Record = tuple[int, bytes]
"""(offset, framed value)."""

_FRAME_BYTES: Final = 5


@dataclass(frozen=True, slots=True)
class Span:
    """A contiguous range of one partition: from `start`, up to but without `end`."""

    topic: str
    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """What one INSERT … FORMAT Avro takes."""

    columns: tuple[str, ...]
    rows: int
    data: bytes
    token: str


class ChunkWriter:
    """Makes blocks; keeps the file header of each schema, or set of schemas, it has met."""

    def __init__(self, schema_of: Callable[[int], Schema]) -> None:
        """`schema_of` gives the Avro schema of an id; what it raises for an unknown id passes through."""
        self._schema_of = schema_of
        self._headers: dict[tuple[bool, tuple[int, ...]], tuple[tuple[str, ...], bytes]] = {}

    def blocks(self, span: Span, records: Sequence[Record], *, is_mixed: bool) -> list[Block]:
        """All of `span`'s records, ascending, as blocks. CodecError for a record without framing.

        One block a schema; with `is_mixed` one block in all, its columns named behind MIXED_PREFIX.
        """
        if not records:
            return []
        values = [(schema_id_of(value), value, offset) for offset, value in records]
        schema_ids = sorted({schema_id for schema_id, _, _ in values})
        partition = long_bytes(span.partition)
        if is_mixed:
            branches = {schema_id: long_bytes(place) for place, schema_id in enumerate(schema_ids)}
            parts = [
                part
                for schema_id, value, offset in values
                for part in (branches[schema_id], value[_FRAME_BYTES:], partition, long_bytes(offset))
            ]
            return [self._block(span, tuple(schema_ids), parts=parts, rows=len(values), is_mixed=True)]
        by_schema: dict[int, list[bytes]] = {schema_id: [] for schema_id in schema_ids}
        for schema_id, value, offset in values:
            by_schema[schema_id] += (value[_FRAME_BYTES:], partition, long_bytes(offset))
        return [
            self._block(span, (schema_id,), parts=parts, rows=len(parts) // 3, is_mixed=False)
            for schema_id, parts in by_schema.items()
        ]

    def _block(
        self, span: Span, schema_ids: tuple[int, ...], *, parts: list[bytes], rows: int, is_mixed: bool
    ) -> Block:
        columns, head = self._header(schema_ids, is_mixed=is_mixed)
        body = b"".join(parts)
        names = ".".join(map(str, schema_ids))
        place = f"{span.topic}-{span.partition}-{span.start}-{span.end}-{names}"
        return Block(
            columns=columns,
            rows=rows,
            data=b"".join((head, long_bytes(rows), long_bytes(len(body)), body, SYNC)),
            token=f"{place}-{xxhash.xxh3_64_hexdigest(body)}",
        )

    def _header(self, schema_ids: tuple[int, ...], *, is_mixed: bool) -> tuple[tuple[str, ...], bytes]:
        known = self._headers.get((is_mixed, schema_ids))
        if known is None:
            schemas = {schema_id: with_position(self._schema_of(schema_id)) for schema_id in schema_ids}
            names = dict.fromkeys(field["name"] for schema in schemas.values() for field in schema["fields"])
            if is_mixed:
                known = tuple(MIXED_PREFIX + name for name in names), header(mixed(schemas))
            else:
                known = tuple(names), header(schemas[schema_ids[0]])
            self._headers[is_mixed, schema_ids] = known
        return known
