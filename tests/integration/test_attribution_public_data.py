"""Attribution against outside answers, through the views and the job.

ChannelAttribution's paths are landed as the sink lands them: 240,708 touchpoints would take minutes through a worker,
which has no part in attribution; none of their journeys is sampled or weighed. Snowplow's go through the whole line.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli.app import build
from streams.cli.embedded import Running
from streams.importer.importing import import_files
from tests.integration.line import line
from tests.integration.marketed import MarketedWorld, marketed_world

pytestmark = [
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.xdist_group("attribution"),
    pytest.mark.timeout(300),
]

SharedData = Callable[[str], Path]

HOUR = 60
#: Lands this many records at a time: what waits is held in memory.
PIECE = 20_000


def rows_of(path: Path) -> list[dict[str, str]]:
    """Every row of a CSV file, gzipped or not."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def land_paths(world: MarketedWorld, rows: list[dict[str, str]]) -> tuple[int, int]:
    """A person for each journey, who comes once an hour, by campaigns with the channels as their mediums.

    What a path's conversions brought is shared out among them to the micro. Returns (touchpoints, orders).
    """
    landed = orders = waiting = 0
    for path, row in enumerate(rows):
        steps, bought = row["path"].split(" > "), int(row["total_conversions"])
        money = round(float(row["total_conversion_value"]) * 1_000_000)
        for journey in range(bought + int(row["total_null"])):
            person = f"{path}-{journey}"
            for step, medium in enumerate(steps):
                world.came(f"{person}-{step}", step * HOUR, medium, profile_id=person)
            if journey < bought:
                revenue = money // bought + (journey < money % bought)
                world.ordered(f"{person}-o", len(steps) * HOUR, profile_id=person, revenue_micros=revenue)
                orders += 1
            landed, waiting = landed + len(steps), waiting + len(steps)
            if waiting >= PIECE:
                world.flush()
                waiting = 0
    return landed, orders


def test_channelattribution_by_views_and_job(shared_data: SharedData, tmp_path: Path) -> None:
    """First, last and linear are the package's to 1e-6, Markov within 1.5 % for channels with over 100 orders.

    Every one of the 56,509 journeys is a person. Seen to fail with a channel that comes again within 90 minutes taken
    for one, as they come once an hour here.
    """
    folder = shared_data("channelattribution_pathdata")
    with marketed_world(tmp_path / "warehouse") as (world, opened):
        assert land_paths(world, rows_of(folder / "paths.csv.gz")) == (240_708, 12_597)
        found = world.ask(
            "SELECT model, channel, conversions, found.revenue_micros "
            "FROM attribution(lookback_days = 30, half_life_days = 7) AS found"
        )
        credits = {(model, channel): (count, revenue / 1_000_000) for model, channel, count, revenue in found}
        assert_heuristics(credits, rows_of(folder / "reference" / "heuristic.csv"))
        environment = {"THROUGHLINE_CLICKHOUSE_URL": opened.url}
        done = CliRunner().invoke(build(), ["attribution", "--lookback-days", "30"], env=environment)
        assert done.exit_code == 0, done.stderr
        markov = dict(
            world.ask("SELECT channel, conversions FROM current_attribution_models WHERE model = 'markov'")
        )
    reference = {
        row["channel_name"]: float(row["total_conversions"])
        for row in rows_of(folder / "reference" / "markov_order1.csv")
    }
    large = {channel: count for channel, count in reference.items() if count > 100}
    assert {channel: markov[channel] for channel in large} == pytest.approx(large, rel=0.015)


def assert_heuristics(
    credits: dict[tuple[str, str], tuple[float, float]], rows: list[dict[str, str]]
) -> None:
    """Conversions and their value by first, last and linear touch; a channel without a credit has no row."""
    expected = {
        (model, row["channel_name"]): (
            float(row[f"{model}_touch_conversions"]),
            float(row[f"{model}_touch_value"]),
        )
        for row in rows
        for model in ("first", "last", "linear")
        if float(row[f"{model}_touch_conversions"])
    }
    found = {key: credit for key, credit in credits.items() if key[0] in ("first", "last", "linear")}
    assert set(found) == set(expected)
    for key, (conversions, value) in expected.items():
        assert found[key] == pytest.approx((conversions, value), rel=1e-6), key


#: Their classes to our channels. They tell video apart by the site alone, and know no affiliates.
CLASSES = {
    "Direct": "direct", "Organic_Search": "organic_search", "Referral": "referral", "Video": "organic_video",
    "Paid_Search_Other": "paid_search", "Unmatched_Channel": "affiliate",
}  # fmt: skip


MAPPING = """
identifiers = { anonymous_id = "customer" }
channel = { constant = "web" }
currency = { constant = "USD" }
message_id = { template = "{customer} {at} {event}" }
event = { column = "event", names = { arrived = "Page Viewed", bought = "Order Completed" } }
time = { column = "at", format = "%Y-%m-%d %H:%M:%S" }
order = { revenue_column = "revenue" }
campaign = { source = "source", medium = "medium" }
"""


