"""Records of one offset range into blocks ClickHouse reads by itself. Pure: no Kafka, no HTTP.

Avro is sequential, so a record with two more fields is the record's bytes and then theirs, and an Avro file is a
header and then records: nothing is decoded here. A range gives one block for each schema in it, under a
deduplication token that names the range and fingerprints the bytes, so that a token never stands for others.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import fastavro
import xxhash

from schemas.wire import long_bytes, schema_id_of

Schema = dict[str, Any]
Record = tuple[int, bytes]
"""(offset, framed value)."""

PARTITION_FIELD: Final = "_partition"
OFFSET_FIELD: Final = "_offset"
_POSITION: Final = (
    {"name": PARTITION_FIELD, "type": "int"},
    {"name": OFFSET_FIELD, "type": "long"},
)
_FRAME_BYTES: Final = 5
_SYNC: Final = b"throughline\0\0\0\0\0"


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

    schema_id: int
    columns: tuple[str, ...]
    rows: int
    data: bytes
    token: str


class ChunkWriter:
    """Makes blocks; keeps the file header of each schema it has met."""

    def __init__(self, schema_of: Callable[[int], Schema]) -> None:
        """`schema_of` gives the Avro schema of an id; what it raises for an unknown id passes through."""
        self._schema_of = schema_of
        self._headers: dict[int, tuple[tuple[str, ...], bytes]] = {}

    def blocks(self, span: Span, records: Sequence[Record]) -> list[Block]:
        """One block a schema, by schema id; all of `span`'s records, ascending. CodecError for an unframed one."""
        partition = long_bytes(span.partition)
        bodies: dict[int, list[bytes]] = {}
        for offset, value in records:
            # Twice the same lookup is cheaper than a dict of dicts: a batch has few schemas.
            parts = bodies.setdefault(schema_id_of(value), [])
            parts.append(value[_FRAME_BYTES:])
            parts.append(partition + long_bytes(offset))
        return [self._block(span, schema_id, bodies[schema_id]) for schema_id in sorted(bodies)]

    def _block(self, span: Span, schema_id: int, parts: list[bytes]) -> Block:
        columns, header = self._header(schema_id)
        rows, body = len(parts) // 2, b"".join(parts)
        name = f"{span.topic}-{span.partition}-{span.start}-{span.end}-{schema_id}"
        return Block(
            schema_id=schema_id,
            columns=columns,
            rows=rows,
            data=b"".join((header, long_bytes(rows), long_bytes(len(body)), body, _SYNC)),
            token=f"{name}-{xxhash.xxh3_64_hexdigest(body)}",
        )

    def _header(self, schema_id: int) -> tuple[tuple[str, ...], bytes]:
        known = self._headers.get(schema_id)
        if known is None:
            schema = with_position(self._schema_of(schema_id))
            columns = tuple(field["name"] for field in schema["fields"])
            known = self._headers[schema_id] = columns, _file_header(schema)
        return known


def with_position(schema: Schema) -> Schema:
    """A writer schema with partition and offset behind its fields, without what only people read."""
    bare: Schema = _without_docs(schema)
    return {**bare, "fields": [*bare["fields"], *_POSITION]}


def _without_docs(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_docs(branch) for branch in node]
    if isinstance(node, dict):
        return {
            key: item if key == "default" else _without_docs(item)
            for key, item in node.items()
            if key != "doc"
        }
    return node


def _file_header(schema: Schema) -> bytes:
    """Avro 1.11 specification, "Object Container Files"."""
    file = io.BytesIO()
    # A copy through JSON: fastavro marks the schemas it has parsed.
    fastavro.writer(file, json.loads(json.dumps(schema)), [], sync_marker=_SYNC)
    return file.getvalue()
