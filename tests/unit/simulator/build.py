"""One builder of wire entries, and a warehouse made of rows that answers the comparison's queries."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import Any

from streams.simulator.options import MINUTE_MS
from streams.simulator.recorder import Entry, Face, Touchpoint
from streams.simulator.verdict import Truth

START_MS = 1_772_431_200_000


def entry(
    message_id: str,
    at_min: float = 0,
    *,
    event: str = "Product Viewed",
    who: str = "user_id:1",
    channel: str = "web",
    items: tuple[tuple[str, int, int], ...] = (),
    revenue_micros: int | None = None,
    arrives_min: float | None = None,
) -> Entry:
    """`who` is identifiers parted by spaces, items are (product, quantity, price); it arrives when it occurs."""
    occurred_ms = START_MS + round(at_min * MINUTE_MS)
    arrival_ms = occurred_ms if arrives_min is None else START_MS + round(arrives_min * MINUTE_MS)
    known = tuple(who.split())
    identifiers = dict(identifier.split(":", 1) for identifier in known)
    touchpoint = Touchpoint(
        message_id=message_id,
        type="track",
        event=event,
        channel=channel,
        occurred_at=occurred_ms,
        received_at=arrival_ms,
        identifiers=identifiers,
        cart_id=None,
        order_id=None,
        items=tuple(
            {"product_id": product, "quantity": quantity, "price_micros": price_micros}
            for product, quantity, price_micros in items
        ),
        revenue_micros=revenue_micros,
        currency=None,
        campaign=None,
        location_id=None,
        properties={},
    )
    face = Face(identifiers, known, known[0].encode(), known[-1].encode())
    return Entry(arrival_ms, touchpoint, face, face.key, False)


def added(message_id: str, at_min: float, *, product: str = "hat", who: str = "user_id:1") -> Entry:
    """One of a product, for 5 micros."""
    return entry(message_id, at_min, event="Product Added", who=who, items=((product, 1, 5),))


def bought(
    message_id: str, at_min: float, *, who: str = "user_id:1", arrives_min: float | None = None
) -> Entry:
    """At the till, for 7 micros."""
    return entry(
        message_id,
        at_min,
        event="Order Completed",
        who=who,
        channel="pos",
        revenue_micros=7,
        arrives_min=arrives_min,
    )


@dataclass(slots=True)
class Warehouse:
    """The rows behind the views the comparison reads, in the order of its columns; tests spoil them."""

    current_touchpoints: list[list[Any]] = field(default_factory=list)
    current_sessions: list[list[Any]] = field(default_factory=list)
    current_actions: list[list[Any]] = field(default_factory=list)
    profiles: list[list[Any]] = field(default_factory=list)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the view that `sql` selects from; of its conditions it knows the slices of message ids."""
        view = re.search(r"FROM (\w+)", sql)
        assert view is not None, sql
        rows: list[list[Any]] = getattr(self, view[1])
        if part := re.search(r"cityHash64\(message_id\) % (\d+) = (\d+)", sql):
            slices, number = int(part[1]), int(part[2])
            rows = [row for row in rows if zlib.crc32(row[0].encode()) % slices == number]
        return [tuple(row) for row in rows]


def landed(truth: Truth) -> Warehouse:
    """What a pipeline without faults leaves behind."""
    warehouse = Warehouse()
    for number, profile in enumerate(truth.profiles):
        profile_id = f"p{number}"
        warehouse.profiles.append([profile_id, "\n".join(profile.identifiers)])
        for message_id in profile.late:
            warehouse.current_touchpoints.append([message_id, profile_id, ""])
        for session in profile.sessions:
            session_id = f"s-{session.touchpoints[0]}"
            for message_id in session.touchpoints:
                warehouse.current_touchpoints.append([message_id, profile_id, session_id])
            bounds = (session.started_ms, session.ended_ms, len(session.touchpoints))
            channels = " ".join(session.channels)
            warehouse.current_sessions.append(
                [session_id, True, profile_id, *bounds, channels, session.orders, session.revenue_micros]
            )
        for episode in profile.episodes:
            if (due := episode.abandonment) is not None:
                items = " ".join(sorted(f"{product}={quantity}" for product, quantity in due.items.items()))
                told = (due.due_ms, items, due.value_micros, due.recovered_micros)
                warehouse.current_actions.append(
                    [f"a-{episode.opened_by}", episode.opened_by, profile_id, due.status, *told]
                )
    return warehouse
