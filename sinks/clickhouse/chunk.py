"""Records of one offset range into blocks ClickHouse reads by itself. Pure: no Kafka, no HTTP.

Avro is sequential, so a record with two more fields is the record's bytes and then theirs: nothing is decoded
here. Each block has a deduplication token that names the range and fingerprints the bytes, so that a token never
stands for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import xxhash

from schemas.wire import long_bytes, schema_id_of
from sinks.clickhouse.container import MIXED_PREFIX, SYNC, Schema, header, mixed, with_position

Record = tuple[int, bytes]
"""(offset, framed value)."""

_FRAME_BYTES: Final = 5
# What an insert into the touchpoints' many columns costs before its first row, in rows: 37 ms against 7 µs a row.
# Rows of a mixed block cost twice as much. Another number here names other tokens for the same ranges.
_INSERT_ROWS: Final = 5_000


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
    is_mixed: bool = False


class ChunkWriter:
    """Makes blocks; keeps the file header of each schema, or set of schemas, it has met."""

    def __init__(self, schema_of: Callable[[int], Schema]) -> None:
        """`schema_of` gives the Avro schema of an id; what it raises for an unknown id passes through."""
        self._schema_of = schema_of
        self._headers: dict[tuple[bool, tuple[int, ...]], tuple[tuple[str, ...], bytes]] = {}

    def blocks(self, span: Span, records: Sequence[Record], *, can_mix: bool = False) -> list[Block]:
        """All of `span`'s records, ascending, as blocks. CodecError for a record without framing.

        One block a schema; with `can_mix`, where that would be many small ones, one mixed block in all, its
        columns named behind MIXED_PREFIX. The same range always gives the same blocks.
        """
        by_schema: dict[int, list[Record]] = {}
        for record in records:
            by_schema.setdefault(schema_id_of(record[1]), []).append(record)
        schema_ids = tuple(sorted(by_schema))
        if can_mix and len(records) < (len(schema_ids) - 1) * _INSERT_ROWS:
            return [self._block(span, schema_ids, records=records, is_mixed=True)]
        return [
            self._block(span, (schema_id,), records=by_schema[schema_id], is_mixed=False)
            for schema_id in schema_ids
        ]

    def _block(
        self, span: Span, schema_ids: tuple[int, ...], *, records: Sequence[Record], is_mixed: bool
    ) -> Block:
        columns, head = self._header(schema_ids, is_mixed=is_mixed)
        body = b"".join(_parts(records, long_bytes(span.partition), schema_ids if is_mixed else ()))
        names = ".".join(map(str, schema_ids))
        place = f"{span.topic}-{span.partition}-{span.start}-{span.end}-{names}"
        return Block(
            columns=columns,
            rows=len(records),
            data=b"".join((head, long_bytes(len(records)), long_bytes(len(body)), body, SYNC)),
            token=f"{place}-{xxhash.xxh3_64_hexdigest(body)}",
            is_mixed=is_mixed,
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


def _parts(records: Sequence[Record], partition: bytes, branch_ids: tuple[int, ...]) -> Iterator[bytes]:
    """The bytes of each record, piece by piece; behind the number of its branch where there are branches."""
    branches = {schema_id: long_bytes(place) for place, schema_id in enumerate(branch_ids)}
    for offset, value in records:
        if branches:
            yield branches[schema_id_of(value)]
        yield value[_FRAME_BYTES:]
        yield partition
        yield long_bytes(offset)
