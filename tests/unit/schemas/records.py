"""Records for tests of the contracts: one builder, strategies drawn from a schema, and a second Avro writer.

The writer here writes what fastavro's never does and Avro allows: maps and arrays in several blocks, blocks
with their size in front, numbers spelled longer than they need be.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import strategies as st

from schemas.catalog import Catalog, Schema

WEEK_MS = 7 * 24 * 3600 * 1000
EARLIEST_MS, LATEST_MS = -2_208_988_800_000, 10_413_791_999_999
TYPES = ("track", "identify", "page", "screen", "group", "alias")

Draw = Callable[[st.SearchStrategy[Any]], Any]


def touchpoint(**changes: Any) -> dict[str, Any]:
    """A full envelope of a web touchpoint, changed as told."""
    return {
        "message_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "type": "track",
        "event": "Product Added",
        "channel": "web",
        "occurred_at": 1_700_000_000_000,
        "received_at": 1_700_000_000_250,
        "identifiers": {"anonymous_id": "7d444840", "email": "a@b.example"},
        "cart_id": "cart-1",
        "order_id": None,
        "items": [
            {"product_id": "p1", "name": "Shoe", "category": "a/b", "quantity": 2, "price_micros": 19_990_000}
        ],
        "revenue_micros": None,
        "currency": "EUR",
        "campaign": {"source": "mail", "medium": None, "name": "spring", "term": None, "content": None},
        "location_id": None,
        **changes,
    }


def schema_of(subject: str) -> Schema:
    """Our schema of a subject."""
    catalog = Catalog.embedded()
    return catalog.schema(catalog.id_of(subject))


# Around 64 bytes a length takes its second byte. Drawing whole texts costs most of a test's time, so only
# every other one is.
_KNOWN = ("", "a", "e-mail", "ü", "日本", "\0", "x" * 63, "x" * 64, "ü" * 40)
_texts = st.one_of(st.sampled_from(_KNOWN), st.text(max_size=4))
_longs = st.one_of(st.integers(-3, 200), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**62, -(2**63)]))
_times = st.one_of(
    st.integers(1_700_000_000_000, 1_700_000_000_000 + WEEK_MS), st.integers(EARLIEST_MS, LATEST_MS)
)


def values_of(node: Any, names: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """Every value of an Avro type; the union's and the record's included. Times stay where a time can be."""
    names = {} if names is None else names
    if isinstance(node, list):
        return st.one_of(*(values_of(branch, names) for branch in node))
    if isinstance(node, str):
        return names[node] if node in names else _primitives[node]
    match node["type"]:
        case "record":
            fields = {field["name"]: values_of(field["type"], names) for field in node["fields"]}
            record = st.fixed_dictionaries(fields)
            names[f"throughline.{node['name']}"] = record
            return record
        case "array":
            return st.lists(values_of(node["items"], names), max_size=4)
        case "map":
            return st.dictionaries(_texts, values_of(node["values"], names), max_size=4)
    return _times if node.get("logicalType") else values_of(node["type"], names)


_primitives: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": _longs,
    "double": st.floats(allow_nan=False),  # NaN equals nothing, itself included
    "string": _texts,
}


@cache
def records(subject: str) -> st.SearchStrategy[dict[str, Any]]:
    """Every possible record of a subject."""
    return values_of(schema_of(subject))


@cache
def touchpoints(channel: str) -> st.SearchStrategy[dict[str, Any]]:
    """Every possible touchpoint of a channel, own fields and properties included."""
    possible = {
        "type": st.sampled_from(TYPES),
        "channel": st.just(channel),
        "message_id": _texts.filter(bool),
    }
    return st.tuples(records(f"touchpoints.{channel}"), st.fixed_dictionaries(possible)).map(
        lambda pair: {**pair[0], **pair[1]}
    )


def spelled(schema: Schema, record: dict[str, Any], draw: Draw) -> bytes:
    """The Avro body of a record, in one of the many spellings the specification allows.

    Most numbers are spelled as everybody spells them: where every record is odd, the fast paths are never taken.
    """
    oddness = draw(st.sampled_from((0, 0, 1, 5)))
    odd = [draw(st.integers(0, 200)) for _ in range(oddness)]
    return _Speller(draw, odd).spell(schema, record, {})


def long_spelled(number: int, padding: int) -> bytes:
    """A zigzag varint with up to `padding` bytes more than it needs, 10 in all at most."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > 127 or (padding and len(out) < 9):
        padding -= rest <= 127
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*out, rest])


class _Speller:
    """Writes one record; the numbers whose place in it is in `odd` are spelled longer than they need be."""

    def __init__(self, draw: Draw, odd: list[int]) -> None:
        self._draw = draw
        self._odd = odd
        self._numbers = 0

    def spell(self, node: Any, value: Any, names: dict[str, Any]) -> bytes:
        """A value of any type; `names` collects the records seen on the way."""
        if isinstance(node, list):
            branch = 0 if value is None else 1
            return self._long(branch) + self.spell(node[branch], value, names)
        kind = names.get(node, node) if isinstance(node, str) else node
        if isinstance(kind, str):
            return self._primitive(kind, value)
        match kind["type"]:
            case "record":
                names[f"throughline.{kind['name']}"] = kind
                return b"".join(
                    self.spell(field["type"], value[field["name"]], names) for field in kind["fields"]
                )
            case "array":
                return self._blocks([self.spell(kind["items"], each, names) for each in value])
            case "map":
                pairs = value.items()
                return self._blocks(
                    [self._text(key) + self.spell(kind["values"], each, names) for key, each in pairs]
                )
        return self.spell(kind["type"], value, names)

    def _long(self, number: int) -> bytes:
        self._numbers += 1
        return long_spelled(number, 1 + number % 3 if self._numbers in self._odd else 0)

    def _text(self, text: str) -> bytes:
        raw = text.encode()
        return self._long(len(raw)) + raw

    def _primitive(self, kind: str, value: Any) -> bytes:
        match kind:
            case "null":
                return b""
            case "boolean":
                return bytes([value])
            case "string":
                return self._text(value)
            case "double":
                return struct.pack("<d", value)
        return self._long(value)

    def _blocks(self, entries: list[bytes]) -> bytes:
        """The entries of a map or array in blocks, some counted with a negative number and their size."""
        out = b""
        while entries:
            size = self._draw(st.one_of(st.just(len(entries)), st.integers(1, len(entries))))
            block = b"".join(entries[:size])
            if self._draw(st.sampled_from((False, False, True))):
                out += self._long(-size) + self._long(len(block)) + block
            else:
                out += self._long(size) + block
            entries = entries[size:]
        return out + self._long(0)
