"""A small simulated day on a real broker, fed slice by slice while things happen to its workers, then judged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException

from streams.importer.feeding import Feeder
from streams.importer.lag import LostRecords, Readers
from streams.runtime.topics import INPUTS
from streams.simulator.emit import Emitted, Simulation
from streams.simulator.options import Options
from tests.faults.fleet import Fleet, until
from tests.faults.judge import assert_exactly_once
from tests.integration.brokers import RealKafka
from tests.integration.real_line import PARTITIONS, RealLine, installation

__all__ = ["Town", "town"]

TICK_MS = 900_000
"""Each tick is a record on every input partition."""


@dataclass
class Town:
    """One installation, its workers, and a day that is fed into it as a test asks."""

    line: RealLine
    fleet: Fleet
    options: Options
    feeder: Feeder
    emitted: list[Emitted]
    _readers: Readers
    _fed: int = 0

    def feed(self, share: float) -> None:
        """Writes this share of the day; the last piece of it stays for `finish`."""
        until = min(len(self.emitted), self._fed + int(share * len(self.emitted)))
        for record in self.emitted[self._fed : until]:
            self.feeder.send(record.channel, record.key, record.value, record.arrival_ms)
        self._fed = until
        self.feeder.flush()

    def lag(self) -> int:
        """Records that are written and not committed as read; one at least, while the broker does not say."""
        try:
            return sum(lag.records for lag in self._readers.measure().worker)
        except (KafkaException, LostRecords):
            # librdkafka's admin client never learns of a new leader epoch, not even that of the same broker.
            self._readers.close()
            self._readers = readers_of(self.line)
            return 1

    def close(self) -> None:
        """Lets go of what it asks the broker with."""
        self._readers.close()

    def is_moving(self) -> bool:
        """Whether workers commit just now."""
        before = self._readers.measure().positions()
        time.sleep(0.1)
        return self._readers.measure().positions() != before

    def finish(self) -> None:
        """Feeds the rest, waits until all is read and every timer has passed; then nothing may be amiss."""
        self.feed(1.0)
        # Made anew where the broker has been away, see `lag`.
        until(lambda: self.lag() == 0, "the workers to have read everything")
        self.feeder._readers.close()
        self.feeder._readers = readers_of(self.line)
        self.feeder.finish(self.options.end_ms, wait=True)
        assert_exactly_once(self.line, self.emitted)


@contextmanager
def town(
    kafka: RealKafka, logs: Path, *, seed: int, people: int = 100, batch_records: int = 25, **settings: str
) -> Iterator[Town]:
    """Empty topics, no worker yet. `settings` are environment variables without their prefix."""
    options = Options(people=people, seed=seed % 1_000_000)
    told = {"WORKER_CLOCK": "replay", "WORKER_BATCH_RECORDS": str(batch_records), **settings}
    with (
        installation(kafka, logs, **told) as line,
        Fleet(line.environment, logs) as fleet,
        Feeder(
            line.bootstrap, line.settings.app.name, PARTITIONS, pace=False, tick_ms=TICK_MS, outputs=()
        ) as feeder,
    ):
        day = Town(line, fleet, options, feeder, list(Simulation(options).records()), readers_of(line))
        try:
            yield day
        finally:
            day.close()


def readers_of(line: RealLine) -> Readers:
    """How far the workers are behind."""
    return Readers(line.bootstrap, line.settings.app.name, partitions=PARTITIONS, inputs=INPUTS, outputs=())
