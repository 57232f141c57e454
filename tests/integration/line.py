"""The whole line for tests: started, fed, landed, and held against the simulator's truth and the oracle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.codec import decode
from streams.cli.embedded import Running, embedded_line
from streams.settings import PREFIX, load
from streams.simulator.compare import compare
from streams.simulator.emit import Emitted, Simulation
from streams.simulator.options import Options
from tests.oracle.compare import answer, differences, read_landed
from tests.oracle.touchpoints import Touchpoint, from_record

Query = Callable[[str], list[tuple[Any, ...]]]


@contextmanager
def line(
    directory: Path,
    *,
    workers: int = 1,
    partitions: int = 4,
    batch_records: int = 2_000,
    more: Mapping[str, str] = {},
) -> Iterator[Running]:
    """An embedded line over a warehouse in `directory`, with `more` settings as `SECTION_KEY`."""
    asked = {
        "THROUGHLINE_KAFKA_PARTITIONS": str(partitions),
        "THROUGHLINE_WORKER_BATCH_RECORDS": str(batch_records),
        **{PREFIX + key: value for key, value in more.items()},
    }
    settings = load(None, {**os.environ, **asked})
    with embedded_line(settings, directory / "warehouse", workers=workers) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Fed:
    """A simulated day as it was written: the simulation, which knows the truth, and what it emitted."""

    simulation: Simulation
    emitted: list[Emitted]

    def touchpoints(self) -> Iterable[Touchpoint]:
        """What the oracle judges."""
        for record in self.emitted:
            yield from_record(decode(record.value)[1], record.arrival_ms)


def feed(running: Running, options: Options, *, between: Callable[[int], None] = lambda count: None) -> Fed:
    """Write a simulated day to its last tick and wait until it has landed; `between` is called after every record."""
    fed = Fed(Simulation(options), [])
    feeder = running.line.feeder()
    try:
        for record in fed.simulation.records():
            fed.emitted.append(record)
            feeder.send(record.channel, record.key, record.value, record.arrival_ms)
            between(len(fed.emitted))
        feeder.finish(options.end_ms)
    finally:
        feeder.close()
    running.line.wait_until_landed()
    return fed


def assert_true(fed: Fed, query: Query) -> None:
    """Nothing missing, doubled, wrong, false or missed: by the simulator's truth, and by the oracle."""
    comparison = compare(fed.simulation.truth(), query)
    assert comparison.is_equal, comparison.summary()
    found = differences(answer(fed.touchpoints()), read_landed(query))
    assert not found, str(found)
