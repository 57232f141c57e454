"""Days of one person for properties of carts and browses: touchpoints in order, and what the core remembers of them."""

from __future__ import annotations

from collections.abc import Sequence

import xxhash
from hypothesis import strategies as st

from streams.core.carts import COMMERCE_OF, VIEWED
from streams.core.journal import Row
from streams.core.shapes import CartEntry
from streams.core.shapes import Item as CoreItem
from tests.oracle.rules import MINUTE_MS
from tests.oracle.touchpoints import Item, Touchpoint, position

__all__ = ["days", "remembered"]

KINDS = COMMERCE_OF | {"Product Viewed": VIEWED}


@st.composite
def days(draw: st.DrawFn, events: Sequence[str]) -> list[Touchpoint]:
    """Up to five hours of these events in order, on a grid of half the silence after which something is abandoned."""
    points = []
    for number in range(draw(st.integers(1, 16))):
        at_ms = draw(st.integers(0, 20)) * 15 * MINUTE_MS
        event = draw(st.sampled_from(events))
        lines = st.lists(
            st.builds(Item, st.sampled_from("xyz"), st.integers(1, 2), st.integers(0, 3)), max_size=2
        )
        points.append(
            Touchpoint(
                f"m{number}", event, at_ms, at_ms, at_ms, {"user_id": "1"},
                items=tuple(draw(lines)) if event in KINDS else (),
                cart_id=draw(st.sampled_from([None, "c1", "c2"])),
                currency=draw(st.sampled_from([None, "EUR", "USD"])),
            )
        )  # fmt: skip
    return sorted(points, key=position)


def remembered(day: Sequence[Touchpoint]) -> tuple[list[Row], list[CartEntry]]:
    """All of them as rows of a journal, and the entries of those that did something."""
    rows: list[Row] = []
    entries = []
    for point in day:
        digest = xxhash.xxh3_64_intdigest(point.message_id.encode()) >> 2
        at_ms = point.occurred_ms
        rows.append((at_ms, digest, 0, 0, 0, 0))
        kind = KINDS.get(point.event)
        if kind is not None:
            items = tuple(CoreItem(i.product_id, "", "", i.quantity, i.price_micros) for i in point.items)
            entry = CartEntry(
                at_ms, digest, point.message_id, kind, point.cart_id, items, None, point.currency
            )
            entries.append(entry)
    return rows, entries
