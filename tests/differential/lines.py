"""An installation that plays a stream: the embedded line, or one on a real Kafka; both end in a warehouse.

Must not know what a stream is about, nor what is right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.writer import Warehouse, connect
from streams.importer.feeding import Feeder
from streams.runtime.topics import INPUTS, OUTPUTS
from streams.simulator.emit import Emitted
from tests.differential.stream import Pause, Stream
from tests.integration.brokers import RealKafka
from tests.integration.line import Query
from tests.integration.line import line as embedded_line
from tests.integration.real_line import WAIT_S, RealLine, installation

__all__ = ["Line", "embedded", "play", "real"]

TICKS_A_PAUSE = 4
"""A timer waits until the moment at which it was found due is passed: see the feeder's closing ticks."""


@dataclass(frozen=True, slots=True)
class Line:
    """An installation in replay, its sink running, without a worker yet."""

    start_worker: Callable[[], object]
    feeder: Callable[[], Feeder]
    wait_until_landed: Callable[[], None]
    query: Query


@contextmanager
def embedded(directory: Path, *, partitions: int = 4) -> Iterator[Line]:
    """On the embedded broker."""
    with embedded_line(directory, workers=0, partitions=partitions) as running:
        line = running.line
        yield Line(line.add_worker, line.feeder, line.wait_until_landed, running.query)


@contextmanager
def real(kafka: RealKafka, directory: Path) -> Iterator[Line]:
    """On a real Kafka, with topics of its own; in the end all parts must stop in good order, having said no error."""
    with EmbeddedWarehouse.start(directory / "warehouse") as opened:
        place = Warehouse(opened.url, opened.user, opened.password)
        migrate(place)
        told = {"WORKER_CLOCK": "replay", "CLICKHOUSE_URL": opened.url}
        with installation(kafka, directory, **told) as line, connect(place) as client:

            def start_worker() -> object:
                return line.start("worker", name=f"worker-{len(line.parts)}")

            def query(sql: str) -> list[tuple[Any, ...]]:
                return [tuple(row) for row in client.query(sql).result_rows]

            wait_until_led(line)
            line.start("sink")
            yield Line(start_worker, line.feeder, line.wait_until_landed, query)
            line.stop()


def wait_until_led(line: RealLine) -> None:
    """Return when the broker answers for all topics: it says that it has made them a moment before."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            line.written(*INPUTS, *OUTPUTS)
            return
        except KafkaException:
            assert time.monotonic() < deadline_s, "topics have no leader"
            time.sleep(0.1)


def play(line: Line, stream: Stream, *, workers: int = 1) -> None:
    """Write the stream to its last tick, and return when all of it has landed."""
    is_down = True
    with line.feeder() as feeder:
        feeder.tick_ms = None
        for at_ms, entry in stream.entries():
            if is_down and at_ms >= stream.workers_from_ms:
                is_down = False
                for _ in range(workers):
                    line.start_worker()
            if isinstance(entry, Emitted):
                feeder.send(entry.channel, entry.key, entry.value, entry.arrival_ms)
            elif isinstance(entry, Pause):
                _pause(feeder, entry.clock_ms)
            else:
                feeder.tick(entry.clock_ms)
        assert not is_down, "nothing comes after the moment at which workers start"
        feeder.finish(at_ms)
    line.wait_until_landed()


def _pause(feeder: Feeder, clock_ms: int) -> None:
    for before_ms in reversed(range(TICKS_A_PAUSE)):
        feeder.tick(clock_ms - before_ms)
        feeder.wait_until_read()
