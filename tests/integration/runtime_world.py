"""A broker with the topics of a counting worker, and the worker's processes, as a test sees them."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.agents.app import Guarantee
from streams.runtime.changelog import Changelog, Restored
from streams.runtime.failpoints import VARIABLE
from streams.runtime.store.memory import MemoryStore
from tests.integration.counting_worker import (
    ALL_TOPICS,
    CHANGELOG,
    FORWARDED,
    INBOX,
    INPUTS,
    OUTPUT,
    PARTITIONS,
    topics_of,
    total,
)
from tests.stores import all_of

PATIENCE_S = 60.0

Keyed = tuple[str, bytes, bytes]
"""Topic (without suffix), key, value."""


class WorkerProcess:
    """A counting worker as the test sees it: its lines, its complaints, its end."""

    def __init__(self, *arguments: str, failpoints: str = "") -> None:
        command = [sys.executable, "-m", "tests.integration.counting_worker", *arguments]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, VARIABLE: failpoints},
        )
        self.lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.complaints: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_lines, daemon=True),
            threading.Thread(target=self._read_complaints, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def next_line(self) -> dict[str, Any]:
        """The next thing it tells."""
        try:
            return self.lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            pytest.fail(f"the worker told nothing for {PATIENCE_S} s: {''.join(self.complaints)}")

    def restored(self, tasks: int) -> dict[int, int]:
        """The tasks it restores next: partition -> records their state had counted."""
        found: dict[int, int] = {}
        while len(found) < tasks:
            line = self.next_line()
            if "restored" in line:
                found[line["restored"]] = line["counted"]
        return found

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nobody is told."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, then its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Waits for its end and returns the exit code."""
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join()
        return code

    def close(self) -> None:
        """Whatever it does, it ends; its pipes are closed."""
        self.process.kill()
        self.ended()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _read_lines(self) -> None:
        for line in self.process.stdout or ():
            self.lines.put(json.loads(line))

    def _read_complaints(self) -> None:
        self.complaints.extend(self.process.stderr or ())


