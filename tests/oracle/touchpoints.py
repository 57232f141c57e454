"""What one touchpoint means by itself: its identifiers, its times, its place in the order, its lateness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

from tests.oracle.rules import DEFAULT, Rules
from tests.oracle.values import usable_value

Campaign = tuple[str | None, str | None, str | None, str | None, str | None]
"""Source, medium, name, term, content."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a cart or an order."""

    product_id: str
    quantity: int = 1
    price_micros: int = 0


@dataclass(frozen=True, slots=True)
class Touchpoint:
    """The fields the rules read; `occurred_ms` is a claim, `arrival_ms` the record's timestamp."""

    message_id: str
    event: str
    occurred_ms: int
    received_ms: int
    arrival_ms: int
    identifiers: Mapping[str, str]
    channel: str = "web"
    items: tuple[Item, ...] = ()
    cart_id: str | None = None
    order_id: str | None = None
    revenue_micros: int | None = None
    currency: str | None = None
    type: str = "track"
    campaign: Campaign | None = None


def from_record(record: Mapping[str, Any], arrival_ms: int) -> Touchpoint:
    """The touchpoint of a decoded envelope (times as epoch milliseconds)."""
    return Touchpoint(
        message_id=record["message_id"],
        event=record["event"],
        occurred_ms=record["occurred_at"],
        received_ms=record["received_at"],
        arrival_ms=arrival_ms,
        identifiers=dict(record["identifiers"]),
        channel=record["channel"],
        items=tuple(items_of(record.get("items") or ())),
        cart_id=record.get("cart_id"),
        order_id=record.get("order_id"),
        revenue_micros=record.get("revenue_micros"),
        currency=record.get("currency"),
        type=record.get("type", "track"),
        campaign=campaign_from(record.get("campaign")),
    )


def campaign_from(said: Mapping[str, str | None] | None) -> Campaign | None:
    """A campaign as decoded from a record."""
    if said is None:
        return None
    return said.get("source"), said.get("medium"), said.get("name"), said.get("term"), said.get("content")


def items_of(lines: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Item lines as decoded from a record; absent fields take the contract's defaults."""
    return [Item(line["product_id"], line.get("quantity", 1), line.get("price_micros", 0)) for line in lines]


def usable_identifiers(touchpoint: Touchpoint, rules: Rules = DEFAULT) -> tuple[str, ...]:
    """`type:value` of every usable identifier, the primary one first."""
    found = []
    for type_, raw in touchpoint.identifiers.items():
        value = usable_value(type_, raw, rules) if type_ in rules.ranks else None
        if value is not None:
            found.append(f"{type_}:{value}")
    return tuple(sorted(found, key=lambda identifier: rank_of(identifier, rules)))


def rank_of(identifier: str, rules: Rules = DEFAULT) -> tuple[int, str]:
    """Lower wins: first the type, then the whole `type:value`."""
    return rules.ranks.index(identifier.partition(":")[0]), identifier


def arrived_ms(touchpoint: Touchpoint, rules: Rules = DEFAULT) -> int:
    """When it could be known: the record's timestamp, in replay bounded by what the importer says."""
    if rules.is_replay:
        return min(touchpoint.arrival_ms, touchpoint.received_ms)
    return touchpoint.arrival_ms


def occurred_ms(touchpoint: Touchpoint, rules: Rules = DEFAULT) -> int:
    """When it happened: nothing happens after it was received, or after it arrived."""
    return min(touchpoint.occurred_ms, touchpoint.received_ms, arrived_ms(touchpoint, rules))


def is_late(touchpoint: Touchpoint, rules: Rules = DEFAULT) -> bool:
    """Too old on arrival to change what is decided; exactly 72 h is still in time."""
    return arrived_ms(touchpoint, rules) - occurred_ms(touchpoint, rules) > rules.late_after_ms


def position(touchpoint: Touchpoint, rules: Rules = DEFAULT) -> tuple[int, int]:
    """The order of a person's touchpoints: event time, then a hash that no producer can bias."""
    return occurred_ms(touchpoint, rules), xxhash.xxh3_64_intdigest(touchpoint.message_id.encode())
