"""Key figures of a simulated day are those of its ground truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.codec import decode
from streams.simulator.options import Options
from tests.integration.line import feed, line

pytestmark = [pytest.mark.xdist_group("line"), pytest.mark.timeout(240)]


def test_key_figures_of_a_day_are_its_truth(seed: int, tmp_path: Path) -> None:
    """Carts, abandoned, recovered, orders, revenue and survey answers, as the simulator knows them."""
    print(f"seed {seed}")
    with line(tmp_path) as running:
        fed = feed(running, Options(people=160, seed=seed % 1_000_000))
        episodes = [episode for profile in fed.simulation.truth().profiles for episode in profile.episodes]
        left = [episode.abandonment for episode in episodes if episode.abandonment]
        recovered = [each.recovered_micros or 0 for each in left if each.status == "recovered"]
        asked = "SELECT sum(carts), sum(abandoned), sum(recovered), sum(recovered_micros) FROM kpi_carts"
        assert running.query(asked) == [(len(episodes), len(left), len(recovered), sum(recovered))]
        told = {
            touchpoint["message_id"]: touchpoint
            for _, touchpoint in (decode(each.value) for each in fed.emitted)
        }
        orders = {
            each["order_id"]: each["revenue_micros"]
            for each in told.values()
            if each["event"] == "Order Completed"
        }
        assert None not in orders
        assert running.query("SELECT sum(orders), sum(revenue_micros) FROM kpi_orders") == [
            (len(orders), sum(orders.values()))
        ]
        answered = sum(each["event"] == "Survey Answered" for each in told.values())
        [(answers,)] = running.query(
            "SELECT count() FROM surveys WHERE kind = 'nps' AND score BETWEEN 0 AND 10"
        )
        assert answers == answered > 0
