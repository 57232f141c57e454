"""Parts of the line on a real Kafka, for tests: an installation of its own, started, fed, stopped in good order.

A broker holds one installation, since topics have fixed names: each test makes them and takes them away again.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.importer.feeding import Feeder
from streams.importer.lag import Readers
from streams.launch.parts import Part
from streams.launch.topics import expected
from streams.runtime import topics
from streams.settings import PREFIX, Settings, load
from tests.conftest import require
from tests.integration.brokers import RealKafka

PARTITIONS = 4
WAIT_S = 60.0


@dataclass(slots=True)
class RealLine:
    """An installation on a real broker; `start` runs commands of it as processes, until `stop`."""

    environment: Mapping[str, str]
    logs: Path
    parts: list[Part] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """As the parts read them."""
        return load(None, self.environment)

    @property
    def bootstrap(self) -> str:
        """The broker's address."""
        return self.settings.kafka.bootstrap_servers

    def start(self, command: str, *, name: str = "") -> Part:
        """`throughline <command>` as a process; of several that run the same, each has a name."""
        name = name or command
        part = Part(name, [command], environment=self.environment, log=self.logs / f"{name}.log")
        self.parts.append(part)
        return part

    def stop(self) -> None:
        """SIGTERM to each in the order they were started: all must end with exit code 0, having said no error."""
        for part in self.parts:
            part.require_running()
            part.stop()
        said = {part.name: (part.exit_code, part.last_words()) for part in self.parts}
        assert {name: code for name, (code, _) in said.items()} == dict.fromkeys(said, 0), said
        assert not any(" ERROR " in part.log.read_text() for part in self.parts), said

    def feeder(self) -> Feeder:
        """A feeder that keeps to the pace of the parts."""
        return Feeder(self.bootstrap, self.settings.app.name, PARTITIONS, pace=True)

    def wait_until_landed(self) -> None:
        """Return when the sink has read all there is."""
        readers = Readers(self.bootstrap, self.settings.app.name, partitions=PARTITIONS, inputs=())
        deadline_s = time.monotonic() + WAIT_S
        try:
            while any(lag.records for lag in readers.measure().sink):
                assert time.monotonic() < deadline_s, "the sink does not come to an end"
                for part in self.parts:
                    part.require_running()
                time.sleep(0.1)
        finally:
            readers.close()

    def written(self, *names: str) -> int:
        """How many records the topics hold."""
        readers = Readers(
            self.bootstrap, self.settings.app.name, partitions=PARTITIONS, inputs=names, outputs=()
        )
        try:
            return sum(lag.end for lag in readers.measure().worker if lag.topic in names)
        finally:
            readers.close()


@contextmanager
def installation(kafka: RealKafka, logs: Path, **settings: str) -> Iterator[RealLine]:
    """Topics and consumer groups of its own; `settings` are environment variables without their prefix."""
    told = {
        "APP_NAME": f"line-{uuid.uuid4().hex[:8]}",
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "KAFKA_PARTITIONS": str(PARTITIONS),
        **settings,
    }
    line = RealLine({**os.environ, **{PREFIX + key: value for key, value in told.items()}}, logs)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    specs = expected(line.settings)
    names = [spec.name for spec in specs]
    if topics.found_on(admin, names):
        require("kafka", f"{kafka.bootstrap} holds an installation; the line needs a broker without one")
    topics.create(admin, specs)
    try:
        yield line
    finally:
        for part in line.parts:
            part.kill()
        delete(admin, names)


def delete(admin: AdminClient, names: list[str]) -> None:
    """Return when the topics are gone; a broker agrees before it acts."""
    for answer in admin.delete_topics(names, request_timeout=WAIT_S).values():
        answer.result()
    deadline_s = time.monotonic() + WAIT_S
    while set(names) & set(admin.list_topics(timeout=WAIT_S).topics):
        assert time.monotonic() < deadline_s, "topics do not go away"
        time.sleep(0.1)


@contextmanager
def reading(bootstrap: str, *names: str) -> Iterator[Consumer]:
    """All partitions of the topics, from the first record."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(name, partition, 0) for name in names for partition in range(PARTITIONS)])
    try:
        yield consumer
    finally:
        consumer.close()


def records(consumer: Consumer, *, for_s: float, until: int | None = None) -> Iterator[Message]:
    """What comes within so many seconds, or until so many have come."""
    deadline_s = time.monotonic() + for_s
    count = 0
    while (until is None or count < until) and (left_s := deadline_s - time.monotonic()) > 0:
        record = consumer.poll(left_s)
        if record is not None:
            assert record.error() is None, record.error()
            count += 1
            yield record
