"""The stream every benchmark runs on: a simulated shop day, in memory, and what it cost to make.

Knows the simulator and how records lie in partitions; must not know what is measured with them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.core.identifier import murmur2
from streams.importer.feeding import HOUR_MS, Feeder
from streams.simulator.emit import Emitted, Simulation
from streams.simulator.options import MINUTE_MS, Options

TICK_MS = 15 * MINUTE_MS
"""A tick goes to every partition. A day takes seconds here: ticks by the minute would be as many as touchpoints."""

CLOSING_MS = (2 * HOUR_MS, 73 * HOUR_MS)
PARTITION_LIMIT_BYTES = 4_500_000
"""What may lie unread in a partition of the embedded broker, which keeps 5 MiB; batches have some overhead."""


class StreamTooLarge(ValueError):
    """The stream does not fit into the embedded broker at once."""


class KafkaRecord(NamedTuple):
    """A record as a consumer sees it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """Every record of a day, in order of arrival; `cpu_us` is what making and encoding one took."""

    options: Options
    records: list[Emitted]
    cpu_us: float

    def require_room(self, partitions: int) -> None:
        """Raises StreamTooLarge if the broker would forget records before anybody reads them."""
        sizes: dict[tuple[str, int], int] = {}
        for record in self.records:
            place = record.channel, murmur2(record.key) % partitions
            sizes[place] = sizes.get(place, 0) + len(record.key) + len(record.value) + 10
        channel, partition = max(sizes, key=lambda place: sizes[place])
        if sizes[channel, partition] > PARTITION_LIMIT_BYTES:
            raise StreamTooLarge(f"touchpoints.{channel}[{partition}] does not fit: ask for fewer people")


def shop_day(people: int) -> Stream:
    """A day of the demo's shop."""
    options = Options(people=people)
    started_s = time.process_time()
    records = list(Simulation(options).records())
    spent_s = time.process_time() - started_s
    return Stream(options, records, spent_s / len(records) * 1e6)


def feed(stream: Stream, feeder: Feeder) -> None:
    """Write all of it, closing ticks included, without waiting for anybody."""
    for record in stream.records:
        feeder.send(record.channel, record.key, record.value, record.arrival_ms)
    if feeder.tick_ms is not None:
        feeder.finish(stream.options.end_ms, wait=False)
    feeder.flush()
