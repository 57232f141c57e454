"""The embedded broker and a real one, with the clients we use: what the rest of the project counts on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from schemas.catalog import CHANNELS
from streams.broker.embedded import MAX_BATCH_BYTES, RETENTION_BYTES
from streams.cli import context, kafka, topics
from streams.runtime.group_patience import LEADER_WAITS_S, be_patient
from streams.runtime.topics import TopicSpec, alter, create, deviations, expected, found_on
from streams.settings import load
from tests.conftest import require
from tests.integration.brokers import EmbeddedBrokers, RealKafka

Bytes = bytes | None
#: (key, value, headers)
Sent = tuple[Bytes, Bytes, tuple[tuple[str, bytes], ...]]

RECORDS: list[Sent] = [
    (b"user_id:1", b"value", (("clock-ms", b"5"), ("again", b""))),
    (b"user_id:1", None, ()),
    (None, None, (("clock-ms", b"1700000000000"),)),
    (None, b"\x00\xff" * 400_000, ()),
]
WAIT_S = 30.0


async def read(bootstrap: str, topic: str, *, count: int, partition: int = 0, start: int = 0) -> list[Any]:
    """Records of one partition, by aiokafka."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="none", fetch_max_wait_ms=20)
    await consumer.start()
    try:
        at = TopicPartition(topic, partition)
        consumer.assign([at])
        consumer.seek(at, start)
        found: list[Any] = []
        async with asyncio.timeout(WAIT_S):
            while len(found) < count:
                found += (await consumer.getmany(at, timeout_ms=500)).get(at, [])
        return found
    finally:
        await consumer.stop()


def poll(bootstrap: str, topic: str, *, count: int) -> list[Any]:
    """Records of partition 0, by confluent-kafka."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "fetch.wait.max.ms": 20})
    try:
        consumer.assign([Position(topic, 0, 0)])
        return consumer.consume(count, WAIT_S)
    finally:
        consumer.close()


async def send_batch(producer: Any, topic: str, *, rows: list[Sent], partition: int = 0) -> int:
    """One record batch, built by hand as the runtime does; the offset of its first record."""
    batch = producer.create_batch()
    for key, value, headers in rows:
        assert batch.append(key=key, value=value, timestamp=None, headers=list(headers)) is not None
    sent = await producer.send_batch(batch, topic, partition=partition)
    return int((await sent).offset)


@contextlib.asynccontextmanager
async def producing(bootstrap: str) -> Any:
    """An aiokafka producer that takes any size."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_batch_size=32 << 20, max_request_size=32 << 20
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def exchange(bootstrap: str, topic: str) -> None:
    """Each client writes RECORDS; each reads what both wrote, untouched and in order."""
    async with producing(bootstrap) as by_hand:
        await send_batch(by_hand, topic, rows=RECORDS)
    producer = Producer({"bootstrap.servers": bootstrap})
    for key, value, headers in RECORDS:
        producer.produce(topic, value, key=key, partition=0, headers=list(headers))
    assert producer.flush(WAIT_S) == 0
    found = await read(bootstrap, topic, count=2 * len(RECORDS))
    assert [(one.key, one.value, tuple(one.headers)) for one in found] == RECORDS * 2
    polled = await asyncio.to_thread(poll, bootstrap, topic, count=2 * len(RECORDS))
    assert [(one.key(), one.value(), tuple(one.headers() or ())) for one in polled] == RECORDS * 2


