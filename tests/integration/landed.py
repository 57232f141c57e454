"""A sink between an embedded broker and an embedded warehouse: what tests write, what has landed, what is committed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.catalog import CHANNELS, Catalog
from schemas.dead_letters import DEAD_LETTERS
from sinks.clickhouse.chunk import ChunkWriter
from sinks.clickhouse.container import Schema
from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.landing import TARGETS, Followup, Landing, LandingOptions
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.reading import ReadingOptions
from sinks.clickhouse.writer import Warehouse, connect
from sinks.dead_letters import DeadLetters
from streams.broker.embedded import EmbeddedBroker
from tests.integration.brokers import EmbeddedBrokers
from tests.integration.sink_process import SESSION_MS
from tests.unit.sinks.samples import framed

PARTITIONS = 2
TABLES = {"touchpoints.stitched": "touchpoints", **{name: name for name in TARGETS if "." not in name}}
GROUP = "test-sink"


def place(opened: EmbeddedWarehouse) -> Warehouse:
    return Warehouse(opened.url, opened.user, opened.password)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWarehouse]:
    with EmbeddedWarehouse.start(tmp_path_factory.mktemp("warehouse")) as warehouse:
        migrate(place(warehouse))
        yield warehouse


@pytest.fixture
def warehouse(opened: EmbeddedWarehouse) -> Warehouse:
    """With empty tables."""
    with connect(place(opened)) as client:
        for table in (*TABLES.values(), "identity_places", "resolved_identifiers", "resolved_offsets"):
            client.command(f"TRUNCATE TABLE {table}")
    return place(opened)


@pytest.fixture
def broker(embedded_broker: EmbeddedBrokers) -> EmbeddedBroker:
    return embedded_broker(PARTITIONS, group_delay_ms=100)


class Feed:
    """Writes output records of every kind, each with a number of its own."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
        self.written = dict.fromkeys(TARGETS, 0)
        """Good records by topic."""
        self._poisoned: Counter[tuple[str, int]] = Counter()

    def write(self, records: int) -> None:
        """So many records a topic; touchpoints of all channels in turn."""
        for _ in range(records):
            for topic in TARGETS:
                n = self.written[topic]
                self._producer.produce(topic, self._value(topic, n), partition=n % PARTITIONS)
                self.written[topic] += 1
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    @property
    def moved(self) -> int:
        """How many identifiers of those written have moved."""
        return self.written["identities"] // 2

    def poison(self, topic: str, value: bytes, partition: int = 0) -> None:
        """One record that can land nowhere."""
        self._producer.produce(topic, value, partition=partition)
        self._poisoned[topic, partition] += 1
        assert self._producer.flush(30) == 0

    def end(self, topic: str, partition: int) -> int:
        """The offset of the next record."""
        good = (self.written[topic] + PARTITIONS - 1 - partition) // PARTITIONS
        return good + self._poisoned[topic, partition]

    @staticmethod
    def _value(topic: str, n: int) -> bytes:
        if topic == "touchpoints.stitched":
            return framed(f"{topic}.{CHANNELS[n % len(CHANNELS)]}", message_id=f"m{n}")
        if topic == "identities":
            # Each second one moves to the one before.
            kind, root = ("merged", n - 1) if n % 2 else ("created", n)
            return framed(
                topic,
                identifier=f"identifier:{n}",
                kind=kind,
                root=f"identifier:{root}",
                profile_id=f"p{root}",
                own_profile_id=f"p{n}",
            )
        keys = {"sessions": "session_id", "carts": "episode_id"}
        key = keys.get(topic, "action_id")
        return framed(topic, **{key: f"{key}:{n}"})


class Loop(Landing):
    """The sink's loop, which says when it has ended."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.ended = threading.Event()


@contextmanager
def landing(
    broker: EmbeddedBroker,
    inserts: Any,
    *,
    chunk_s: float = 0.1,
    chunk_rows: int = 100_000,
    schema_of: Callable[[int], Schema] | None = None,
    followup: Followup | None = None,
) -> Iterator[Loop]:
    """The loop in a thread, stopped at the end as SIGTERM would. Raises what ended it."""
    options = LandingOptions(ReadingOptions(broker.bootstrap, GROUP, SESSION_MS), chunk_rows, chunk_s)
    burials = DeadLetters(broker.bootstrap)
    chunks = ChunkWriter(schema_of or Catalog.embedded().schema)
    loop = Loop(options, inserts, chunks=chunks, burials=burials, followup=followup)
    stop, failures = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            loop.run(stop)
        except BaseException as error:
            failures.append(error)
        finally:
            burials.close()
            loop.ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield loop
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    for failure in failures:
        raise failure


def counted(client: Client) -> dict[str, tuple[int, int]]:
    """Rows, and different records among them, by topic."""
    found = {}
    for topic, table in TABLES.items():
        asked = f"SELECT count(), uniqExact(_partition, _offset) FROM {table}"
        rows, different = client.query(asked).result_rows[0]
        found[topic] = (rows, different)
    return found


def moved(client: Client) -> int:
    """How many identifiers views know to have moved."""
    return int(client.query("SELECT count() FROM moved_identifiers").result_rows[0][0])


def until(is_true: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline_s, is_true
        time.sleep(0.05)


class AllLanded:
    """Whether all that was fed has landed; says how far it is when it never does."""

    def __init__(self, warehouse: Warehouse, feed: Feed) -> None:
        self._client = connect(warehouse)
        self._feed = feed

    def __call__(self) -> bool:
        landed = counted(self._client)
        return all(landed[topic][0] >= rows for topic, rows in self._feed.written.items())

    def __repr__(self) -> str:
        return f"fed {self._feed.written}, landed {counted(self._client)}"


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


def dead_letters(bootstrap: str) -> dict[str, str]:
    """Reasons by `topic-partition-offset`; asserts that each has its story, and that its value is there."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "test-dead",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 30,
    })  # fmt: skip
    found: dict[str, str] = {}
    try:
        metadata = consumer.list_topics(DEAD_LETTERS, timeout=10).topics[DEAD_LETTERS]
        left = set(metadata.partitions)
        consumer.assign([TopicPartition(DEAD_LETTERS, partition, 0) for partition in left])
        while left:
            for message in consumer.consume(1_000, 0.2):
                partition = message.partition()
                assert partition is not None
                if message.error() is not None:
                    left.discard(partition)
                    continue
                headers: Any = message.headers()
                told = {name: value.decode() for name, value in headers}
                place = "-".join(told[name] for name in ("topic", "partition", "offset"))
                assert message.key() == place.encode()
                assert message.value()
                assert told["detail"]
                found[place] = told["reason"]
    finally:
        consumer.close()
    return found
