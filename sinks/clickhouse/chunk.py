"""Records of offset ranges into blocks ClickHouse reads by itself. Pure: no Kafka, no HTTP.

Avro is sequential, so a record with two more fields is the record's bytes and then theirs: nothing is decoded
here, unless a range was refused. Each block has a deduplication token that names its ranges and fingerprints the
bytes, so that a token never stands for others.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import fastavro
import xxhash

from schemas.wire import CodecError, long_bytes, schema_id_of, unframe, unreadable
from sinks.clickhouse.container import MIXED_PREFIX, SYNC, Schema, header, mixed, with_position
from sinks.clickhouse.rows import Record, joined, schema_ids_of

__all__ = ["Block", "ChunkWriter", "Record", "Span", "by_schema"]

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
        self._parsed: dict[int, Any] = {}

    def blocks(self, span: Span, records: Sequence[Record], *, can_mix: bool = False) -> list[Block]:
        """All of `span`'s records, ascending, as blocks. CodecError for a record that is framed wrongly.

        One block a schema; with `can_mix`, where that would be many small ones, one mixed block in all, its
        columns named behind MIXED_PREFIX. The same range always gives the same blocks.
        """
        schema_ids = tuple(schema_ids_of([*records]))
        if can_mix and _is_better_mixed(len(records), schema_ids):
            return [self._block({span: records}, schema_ids)]
        groups = by_schema(records) if len(schema_ids) > 1 else dict.fromkeys(schema_ids, records)
        return [self._block({span: groups[schema_id]}, (schema_id,)) for schema_id in schema_ids]

    def are_one(self, parts: Mapping[Span, Sequence[Record]], *, can_mix: bool) -> bool:
        """Whether ranges of a topic are better landed as one block, which they then can be."""
        try:
            schema_ids = _schema_ids_of(parts)
        except CodecError:
            return False
        rows = sum(map(len, parts.values()))
        return len(schema_ids) == 1 or (can_mix and _is_better_mixed(rows, schema_ids))

    def together(self, parts: Mapping[Span, Sequence[Record]]) -> Block:
        """Ranges of a topic as one block, in their order; mixed, if they have several schemas.

        The same ranges always give the same block. CodecError for a record that is framed wrongly.
        """
        return self._block(parts, _schema_ids_of(parts))

    def empty(self, schema_id: int) -> Block:
        """A block of a schema without any record: refused, it is not for the data."""
        return self._block({Span("", 0, 0, 0): ()}, (schema_id,))

    def check(self, value: bytes) -> None:
        """Raises CodecError unless a record is one of its schema, to its last byte.

        One that is shorter or longer moves the bytes of all that follow it in a block.
        """
        schema_id, body = unframe(value)
        schema = self._parsed.get(schema_id)
        if schema is None:
            schema = self._parsed[schema_id] = fastavro.parse_schema(deepcopy(self._schema_of(schema_id)))
        read = io.BytesIO(body)
        try:
            fastavro.schemaless_reader(read, schema, None)
        except Exception as error:  # whatever a reader makes of bytes that are none of its
            raise unreadable(f"{type(error).__name__}: {error}") from error
        if read.tell() != len(body):
            raise unreadable(f"{len(body) - read.tell()} bytes behind the record")

    def _block(self, parts: Mapping[Span, Sequence[Record]], schema_ids: tuple[int, ...]) -> Block:
        """Mixed, where there are several schemas."""
        is_mixed = len(schema_ids) > 1
        columns, head = self._header(schema_ids, is_mixed=is_mixed)
        branches = {schema_id: long_bytes(at) for at, schema_id in enumerate(schema_ids)} if is_mixed else {}
        body = [
            piece for span, records in parts.items() for piece in joined([*records], span.partition, branches)
        ]
        hashed, size, rows = xxhash.xxh3_64(), 0, sum(map(len, parts.values()))
        for piece in body:
            hashed.update(piece)
            size += len(piece)
        places = "_".join(f"{span.partition}-{span.start}-{span.end}" for span in parts)
        names = ".".join(map(str, schema_ids))
        return Block(
            columns=columns,
            rows=rows,
            data=b"".join((head, long_bytes(rows), long_bytes(size), *body, SYNC)),
            token=f"{next(iter(parts)).topic}-{places}-{names}-{hashed.hexdigest()}",
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


def _is_better_mixed(rows: int, schema_ids: Sequence[int]) -> bool:
    return rows < (len(schema_ids) - 1) * _INSERT_ROWS


def _schema_ids_of(parts: Mapping[Span, Sequence[Record]]) -> tuple[int, ...]:
    """Of all of them, rising, each once. CodecError for a record that is framed wrongly."""
    return tuple(sorted({each for records in parts.values() for each in schema_ids_of([*records])}))


def by_schema(records: Iterable[Record]) -> dict[int, list[Record]]:
    """Records by the id of their schema, in their order. CodecError for one without framing."""
    groups: dict[int, list[Record]] = {}
    for record in records:
        groups.setdefault(schema_id_of(record[1]), []).append(record)
    return groups
