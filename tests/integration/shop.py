"""A shop for tests of what analysts read: touchpoints of any channel, and the warehouse that has them.

Owns the words of these tests; must not know the views.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.writer import Warehouse
from tests.integration.test_views import TABLES, World
from tests.unit.sinks.samples import framed

Rows = list[tuple[Any, ...]]


def at_ms(moment: str, *, days: float = 0) -> int:
    """Epoch ms of `2024-03-20` or `2024-03-20 19:38` of UTC, so many days later."""
    when = datetime.fromisoformat(moment).replace(tzinfo=UTC) + timedelta(days=days)
    return round(when.timestamp() * 1_000)


def item(product_id: str, *, quantity: int = 1, euros: int = 1) -> dict[str, Any]:
    """A product of an order or a cart."""
    price = euros * 1_000_000
    return {
        "product_id": product_id, "name": "", "category": "", "quantity": quantity, "price_micros": price,
    }  # fmt: skip


class Shop(World):
    """Tells of touchpoints; each has a message_id of its own where none is given."""

    def __init__(self, warehouse: Warehouse) -> None:
        super().__init__(warehouse)
        self.warehouse = warehouse
        self._told = 0

    def tell(self, channel: str, event: str, who: str, when: int, **changes: Any) -> None:
        """One touchpoint of `who`, a profile, at epoch ms `when`."""
        self.land("touchpoints.stitched", self.touchpoint(channel, event, who, when, **changes))

    def touchpoint(self, channel: str, event: str, who: str, when: int, **changes: Any) -> bytes:
        """The same, as it is on the wire."""
        self._told += 1
        record = {
            "message_id": f"told-{self._told:06}", "profile_id": who, "session_id": None, "identifiers": {},
            "items": [], "cart_id": None, "occurred_at": when, "received_at": when, **changes,
        }  # fmt: skip
        return framed(f"touchpoints.stitched.{channel}", channel=channel, event=event, **record)

    def order(
        self, who: str, when: int, *, euros: int | None = 1, channel: str = "web", **changes: Any
    ) -> None:
        """An order, by one touchpoint."""
        revenue = None if euros is None else euros * 1_000_000
        self.tell(channel, "Order Completed", who, when, **{"revenue_micros": revenue, **changes})


@pytest.fixture(scope="module")
def shop_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A warehouse with its tables and views, for the tests of a module."""
    with EmbeddedWarehouse.start(tmp_path_factory.mktemp("warehouse")) as opened:
        warehouse = Warehouse(opened.url, opened.user, opened.password)
        migrate(warehouse)
        yield warehouse


@pytest.fixture
def shop(shop_warehouse: Warehouse) -> Iterator[Shop]:
    """An empty shop."""
    shop = Shop(shop_warehouse)
    yield shop
    for table in (*TABLES, "customer_values"):
        shop.client.command(f"TRUNCATE TABLE {table}")
    shop.client.close()
