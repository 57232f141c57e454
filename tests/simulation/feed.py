"""A world as records: touchpoints encoded as any producer would, ticks to every partition of every input."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from schemas.codec import encode, encode_touchpoint
from streams.core.identifier import murmur2
from streams.core.step import INPUTS
from tests.oracle.acts import Act
from tests.oracle.rules import RANKS
from tests.oracle.touchpoints import Campaign, Touchpoint
from tests.oracle.worlds import Tick
from tests.simulation.log import Log


class Feed:
    """Appends records to the log; a share of the messages has no key or another partitioner's partition."""

    def __init__(
        self, log: Log, partitions: int, *, strays: float, seed: int, ranks: Sequence[str] = RANKS
    ) -> None:
        self._log = log
        self._partitions = partitions
        self._strays = strays
        self._seed = seed
        self._ranks = ranks

    def put(self, record: Touchpoint | Tick | Act) -> None:
        """One touchpoint or act, or one tick everywhere."""
        if isinstance(record, Tick):
            self._log.tick(INPUTS, self._partitions, record.clock_ms)
        elif isinstance(record, Act):
            self._act(record)
        else:
            self._touchpoint(record)

    def _act(self, act: Act) -> None:
        key = (act.into or act.identifiers[0]).encode()
        self._log.append(
            "identity.control",
            murmur2(key) % self._partitions,
            key=key,
            value=encode("identity.control", act_fields(act)),
            timestamp_ms=act.arrival_ms,
        )

    def _touchpoint(self, touchpoint: Touchpoint) -> None:
        key: bytes | None = key_of(touchpoint, self._ranks).encode()
        # By message, not by record: copies of a message that took different partitions would have no order.
        luck = Random(f"{self._seed} {touchpoint.message_id}")
        partition = murmur2(key or b"") % self._partitions
        if luck.random() < self._strays:
            partition = luck.randrange(self._partitions)
            key = luck.choice([key, None])
        self._log.append(
            f"touchpoints.{touchpoint.channel}",
            partition,
            key=key,
            value=encode_touchpoint(envelope_of(touchpoint)),
            timestamp_ms=touchpoint.arrival_ms,
        )


def key_of(touchpoint: Touchpoint, ranks: Sequence[str] = RANKS) -> str:
    """`type:value` of the highest-ranked identifier as the producer has it, usable or not."""
    type_ = min(touchpoint.identifiers, key=ranks.index)
    return f"{type_}:{touchpoint.identifiers[type_]}"


def act_fields(act: Act) -> dict[str, Any]:
    """The record's fields."""
    return {
        "act_id": act.act_id,
        "act": act.kind,
        "identifiers": act.identifiers,
        "into": act.into,
        "acted_at": act.acted_ms,
        "by": "oracle",
        "reason": f"{act.act_id} of the world",
    }


def envelope_of(touchpoint: Touchpoint) -> dict[str, Any]:
    """The envelope's fields."""
    return {
        "message_id": touchpoint.message_id,
        "type": touchpoint.type,
        "event": touchpoint.event,
        "channel": touchpoint.channel,
        "occurred_at": touchpoint.occurred_ms,
        "received_at": touchpoint.received_ms,
        "identifiers": touchpoint.identifiers,
        "cart_id": touchpoint.cart_id,
        "order_id": touchpoint.order_id,
        "items": [
            {"product_id": item.product_id, "quantity": item.quantity, "price_micros": item.price_micros}
            for item in touchpoint.items
        ],
        "revenue_micros": touchpoint.revenue_micros,
        "currency": touchpoint.currency,
        "campaign": campaign_fields(touchpoint.campaign),
    }


def campaign_fields(campaign: Campaign | None) -> dict[str, str | None] | None:
    """The record's fields."""
    names = ("source", "medium", "name", "term", "content")
    return None if campaign is None else dict(zip(names, campaign, strict=True))
