"""Everything on the output topics is in ClickHouse once, whatever happens to the sink, to ClickHouse or in between."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.catalog import CHANNELS, Catalog
from sinks.clickhouse.chunk import Block, ChunkWriter
from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.landing import TARGETS, Landing, LandingOptions
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.writer import Unavailable, Warehouse, Writer, connect
from streams.broker.embedded import EmbeddedBroker
from tests.integration.brokers import EmbeddedBrokers
from tests.integration.sink_process import SESSION_MS
from tests.unit.sinks.samples import framed

PARTITIONS = 2
TABLES = {"touchpoints.stitched": "touchpoints", **{name: name for name in TARGETS if "." not in name}}
GROUP = "test-sink"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWarehouse]:
    with EmbeddedWarehouse.start(tmp_path_factory.mktemp("warehouse")) as warehouse:
        migrate(place(warehouse))
        yield warehouse


@pytest.fixture
def warehouse(opened: EmbeddedWarehouse) -> Warehouse:
    """With empty tables."""
    with connect(place(opened)) as client:
        for table in TABLES.values():
            client.command(f"TRUNCATE TABLE {table}")
    return place(opened)


@pytest.fixture
def broker(embedded_broker: EmbeddedBrokers) -> EmbeddedBroker:
    return embedded_broker(PARTITIONS, group_delay_ms=100)


def place(opened: EmbeddedWarehouse) -> Warehouse:
    return Warehouse(opened.url, opened.user, opened.password)


class Feed:
    """Writes output records of every kind, each with a number of its own."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
        self.written = dict.fromkeys(TARGETS, 0)

    def write(self, records: int) -> None:
        """So many records a topic; touchpoints of all channels in turn."""
        for _ in range(records):
            for topic in TARGETS:
                n = self.written[topic]
                self._producer.produce(topic, self._value(topic, n), partition=n % PARTITIONS)
                self.written[topic] += 1
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    @staticmethod
    def _value(topic: str, n: int) -> bytes:
        if topic == "touchpoints.stitched":
            return framed(f"{topic}.{CHANNELS[n % len(CHANNELS)]}", message_id=f"m{n}")
        keys = {"sessions": "session_id", "carts": "episode_id", "identities": "identifier"}
        key = keys.get(topic, "action_id")
        return framed(topic, **{key: f"{key}:{n}"})


@contextmanager
def landing(
    broker: EmbeddedBroker, inserts: Any, *, chunk_s: float = 0.1, chunk_rows: int = 100_000
) -> Iterator[Landing]:
    """The loop in a thread, stopped at the end as SIGTERM would."""
    options = LandingOptions(broker.bootstrap, GROUP, chunk_rows, chunk_s, session_timeout_ms=SESSION_MS)
    loop = Landing(options, inserts, chunks=ChunkWriter(Catalog.embedded().schema))
    stop, failures = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            loop.run(stop)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield loop
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert failures == []


def counted(client: Client) -> dict[str, tuple[int, int]]:
    """Rows, and different records among them, by topic."""
    found = {}
    for topic, table in TABLES.items():
        asked = f"SELECT count(), uniqExact(_partition, _offset) FROM {table}"
        rows, different = client.query(asked).result_rows[0]
        found[topic] = (rows, different)
    return found


def until(is_true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def all_landed(warehouse: Warehouse, feed: Feed) -> Callable[[], bool]:
    client = connect(warehouse)
    return lambda: all(rows >= feed.written[topic] for topic, (rows, _) in counted(client).items())


def exactly(feed: Feed) -> dict[str, tuple[int, int]]:
    return {topic: (rows, rows) for topic, rows in feed.written.items()}


def committed(broker: EmbeddedBroker, topic: str) -> list[tuple[int, str]]:
    """(offset, metadata) of each partition."""
    asked = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": GROUP})
    try:
        return [(found.offset, found.metadata or "") for found in consumer.committed(asked, timeout=10)]
    finally:
        consumer.close()


def test_everything_lands_once_and_is_committed(broker: EmbeddedBroker, warehouse: Warehouse) -> None:
    """Every topic into its table, every channel's own fields in place; then the offsets say so."""
    feed = Feed(broker.bootstrap)
    feed.write(300)
    with landing(broker, Writer(warehouse)) as loop:
        until(all_landed(warehouse, feed))
        feed.write(7)
        until(all_landed(warehouse, feed))
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)
        asked = "SELECT channel, count() FROM touchpoints GROUP BY channel ORDER BY channel"
        assert [channel for channel, _ in client.query(asked).result_rows] == sorted(CHANNELS)
        asked = "SELECT event_at, items.product_id, campaign.source FROM touchpoints WHERE message_id = 'm3'"
        ((at, products, source),) = client.query(asked).result_rows
        assert (at.timestamp(), products, source) == (1_700_000_000, ["p1"], "mail")
    assert dict(loop.landed) == feed.written
    for topic, rows in feed.written.items():
        offsets = committed(broker, topic)
        assert sum(offset for offset, _ in offsets) == rows
        assert {metadata for _, metadata in offsets} == {""}


def test_chunk_is_cut_by_rows_before_it_is_old(broker: EmbeddedBroker, warehouse: Warehouse) -> None:
    """A full chunk does not wait for its time."""
    feed = Feed(broker.bootstrap)
    feed.write(100)
    with connect(warehouse) as client, landing(broker, Writer(warehouse), chunk_s=3_600, chunk_rows=50):
        until(lambda: sum(rows for rows, _ in counted(client).values()) > 0)
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)  # what was in hand lands when it stops


