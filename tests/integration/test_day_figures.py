"""Key figures of a simulated day are those of its ground truth, and the report has them as the views do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from schemas.codec import decode
from sinks.report.model import Report
from sinks.report.ways import FIRST_STEPS
from streams.cli.app import build
from streams.cli.embedded import Running
from streams.simulator.options import Options
from tests.integration.line import Fed, feed, line

pytestmark = [pytest.mark.xdist_group("line"), pytest.mark.timeout(240)]

Day = tuple[Path, Running, Fed]


@pytest.fixture(scope="module")
def day(seed: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A line that has landed a day, and the directory its warehouse is in."""
    print(f"seed {seed}")
    directory = tmp_path_factory.mktemp("day")
    with line(directory) as running:
        yield directory / "warehouse", running, feed(running, Options(people=160, seed=seed % 1_000_000))


def touchpoints(fed: Fed) -> dict[str, dict[str, Any]]:
    """What was written, each message_id once."""
    return {each["message_id"]: each for _, each in (decode(emitted.value) for emitted in fed.emitted)}


def orders(fed: Fed) -> dict[str, int]:
    """Revenue of each order, in micros."""
    found = {
        each["order_id"]: each["revenue_micros"]
        for each in touchpoints(fed).values()
        if each["event"] == "Order Completed"
    }
    assert None not in found
    return found


def test_key_figures_of_a_day_are_its_truth(day: Day) -> None:
    """Carts, abandoned, recovered, orders, revenue and survey answers, as the simulator knows them."""
    _, running, fed = day
    episodes = [episode for profile in fed.simulation.truth().profiles for episode in profile.episodes]
    left = [episode.abandonment for episode in episodes if episode.abandonment]
    recovered = [each.recovered_micros or 0 for each in left if each.status == "recovered"]
    asked = "SELECT sum(carts), sum(abandoned), sum(recovered), sum(recovered_micros) FROM kpi_carts"
    assert running.query(asked) == [(len(episodes), len(left), len(recovered), sum(recovered))]
    sold = orders(fed)
    assert running.query("SELECT sum(orders), sum(revenue_micros) FROM kpi_orders") == [
        (len(sold), sum(sold.values()))
    ]
    answered = sum(each["event"] == "Survey Answered" for each in touchpoints(fed).values())
    [(answers,)] = running.query("SELECT count() FROM surveys WHERE kind = 'nps' AND score BETWEEN 0 AND 10")
    assert answers == answered > 0


# What a report says, and what the views say of it when they are asked themselves.
SAME: Final = (
    ("conversion", "channel, sum(sessions), sum(sessions_with_order) FROM kpi_conversion GROUP BY ALL"),
    ("customer_groups", "customer_group, currency, sum(customers), sum(orders), sum(net_revenue_micros)"
     " FROM kpi_customers_by_channels GROUP BY ALL"),
    ("ropo", "sold_in, currency, sum(orders), sum(researched) FROM kpi_ropo(days = 30) GROUP BY ALL"),
    ("attribution", "model, channel, nullIf(currency, ''), conversions, revenue_micros"
     " FROM attribution(lookback_days = 30, half_life_days = 7)"),
    ("journeys", f"step, from_channel, to_channel, journeys, converted FROM journey_map(lookback_days = 30)"
     f" WHERE step < {FIRST_STEPS}"),
)  # fmt: skip


def said(report: Report, what: str) -> list[tuple[Any, ...]]:
    """The same of the report, sorted."""
    found: dict[str, list[tuple[Any, ...]]] = {
        "conversion": [(one.channel, one.sessions, one.sessions_with_order) for one in report.conversion],
        "customer_groups": [
            (one.customer_group, one.currency, one.customers, one.orders, one.net_revenue_micros)
            for one in report.customer_groups
        ],
        "ropo": [(one.sold_in, one.currency, one.orders, one.researched) for one in report.ropo],
        "attribution": [
            (one.model, one.channel, one.currency, pytest.approx(one.conversions), one.revenue_micros)
            for one in report.attribution
        ],
        "journeys": [
            (one.step, one.source, one.target, one.times, one.with_order) for one in report.journeys.edges
        ],
    }
    return sorted(found[what], key=lambda row: repr(row[:3]))


@pytest.mark.slow
def test_a_report_of_a_day_is_its_truth_and_what_the_views_say(day: Day) -> None:
    """Orders and revenue as counted from what was written, carts and sessions as the simulator knows them, journeys and
    customers as the views say when they are asked themselves.

    Seen to fail with the journeys of all steps, and with credits of one model left out.
    """
    directory, running, fed = day
    done = CliRunner().invoke(build(), ["report", "--warehouse", str(directory), "--json"])
    assert done.exit_code == 0, done.output
    report = TypeAdapter(Report).validate_json(done.stdout)
    sold = orders(fed)
    assert sum(each.orders for each in report.orders) == len(sold) == report.journeys.with_order
    assert sum(each.revenue_micros for each in report.orders) == sum(sold.values())
    assert sum(each.orders for each in report.orders_by_day) == len(sold)
    assert sum(each.revenue_micros for each in report.orders_by_channel) == sum(sold.values())
    truth = fed.simulation.truth()
    assert sum(each.carts for each in report.carts) == sum(len(each.episodes) for each in truth.profiles)
    [(final,)] = running.query("SELECT count() FROM current_sessions WHERE is_final")
    assert report.paths.ways == final == sum(len(each.sessions) for each in truth.profiles)
    assert report.before_first_order.persons == report.repeat[0].customers
    for what, sql in SAME:
        asked = sorted(running.query(f"SELECT {sql}"), key=lambda row: repr(row[:3]))
        assert said(report, what) == asked, what
