"""Fixtures of the differential tests: the real broker is that of the integration tests."""

from __future__ import annotations

from tests.integration.brokers import real_kafka

__all__ = ["real_kafka"]
