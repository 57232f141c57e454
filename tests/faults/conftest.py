"""Fixtures of the fault suite: one broker for most of it, brokers of their own for tests that hurt the broker."""

from __future__ import annotations

from tests.integration.brokers import real_kafka

__all__ = ["real_kafka"]
