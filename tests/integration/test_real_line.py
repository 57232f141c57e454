"""The line on a real Kafka: start, produce, process, land, stop; and, by its append times, act while it matters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Producer

from schemas.catalog import Catalog
from schemas.codec import decode, encode_touchpoint
from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.writer import Warehouse, connect
from streams.runtime.topics import INPUTS
from streams.simulator.compare import compare
from streams.simulator.emit import Simulation
from streams.simulator.options import Options
from tests.integration.brokers import RealKafka
from tests.integration.real_line import WAIT_S, RealLine, installation, reading, records
from tests.oracle.compare import answer, differences, read_landed
from tests.oracle.touchpoints import Touchpoint, from_record

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

ABANDON_AFTER_S, TIMER_LATENESS_S = 2, 1


def test_a_day_lands_true(real_kafka: RealKafka, seed: int, tmp_path: Path) -> None:
    """By the simulator's truth, and by the oracle from what Kafka holds with its append times; then all parts stop."""
    # Over by now with its last tick, 73 h after it: nothing has arrived before it happened.
    start = datetime.now(UTC) - timedelta(days=5)
    options = Options(people=150, seed=seed % 1_000_000, start=start.isoformat())
    with EmbeddedWarehouse.start(tmp_path / "warehouse") as opened:
        place = Warehouse(opened.url, opened.user, opened.password)
        migrate(place)
        with (
            installation(real_kafka, tmp_path, WORKER_CLOCK="replay", CLICKHOUSE_URL=opened.url) as line,
            connect(place) as client,
        ):
            line.start("worker")
            line.start("sink")
            simulation = Simulation(options)
            sent = feed(line, simulation, options)
            line.wait_until_landed()
            kept = list(touchpoints_in(line))
            line.stop()

            def query(sql: str) -> list[tuple[Any, ...]]:
                return [tuple(row) for row in client.query(sql).result_rows]

            assert len(kept) == sent
            comparison = compare(simulation.truth(), query)
            assert comparison.is_equal, comparison.summary()
            found = differences(answer(kept), read_landed(query))
            assert not found, str(found)


def feed(line: RealLine, simulation: Simulation, options: Options) -> int:
    """Write the day to its last tick; how many touchpoints it had."""
    feeder = line.feeder()
    try:
        for record in simulation.records():
            feeder.send(record.channel, record.key, record.value, record.arrival_ms)
        feeder.finish(options.end_ms)
    finally:
        feeder.close()
    return feeder.records


def touchpoints_in(line: RealLine) -> Iterator[Touchpoint]:
    """What lies on the inputs, with the broker's time of its arrival."""
    written = line.written(*INPUTS)
    with reading(line.bootstrap, *INPUTS) as consumer:
        for record in records(consumer, for_s=WAIT_S, until=written):
            kind, arrival_ms = record.timestamp()
            assert kind == TIMESTAMP_LOG_APPEND_TIME
            if value := record.value():
                yield from_record(decode(value)[1], arrival_ms)


def test_who_leaves_a_cart_is_noticed_and_who_buys_at_the_till_is_not(
    real_kafka: RealKafka, tmp_path: Path
) -> None:
    """By append times, without ticks: one action for the abandoned cart, none for one bought in another channel."""
    settings = {
        "WORKER_CLOCK": "live",
        "CARTS_ABANDON_AFTER_S": str(ABANDON_AFTER_S),
        "ACTIONS_TIMER_LATENESS_S": str(TIMER_LATENESS_S),
    }
    with installation(real_kafka, tmp_path, **settings) as line:
        shop = Shop(line.bootstrap)
        line.start("worker")
        shop.put("web", "hello", "Page Viewed", user_id="early")
        with reading(line.bootstrap, "touchpoints.stitched") as stitched:
            assert len(list(records(stitched, for_s=WAIT_S, until=1))) == 1, "the worker does not work"
        shop.put("web", "buyer adds", "Product Added", user_id="buyer", loyalty_id="card")
        left_ms = shop.put("web", "leaver adds", "Product Added", user_id="leaver", email="l@example.com")
        time.sleep(0.5)
        shop.put("pos", "buyer buys", "Order Completed", loyalty_id="card")
        with reading(line.bootstrap, "actions") as acted:
            [first] = records(acted, for_s=WAIT_S, until=1)
            took_s = (first.timestamp()[1] - left_ms) / 1_000
            # The buyer's timer stood before the leaver's: had it meant anything, it would have been heard by now.
            others = list(records(acted, for_s=2.0))
        line.stop()
    action = decode(first.value() or b"", Catalog.embedded())[1]
    assert (action["opened_by"], action["status"], action["trigger"]) == (
        "leaver adds",
        "due",
        "abandoned_cart",
    )
    assert action["due_at"] == left_ms + ABANDON_AFTER_S * 1_000
    assert action["decided_at"] >= action["due_at"] + TIMER_LATENESS_S * 1_000
    assert (action["identifiers"], action["channels"][0]) == (
        {"user_id": "leaver", "email": "l@example.com"},
        "email",
    )
    assert not action["historical"]
    assert [one.value() for one in others] == []
    print(
        f"action {took_s:.2f} s after the touchpoint, of which {ABANDON_AFTER_S + TIMER_LATENESS_S} s by rule"
    )


class Shop:
    """Writes touchpoints that happen now."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "log_level": 0}
        )

    def put(self, channel: str, message_id: str, event: str, *, at_ms: int = 0, **identifiers: str) -> int:
        """Return when Kafka has it; when it happened, which is now where nothing else is said."""
        now_ms = at_ms or time.time_ns() // 1_000_000
        item = {"product_id": "kettle", "quantity": 1, "price_micros": 30_000_000}
        value = encode_touchpoint({
            "message_id": message_id, "type": "track", "event": event, "channel": channel,
            "occurred_at": now_ms, "received_at": now_ms, "identifiers": identifiers, "items": [item],
            "order_id": "1" if event == "Order Completed" else None,
        })  # fmt: skip
        kind, name = next(iter(identifiers.items()))
        self._producer.produce(f"touchpoints.{channel}", value, f"{kind}:{name}")
        assert self._producer.flush(WAIT_S) == 0
        return now_ms