class World:
    """One broker, one run's topics on it. Topics are named without the suffix of the run."""

    def __init__(
        self, bootstrap: str, *, suffix: str = "", session_s: float, guarantee: Guarantee = "at_least_once"
    ) -> None:
        self.bootstrap = bootstrap
        self.guarantee = guarantee
        self._suffix = suffix
        self._session_s = session_s
        self._started: list[WorkerProcess] = []

    def name_of(self, topic: str) -> str:
        """What a topic is called on this broker."""
        return topic + self._suffix

    def create_topics(self) -> None:
        """On a broker that does not have them."""
        changelog = {"cleanup.policy": "compact", "max.message.bytes": str(16 * 1024 * 1024)}
        wanted = [
            NewTopic(topic + self._suffix, PARTITIONS, 1, config=changelog if topic == CHANGELOG else {})
            for topic in ALL_TOPICS
        ]
        # Held on to: its requests die with it.
        admin = AdminClient(self._client())
        for created in admin.create_topics(wanted).values():
            created.result(PATIENCE_S)

    def start_worker(self, *options: str, failpoints: str = "") -> WorkerProcess:
        """A counting worker; ends with the world."""
        worker = WorkerProcess(
            self.bootstrap,
            f"--suffix={self._suffix}",
            f"--session-s={self._session_s}",
            f"--guarantee={self.guarantee}",
            *options,
            failpoints=failpoints,
        )
        self._started.append(worker)
        return worker

    def close(self) -> None:
        """Ends every worker."""
        for worker in self._started:
            worker.close()

    def produce(self, records: Iterable[Keyed]) -> None:
        """Returns when the broker has them."""
        producer = Producer({**self._client(), "linger.ms": 5})
        for topic, key, value in records:
            while True:
                try:
                    producer.produce(topic + self._suffix, value, key=key)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(PATIENCE_S) == 0

    def restore(self) -> tuple[dict[int, dict[bytes, bytes]], dict[int, dict[str, int]]]:
        """What a new owner of all tasks would start from: states and positions by partition."""
        stores = {partition: MemoryStore() for partition in range(PARTITIONS)}
        changelog = Changelog(self.bootstrap, topics_of(self._suffix).changelog)
        restored: dict[int, Restored] = asyncio.run(changelog.restore(stores))
        states = {partition: all_of(store) for partition, store in stores.items()}
        return states, {p: self._plain(held.positions) for p, held in restored.items()}

    def wait_until_counted(self, expected: int) -> dict[int, dict[bytes, bytes]]:
        """The states, once that many inputs are in them and the inbox is empty."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            states, positions = self.restore()
            found = sum(total(state) for state in states.values())
            heard = sum(held.get(INBOX, 0) for held in positions.values())
            if found >= expected and heard == sum(self.ends(INBOX)):
                return states
            assert time.monotonic() < deadline, f"{found} of {expected} records counted"
            time.sleep(0.1)

    def ends(self, topic: str) -> list[int]:
        """End offset of every partition."""
        consumer = self._consumer("watcher")
        found = [
            consumer.get_watermark_offsets(TopicPartition(topic + self._suffix, p), timeout=10)[1]
            for p in range(PARTITIONS)
        ]
        consumer.close()
        return found

    def read_all(self, topic: str) -> list[Any]:
        """Every record of a topic."""
        consumer = self._consumer("reader")
        consumer.assign([TopicPartition(topic + self._suffix, p, 0) for p in range(PARTITIONS)])
        found: list[Any] = []
        left = set(range(PARTITIONS))
        while left:
            for message in consumer.consume(1000, 1.0):
                error = message.error()
                if error is None:
                    found.append(message)
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left.discard(message.partition())
        consumer.close()
        return found

    def told(self) -> dict[int, dict[str, int]]:
        """What the group was told: positions by partition."""
        consumer = self._consumer("counting")
        wanted = [
            TopicPartition(topic, p) for topic in topics_of(self._suffix).read for p in range(PARTITIONS)
        ]
        found: dict[int, dict[str, int]] = {p: {} for p in range(PARTITIONS)}
        for tp in consumer.committed(wanted, timeout=10):
            if tp.offset >= 0:
                found[tp.partition][tp.topic.removesuffix(self._suffix)] = tp.offset
        consumer.close()
        return found

    def assert_consistent(self) -> None:
        """State and positions belong together: every record before the positions is counted, none behind them."""
        states, positions = self.restore()
        for partition, state in states.items():
            assert total(state) == sum(positions[partition].get(topic, 0) for topic in INPUTS)

    def assert_all_once(self, records: list[Keyed]) -> None:
        """State counts every record once; outputs carry each as often as promised; forwarded ones count once there."""
        states = self.wait_until_counted(len(records))
        assert counted(states) == Counter(key for _, key, _ in records)
        sent_on = Counter(message.value() for message in self.read_all(OUTPUT))
        assert set(sent_on) == {value for *_, value in records}
        if self.guarantee == "exactly_once":
            assert set(sent_on.values()) == {1}
        seen = Counter(
            key.removeprefix(b"seen/") for s in states.values() for key in s if key.startswith(b"seen/")
        )
        assert seen == Counter(value for *_, value in records if value.startswith(FORWARDED))

    def _plain(self, positions: Mapping[str, int]) -> dict[str, int]:
        return {topic.removesuffix(self._suffix): at for topic, at in positions.items()}

    def _client(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.bootstrap, "log_level": 0}

    def _consumer(self, group: str) -> Consumer:
        own = {
            "group.id": group + self._suffix,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
        return Consumer({**self._client(), **own})


def inputs(number: int, rnd: random.Random, *, prefix: str = "") -> list[Keyed]:
    """Records of a few hundred keys over all inputs; every value is an id of its own, one in ten is forwarded."""
    return [
        (
            rnd.choice(INPUTS),
            b"k%d" % rnd.randrange(300),
            (FORWARDED if rnd.random() < 0.1 else b"keep") + f"/{prefix}{i}".encode(),
        )
        for i in range(number)
    ]


def counted(states: Mapping[int, Mapping[bytes, bytes]]) -> Counter[bytes]:
    """Records by key over all tasks."""
    found: Counter[bytes] = Counter()
    for state in states.values():
        found.update({k.removeprefix(b"n/"): int(v) for k, v in state.items() if k.startswith(b"n/")})
    return found