class Recorded:
    """Passes blocks on, remembering their tokens; may fail before or after the insert."""

    def __init__(self, inserts: Writer) -> None:
        self._inserts = inserts
        self.tokens: list[str] = []
        self.failing: Callable[[], str] = lambda: ""

    def insert(self, table: str, block: Block) -> None:
        failing = self.failing()
        if failing == "before":
            raise Unavailable("not now")
        self._inserts.insert(table, block)
        self.tokens.append(block.token)
        if failing == "after":
            raise Unavailable("the reply was lost")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_failed_insert_is_repeated_with_its_token(
    broker: EmbeddedBroker, warehouse: Warehouse, moment: str, seed: int
) -> None:
    """Half of all inserts fail, before or after they took effect: every row once, every token the same again."""
    chance = random.Random(seed)
    feed, inserts = Feed(broker.bootstrap), Recorded(Writer(warehouse))
    inserts.failing = lambda: moment if chance.random() < 0.5 else ""
    feed.write(60)
    with landing(broker, inserts):
        until(all_landed(warehouse, feed))
        inserts.failing = lambda: ""
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)
    assert (len(inserts.tokens) > len(set(inserts.tokens))) == (moment == "after")


def test_declared_range_is_landed_first_and_as_declared(broker: EmbeddedBroker, warehouse: Warehouse) -> None:
    """A sink that goes while an insert is open leaves the range; the next one repeats just that, then the rest."""
    feed, first = Feed(broker.bootstrap), Recorded(Writer(warehouse))
    feed.write(20)
    first.failing = lambda: "after"
    with landing(broker, first):
        until(lambda: len(first.tokens) > 0)
    declared = {metadata for _, metadata in committed(broker, "sessions")}
    assert declared == {"pending:10"}
    feed.write(20)
    second = Recorded(Writer(warehouse))
    with landing(broker, second):
        until(all_landed(warehouse, feed))
    assert set(first.tokens) < set(second.tokens)
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)


def test_clickhouse_that_goes_and_comes_back_loses_nothing(
    broker: EmbeddedBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the sink waits: it says so once, stays in the group, and lands everything afterwards."""
    opened = EmbeddedWarehouse.start(tmp_path)
    port = int(opened.url.rpartition(":")[2])
    warehouse = place(opened)
    migrate(warehouse)
    feed = Feed(broker.bootstrap)
    feed.write(20)
    with caplog.at_level(logging.WARNING, "sinks"), landing(broker, Writer(warehouse)):
        until(all_landed(warehouse, feed))
        opened.stop()
        feed.write(20)
        until(lambda: "is unavailable" in caplog.text)
        time.sleep(2 * SESSION_MS / 1000)  # longer than the group would wait for a silent member
        opened = EmbeddedWarehouse.start(tmp_path, port)
        until(all_landed(warehouse, feed))
    try:
        with connect(warehouse) as client:
            assert counted(client) == exactly(feed)
    finally:
        opened.stop()
    told = [record.getMessage() for record in caplog.records if record.name.startswith("sinks")]
    assert [message.split(",")[0].split(" after")[0] for message in told] == [
        "ClickHouse is unavailable",
        "ClickHouse is back",
    ]


def test_second_sink_takes_over_without_repeating(broker: EmbeddedBroker, warehouse: Warehouse) -> None:
    """A rebalance in the middle: what one has landed the other does not, what one held the other lands."""
    feed = Feed(broker.bootstrap)
    feed.write(50)
    with landing(broker, Writer(warehouse)):
        until(all_landed(warehouse, feed))
        with landing(broker, Writer(warehouse)):
            for _ in range(10):
                feed.write(20)
                time.sleep(0.2)
            until(all_landed(warehouse, feed))
        feed.write(20)
        until(all_landed(warehouse, feed))
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)


def test_records_deleted_before_they_landed_are_reported(
    broker: EmbeddedBroker, warehouse: Warehouse, error_log: list[str]
) -> None:
    """Nothing can bring them back: a person is told which, and the rest lands."""
    feed = Feed(broker.bootstrap)
    feed.write(10)
    with landing(broker, Writer(warehouse)):
        until(all_landed(warehouse, feed))
    producer = Producer({"bootstrap.servers": broker.bootstrap, "compression.type": "none"})
    for n in range(100):
        value = framed("carts", episode_id=f"big{n}", cart_id="x" * 150_000)
        producer.produce("carts", value, partition=0)
        producer.flush(10)
    with landing(broker, Writer(warehouse)), connect(warehouse) as client:
        until(lambda: client.query("SELECT countIf(episode_id = 'big99') FROM carts").result_rows == [(1,)])
        kept = client.query("SELECT count() FROM carts WHERE startsWith(episode_id, 'big')").result_rows[0][0]
    assert 0 < kept < 100
    assert len(error_log) == 1
    assert f"carts/0: offsets 5 to {104 - kept} were deleted" in error_log[0]
    error_log.clear()


@pytest.mark.slow
def test_killed_at_random_moments_it_lands_all_once(
    broker: EmbeddedBroker, warehouse: Warehouse, seed: int
) -> None:
    """SIGKILL ten times while records flow: plain count() is exact."""
    chance, feed = random.Random(seed), Feed(broker.bootstrap)
    command = [sys.executable, "-m", "tests.integration.sink_process", broker.bootstrap, warehouse.url, "0.1"]
    landed = all_landed(warehouse, feed)
    for _ in range(10):
        before = sum(rows for rows, _ in counted(connect(warehouse)).values())
        feed.write(100)
        sink = subprocess.Popen(command)
        # Not while it is still joining: a kill counts from its first rows on.
        until(lambda before=before: sum(rows for rows, _ in counted(connect(warehouse)).values()) > before)  # type: ignore[misc]
        feed.write(50)
        time.sleep(chance.uniform(0.0, 0.3))
        sink.kill()
        sink.wait()
    last = subprocess.Popen(command)
    until(landed)
    last.terminate()
    assert last.wait(20) == 0
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)
