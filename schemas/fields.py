"""What feeders hand to `writer`, as typed dicts: names and types, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NotRequired, TypedDict

__all__ = ["ItemFields", "TouchpointFields"]


class ItemFields(TypedDict):
    """One product line, as a feeder gives it."""

    product_id: str
    name: NotRequired[str]
    category: NotRequired[str]
    quantity: NotRequired[int]
    price_micros: NotRequired[int]


class TouchpointFields(TypedDict):
    """The envelope as a feeder gives it; times are epoch-ms. The channel's own fields go beside these."""

    message_id: str
    type: str
    event: str
    channel: str
    occurred_at: int
    received_at: int
    identifiers: Mapping[str, str]
    cart_id: NotRequired[str | None]
    order_id: NotRequired[str | None]
    items: NotRequired[Iterable[ItemFields]]
    revenue_micros: NotRequired[int | None]
    currency: NotRequired[str | None]
    campaign: NotRequired[Mapping[str, str | None] | None]
    location_id: NotRequired[str | None]
    properties: NotRequired[Mapping[str, str]]