class TestEmbedded:
    def test_both_clients_write_and_read(self, embedded_broker: EmbeddedBrokers) -> None:
        """Keys, values, headers, tombstones and ticks pass untouched between the two clients we use."""
        asyncio.run(exchange(embedded_broker(1).bootstrap, "touchpoints.web"))

    def test_it_has_the_topics_it_was_started_with(self, embedded_broker: EmbeddedBrokers) -> None:
        """All of them, each with the partitions asked for."""
        admin = AdminClient({"bootstrap.servers": embedded_broker(3).bootstrap})
        found = admin.list_topics(timeout=WAIT_S).topics
        names = [spec.name for spec in expected(load(None, {}))]
        assert {name: len(topic.partitions) for name, topic in found.items()} == dict.fromkeys(names, 3)

    @pytest.mark.parametrize("is_late", [False, True], ids=["in time", "second member syncs late"])
    def test_a_group_of_two_shares_every_partition(
        self, embedded_broker: EmbeddedBrokers, is_late: bool
    ) -> None:
        """Two members have 32 of 64 partitions each, both read; the one that stays takes over from the one that left.

        A follower that syncs later than its leader waits for it joins once more instead of failing.
        """
        inputs = [f"touchpoints.{channel}" for channel in CHANNELS] + ["profiles.inbox"]

        async def scene(bootstrap: str) -> None:
            first, second = [await self.member(bootstrap) for _ in range(2)]
            if is_late:
                self.delay_first_sync(second)
            be_patient(first)
            be_patient(second)
            try:
                first.subscribe(inputs)
                await self.until(lambda: len(first.assignment()) == 64, first)
                second.subscribe(inputs)
                await self.until(
                    lambda: len(first.assignment()) == len(second.assignment()) == 32, first, second
                )
                assert not first.assignment() & second.assignment()
                assert await self.read_by(first, second, bootstrap=bootstrap) == {32}
                await second.stop()
                await self.until(lambda: len(first.assignment()) == 64, first)
            finally:
                await first.stop()
                await second.stop()

        asyncio.run(scene(embedded_broker(4).bootstrap))

    @staticmethod
    async def member(bootstrap: str) -> Any:
        """A member to be; its session is short because a rebalance takes that long here."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id="workers",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=2_000,
            heartbeat_interval_ms=200,
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        return consumer

    @staticmethod
    def delay_first_sync(consumer: Any) -> None:
        """Its first SyncGroup leaves long after the leader's."""
        send, delays = consumer._coordinator._send_req, iter([2 * LEADER_WAITS_S])

        async def late(request: Any) -> Any:
            if type(request).__name__.startswith("SyncGroup"):
                await asyncio.sleep(next(delays, 0.0))
            return await send(request)

        consumer._coordinator._send_req = late

    @staticmethod
    async def until(is_so: Callable[[], bool], *polled: Any) -> None:
        """Polls until something is so."""
        async with asyncio.timeout(WAIT_S):
            while not is_so():
                await asyncio.gather(*[consumer.getmany(timeout_ms=50) for consumer in polled])

    @staticmethod
    async def read_by(*members: Any, bootstrap: str) -> set[int]:
        """Writes one record to every partition of every topic; how many each member reads."""
        everything = [tp for consumer in members for tp in consumer.assignment()]
        async with producing(bootstrap) as producer:
            for tp in everything:
                await producer.send(tp.topic, b"v", partition=tp.partition)
        counts = dict.fromkeys(members, 0)
        async with asyncio.timeout(WAIT_S):
            while sum(counts.values()) < len(everything):
                for consumer in members:
                    found = await consumer.getmany(timeout_ms=50)
                    counts[consumer] += sum(map(len, found.values()))
        return set(counts.values())

    def test_committed_offsets_come_back_with_their_metadata(self, embedded_broker: EmbeddedBrokers) -> None:
        """What the sink writes beside an offset before an insert is there for whoever comes after it."""

        async def scene(bootstrap: str) -> None:
            at = TopicPartition("sessions", 0)
            for is_new in (True, False):
                consumer = AIOKafkaConsumer(
                    bootstrap_servers=bootstrap, group_id="sink", enable_auto_commit=False
                )
                await consumer.start()
                consumer.assign([at])
                if is_new:
                    await consumer.commit({at: OffsetAndMetadata(7, "pending: [7, 9)")})
                assert await consumer.committed(at) == 7
                await consumer.stop()

        bootstrap = embedded_broker(1).bootstrap
        asyncio.run(scene(bootstrap))
        reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "sink"})
        [found] = reader.committed([Position("sessions", 0)], timeout=WAIT_S)
        reader.close()
        assert (found.offset, found.metadata) == (7, "pending: [7, 9)")

    def test_what_it_forgot_is_told_and_never_skipped(self, embedded_broker: EmbeddedBrokers) -> None:
        """A partition keeps 5 MiB: the beginning says so, and reading before it is an error, not a jump."""

        async def scene(bootstrap: str) -> None:
            row: Sent = (b"k", b"x" * 1_000, ())
            at = TopicPartition("profiles.changelog", 0)
            async with producing(bootstrap) as producer:
                for _ in range(8):
                    await send_batch(producer, at.topic, rows=[row] * 1_000)
            consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
            await consumer.start()
            begin, end = (await consumer.beginning_offsets([at]))[at], (await consumer.end_offsets([at]))[at]
            await consumer.stop()
            assert (begin, end) == (3_000, 8_000)
            assert (end - begin) * 1_000 <= RETENTION_BYTES
            assert len(await read(bootstrap, at.topic, start=begin, count=5_000)) == 5_000
            with pytest.raises(OffsetOutOfRangeError):
                await read(bootstrap, at.topic, start=begin - 1, count=1)

        asyncio.run(scene(embedded_broker(1).bootstrap))

    def test_the_largest_batch_is_read_and_a_larger_one_is_lost(
        self, embedded_broker: EmbeddedBrokers
    ) -> None:
        """Up to MAX_BATCH_BYTES every batch can be read after any other; why there is a bound: beyond it, none is."""

        async def scene(bootstrap: str) -> None:
            async def begin_and_end(topic: str, *, value_bytes: int) -> tuple[int, int]:
                async with producing(bootstrap) as producer:
                    for _ in range(4):
                        await send_batch(producer, topic, rows=[(None, b"x" * value_bytes, ())])
                consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
                await consumer.start()
                at = TopicPartition(topic, 0)
                begin, end = await consumer.beginning_offsets([at]), await consumer.end_offsets([at])
                await consumer.stop()
                return begin[at], end[at]

            assert await begin_and_end("carts", value_bytes=MAX_BATCH_BYTES - 100) == (2, 4)
            assert [one.offset for one in await read(bootstrap, "carts", start=2, count=2)] == [2, 3]
            assert await begin_and_end("actions", value_bytes=2_700_000) == (4, 4)

        asyncio.run(scene(embedded_broker(1).bootstrap))

    def test_a_broker_that_was_down_has_kept_its_records(self, embedded_broker: EmbeddedBrokers) -> None:
        """Down cuts clients off, up lets the same clients go on, on the same address."""
        broker = embedded_broker(topics={"sessions": 1})
        producer = Producer(
            {"bootstrap.servers": broker.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200}
        )
        producer.produce("sessions", b"before")
        assert producer.flush(WAIT_S) == 0
        broker.down()
        producer.produce("sessions", b"while down")
        assert producer.flush(1.0) == 1
        broker.up()
        assert producer.flush(WAIT_S) == 0
        found = asyncio.run(read(broker.bootstrap, "sessions", count=2))
        assert [one.value for one in found] == [b"before", b"while down"]


