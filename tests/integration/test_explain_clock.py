"""`throughline explain clock` as it is typed, on changelogs as tasks leave them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from streams.cli.app import build
from streams.core.rules import Rules
from streams.core.step import CHANGELOG, INPUTS, Step
from streams.core.touchpoint import TICK_HEADER
from streams.runtime.store.memory import MemoryStore
from tests.integration.brokers import EmbeddedBrokers
from tests.unit.core.records import FakeRecord

LATE = "touchpoints.pos"
START_MS = 1_772_000_000_000


def tick(topic: str, clock_ms: int) -> FakeRecord:
    """The moment up to which everything has arrived there."""
    return FakeRecord(None, clock_ms, topic, headers=[(TICK_HEADER, str(clock_ms).encode())])


def changelog_of(*batches: Mapping[str, int]) -> list[tuple[bytes, bytes | None]]:
    """What a lone task of two writes when it reads ticks of these topics, batch by batch."""
    step = Step(0, 2, Rules(is_replay=True), store := MemoryStore())
    written: list[tuple[bytes, bytes | None]] = []
    for batch in batches:
        ticks = {topic: [tick(topic, clock_ms)] for topic, clock_ms in batch.items()}
        changes = step.process(ticks, now_ms=0, caught_up={}).changes
        store.apply(changes)
        written += [*changes, *[(b"person", b"state") for _ in range(10)]]
    return written


def write(bootstrap: str, partition: int, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Rows of a task's changelog."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for key, value in rows:
        producer.produce(CHANGELOG, key=key, value=value, partition=partition)
    producer.flush(10)


def explain(bootstrap: str, *words: str, clock: str = "replay") -> Result:
    environment = {
        "THROUGHLINE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "THROUGHLINE_KAFKA_PARTITIONS": "2",
        "THROUGHLINE_WORKER_CLOCK": clock,
    }
    return CliRunner().invoke(build(), ("explain", "clock", *words), env=environment)


def test_the_topic_that_is_read_least_far_is_named(embedded_broker: EmbeddedBrokers) -> None:
    """By the last record of each task, however much state lies behind it.

    Seen to fail when the first clocks found were taken for the last, and with one window of records from the end.
    """
    bootstrap = embedded_broker(2).bootstrap
    at_first, at_last = (dict.fromkeys(INPUTS, START_MS + at_ms) for at_ms in (0, 60_000))
    write(bootstrap, 0, changelog_of(at_first, at_last))
    write(bootstrap, 1, changelog_of(at_first, {**at_last, LATE: START_MS + 5_000}))
    write(bootstrap, 0, [(b"person", b"state")] * 3_000)
    told = json.loads(explain(bootstrap, "--json").stdout)
    assert told["held_by"]["task"] == 1
    assert told["held_by"]["waiting"] == [LATE]
    assert told["held_by"]["inputs_ms"] == START_MS + 5_000
    assert [each["inputs_ms"] for each in told["tasks"]] == [START_MS + 60_000, START_MS + 5_000]
    said = explain(bootstrap).stdout
    assert f"held by task 1: of {LATE} it has read up to 2026-02-25 06:13:25.000+00:00" in said
    assert "s ago" not in said


def test_a_task_that_never_ran_is_named(embedded_broker: EmbeddedBrokers) -> None:
    """An empty changelog is a task that no worker has had."""
    bootstrap = embedded_broker(2).bootstrap
    write(bootstrap, 0, changelog_of(dict.fromkeys(INPUTS, START_MS)))
    result = explain(bootstrap, clock="live")
    assert result.exit_code == 0
    assert "timers stand at never" in result.stdout
    assert "held by task 1, which has never committed" in result.stdout


def test_a_changelog_of_fewer_partitions_is_told(embedded_broker: EmbeddedBrokers) -> None:
    """Settings and topics disagree: `topics check` says more."""
    result = explain(embedded_broker(1).bootstrap)
    assert result.exit_code == 3
    assert "throughline topics check" in result.output
