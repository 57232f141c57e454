"""Which schema has which id, and what each channel's schema is made of.

A channel's schema is the frozen envelope, the channel's own fields and `properties`, put together here from
one file each, so that no channel's envelope can differ; its stitched schema is that plus what stitching
appends. It knows nothing of bytes: `codec` reads and writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from schemas.wire import CodecError, Reason

__all__ = ["CHANNELS", "STITCHED_TOPIC", "TOUCHPOINTS_TOPIC", "Catalog", "Release", "Schema", "releases"]

Schema = dict[str, Any]
"""An Avro record schema as JSON, named types spelled out where they first occur."""

Release = Mapping[str, tuple[int, Schema]]
"""Id and schema by subject."""

CHANNELS: Final = (
    "web", "app", "pos", "email", "sms", "push", "chat", "support",
    "social", "ads", "loyalty", "store", "voice", "survey", "orders",
)  # fmt: skip
"""Every channel; a channel's place is its code, for ever: new ones go to the end."""

TOUCHPOINTS_TOPIC: Final = "touchpoints."
STITCHED_TOPIC: Final = "touchpoints.stitched."


def read_part(name: str) -> Schema:
    """One file of `schemas/avro`, as it is."""
    part: Schema = json.loads((files("schemas") / "avro" / f"{name}.avsc").read_text("utf-8"))
    return part


def _spelled_out(node: Any, seen: set[str]) -> Any:
    """The schema with the records of `_NAMED` written out where they are first named."""
    if isinstance(node, str) and node in _NAMED and node not in seen:
        seen.add(node)
        return read_part(_NAMED[node])
    if isinstance(node, list):
        return [_spelled_out(branch, seen) for branch in node]
    if isinstance(node, dict):
        return {key: _spelled_out(item, seen) if key in _TYPE_KEYS else item for key, item in node.items()}
    return node


_NAMED: Final = {"throughline.Item": "item", "throughline.Campaign": "campaign"}
"""Records that several schemas have a field of, by name: their file."""

_TYPE_KEYS = frozenset({"type", "items", "values", "fields"})


def _compose(name: str, *, after: tuple[str, ...] = (), namespace: str = "throughline") -> Schema:
    """The schema of file `name`; its fields follow the envelope if `after` names what follows them."""
    part = read_part(name)
    parts = [read_part("envelope"), part, *map(read_part, after)] if after else [part]
    fields = [field for each in parts for field in each["fields"]]
    composed = {**part, "namespace": namespace, "fields": fields}
    spelled: Schema = _spelled_out(composed, set())
    return spelled


def compose(subject: str) -> Schema:
    """The full schema of one of our subjects, composed from its parts."""
    if subject.startswith(STITCHED_TOPIC):
        channel = subject.removeprefix(STITCHED_TOPIC)
        after = ("properties", "stitching")
        return _compose(TOUCHPOINTS_TOPIC + channel, after=after, namespace="throughline.stitched")
    if subject.startswith(TOUCHPOINTS_TOPIC):
        return _compose(subject, after=("properties",))
    return _compose(subject)


class Catalog:
    """Schemas by id, ids by subject. A value: `with_schema` gives a new one.

    Subjects: `touchpoints.<channel>`, `touchpoints.stitched.<channel>`, `sessions`, `carts`, `actions`,
    `identities`, `deliveries`, `identity.control`. Several ids may have one subject (its versions); `id_of` gives the
    one we write.
    """

    def __init__(self, entries: Iterable[tuple[int, str, Schema]]) -> None:
        """`entries`: (id, subject, schema); the last entry of a subject is the one we write."""
        self._schemas: dict[int, Schema] = {}
        self._subjects: dict[int, str] = {}
        self._ids: dict[str, int] = {}
        for schema_id, subject, schema in entries:
            self._schemas[schema_id] = schema
            self._subjects[schema_id] = subject
            self._ids[subject] = schema_id
        self.channels: Mapping[int, str] = {
            self._ids[subject]: subject.removeprefix(TOUCHPOINTS_TOPIC)
            for subject in self._ids
            if subject.removeprefix(TOUCHPOINTS_TOPIC) in CHANNELS
        }
        """Channel by its current input schema: such records take the fast path."""

    @staticmethod
    def embedded() -> Catalog:
        """Our own schemas under the stable ids kept beside them."""
        return _embedded()

    def with_schema(self, schema_id: int, subject: str, schema: Schema) -> Catalog:
        """This catalog with one more writer schema of a subject we know; what we write stays the same."""
        current = self.id_of(subject)
        others = [each for each in self._schemas if each != current]
        return Catalog(
            [
                *((each, self._subjects[each], self._schemas[each]) for each in others),
                (schema_id, subject, schema),
                (current, subject, self._schemas[current]),
            ]
        )

    def subjects(self) -> tuple[str, ...]:
        """Every subject, in the order of the ids we write."""
        return tuple(sorted(self._ids, key=self._ids.__getitem__))

    def ids(self) -> Mapping[int, str]:
        """Subject by schema id, older versions included."""
        return dict(self._subjects)

    def id_of(self, subject: str) -> int:
        """The id we write this subject under; KeyError for a subject that is not ours."""
        return self._ids[subject]

    def subject(self, schema_id: int) -> str:
        """The subject of a schema id; CodecError(unknown_schema)."""
        try:
            return self._subjects[schema_id]
        except KeyError:
            raise CodecError(Reason.UNKNOWN_SCHEMA, f"schema id {schema_id}") from None

    def schema(self, schema_id: int) -> Schema:
        """The schema of an id as JSON (not to be changed); CodecError(unknown_schema)."""
        try:
            return self._schemas[schema_id]
        except KeyError:
            raise CodecError(Reason.UNKNOWN_SCHEMA, f"schema id {schema_id}") from None


@cache
def _embedded() -> Catalog:
    ids: dict[str, int] = json.loads((files("schemas") / "avro" / "ids.json").read_text("utf-8"))
    older = {
        schema_id: (schema_id, subject, schema)
        for release in releases().values()
        for subject, (schema_id, schema) in release.items()
        if subject in ids and schema_id not in ids.values()
    }
    ours = [(schema_id, subject, compose(subject)) for subject, schema_id in ids.items()]
    return Catalog([*older.values(), *ours])


@cache
def releases() -> Mapping[str, Release]:
    """Version to what it released, oldest first: records written then are still in somebody's Kafka."""
    found = {each.name.removesuffix(".json"): each for each in (files("schemas") / "released").iterdir()}
    return {version: _read_release(found[version]) for version in sorted(found, key=_version_parts)}


def _version_parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _read_release(file: Traversable) -> Release:
    kept: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return {subject: (entry["id"], entry["schema"]) for subject, entry in kept.items()}
