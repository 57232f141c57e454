"""Avro files as ClickHouse reads them: their header, and one schema for records of several. Pure.

A file has one schema. Records of several schemas fit into one file as a union, in which each record is its bytes
behind the number of its branch. ClickHouse names a column after the path to it; all branches are called the same
in different namespaces, so that a field has one path, whichever branch it comes from.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any, Final

import fastavro

Schema = dict[str, Any]

PARTITION_FIELD: Final = "_partition"
OFFSET_FIELD: Final = "_offset"
SYNC: Final = b"throughline\0\0\0\0\0"
MIXED_PREFIX: Final = "record.Any."
"""What ClickHouse puts before a field's name in a file of several schemas."""

_POSITION: Final = ({"name": PARTITION_FIELD, "type": "int"}, {"name": OFFSET_FIELD, "type": "long"})
_NAMED: Final = frozenset({"record", "enum", "fixed"})
_PRIMITIVE: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


def with_position(schema: Schema) -> Schema:
    """A writer schema with partition and offset behind its fields, without what only people read."""
    bare: Schema = _without_docs(schema)
    return {**bare, "fields": [*bare["fields"], *_POSITION]}


def mixed(schemas: Mapping[int, Schema]) -> Schema:
    """One schema for records of several: each record stands behind its schema's place in the mapping."""
    field, name, _ = MIXED_PREFIX.split(".")
    branches = [
        {**_in_namespace(schema, f"schema{schema_id}"), "name": name} for schema_id, schema in schemas.items()
    ]
    return {"type": "record", "name": "Mixed", "fields": [{"name": field, "type": branches}]}


def header(schema: Schema) -> bytes:
    """What a file of this schema begins with; Avro 1.11 specification, "Object Container Files"."""
    file = io.BytesIO()
    # A copy through JSON: fastavro marks the schemas it has parsed.
    fastavro.writer(file, json.loads(json.dumps(schema)), [], sync_marker=SYNC)
    return file.getvalue()


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


def _in_namespace(node: Any, namespace: str) -> Any:
    """The schema with every type it names moved there, so that no two schemas' types can clash."""
    if isinstance(node, str):
        return node if node in _PRIMITIVE else f"{namespace}.{node.rpartition('.')[2]}"
    if isinstance(node, list):
        return [_in_namespace(branch, namespace) for branch in node]
    moved = {key: _in_namespace(node[key], namespace) for key in ("items", "values") if key in node}
    if "fields" in node:
        moved["fields"] = [
            {**each, "type": _in_namespace(each["type"], namespace)} for each in node["fields"]
        ]
    if node["type"] in _NAMED:
        return {**node, **moved, "namespace": namespace}
    if node["type"] in ("array", "map"):
        return {**node, **moved}
    return {**node, "type": _in_namespace(node["type"], namespace)}
