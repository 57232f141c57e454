"""A worker against a broker: what is counted is counted once, whatever is killed and whenever.

The core is a fake that counts (`counting_worker`), the worker around it is the real one, in processes of its own.
"""

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
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from streams.broker.embedded import EmbeddedBroker
from streams.runtime.changelog import Changelog, Restored
from streams.runtime.store.memory import MemoryStore
from tests.integration.counting_worker import (
    ALL_TOPICS,
    BAD,
    BREAKING,
    FORWARDED,
    OUTPUT,
    PARTITIONS,
    TOPICS,
    total,
)

PATIENCE_S = 60.0
GROUP = "counting"


class WorkerProcess:
    """A counting worker as the test sees it: its lines, its complaints, its end."""

    def __init__(self, bootstrap: str, *options: str) -> None:
        command = [sys.executable, "-m", "tests.integration.counting_worker", bootstrap, *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
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


StartWorker = Callable[..., WorkerProcess]


@pytest.fixture
def bootstrap() -> Iterator[str]:
    with EmbeddedBroker.start(dict.fromkeys(ALL_TOPICS, PARTITIONS), group_delay_ms=100) as broker:
        yield broker.bootstrap


@pytest.fixture
def start_worker(bootstrap: str) -> Iterator[StartWorker]:
    started: list[WorkerProcess] = []

    def start(*options: str) -> WorkerProcess:
        started.append(WorkerProcess(bootstrap, "--session-s", "2", *options))
        return started[-1]

    yield start
    for worker in started:
        worker.close()


def produce(bootstrap: str, records: Iterable[tuple[str, bytes, bytes]]) -> None:
    """(topic, key, value) each; returns when the broker has them."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})
    for topic, key, value in records:
        while True:
            try:
                producer.produce(topic, value, key=key)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(PATIENCE_S) == 0


def inputs(number: int, rnd: random.Random, *, prefix: str = "") -> list[tuple[str, bytes, bytes]]:
    """Records of a few hundred keys over all inputs; every value is an id of its own, one in ten is forwarded."""
    return [
        (
            rnd.choice(TOPICS.inputs),
            b"k%d" % rnd.randrange(300),
            (FORWARDED if rnd.random() < 0.1 else b"keep") + f"/{prefix}{i}".encode(),
        )
        for i in range(number)
    ]


def restore(bootstrap: str) -> tuple[dict[int, dict[bytes, bytes]], dict[int, Restored]]:
    """What a new owner of all tasks would start from."""
    stores = {partition: MemoryStore() for partition in range(PARTITIONS)}
    restored = asyncio.run(Changelog(bootstrap, TOPICS.changelog).restore(stores))
    return {partition: dict(store.items()) for partition, store in stores.items()}, restored


def counted(states: Mapping[int, Mapping[bytes, bytes]]) -> Counter[bytes]:
    """Records by key over all tasks."""
    found: Counter[bytes] = Counter()
    for state in states.values():
        found.update({k.removeprefix(b"n/"): int(v) for k, v in state.items() if k.startswith(b"n/")})
    return found


def wait_until_counted(bootstrap: str, expected: int) -> dict[int, dict[bytes, bytes]]:
    """The states, once all inputs are in them and the inbox is empty."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        states, restored = restore(bootstrap)
        read = sum(restored[p].positions.get(TOPICS.inbox, 0) for p in restored)
        found = sum(total(state) for state in states.values())
        if found >= expected and read == sum(ends(bootstrap, TOPICS.inbox)):
            return states
        assert time.monotonic() < deadline, f"{found} of {expected} records counted"
        time.sleep(0.1)


def ends(bootstrap: str, topic: str) -> list[int]:
    """End offset of every partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "watcher", "log_level": 0})
    found = [
        consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(PARTITIONS)
    ]
    consumer.close()
    return found


def read_all(bootstrap: str, topic: str) -> list[Any]:
    """Every record of a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    found: list[Any] = []
    left = PARTITIONS
    while left:
        for message in consumer.consume(1000, 1.0):
            error = message.error()
            if error is None:
                found.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                left -= 1
    consumer.close()
    return found


def committed(bootstrap: str) -> dict[tuple[str, int], int]:
    """What the group was told."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP, "log_level": 0})
    wanted = [TopicPartition(topic, p) for topic in TOPICS.read for p in range(PARTITIONS)]
    found = {(tp.topic, tp.partition): tp.offset for tp in consumer.committed(wanted, timeout=10)}
    consumer.close()
    return {tp: offset for tp, offset in found.items() if offset >= 0}


def assert_consistent(bootstrap: str) -> None:
    """State and positions belong together: every record before the positions is counted, none behind them."""
    states, restored = restore(bootstrap)
    for partition, state in states.items():
        read = sum(restored[partition].positions.get(topic, 0) for topic in TOPICS.inputs)
        assert total(state) == read


def assert_all_once(bootstrap: str, records: list[tuple[str, bytes, bytes]]) -> None:
    """State counts every record once; outputs carry every record at least once; forwarded ones arrived once."""
    states = wait_until_counted(bootstrap, len(records))
    assert counted(states) == Counter(key for _, key, _ in records)
    assert {message.value() for message in read_all(bootstrap, OUTPUT)} == {value for *_, value in records}
    seen = Counter(
        key.removeprefix(b"seen/") for s in states.values() for key in s if key.startswith(b"seen/")
    )
    assert seen == Counter(value for *_, value in records if value.startswith(FORWARDED))


def test_every_record_is_counted_and_sent_on(bootstrap: str, start_worker: StartWorker, seed: int) -> None:
    """What lies in the inputs before and after the start is counted once, and the group is told how far that went."""
    rnd = random.Random(seed)
    records = inputs(3000, rnd)
    produce(bootstrap, records[:2000])
    worker = start_worker()
    produce(bootstrap, records[2000:])
    assert_all_once(bootstrap, records)
    assert worker.stop() == 0
    assert worker.complaints == []
    _, restored = restore(bootstrap)
    told = committed(bootstrap)
    assert told == {(topic, p): at for p, held in restored.items() for topic, at in held.positions.items()}


def test_killed_at_random_moments_state_counts_once(
    bootstrap: str, start_worker: StartWorker, seed: int
) -> None:
    """SIGKILL at any moment leaves state and positions that belong together; nothing is lost or counted twice."""
    rnd = random.Random(seed)
    records = inputs(4000, rnd)
    produce(bootstrap, records)
    for _ in range(6):
        worker = start_worker("--batch-records", "20", "--step-s", "0.004")
        worker.restored(PARTITIONS)
        time.sleep(rnd.uniform(0.0, 0.5))
        worker.kill()
        assert_consistent(bootstrap)
    start_worker()
    assert_all_once(bootstrap, records)


@pytest.mark.parametrize("point", ["outputs", "changelog"])
def test_killed_between_the_steps_of_a_commit(
    point: str, bootstrap: str, start_worker: StartWorker, seed: int
) -> None:
    """After the outputs, the batch is sent again; after the changelog, it is not even processed again."""
    # One key, so one task: others would die at other points of theirs.
    records = [(topic, b"same", value) for topic, _, value in inputs(600, random.Random(seed))]
    produce(bootstrap, records)
    worker = start_worker("--dies-after", point)
    assert worker.ended() == -signal.SIGKILL
    assert_consistent(bootstrap)
    start_worker()
    assert_all_once(bootstrap, records)
    sent_on = Counter(message.value() for message in read_all(bootstrap, OUTPUT))
    has_doubles = max(sent_on.values()) > 1
    assert has_doubles == (point == "outputs")


def test_two_workers_share_the_tasks(bootstrap: str, start_worker: StartWorker, seed: int) -> None:
    """Partition p of every topic goes to one worker (the core asserts it); when one dies the other takes all."""
    rnd = random.Random(seed)
    first = start_worker()
    assert set(first.restored(PARTITIONS)) == set(range(PARTITIONS))
    records = inputs(1000, rnd, prefix="a")
    produce(bootstrap, records)
    second = start_worker()
    moved = set(second.restored(PARTITIONS // 2))
    more = inputs(1000, rnd, prefix="b")
    produce(bootstrap, more)
    wait_until_counted(bootstrap, 2000)
    second.kill()
    assert set(first.restored(PARTITIONS // 2)) == moved
    last = inputs(500, rnd, prefix="c")
    produce(bootstrap, last)
    assert_all_once(bootstrap, [*records, *more, *last])
    assert first.stop() == 0


def test_sigterm_finishes_the_batch_in_hand(bootstrap: str, start_worker: StartWorker, seed: int) -> None:
    """SIGTERM in the middle of work: exit code 0, nothing half done, and nothing sent twice by the next worker."""
    records = inputs(3000, random.Random(seed))
    produce(bootstrap, records)
    worker = start_worker("--batch-records", "20", "--step-s", "0.01")
    worker.restored(PARTITIONS)
    time.sleep(0.3)
    assert worker.stop() == 0
    assert worker.complaints == []
    assert_consistent(bootstrap)
    start_worker()
    assert_all_once(bootstrap, records)
    assert len(read_all(bootstrap, OUTPUT)) == len(records)


def test_a_changelog_that_lost_its_beginning_is_refused(bootstrap: str, start_worker: StartWorker) -> None:
    """The embedded broker forgot the beginning of a changelog: exit code 3 and one line, never a wrong restore."""
    filler = bytes(100_000)
    produce(bootstrap, [(TOPICS.changelog, b"n/same-key", filler) for _ in range(80)])
    worker = start_worker()
    assert worker.ended() == 3
    [line] = worker.complaints
    assert "this run's changelog outgrew it; use a real Kafka" in line


def test_too_many_dead_letters_stop_the_worker(bootstrap: str, start_worker: StartWorker) -> None:
    """A flood of dead letters stops the worker with exit code 4, after all of the batch are on `dead`, whole."""
    records = [("in.a", b"same", BAD + b"/%d" % i) for i in range(200)]
    produce(bootstrap, records)
    worker = start_worker("--batch-records", "200")
    assert worker.ended() == 4
    assert "worker.max_dead_share" in "".join(worker.complaints)
    dead = read_all(bootstrap, TOPICS.dead)
    assert [(m.key(), m.value()) for m in dead] == [(key, value) for _, key, value in records]
    headers = dict(dead[7].headers())
    assert headers["reason"] == b"unreadable"
    assert (headers["topic"], headers["offset"]) == (b"in.a", b"7")
    assert_consistent_dead(bootstrap, len(records))


def assert_consistent_dead(bootstrap: str, number: int) -> None:
    """Dead letters are read: the positions are behind them."""
    _, restored = restore(bootstrap)
    assert sum(held.positions.get("in.a", 0) for held in restored.values()) == number


def test_a_core_that_raises_ends_the_worker(bootstrap: str, start_worker: StartWorker) -> None:
    """An exception of the core is a broken invariant: exit code 1, and nothing of the batch is written."""
    produce(bootstrap, [("in.a", b"same", b"keep/1"), ("in.a", b"same", BREAKING)])
    worker = start_worker()
    assert worker.ended() == 1
    assert "processing a batch failed" in "".join(worker.complaints)
    assert read_all(bootstrap, OUTPUT) == []
    states, _ = restore(bootstrap)
    assert counted(states) == Counter()


def test_caught_up_never_promises_an_unread_record(bootstrap: str, start_worker: StartWorker) -> None:
    """Told that a topic was read to its end as of T, the core has seen every record that was in Kafka by T."""
    worker = start_worker("--tells-turns")
    worker.restored(PARTITIONS)
    acknowledged_ms: dict[str, int] = {}
    until = time.monotonic() + 3.0
    number = 0
    while time.monotonic() < until:
        number += 1
        produce(bootstrap, [("in.a", b"same", b"keep/%d" % number)])
        acknowledged_ms[f"keep/{number}"] = time.time_ns() // 1_000_000
        time.sleep(0.02)
    [partition] = [p for p, end in enumerate(ends(bootstrap, "in.a")) if end]
    seen: set[str] = set()
    promised_ms = 0
    while len(seen) < number:
        line = worker.next_line()
        if line.get("turn") == partition:
            seen.update(line["ids"])
            promised_ms = max(promised_ms, line["caught_up"].get("in.a", 0))
            assert promised_ms <= line["now_ms"]
            for unread in acknowledged_ms.keys() - seen:
                assert acknowledged_ms[unread] >= promised_ms
    assert promised_ms > min(acknowledged_ms.values())


def test_an_idle_task_gets_turns(bootstrap: str, start_worker: StartWorker) -> None:
    """Without a single record every task gets turns, and is told that its inputs are read: clocks go round."""
    worker = start_worker("--tells-turns")
    turned: set[int] = set()
    while len(turned) < PARTITIONS:
        line = worker.next_line()
        if set(line.get("caught_up", ())) == set(TOPICS.inputs):
            turned.add(line["turn"])


def test_a_record_as_large_as_they_come_passes(bootstrap: str, start_worker: StartWorker) -> None:
    """Outputs go out in batches of 0.9 MB; a larger record gets a batch of its own, between its neighbours."""
    large = [("in.a", b"same", b"keep/" + os.urandom(1) * 950_000 + b"%d" % i) for i in range(3)]
    produce(bootstrap, large)
    start_worker()
    wait_until_counted(bootstrap, 3)
    assert [message.value() for message in read_all(bootstrap, OUTPUT)] == [value for *_, value in large]
