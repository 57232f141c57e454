"""Fixtures of the integration tests. Other folders import theirs from `tests.integration.brokers` the same way."""

from __future__ import annotations

from tests.integration.brokers import embedded_broker, fresh_topics, real_kafka
from tests.integration.landed import broker, opened, warehouse
from tests.integration.shop import shop, shop_warehouse

__all__ = [
    "broker",
    "embedded_broker",
    "fresh_topics",
    "opened",
    "real_kafka",
    "shop",
    "shop_warehouse",
    "warehouse",
]
