"""Fixtures of the integration tests. Other folders import theirs from `tests.integration.brokers` the same way."""

from __future__ import annotations

from tests.integration.brokers import embedded_broker, fresh_topics, real_kafka
from tests.integration.shop import shop, shop_warehouse

__all__ = ["embedded_broker", "fresh_topics", "real_kafka", "shop", "shop_warehouse"]
