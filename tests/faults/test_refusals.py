"""What the broker refuses, gives up or has no more: the worker ends, nothing of it is visible, the next one goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streams.runtime.ending import ExitCode
from streams.runtime.failpoints import Point
from streams.runtime.topics import CHANGELOG, INPUTS, OUTPUTS
from tests.faults.fleet import Ended, until
from tests.faults.judge import committed_records, positions_in_changelog
from tests.faults.town import Town, town
from tests.integration.brokers import RealKafka
from tests.integration.real_line import PARTITIONS, WAIT_S

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def test_a_refused_batch_takes_the_whole_commit_with_it(
    real_kafka: RealKafka, seed: int, tmp_path: Path
) -> None:
    """Sessions are refused, too large for their topic: nothing of that commit is visible, until they are taken.

    Seen to fail when the commit does not look at the acknowledgements: the worker never ends, it goes on without them.
    """
    with town(real_kafka, tmp_path, seed=seed, people=40) as day:
        with altered(day, {"max.message.bytes": "100"}, topic="sessions"):
            day.fleet.start("one", WORKER_INSTANCE_ID="one")
            day.feed(0.3)
            until(lambda: len(day.fleet.ended) >= 2, "the worker to end")
            # A transaction without sessions, of ticks alone, may pass; one with touchpoints has sessions.
            assert list(committed_records(day.line.bootstrap, "touchpoints.stitched", "sessions")) == []
        assert {end.code for end in day.fleet.ended} == {ExitCode.BROKEN}
        day.finish()


@pytest.mark.parametrize(
    "point",
    [
        Point.SENT,
        pytest.param(Point.BEGUN, marks=pytest.mark.slow),
    ],
)
def test_an_exception_within_a_commit_ends_the_worker(
    point: Point, real_kafka: RealKafka, seed: int, tmp_path: Path
) -> None:
    """Whatever it is: never retried from memory that is ahead of what was confirmed.

    Seen to fail when a failed commit only frees its task: the worker does not end.
    """
    armed = f"{point}:3:raise"
    with town(real_kafka, tmp_path, seed=seed, people=40) as day:
        day.feed(0.5)
        day.fleet.start("one", [armed], WORKER_INSTANCE_ID="one")
        until(lambda: bool(day.fleet.ended), "the worker to end")
        day.finish()
        assert day.fleet.ended == [Ended("one", armed, ExitCode.BROKEN)]
        assert "the commit failed" in day.fleet.said("one")


def test_a_transaction_that_outlasts_its_timeout_is_given_up(
    real_kafka: RealKafka, seed: int, tmp_path: Path
) -> None:
    """The worker stands still in the middle; the broker aborts, and refuses the rest.

    The broker looks for such transactions every 10 s. Heartbeats go on meanwhile: the group sees nothing of it. Seen to
    fail (it ends elsewhere, with exit code 1) when a commit that was fenced only frees its task.
    """
    armed = f"{Point.SENT}:3:sleep=17"
    with town(real_kafka, tmp_path, seed=seed, people=40, WORKER_TRANSACTION_TIMEOUT_S="5") as day:
        day.feed(0.5)
        day.fleet.start("one", [armed])
        until(lambda: bool(day.fleet.ended), "the worker to end")
        assert day.fleet.ended == [Ended("one", armed, ExitCode.FENCED)]
        assert "worker.transaction_timeout_s" in day.fleet.said("one")
        day.finish()


def test_records_that_are_gone_stop_the_worker(real_kafka: RealKafka, seed: int, tmp_path: Path) -> None:
    """Trimmed as far as was read, all goes on. Trimmed further, it ends with code 3 and a line, and skips nothing.

    Seen to fail with aiokafka's reset to the earliest offset: the gap is passed over, the worker does not end.
    """
    with town(real_kafka, tmp_path, seed=seed, people=40) as day:
        day.fleet.start("one")
        day.feed(0.5)
        until(lambda: day.lag() == 0, "the worker to have read everything")
        assert day.fleet.retire("one") == 0
        read = positions_in_changelog(day.line)
        trim(day, read)
        day.fleet.start("two")
        day.finish()
        assert day.fleet.retire("two") == 0
        seen = sum(1 for _ in committed_records(day.line.bootstrap, *OUTPUTS))
        day.feeder.tick(day.options.end_ms + 80 * 3_600_000)
        day.feeder.flush()
        trim(day, {p: dict.fromkeys(INPUTS, -1) for p in range(PARTITIONS)})
        day.fleet.start("three")
        until(lambda: bool(day.fleet.ended), "the worker to end")
        assert {end.code for end in day.fleet.ended} == {ExitCode.LOST}
        assert "the broker dropped records before they were read" in day.fleet.said("three")
        assert sum(1 for _ in committed_records(day.line.bootstrap, *OUTPUTS)) == seen


def test_a_changelog_is_compacted_while_it_is_read(real_kafka: RealKafka, seed: int, tmp_path: Path) -> None:
    """Restores in the middle of a cleaner that never rests: by position, never by counting.

    Seen to fail when a restore ends after as many records as there are offsets: it never ends.
    """
    eager = {"segment.ms": "200", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "500"}
    plan = [f"{Point.COMMITTED}:{15 + n}:kill" for n in range(4)] + [f"{Point.OPENED}:1:kill=300"] * 2
    with (
        town(real_kafka, tmp_path, seed=seed, people=80, batch_records=10) as day,
        altered(day, eager, topic=CHANGELOG),
        restless_cleaner(day),
    ):
        day.fleet.start("one", plan, WORKER_INSTANCE_ID="one")
        for number in range(len(plan)):
            day.feed(0.9 / len(plan))
            until(lambda number=number: len(day.fleet.ended) > number, f"kill {number + 1}")  # type: ignore[misc]
        until(lambda: gaps_in_changelog(day) > 100, "the cleaner to have been there")
        print(f"{gaps_in_changelog(day)} records compacted away, seed {seed}")
        day.fleet.signal("one", SIGKILL)
        day.finish()


def gaps_in_changelog(day: Town) -> int:
    """How many offsets of the changelog hold no record any more, markers left aside."""
    held = list(committed_records(day.line.bootstrap, CHANGELOG))
    newest: dict[int, int] = {}
    for message in held:
        newest[message.partition() or 0] = max(newest.get(message.partition() or 0, 0), message.offset() or 0)
    markers = sum(1 for m in held if m.key() == b"\x00offsets")
    return sum(newest.values()) - len(held) - markers


def trim(day: Town, positions: Mapping[int, Mapping[str, int]]) -> None:
    """Deletes the records before these offsets (-1: all)."""
    admin = AdminClient({"bootstrap.servers": day.line.bootstrap})
    wanted = [
        TopicPartition(t, p, at) for p, held in positions.items() for t, at in held.items() if t in INPUTS
    ]
    for answer in admin.delete_records(wanted).values():
        answer.result(WAIT_S)


@contextmanager
def altered(day: Town, config: Mapping[str, str], *, topic: str) -> Iterator[None]:
    """A topic with these settings on top of its own, for a while."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": day.line.bootstrap})
    before = {
        name: entry.value for name, entry in admin.describe_configs([resource])[resource].result().items()
    }
    alter(admin, ResourceType.TOPIC, topic, config)
    try:
        yield
    finally:
        alter(admin, ResourceType.TOPIC, topic, {name: before[name] for name in config})


@contextmanager
def restless_cleaner(day: Town) -> Iterator[None]:
    """The broker's log cleaner pauses for 0.1 s instead of 15."""
    admin = AdminClient({"bootstrap.servers": day.line.bootstrap})
    broker = next(iter(admin.list_topics(timeout=WAIT_S).brokers))
    alter(admin, ResourceType.BROKER, str(broker), {"log.cleaner.backoff.ms": "100"})
    try:
        yield
    finally:
        alter(admin, ResourceType.BROKER, str(broker), {"log.cleaner.backoff.ms": "15000"})


def alter(admin: AdminClient, kind: ResourceType, name: str, config: Mapping[str, str]) -> None:
    """Sets these settings and leaves the others."""
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in config.items()
    ]
    resource = ConfigResource(kind, name, incremental_configs=entries)
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(WAIT_S)
    time.sleep(0.5)
