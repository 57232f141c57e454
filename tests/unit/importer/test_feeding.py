"""The feeder on an embedded broker: ticks that keep their promise, a pace that loses nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.catalog import CHANNELS
from streams.broker.embedded import EmbeddedBroker
from streams.core.identifier import murmur2
from streams.importer.feeding import HOUR_MS, Feeder, ReaderStalled, WrongPartitions
from streams.importer.lag import LostRecords, Readers
from streams.runtime.topics import INBOX, INPUTS, OUTPUTS

PARTITIONS, START_MS = 2, 1_704_067_200_000
WORKER_TOPICS = (*INPUTS, INBOX)


@dataclass(frozen=True, slots=True)
class Read:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    arrival_ms: int
    tick_ms: int | None


@dataclass(frozen=True, slots=True)
class Shop:
    """One application on the broker that all tests share: its readers start where the topics end."""

    bootstrap: str
    app: str

    def feeder(self, *, pace: bool = True, tick_ms: int | None = None, stalled_s: float = 30) -> Feeder:
        return Feeder(self.bootstrap, self.app, PARTITIONS, pace=pace, tick_ms=tick_ms, stalled_s=stalled_s)

    def readers(self) -> Readers:
        return Readers(self.bootstrap, self.app, partitions=PARTITIONS, inputs=INPUTS)

    def skip_to_the_end(self) -> None:
        readers = self.readers()
        reading = readers.measure()
        readers.close()
        for group, lags in ((self.app, reading.worker), (f"{self.app}-sink", reading.sink)):
            consumer = client(self.bootstrap, group)
            ends = [TopicPartition(lag.topic, lag.partition, lag.end) for lag in lags]
            consumer.commit(offsets=ends, asynchronous=False)
            consumer.close()


@dataclass
class Reader:
    """A stand-in for a worker: reads everything, commits what it has read, at most so many records a round."""

    shop: Shop
    round_records: int = 5_000
    read: list[Read] = field(default_factory=list)

    def __enter__(self) -> Reader:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        consumer = client(self.shop.bootstrap, self.shop.app)
        everywhere = [TopicPartition(topic, part) for topic in WORKER_TOPICS for part in range(PARTITIONS)]
        consumer.assign(everywhere)
        while not self._stop.is_set():
            records = consumer.consume(self.round_records, 0.02)
            places = {}
            for record in records:
                if (error := record.error()) is not None:
                    # The embedded broker at times knows no epochs just after it started; the reader begins again.
                    assert error.code() == KafkaError._AUTO_OFFSET_RESET, error
                    assert not self.read
                    consumer.assign(everywhere)
                    break
                read = read_of(record)
                self.read.append(read)
                places[read.topic, read.partition] = read.offset + 1
            if places:
                offsets = [TopicPartition(*place, offset) for place, offset in places.items()]
                consumer.commit(offsets=offsets, asynchronous=False)
        consumer.close()


def read_of(record: Message) -> Read:
    headers = dict(record.headers() or ())
    tick = headers.get("clock-ms")
    topic, partition, offset, key = record.topic(), record.partition(), record.offset(), record.key()
    assert isinstance(topic, str)
    assert isinstance(partition, int)
    assert isinstance(offset, int)
    assert key is None or isinstance(key, bytes)
    return Read(topic, partition, offset, key, record.timestamp()[1], int(tick) if tick else None)


def client(bootstrap: str, group: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "log_level": 0,
        }
    )


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    broker = EmbeddedBroker.start(dict.fromkeys((*WORKER_TOPICS, *OUTPUTS), PARTITIONS))
    yield broker.bootstrap
    broker.stop()


@pytest.fixture
def shop(bootstrap: str, request: pytest.FixtureRequest) -> Shop:
    shop = Shop(bootstrap, request.node.name)
    shop.skip_to_the_end()
    return shop


def drained(reader: Reader, count: int) -> list[Read]:
    deadline = time.monotonic() + 20
    while len(reader.read) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    return reader.read


def test_ticks_keep_their_promise(shop: Shop) -> None:
    """A tick T is on every input partition, behind all records that arrived by T and before all that came later."""
    with Reader(shop) as reader:
        with shop.feeder(tick_ms=1_000) as feeder:
            for number in range(2_000):
                key = b"user_id:%d" % (number % 50)
                feeder.send(CHANNELS[number % 3], key, b"value", START_MS + number * 10)
            feeder.finish(START_MS)
        written = 2_000 + feeder.ticks * len(INPUTS) * PARTITIONS
        read = drained(reader, written)
    assert len(read) == written
    assert feeder.ticks > 10
    for place in {(one.topic, one.partition) for one in read}:
        clock_ms, ticks = 0, 0
        for one in (one for one in read if (one.topic, one.partition) == place):
            if one.tick_ms is None:
                assert one.arrival_ms > clock_ms
            else:
                assert one.tick_ms > clock_ms
                assert one.key is None
                clock_ms, ticks = one.tick_ms, ticks + 1
        assert ticks == feeder.ticks
    assert all(one.partition == murmur2(one.key) % PARTITIONS for one in read if one.key is not None)


def test_the_end_is_past_every_timer(shop: Shop) -> None:
    """A feed ends with ticks past what is due soon and past the last timer, each once the one before was read."""
    with Reader(shop) as reader, shop.feeder(tick_ms=60_000) as feeder:
        feeder.send("web", b"user_id:1", b"value", START_MS)
        feeder.finish(START_MS)
        read = list(reader.read)
    web = [one.tick_ms for one in read if (one.topic, one.partition) == (INPUTS[0], 0) and one.tick_ms]
    ends = [START_MS + hours * HOUR_MS + step for hours in (2, 73) for step in range(4)]
    assert web == [START_MS - 1, *ends]


def test_a_long_silence_is_a_stop(shop: Shop) -> None:
    """Before a silence of days the worker decides what is due soon; where silences are common, it is not waited for."""
    day_ms = 24 * HOUR_MS
    with Reader(shop) as reader, shop.feeder(tick_ms=60_000) as feeder:
        for number in range(1_000):
            feeder.send("web", b"user_id:1", b"value", START_MS + number)
        for days in (2, 4):
            feeder.send("web", b"user_id:1", b"value", START_MS + days * day_ms)
        feeder.flush()
        read = drained(reader, 1_002 + feeder.ticks * len(INPUTS) * PARTITIONS)
    web = [one.tick_ms for one in read if (one.topic, one.partition) == (INPUTS[0], 0) and one.tick_ms]
    soon_ms = START_MS + 999 + 2 * HOUR_MS
    stop = [soon_ms + step for step in range(4)]
    assert web == [START_MS - 1, *stop, START_MS + 2 * day_ms - 1, START_MS + 4 * day_ms - 1]


def test_sparse_records_have_sparse_ticks(shop: Shop) -> None:
    """Where hardly anything happens, ticks come every few hours; over a gap there is one, at its end."""
    with shop.feeder(pace=False, tick_ms=60_000) as feeder:
        ticks = []
        for hours in (0, 3, 5, 7, 12, 14, 1_000):
            feeder.send("web", b"user_id:1", b"value", START_MS + hours * HOUR_MS)
            ticks.append(feeder.ticks)
    assert ticks == [1, 1, 1, 2, 2, 3, 4]


def test_without_ticks_times_may_run_backwards(shop: Shop) -> None:
    """A record behind a tick is a broken promise; where no ticks are written there is none to break."""
    with shop.feeder(pace=False) as feeder:
        for minutes in (500, 0, 300):
            feeder.send("web", b"user_id:1", b"value", START_MS + minutes * 60_000)
        assert feeder.ticks == 0
        feeder.tick(START_MS)
        with pytest.raises(ValueError, match="comes after the tick"):
            feeder.send("web", b"user_id:1", b"value", START_MS)
        with pytest.raises(ValueError, match="does not come after"):
            feeder.tick(START_MS)


def test_a_slow_reader_loses_nothing(shop: Shop) -> None:
    """Twice what the broker keeps of a partition, all for one key, arrives whole at a reader in small steps."""
    count, value = 6_000, b"x" * 2_000
    with Reader(shop, round_records=50) as reader:
        with shop.feeder() as feeder:
            for number in range(count):
                feeder.send("pos", b"loyalty_id:1", value, START_MS + number)
        read = drained(reader, count)
    offsets = [one.offset for one in read]
    assert offsets == list(range(offsets[0], offsets[0] + count))


def flood(feeder: Feeder, *, count: int = 10_000) -> None:
    for number in range(count):
        feeder.send("web", b"user_id:1", b"x" * 1_000, START_MS + number)


def test_a_slow_sink_slows_the_feeder(shop: Shop) -> None:
    """What the sink has not read counts too: a worker that writes more than it reads cannot outrun it."""
    # Stands for a worker that has already written 4 MiB of stitched touchpoints.
    worker = Producer({"bootstrap.servers": shop.bootstrap, "log_level": 0})
    for _ in range(4_000):
        worker.produce("touchpoints.stitched", b"x" * 1_000, partition=0)
    worker.flush()
    name = rf"{shop.app}-sink on touchpoints\.stitched\[0\]"
    with Reader(shop), shop.feeder(stalled_s=1) as feeder, pytest.raises(ReaderStalled, match=name):
        flood(feeder)


def test_a_dead_reader_is_named(shop: Shop) -> None:
    """Nobody waits for ever: the error says who has read how much of what."""
    name = rf"{shop.app} on touchpoints\.web\[\d\] at .* of .*Is it running\?"
    with shop.feeder(stalled_s=0.5) as feeder, pytest.raises(ReaderStalled, match=name):
        flood(feeder)


def test_lost_records_are_noticed(shop: Shop) -> None:
    """If the broker forgot what a reader had yet to read, the run is wrong and says so."""
    with shop.feeder(pace=False) as feeder:
        flood(feeder, count=8_000)
    readers = shop.readers()
    with pytest.raises(LostRecords, match=rf"{shop.app} has yet to read record .* of touchpoints\.web"):
        readers.measure()
    readers.close()


def test_another_partition_count_is_refused(bootstrap: str) -> None:
    """A feeder that would divide people otherwise than the worker does not start."""
    with pytest.raises(WrongPartitions, match=r"touchpoints\.web has 2"):
        Feeder(bootstrap, "shop", 3, pace=True)
