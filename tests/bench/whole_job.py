"""The whole job in one worker process over the embedded broker: decode, stitch, sessions, carts, changelog, outputs.

CPU time of the worker alone, since its first record: start-up, broker and feeder do not count. Nobody reads the
outputs, so the broker forgets them; of the inputs nothing may be lost, and `measure` sees to that.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from streams.broker.embedded import EmbeddedBroker
from streams.importer.feeding import Feeder
from streams.importer.lag import Readers
from streams.launch.parts import Part
from streams.runtime.topics import INPUTS, partition_counts
from streams.settings import PREFIX, load
from tests.bench.report import Row, Section
from tests.bench.stream import TICK_MS, Stream, feed

PARTITIONS = 4
_PATIENCE_S = 120.0
_PHASES = {
    "process_s": "process: the step of the core",
    "pack_s": "pack: record batches",
    "poll_s": "poll: iterate fetched batches",
    "apply_s": "apply: to the store",
}

Figures = Mapping[str, float]
"""What a worker says of itself at its end, see `streams.runtime.metrics.Metrics.bench_line`."""


class WrongRun(RuntimeError):
    """The worker did not do what was to be measured."""


def measure(stream: Stream, *, watch: Callable[[int], None] = lambda pid: None) -> Figures:
    """Run one worker over the stream. `watch` gets its process id once it works. Raises WrongRun."""
    settings = load(None, {**os.environ, f"{PREFIX}KAFKA_PARTITIONS": str(PARTITIONS)})
    stream.require_room(PARTITIONS)
    with (
        tempfile.TemporaryDirectory(prefix="throughline-bench-") as scratch,
        EmbeddedBroker.start(partition_counts(settings)) as broker,
        Feeder(
            broker.bootstrap, settings.app.name, PARTITIONS, pace=False, tick_ms=TICK_MS, outputs=()
        ) as feeder,
    ):
        worker = Part(
            "worker", ["worker"], environment=_environment(broker), log=Path(scratch) / "worker.log"
        )
        try:
            # The first record is a tick: what the worker counts from then on has all touchpoints in it.
            feeder.tick(stream.options.start_ms - 1)
            feeder.flush()
            _wait_until_read(broker, settings.app.name, worker)
            watch(worker.pid)
            feed(stream, feeder)
            _wait_until_read(broker, settings.app.name, worker)
        finally:
            worker.stop()
        return figures_of(worker, expected=len(stream.records))


def section(stream: Stream, figures: Figures) -> Section:
    """Touchpoints a second and core, and where the time goes."""
    touchpoints, cpu_s = figures["touchpoints"], figures["cpu_since_first_s"]
    per_us = 1e6 / touchpoints
    phases = [Row(name, figures[key] * per_us) for key, name in _PHASES.items()]
    rest_us = (cpu_s - sum(figures[key] for key in _PHASES)) * per_us
    return Section(
        "The whole job, embedded, one worker process",
        [
            Row("touchpoints a second of worker CPU", touchpoints / cpu_s, "/s", 30_000.0),
            Row("CPU a touchpoint", cpu_s * per_us, budget=16.6),
            *phases,
            Row("rest: fetch, send, group, Faust", rest_us),
            Row("touchpoints a commit", touchpoints / figures["commits"], ""),
            Row("forwarded touchpoints", 100 * figures.get("forwarded", 0) / touchpoints, "%"),
        ],
        f"{touchpoints:,.0f} touchpoints of {stream.options.people:,} people, {PARTITIONS} partitions, "
        f"{figures['records']:,.0f} records read with ticks and messages, {figures['commits']:,.0f} commits",
    )


def _environment(broker: EmbeddedBroker) -> dict[str, str]:
    told = {
        "BENCH": "1",
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "KAFKA_PARTITIONS": str(PARTITIONS),
        "WORKER_CLOCK": "replay",
        "WORKER_POLL_MS": "100",
    }
    return {**os.environ, **{PREFIX + key: value for key, value in told.items()}}


def _wait_until_read(broker: EmbeddedBroker, app: str, worker: Part) -> None:
    """Return when the worker has committed everything; raises LostRecords if the broker forgot any of it."""
    readers = Readers(broker.bootstrap, app, partitions=PARTITIONS, inputs=INPUTS, outputs=())
    deadline_s = time.monotonic() + _PATIENCE_S
    try:
        while not readers.measure().is_drained():
            worker.require_running()
            if time.monotonic() > deadline_s:
                raise WrongRun(f"the worker has not read everything within {_PATIENCE_S:.0f} s")
            time.sleep(0.1)
    finally:
        readers.close()


def figures_of(worker: Part, *, expected: int) -> Figures:
    """What a worker that has ended said of itself. Raises WrongRun."""
    lines = worker.log.read_text(errors="replace").splitlines()
    found = next((line for line in reversed(lines) if line.startswith('{"bench"')), None)
    if found is None:
        raise WrongRun(f"the worker said nothing of its CPU time: {worker.last_words()}")
    figures = cast(dict[str, float], json.loads(found))
    if figures["touchpoints"] < expected:
        raise WrongRun(f"the worker processed {figures['touchpoints']:,} of {expected:,} touchpoints")
    return figures
