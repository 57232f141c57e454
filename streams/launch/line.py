"""The whole line on one machine: an embedded broker, workers and a sink, for one run or until stopped.

Owns the order of starting, draining and stopping; must not know where touchpoints come from, nor the warehouse but by
its address: the composition root opens that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.broker.embedded import EmbeddedBroker
from streams.importer.feeding import Feeder
from streams.importer.lag import Lag, Readers
from streams.launch.parts import Part
from streams.launch.topics import partition_counts
from streams.settings import PREFIX, Settings
from streams.told import as_environment

_DRAIN_POLL_S = 0.05
_STALLED_S = 60.0
_TICK_MS = 300_000
"""Each tick is a record on every input partition: at one a minute there would be as many as touchpoints."""


class NotDrained(RuntimeError):
    """The sink stopped making progress before everything had landed."""


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Where a ClickHouse answers."""

    url: str
    user: str
    password: str


class Line:
    """A running line in replay mode. `add_worker` and `stop` of its workers may be called while it runs."""

    def __init__(
        self, settings: Settings, broker: EmbeddedBroker, warehouse: Warehouse, *, logs: Path
    ) -> None:
        self.broker = broker
        self.workers: list[Part] = []
        self._settings = settings
        self._logs = logs
        self._environment = _environment(settings, broker.bootstrap, warehouse)
        self.sink = self._part("sink", "sink")

    @property
    def bootstrap(self) -> str:
        """The broker's address."""
        return self.broker.bootstrap

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every process but the broker."""
        return (*self.workers, self.sink)

    def add_worker(self) -> Part:
        """Start one more worker; tasks move to it by themselves."""
        worker = self._part(f"worker-{len(self.workers) + 1}", "worker")
        self.workers.append(worker)
        return worker

    def restart_worker(self, number: int) -> Part:
        """Start a new process in place of a worker that has ended."""
        worker = self.workers[number] = self._part(f"worker-{number + 1}", "worker")
        return worker

    def feeder(self) -> Feeder:
        """A feeder that keeps to the pace of this line's readers."""
        kafka = self._settings.kafka
        return Feeder(self.bootstrap, self._settings.app.name, kafka.partitions, pace=True, tick_ms=_TICK_MS)

    def check(self) -> None:
        """Raises PartDied if a worker or the sink has ended."""
        for part in self.parts:
            part.require_running()

    def wait_until_landed(self, on_progress: Callable[[int], None] | None = None) -> None:
        """Return when worker and sink have read all there is; `on_progress` gets the records still to land."""
        readers = Readers(
            self.bootstrap, self._settings.app.name, partitions=self._settings.kafka.partitions, inputs=()
        )
        try:
            self._wait_until_landed(readers, on_progress or _ignore)
        finally:
            readers.close()

    def stop(self) -> None:
        """Workers first, so that the sink still lands what they said last; then the broker, which keeps nothing."""
        for part in self.parts:
            part.stop()
        self.broker.stop()

    def _wait_until_landed(self, readers: Readers, on_progress: Callable[[int], None]) -> None:
        best, best_s = None, time.monotonic()
        while True:
            self.check()
            behind: list[Lag] = [lag for lag in readers.measure().sink if lag.records]
            if not behind:
                return
            left = sum(lag.records for lag in behind)
            on_progress(left)
            if best is None or left < best:
                best, best_s = left, time.monotonic()
            elif time.monotonic() - best_s > _STALLED_S:
                raise NotDrained(f"the sink made no progress for {_STALLED_S:.0f} s: {behind[0]}")
            time.sleep(_DRAIN_POLL_S)

    def _part(self, name: str, command: str) -> Part:
        # A state directory has one worker.
        own = {f"{PREFIX}STATE_DIRECTORY": str(Path(self._settings.state.directory) / name)}
        return Part(name, [command], environment=self._environment | own, log=self._logs / f"{name}.log")


@contextmanager
def running(settings: Settings, warehouse: Warehouse, *, workers: int, logs: Path) -> Iterator[Line]:
    """A line with so many workers, stopped at the end whatever happens."""
    broker = EmbeddedBroker.start(partition_counts(settings))
    try:
        line = Line(settings, broker, warehouse, logs=logs)
        try:
            for _ in range(workers):
                line.add_worker()
            yield line
        finally:
            line.stop()
    finally:
        broker.stop()


def _environment(settings: Settings, bootstrap: str, warehouse: Warehouse) -> dict[str, str]:
    """What a part needs to know, over what this process was told, by its own environment or a file."""
    told = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA_PARTITIONS": str(settings.kafka.partitions),
        "WORKER_BATCH_RECORDS": str(settings.worker.batch_records),
        "WORKER_CLOCK": "replay",
        # Nobody waits for a single touchpoint here, and a commit costs much more than a touchpoint.
        "WORKER_POLL_MS": "100",
        "CLICKHOUSE_URL": warehouse.url,
        "CLICKHOUSE_USER": warehouse.user,
        "CLICKHOUSE_PASSWORD": warehouse.password,
    }
    return {
        **os.environ,
        **as_environment(settings),
        **{PREFIX + key: value for key, value in told.items()},
    }


def _ignore(left: int) -> None:
    """Nobody wants to know."""
