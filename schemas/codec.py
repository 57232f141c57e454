"""Records to bytes and back: the one place the rest of the project turns to.

The generic paths (`encode`, `decode`, `as_current`) go through fastavro and take every schema of a catalog;
the hot ones are made by hand in `touchpoint_reader` and `writer`, give the same answers, and are offered here
under one name. Times are epoch-ms ints on both sides. It knows no topic, key or rule.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import fastavro
from fastavro.read import SchemaResolutionError

from schemas.catalog import CHANNELS, TOUCHPOINTS_TOPIC, Catalog, Schema
from schemas.fields import ItemFields, TouchpointFields
from schemas.touchpoint_reader import (
    TYPES,
    Campaign,
    Commerce,
    Head,
    Item,
    check_own,
    check_rest,
    read_commerce,
    read_head,
    read_identifiers,
)
from schemas.wire import CodecError, Reason, frame, schema_id_of, unframe, unreadable, wrong_type
from schemas.writer import (
    encode_touchpoint,
    owner_bytes,
    stitch,
)

__all__ = [
    "CHANNELS",
    "TYPES",
    "Campaign",
    "CodecError",
    "Commerce",
    "Head",
    "Item",
    "ItemFields",
    "Reason",
    "TouchpointFields",
    "as_current",
    "check_own",
    "check_rest",
    "decode",
    "decode_as",
    "encode",
    "encode_touchpoint",
    "frame",
    "owner_bytes",
    "read_commerce",
    "read_head",
    "read_identifiers",
    "schema_id_of",
    "stitch",
    "unframe",
]  # fmt: skip


def without_logical_types(node: Any) -> Any:
    """The schema with times as the plain longs they are on the wire."""
    if isinstance(node, dict):
        return {key: without_logical_types(item) for key, item in node.items() if key != "logicalType"}
    return [without_logical_types(branch) for branch in node] if isinstance(node, list) else node


@lru_cache(maxsize=1024)
def _plain(catalog: Catalog, schema_id: int) -> Schema:
    """The schema of an id as fastavro wants it, parsed once a catalog."""
    schema = fastavro.parse_schema(without_logical_types(catalog.schema(schema_id)))
    assert isinstance(schema, dict), "every schema of ours is a record"
    return schema


def encode(subject_or_id: str | int, record: Mapping[str, Any], *, catalog: Catalog | None = None) -> bytes:
    """A framed record of any subject; fields with defaults may be absent. Raises CodecError(wrong_type)."""
    catalog = catalog or Catalog.embedded()
    schema_id = catalog.id_of(subject_or_id) if isinstance(subject_or_id, str) else subject_or_id
    out = io.BytesIO()
    try:
        fastavro.schemaless_writer(out, _plain(catalog, schema_id), dict(record), strict_allow_default=True)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise wrong_type(str(error)) from error
    return frame(schema_id, out.getvalue())


def decode(value: bytes | None, catalog: Catalog | None = None) -> tuple[str, dict[str, Any]]:
    """(subject, whole record) of a framed record of any schema in the catalog; raises CodecError."""
    catalog = catalog or Catalog.embedded()
    schema_id, body = unframe(value)
    record = _read_whole(body, _plain(catalog, schema_id), None)
    return catalog.subject(schema_id), record


def decode_as(subject: str, value: bytes | None, catalog: Catalog) -> dict[str, Any]:
    """The whole record of a value of any schema the catalog knows for the subject, in its current schema.

    Raises CodecError, also for a record of another subject.
    """
    schema_id, body = unframe(value)
    found = catalog.subject(schema_id)
    if found != subject:
        raise wrong_type(f"a record of {found} where one of {subject} belongs")
    return _read_whole(body, _plain(catalog, schema_id), _plain(catalog, catalog.id_of(subject)))


def as_current(value: bytes, catalog: Catalog) -> bytes:
    """A touchpoint of any schema the catalog knows for its channel, in the channel's current schema.

    The slow, full path: for records whose id is not one of `catalog.channels`. Raises CodecError.
    """
    schema_id, body = unframe(value)
    subject = catalog.subject(schema_id)
    if subject.removeprefix(TOUCHPOINTS_TOPIC) not in CHANNELS:
        raise wrong_type(f"a record of {subject} where a touchpoint belongs")
    current = catalog.id_of(subject)
    if schema_id == current:
        return value
    record = _read_whole(body, _plain(catalog, schema_id), _plain(catalog, current))
    return encode(current, record, catalog=catalog)


def _read_whole(body: bytes, writer: Schema, reader: Schema | None) -> dict[str, Any]:
    source = io.BytesIO(body)
    try:
        record = fastavro.schemaless_reader(source, writer, reader)
    except SchemaResolutionError as error:
        raise CodecError(Reason.UNKNOWN_SCHEMA, str(error)) from error
    except Exception as error:
        # fastavro has no one error for bad bytes: EOFError, IndexError, ValueError, MemoryError, …
        raise unreadable(f"{type(error).__name__}: {error}") from error
    if source.tell() != len(body):
        raise unreadable("bytes behind the record")
    if not isinstance(record, dict):
        raise unreadable("not a record")
    return record
