"""Writing touchpoints by hand (feeders), and what stitching appends to them.

Every function gives the very bytes fastavro would; whatever else is written goes through `codec.encode`.
Values of a wrong type and names the schema does not have raise CodecError(wrong_type).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final

from schemas.catalog import CHANNELS, TOUCHPOINTS_TOPIC, Catalog
from schemas.layout import ENVELOPE_NAMES, OWN_FIELDS, Kind
from schemas.touchpoint_reader import EARLIEST_MS, LATEST_MS, TYPES
from schemas.wire import frame, long_bytes, text_bytes, wrong_type

__all__ = [
    "encode_touchpoint", "owner_bytes", "stitch",
]  # fmt: skip

_ENVELOPE: Final = frozenset(ENVELOPE_NAMES)
_FRAMES: Final = {
    channel: frame(Catalog.embedded().id_of(TOUCHPOINTS_TOPIC + channel), b"") for channel in CHANNELS
}
_TYPE_BYTES: Final = {name: text_bytes(name) for name in TYPES}
_CHANNEL_BYTES: Final = {name: text_bytes(name) for name in CHANNELS}
_BARE_TAIL: Final = {channel: bytes(len(OWN_FIELDS[channel]) + 1) for channel in CHANNELS}
_NAMES: Final = {
    channel: _ENVELOPE | {name for name, _ in OWN_FIELDS[channel]} | {"properties"} for channel in CHANNELS
}
_DOUBLE: Final = struct.Struct("<d")
_CAMPAIGN: Final = ("source", "medium", "name", "term", "content")
_CAMPAIGN_NAMES: Final = frozenset(_CAMPAIGN)
_ITEM_NAMES: Final = frozenset({"product_id", "name", "category", "quantity", "price_micros"})


def encode_touchpoint(record: Mapping[str, Any], *, schema_id: int | None = None) -> bytes:
    """A framed touchpoint of `record["channel"]`; `schema_id` where a registry gave the schema another id.

    Refuses what `read_head` would refuse.
    """
    try:
        channel = record["channel"]
        framing = _FRAMES[channel] if schema_id is None else frame(schema_id, b"")
        get = record.get
        head = (
            framing,
            _message_id_bytes(record["message_id"]),
            _TYPE_BYTES[record["type"]],
            text_bytes(record["event"]),
            _CHANNEL_BYTES[channel],
            _time_bytes(record["occurred_at"]),
            _time_bytes(record["received_at"]),
            _text_map(record["identifiers"]),
            _nullable_text(get("cart_id")),
            _nullable_text(get("order_id")),
            _items(get("items", ())),
            _nullable_long(get("revenue_micros")),
            _nullable_text(get("currency")),
            _campaign(get("campaign")),
            _nullable_text(get("location_id")),
        )
        tail = _BARE_TAIL[channel] if record.keys() <= _ENVELOPE else _tail(record, channel)
        return b"".join(head) + tail
    except KeyError as error:
        raise wrong_type(f"missing or unknown: {error.args[0]}") from error
    except (TypeError, AttributeError) as error:
        raise wrong_type(str(error)) from error


def _message_id_bytes(text: str) -> bytes:
    if not text:
        raise wrong_type("message_id is empty")
    return text_bytes(text)


def _time_bytes(at_ms: int) -> bytes:
    if not EARLIEST_MS <= at_ms <= LATEST_MS:
        raise wrong_type("a time outside 1900 to 2299")
    return long_bytes(at_ms)


def _tail(record: Mapping[str, Any], channel: str) -> bytes:
    """Own fields and properties."""
    unknown = record.keys() - _NAMES[channel]
    if unknown:
        raise wrong_type(f"not in the schema of {channel}: {', '.join(sorted(unknown))}")
    own = [_own(record.get(name), kind) for name, kind in OWN_FIELDS[channel]]
    return b"".join(own) + _text_map(record.get("properties", {}))


def _own(field: Any, kind: Kind) -> bytes:
    if field is None:
        return b"\0"
    if kind is Kind.TEXT:
        return b"\2" + text_bytes(field)
    if kind is Kind.LONG:
        return b"\2" + long_bytes(field)
    if kind is Kind.BOOLEAN:
        return _boolean(field)
    try:
        return b"\2" + _DOUBLE.pack(field)
    except struct.error as error:
        raise wrong_type(f"no number: {type(field).__name__}") from error


def _boolean(flag: bool) -> bytes:
    if flag is True:
        return b"\1"
    if flag is False:
        return b"\0"
    raise wrong_type(f"no boolean: {type(flag).__name__}")


def _nullable_text(text: str | None) -> bytes:
    return b"\0" if text is None else b"\2" + text_bytes(text)


def _nullable_long(number: int | None) -> bytes:
    return b"\0" if number is None else b"\2" + long_bytes(number)


def _text_map(entries: Mapping[str, str]) -> bytes:
    pairs = entries.items()
    if not pairs:
        return b"\0"
    parts = [long_bytes(len(pairs))]
    for name, text in pairs:
        parts.append(text_bytes(name))
        parts.append(text_bytes(text))
    parts.append(b"\0")
    return b"".join(parts)


def _items(items: Iterable[Mapping[str, Any]]) -> bytes:
    parts = [*map(_item, items)]
    return long_bytes(len(parts)) + b"".join(parts) + b"\0" if parts else b"\0"


def _item(item: Mapping[str, Any]) -> bytes:
    if not item.keys() <= _ITEM_NAMES:
        raise wrong_type(f"not in an item: {', '.join(sorted(item.keys() - _ITEM_NAMES))}")
    get = item.get
    return (
        text_bytes(item["product_id"])
        + text_bytes(get("name", ""))
        + text_bytes(get("category", ""))
        + long_bytes(get("quantity", 1))
        + long_bytes(get("price_micros", 0))
    )


def _campaign(campaign: Mapping[str, str | None] | None) -> bytes:
    if campaign is None:
        return b"\0"
    if not campaign.keys() <= _CAMPAIGN_NAMES:
        raise wrong_type(f"not in a campaign: {', '.join(sorted(campaign.keys() - _CAMPAIGN_NAMES))}")
    return b"\2" + b"".join(_nullable_text(campaign.get(name)) for name in _CAMPAIGN)


def owner_bytes(profile_id: str, session_id: str | None) -> bytes:
    """The first half of what stitching appends to a touchpoint: equal for all touchpoints of a person's session."""
    return text_bytes(profile_id) + _nullable_text(session_id)


def stitch(
    value: bytes, stitched_schema_id: int, owner: bytes, stitched_ms: int, is_late: bool, identified_by: str
) -> bytes:
    """The stitched record of a framed touchpoint: its bytes under the stitched schema's id, then whose it is and when.

    The touchpoint must be whole (`check_rest`).
    """
    return b"".join(
        (
            b"\0",
            stitched_schema_id.to_bytes(4, "big"),
            value[5:],
            owner,
            long_bytes(stitched_ms),
            b"\1" if is_late else b"\0",
            text_bytes(identified_by),
        )
    )
