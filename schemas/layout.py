"""The fields of each channel behind the envelope, as the short list the hand-made paths walk along.

Derived from the schemas, so that a new own field needs no code; a field of a kind nobody taught the hand-made
paths stops the import. It knows nothing of bytes beyond what each kind is called.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from schemas.catalog import CHANNELS, TOUCHPOINTS_TOPIC, read_part

__all__ = ["ENVELOPE_NAMES", "OWN_FIELDS", "Kind", "kind_of"]


class Kind(IntEnum):
    """What a field behind the head holds; every kind's default is one zero byte."""

    TEXT = 0
    LONG = 1
    DOUBLE = 2
    BOOLEAN = 3
    ITEMS = 4
    CAMPAIGN = 5


_KINDS = {"string": Kind.TEXT, "long": Kind.LONG, "double": Kind.DOUBLE}


def kind_of(field: dict[str, Any]) -> Kind:
    """The kind of a field of ours; ValueError for one the hand-made paths do not know."""
    match field:
        case {"type": "boolean", "default": False}:
            return Kind.BOOLEAN
        case {"type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None}:
            return Kind.LONG
        case {"type": ["null", str(name)], "default": None} if name in _KINDS:
            return _KINDS[name]
    raise ValueError(f"own field {field['name']}: neither nullable text, long, double or time, nor boolean")


def _own_fields(channel: str) -> tuple[tuple[str, Kind], ...]:
    part = read_part(TOUCHPOINTS_TOPIC + channel)
    return tuple((field["name"], kind_of(field)) for field in part["fields"])


ENVELOPE_NAMES: Final = tuple(field["name"] for field in read_part("envelope")["fields"])
OWN_FIELDS: Final = {channel: _own_fields(channel) for channel in CHANNELS}
"""(name, kind) of each channel's own fields, in the order of its schema."""
