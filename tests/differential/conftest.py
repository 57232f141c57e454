"""Fixtures of the differential tests: every scenario at once, played once on a line of each kind."""

from __future__ import annotations

import pytest

from tests.differential.lines import real
from tests.differential.shop import Played, all_at_once, played, played_on
from tests.integration.brokers import RealKafka, real_kafka

__all__ = ["embedded_shop", "real_kafka", "real_shop"]


@pytest.fixture(scope="session")
def embedded_shop(seed: int, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Through the embedded line."""
    return played(all_at_once(seed), tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="session")
def real_shop(real_kafka: RealKafka, seed: int, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Through one on a real Kafka."""
    with real(real_kafka, tmp_path_factory.mktemp("real")) as line:
        return played_on(line, all_at_once(seed, is_real=True), workers=1, is_real=True)
