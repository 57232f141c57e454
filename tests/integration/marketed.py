"""A warehouse of people who come by campaigns and order, for tests of attribution."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.writer import Warehouse
from tests.integration.test_views import MINUTE, TABLES, World
from tests.unit.sinks.samples import AT_MS, framed


class MarketedWorld(World):
    """Lands records many at a time, before the next question."""

    def __init__(self, warehouse: Warehouse) -> None:
        super().__init__(warehouse)
        self._waiting: dict[tuple[str, int], list[bytes]] = defaultdict(list)

    def clear(self) -> None:
        """As if nothing had ever been landed."""
        self._waiting.clear()
        for table in (*TABLES, "attribution_models"):
            self.client.command(f"TRUNCATE TABLE {table}")

    def land(self, topic: str, *values: bytes, partition: int = 0) -> None:
        """Keep them until somebody asks."""
        self._waiting[topic, partition].extend(values)

    def flush(self) -> None:
        """Land what waits."""
        for (topic, partition), values in self._waiting.items():
            super().land(topic, *values, partition=partition)
        self._waiting.clear()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer over all that was landed before."""
        self.flush()
        return super().ask(sql)

    def told(self, channel: str, message_id: str, at: int = 0, **changes: Any) -> None:
        """A touchpoint on a channel of ours, `at` minutes after the beginning, without a campaign."""
        when = AT_MS + at * MINUTE
        record: dict[str, Any] = {
            "message_id": message_id, "occurred_at": when, "received_at": when, "session_id": None, "campaign": None,
        }  # fmt: skip
        value = framed(f"touchpoints.stitched.{channel}", **{**record, **changes})
        self.land("touchpoints.stitched", value)

    def viewed(self, message_id: str, at: int = 0, **changes: Any) -> None:
        """A page view that tells nothing of how somebody came to it, unless `changes` do."""
        nothing = {"event": "Page Viewed", "referrer": None, "page_url": None}
        self.told("web", message_id, at, **{**nothing, **changes})

    def came(self, message_id: str, at: int, medium: str, **changes: Any) -> None:
        """Somebody came by a campaign of that medium."""
        self.viewed(message_id, at, campaign=campaign(medium), **changes)

    def ordered(self, message_id: str, at: int, **changes: Any) -> None:
        """An order of 10.00 EUR."""
        order = {
            "event": "Order Completed", "order_id": None, "revenue_micros": 10_000_000, "currency": "EUR",
        }  # fmt: skip
        self.viewed(message_id, at, **{**order, **changes})


@contextmanager
def marketed_world(scratch: Path) -> Iterator[tuple[MarketedWorld, EmbeddedWarehouse]]:
    """An empty warehouse with everything it needs, and who answers for it."""
    with EmbeddedWarehouse.start(scratch) as opened:
        warehouse = Warehouse(opened.url, opened.user, opened.password)
        migrate(warehouse)
        world = MarketedWorld(warehouse)
        try:
            yield world, opened
        finally:
            world.client.close()


def campaign(
    medium: str | None = None, source: str | None = None, name: str | None = None
) -> dict[str, str | None]:
    """A campaign that tells these."""
    return {"source": source, "medium": medium, "name": name, "term": None, "content": None}