def visits_and_orders(sessions: list[dict[str, str]], orders: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows for MAPPING: sessions up to their customer's order, if there is one, and the orders."""
    bought = {row["customer_id"]: row["conversion_tstamp"].removesuffix(".000") for row in orders}
    assert len(bought) == len(orders)
    visits = [
        {"customer": row["customer_id"], "at": row["visit_start_tstamp"], "event": "arrived", **row}
        for row in sessions
        if row["visit_start_tstamp"] <= bought.get(row["customer_id"], row["visit_start_tstamp"])
    ]
    return visits + [
        {"customer": row["customer_id"], "at": bought[row["customer_id"]], "event": "bought", **row}
        for row in orders
    ]


def import_rows(running: Running, rows: list[dict[str, str]], scratch: Path) -> None:
    """Through the importer, broker, worker and sink into the warehouse."""
    columns = ("customer", "at", "event", "source", "medium", "revenue")
    mapping, file = scratch / "mapping.toml", scratch / "rows.csv"
    mapping.write_text(MAPPING)
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    feeder = running.line.feeder()
    try:
        summary = import_files([file], mapping, feeder, order="event")
    finally:
        feeder.close()
    assert (summary.written, summary.rejected) == (len(rows), 0)
    running.line.wait_until_landed()


def is_within_a_session(row: dict[str, str], rows: list[dict[str, str]]) -> bool:
    """Whether the same customer had come within half an hour before: nobody comes directly in a session of ours."""
    before = datetime.fromisoformat(row["at"]) - timedelta(minutes=30)
    return any(
        before <= datetime.fromisoformat(other["at"]) < datetime.fromisoformat(row["at"])
        for other in rows
        if other["customer"] == row["customer"]
    )


def credited(rows: list[dict[str, str]], model: str) -> dict[str, tuple[float, float]]:
    """Our channel to its conversions and revenue, where they credit it with any."""
    return {
        CLASSES[row["CHANNEL"]]: (float(row["CONVERSIONS"]), float(row["REVENUE"]))
        for row in rows
        if row["ATTRIBUTION_TYPE"] == model and float(row["CONVERSIONS"])
    }


def test_fractribution_through_the_line(shared_data: SharedData, tmp_path: Path) -> None:
    """Snowplow's sessions come by the channels it says, and last touch and what it calls shapley give its credits.

    Each of its sessions is a page viewed and, where there is one of that moment, an order, through the whole line. What
    a customer did after an order is left out: it begins another journey for us and is nothing to them. Seen to fail
    with organic search left out of the channels, and with all channels left out for the counterfactual instead of one.
    """
    folder = shared_data("snowplow_fractribution") / "expected"
    sessions = rows_of(folder / "snowplow_fractribution_sessions_by_customer_id_expected.csv")
    orders = rows_of(folder / "snowplow_fractribution_conversions_by_customer_id_expected.csv")
    theirs = rows_of(folder / "snowplow_fractribution_channel_attribution_expected.csv")
    rows = visits_and_orders(sessions, orders)
    with line(tmp_path) as running:
        import_rows(running, rows, tmp_path)
        found = running.query("SELECT message_id, marketing_channel FROM marketing_touchpoints")
        last = running.query(
            "SELECT channel, conversions, found.revenue_micros / 1e6 "
            "FROM attribution(lookback_days = 30, half_life_days = 7) AS found WHERE model = 'last'"
        )
    direct_again = {
        row["at"] for row in rows if row.get("channel") == "Direct" and is_within_a_session(row, rows)
    }
    assert len(direct_again) == 1
    visits = [row for row in rows if row["event"] == "arrived" and row["at"] not in direct_again]
    assert dict(found) == {
        f"{row['customer']} {row['at']} {row['event']}": CLASSES[row["channel"]] for row in visits
    }
    assert_credited(last, credited(theirs, "last_touch"))
    words = ["attribution", "--warehouse", str(tmp_path / "warehouse"), "--json"]
    done = CliRunner().invoke(build(), words)
    assert done.exit_code == 0, done.stderr
    kept = [
        (row["channel"], row["conversions"], row["revenue_micros"] / 1e6)
        for row in json.loads(done.stdout)
        if row["model"] == "counterfactual" and row["conversions"]
    ]
    assert_credited(kept, credited(theirs, "shapley"))


def assert_credited(found: list[tuple[Any, ...]], expected: dict[str, tuple[float, float]]) -> None:
    """(channel, conversions, revenue) are those."""
    assert {channel for channel, *_ in found} == set(expected)
    for channel, conversions, revenue in found:
        assert (conversions, revenue) == pytest.approx(expected[channel], rel=1e-6), channel
