"""May these schemas follow the ones already released? Answered in whole sentences, one a violation.

Every record ever written must stay readable (BACKWARD_TRANSITIVE: each current schema reads what any released
one wrote, by the resolution rules of the Avro 1.11 specification, "Schema Resolution"), the envelope must be
the very same, and an id must never name two schemas. It knows nothing of bytes or registries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.catalog import (
    CHANNELS,
    STITCHED_TOPIC,
    TOUCHPOINTS_TOPIC,
    Catalog,
    Release,
    Schema,
    read_part,
    releases,
)

__all__ = ["ENVELOPE_FIELDS", "as_text", "check", "fingerprint", "resolution_errors", "snapshot"]

ENVELOPE_FIELDS: Final = 14
"""The envelope is frozen at these many; what a channel adds comes behind them."""

_PROMOTIONS: Final[Mapping[str, frozenset[str]]] = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}


def check(catalog: Catalog, released: Mapping[str, Release] | None = None) -> list[str]:
    """One sentence a violation of the catalog against all releases (ours by default)."""
    found = list(_envelope_errors(catalog))
    for version, release in (releases() if released is None else released).items():
        for subject, (schema_id, schema) in release.items():
            found += [f"{subject} against {version}: {what}" for what in _against(catalog, subject, schema)]
            found += [
                f"{subject} against {version}: {what}" for what in _id_errors(catalog, schema_id, schema)
            ]
    return found


def snapshot(catalog: Catalog) -> Release:
    """What a release leaves behind: id and schema of every subject we write, without prose."""
    return {
        subject: (catalog.id_of(subject), _without_doc(catalog.schema(catalog.id_of(subject))))
        for subject in catalog.subjects()
    }


def as_text(release: Release) -> str:
    """A snapshot as the file under `schemas/released` that keeps it, one schema a line."""
    lines = (
        f"{json.dumps(subject)}: {json.dumps({'id': schema_id, 'schema': schema}, ensure_ascii=False)}"
        for subject, (schema_id, schema) in release.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def fingerprint(schema: Schema) -> str:
    """Equal for schemas that differ in prose alone."""
    return json.dumps(_without_doc(schema), sort_keys=True)


def _without_doc(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_doc(item) for key, item in node.items() if key != "doc"}
    return [_without_doc(branch) for branch in node] if isinstance(node, list) else node


def _against(catalog: Catalog, subject: str, released: Schema) -> Iterator[str]:
    if subject not in catalog.subjects():
        yield "the subject is gone"
        return
    current = catalog.schema(catalog.id_of(subject))
    yield from resolution_errors(current, released)
    if subject.startswith(TOUCHPOINTS_TOPIC) and _envelope_of(current) != _envelope_of(released):
        yield "the envelope is frozen, and differs"


def _envelope_of(schema: Schema) -> str:
    return fingerprint({"fields": schema["fields"][:ENVELOPE_FIELDS]})


def _id_errors(catalog: Catalog, schema_id: int, released: Schema) -> Iterator[str]:
    if schema_id not in catalog.ids():
        yield f"id {schema_id} is unknown: records under it can't be read"
    elif fingerprint(catalog.schema(schema_id)) != fingerprint(released):
        yield f"id {schema_id} names another schema: a changed schema takes a new id"


def _envelope_errors(catalog: Catalog) -> Iterator[str]:
    """Every channel begins with the envelope, every stitched schema with its channel: bytes depend on it."""
    size = len(read_part("envelope")["fields"])
    if size != ENVELOPE_FIELDS:
        yield f"the envelope is frozen at {ENVELOPE_FIELDS} fields, and has {size}"
    envelopes = set()
    for channel in CHANNELS:
        plain = catalog.schema(catalog.id_of(TOUCHPOINTS_TOPIC + channel))
        stitched = catalog.schema(catalog.id_of(STITCHED_TOPIC + channel))
        envelopes.add(_envelope_of(plain))
        front = {"fields": stitched["fields"][: len(plain["fields"])]}
        if fingerprint(front) != fingerprint({"fields": plain["fields"]}):
            yield f"{STITCHED_TOPIC}{channel}: does not begin with the fields of {TOUCHPOINTS_TOPIC}{channel}"
    if len(envelopes) > 1:
        yield "the channels have different envelopes"


def resolution_errors(reader: Schema, writer: Schema) -> list[str]:
    """Why data written with `writer` can't be read with `reader`; none: it can."""
    return list(_Resolution(_named(reader), _named(writer)).errors(reader, writer, "record"))


