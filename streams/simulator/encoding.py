"""Touchpoints of the simulation to framed Avro, quickly: what many records share is encoded once.

Rests on two promises of the contracts: absent fields take their defaults, and `properties` is a record's last
field, so its bytes can be put where the one byte of an empty map was. Must not know any other byte of a record.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas import codec
from streams.simulator.recorder import Touchpoint


def as_record(touchpoint: Touchpoint) -> dict[str, Any]:
    """All of its fields by name."""
    return msgspec.structs.asdict(touchpoint)


class Encoder:
    """Remembers the bytes of properties by object: the simulation's are few, shared and never changed."""

    def __init__(self) -> None:
        self._properties: dict[int, tuple[dict[str, str], bytes]] = {}

    def encode(self, touchpoint: Touchpoint) -> bytes:
        """The bytes `codec.encode_touchpoint` gives for the whole record."""
        record: dict[str, Any] = {
            "message_id": touchpoint.message_id,
            "type": touchpoint.type,
            "event": touchpoint.event,
            "channel": touchpoint.channel,
            "occurred_at": touchpoint.occurred_at,
            "received_at": touchpoint.received_at,
            "identifiers": touchpoint.identifiers,
        }
        if touchpoint.cart_id is not None or touchpoint.order_id is not None:
            record["cart_id"] = touchpoint.cart_id
            record["order_id"] = touchpoint.order_id
            record["items"] = touchpoint.items
            record["revenue_micros"] = touchpoint.revenue_micros
            record["currency"] = touchpoint.currency
        if touchpoint.campaign is not None:
            record["campaign"] = touchpoint.campaign
        if touchpoint.location_id is not None:
            record["location_id"] = touchpoint.location_id
        value = codec.encode_touchpoint(record)
        if not touchpoint.properties:
            return value
        known = self._properties.get(id(touchpoint.properties))
        return value[:-1] + (known[1] if known else self._remember(record, touchpoint.properties))

    def _remember(self, record: dict[str, Any], properties: dict[str, str]) -> bytes:
        without = codec.encode_touchpoint(record)
        whole = codec.encode_touchpoint({**record, "properties": properties})
        encoded = whole[len(without) - 1 :]
        # Holding the object keeps its id from being given to another.
        self._properties[id(properties)] = (properties, encoded)
        return encoded
