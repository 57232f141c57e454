"""One builder of touchpoints for hand-computed examples: times in minutes, which is how the rules read."""

from __future__ import annotations

from tests.oracle.rules import MINUTE_MS
from tests.oracle.touchpoints import Item, Touchpoint


def touchpoint(
    message_id: str,
    at_min: float = 0,
    *,
    event: str = "Product Viewed",
    who: str = "user_id:1",
    channel: str = "web",
    items: tuple[Item, ...] = (),
    revenue_micros: int | None = None,
    arrives_min: float | None = None,
) -> Touchpoint:
    """`who` is one or more `type:value`, parted by spaces; it arrives when it occurs unless said."""
    occurred_ms = round(at_min * MINUTE_MS)
    arrival_ms = occurred_ms if arrives_min is None else round(arrives_min * MINUTE_MS)
    return Touchpoint(
        message_id=message_id,
        event=event,
        occurred_ms=occurred_ms,
        received_ms=arrival_ms,
        arrival_ms=arrival_ms,
        identifiers=dict(_typed(identifier) for identifier in who.split()),
        channel=channel,
        items=items,
        revenue_micros=revenue_micros,
    )


def _typed(identifier: str) -> tuple[str, str]:
    type_, _, value = identifier.partition(":")
    return type_, value


def added(message_id: str, at_min: float = 0, *, product: str = "hat", who: str = "user_id:1") -> Touchpoint:
    """One unit for 5 micros."""
    return touchpoint(message_id, at_min, event="Product Added", who=who, items=(Item(product, 1, 5),))


def ordered(
    message_id: str, at_min: float, *, who: str = "user_id:1", arrives_min: float | None = None
) -> Touchpoint:
    """An order of 7 micros at the till."""
    return touchpoint(
        message_id,
        at_min,
        event="Order Completed",
        who=who,
        channel="pos",
        revenue_micros=7,
        arrives_min=arrives_min,
    )