def _full_name(node: Mapping[str, Any], namespace: str) -> str:
    name: str = node["name"]
    own: str = node.get("namespace", namespace)
    return name if "." in name or not own else f"{own}.{name}"


def _named(node: Any, namespace: str = "") -> dict[str, Schema]:
    """Records, enums and fixed of a schema by full name."""
    if isinstance(node, list):
        return {name: found for branch in node for name, found in _named(branch, namespace).items()}
    if not isinstance(node, dict):
        return {}
    found: dict[str, Schema] = {}
    if node.get("type") in ("record", "enum", "fixed"):
        full = _full_name(node, namespace)
        namespace = full.rpartition(".")[0]
        found[full] = node
    for key in ("type", "items", "values"):
        found |= _named(node.get(key), namespace)
    for field in node.get("fields", ()):
        found |= _named(field["type"], namespace)
    return found


class _Resolution:
    """One reader and writer schema, compared all the way down."""

    def __init__(self, reader_names: dict[str, Schema], writer_names: dict[str, Schema]) -> None:
        self._reader_names = reader_names
        self._writer_names = writer_names
        self._under_way: set[tuple[str, str]] = set()

    def errors(self, reader: Any, writer: Any, where: str) -> Iterator[str]:
        reader, writer = _opened(reader, self._reader_names), _opened(writer, self._writer_names)
        if isinstance(writer, list):
            for branch in writer:
                yield from self.errors(reader, branch, where)
        elif isinstance(reader, list):
            if not any(not list(self.errors(branch, writer, where)) for branch in reader):
                yield f"{where}: {_kind(writer)} fits no branch of the union"
        elif _kind(reader) != _kind(writer):
            if _kind(reader) not in _PROMOTIONS.get(_kind(writer), ()):
                yield f"{where}: {_kind(writer)} can't be read as {_kind(reader)}"
        else:
            yield from self._same_kind(reader, writer, where)

    def _same_kind(self, reader: Any, writer: Any, where: str) -> Iterator[str]:
        kind = _kind(reader)
        if kind in ("array", "map"):
            inner = "items" if kind == "array" else "values"
            yield from self.errors(reader[inner], writer[inner], f"{where}.{inner}")
        elif kind in ("record", "enum", "fixed"):
            yield from self._same_name(reader, writer, where)
        if _logical(reader) != _logical(writer):
            yield f"{where}: logical type {_logical(writer)} became {_logical(reader)}"

    def _same_name(self, reader: Schema, writer: Schema, where: str) -> Iterator[str]:
        names = {reader["name"], *reader.get("aliases", ())}
        if writer["name"].rpartition(".")[2] not in {name.rpartition(".")[2] for name in names}:
            yield f"{where}: {writer['name']} became {reader['name']}"
        if reader["type"] == "record":
            yield from self._records(reader, writer, where)
        elif reader["type"] == "enum":
            lost = set(writer["symbols"]) - set(reader["symbols"])
            if lost and "default" not in reader:
                yield f"{where}: symbols {', '.join(sorted(lost))} are gone"
        elif reader["size"] != writer["size"]:
            yield f"{where}: size {writer['size']} became {reader['size']}"

    def _records(self, reader: Schema, writer: Schema, where: str) -> Iterator[str]:
        pair = (reader["name"], writer["name"])
        if pair in self._under_way:
            return
        self._under_way.add(pair)
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            names = [field["name"], *field.get("aliases", ())]
            match = next((written[name] for name in names if name in written), None)
            if match is not None:
                yield from self.errors(field["type"], match["type"], f"{where}.{field['name']}")
            elif "default" not in field:
                yield f"{where}.{field['name']}: new, and has no default"
        self._under_way.discard(pair)


def _opened(node: Any, names: dict[str, Schema]) -> Any:
    """A name as what it names, `{"type": "string"}` as `"string"`."""
    if isinstance(node, str):
        fits = [schema for full, schema in names.items() if full == node or full.rpartition(".")[2] == node]
        return fits[0] if fits else node
    if isinstance(node, dict) and isinstance(node["type"], (dict, list)):
        return _opened(node["type"], names)
    return node


def _kind(node: Any) -> str:
    kind = node["type"] if isinstance(node, dict) else node
    return str(kind)


def _logical(node: Any) -> str | None:
    return node.get("logicalType") if isinstance(node, dict) else None