def command_line() -> typer.Typer:
    """The two groups of commands alone."""
    app = typer.Typer()

    @app.callback()
    def root(ctx: typer.Context) -> None:
        ctx.obj = context.Root()

    for module in (kafka, topics):
        module.register(app)
    return app


@pytest.mark.kafka
class TestReal:
    def renamed(self, fresh_topics: Callable[[str], str]) -> list[TopicSpec]:
        """All topics as they must be, under names of this test's own."""
        specs = expected(load(None, {"THROUGHLINE_KAFKA_PARTITIONS": "2"}))
        return [replace(spec, name=fresh_topics(spec.name)) for spec in specs]

    def test_both_clients_write_and_read(
        self, real_kafka: RealKafka, fresh_topics: Callable[[str], str]
    ) -> None:
        """The same law as on the embedded broker."""
        [spec] = [one for one in self.renamed(fresh_topics) if one.name.startswith("records.dead")]
        create(AdminClient({"bootstrap.servers": real_kafka.bootstrap}), [spec])
        asyncio.run(exchange(real_kafka.bootstrap, spec.name))

    def test_created_topics_have_no_deviation_and_altered_ones_are_mended(
        self, real_kafka: RealKafka, fresh_topics: Callable[[str], str]
    ) -> None:
        """The broker reports every setting exactly as asked; what somebody changed is found and set back."""
        admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
        specs = self.renamed(fresh_topics)
        names = [spec.name for spec in specs]
        assert {one.what for one in deviations(specs, found_on(admin, names))} == {"is missing"}
        create(admin, specs)
        create(admin, specs)
        assert deviations(specs, found_on(admin, names)) == []
        alter(admin, [replace(specs[0], config={"retention.ms": "1000", "segment.ms": "60000"})])
        [wrong] = deviations(specs, found_on(admin, names))
        assert (wrong.topic, wrong.can_alter) == (names[0], True)
        alter(admin, specs[:1])
        left = found_on(admin, names)
        assert deviations(specs, left) == []
        assert (left[names[0]].config or {})["segment.ms"] == "60000"

    def test_an_input_carries_the_time_of_its_arrival_and_the_changelog_takes_16_mib(
        self, real_kafka: RealKafka, fresh_topics: Callable[[str], str]
    ) -> None:
        """A producer's clock never reaches a timer; one commit's changes are one batch, whatever their size."""
        specs = {spec.name.rsplit("-", 1)[0]: spec for spec in self.renamed(fresh_topics)}
        web, changelog = specs["touchpoints.web"], specs["profiles.changelog"]
        create(AdminClient({"bootstrap.servers": real_kafka.bootstrap}), [web, changelog])

        async def scene() -> None:
            async with producing(real_kafka.bootstrap) as producer:
                await producer.send_and_wait(web.name, b"v", partition=0, timestamp_ms=1_000)
                rows: list[Sent] = [(b"%d" % n, b"x" * 150_000, ()) for n in range(110)]
                assert await send_batch(producer, changelog.name, rows=rows) == 0
            [arrived] = await read(real_kafka.bootstrap, web.name, count=1)
            assert arrived.timestamp_type == 1
            assert arrived.timestamp > 1_700_000_000_000

        asyncio.run(scene())

    def test_a_node_keeps_its_records_from_start_to_start(
        self, real_kafka: RealKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """start, topics create, produce, stop, start on another port, read; beside the node that runs already."""
        if real_kafka.origin != "node":
            require("kafka", "it comes from elsewhere here, and this is about nodes of this machine")
        run, there = CliRunner(), ["--directory", str(tmp_path / "node")]

        def ask(*words: str, code: int = 0) -> Any:
            result = run.invoke(command_line(), [*words, "--json"])
            assert result.exit_code == code, result.output
            return json.loads(result.stdout)

        try:
            assert ask("kafka", "status", *there, code=1)["running"] is False
            first = ask("kafka", "start", *there, "--port", "0")
            assert first == ask("kafka", "status", *there) == ask("kafka", "start", *there, "--port", "0")
            assert first["bootstrap_servers"] != real_kafka.bootstrap
            monkeypatch.setenv("THROUGHLINE_KAFKA_BOOTSTRAP_SERVERS", first["bootstrap_servers"])
            assert len(ask("topics", "check", code=1)["deviations"]) == 25
            assert len(ask("topics", "create")["created"]) == 25
            producer = Producer({"bootstrap.servers": first["bootstrap_servers"], "log_level": 0})
            producer.produce("sessions", b"kept", partition=0)
            assert producer.flush(WAIT_S) == 0
            assert ask("kafka", "stop", *there)["running"] is False
            assert ask("kafka", "status", *there, code=1)["running"] is False
            second = ask("kafka", "start", *there, "--port", "0")
            assert second["pid"] != first["pid"]
            monkeypatch.setenv("THROUGHLINE_KAFKA_BOOTSTRAP_SERVERS", second["bootstrap_servers"])
            assert ask("topics", "check") == {"deviations": []}
            found = asyncio.run(read(second["bootstrap_servers"], "sessions", count=1))
            assert [one.value for one in found] == [b"kept"]
        finally:
            run.invoke(command_line(), ["kafka", "stop", *there])
