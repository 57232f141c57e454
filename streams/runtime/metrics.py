"""What a worker tells about itself: Prometheus metrics by batch, and CPU seconds by phase for benchmarks.

Never a label with a person in it, never a metric per record. Must not decide anything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

__all__ = ["Metrics", "Name", "Phase"]


class Name(StrEnum):
    """Every metric there is; `throughline_` stands before it on the wire."""

    RECORDS = "records"
    COUNTS = "counts"
    DEAD = "dead_letters"
    BATCH_RECORDS = "batch_records"
    PHASE_SECONDS = "phase_seconds"
    COMMIT_SECONDS = "commit_seconds"
    RESTORE_SECONDS = "restore_seconds"
    LAG = "lag_records"
    CLOCK = "timer_clock_seconds"
    TASKS = "tasks"


class Phase(StrEnum):
    """Where the CPU time of a worker goes."""

    POLL = "poll"
    PROCESS = "process"
    PACK = "pack"
    APPLY = "apply"


class Metrics:
    """One worker's figures. `phase` costs two clock readings a batch."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.cpu_s: dict[Phase, float] = dict.fromkeys(Phase, 0.0)
        self.totals: dict[str, int] = {"records": 0, "batches": 0, "commits": 0}
        self._cpu_at_first: float | None = None
        self._records = self._counter(Name.RECORDS, "records read", "topic")
        self._counts = self._counter(Name.COUNTS, "what processing met or made, by kind", "kind")
        self._dead = self._counter(Name.DEAD, "records that can never be processed", "reason")
        self._batch = self._histogram(
            Name.BATCH_RECORDS, "records in a batch", 1, 10, 100, 500, 1000, 2000, 5000
        )
        self._phase = self._counter(Name.PHASE_SECONDS, "CPU seconds by phase", "phase")
        seconds = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)
        self._commit = self._histogram(
            Name.COMMIT_SECONDS, "from effects to the broker's last word", *seconds
        )
        self._restore = self._histogram(Name.RESTORE_SECONDS, "reading changelogs back", *seconds, 20, 60)
        self._lag = self._gauge(Name.LAG, "records in Kafka that are not processed", "partition")
        self._clock = self._gauge(
            Name.CLOCK, "the timer clock, epoch seconds: time() less it is the delay", "partition"
        )
        self._tasks = Gauge(_full(Name.TASKS), "tasks of this worker", registry=self.registry)

    def serve(self, port: int) -> None:
        """Answers `/metrics` on the port, in a thread of its own; 0 means not at all."""
        if port:
            start_http_server(port, registry=self.registry)

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Adds the CPU time this thread spends inside. Must not be held across an await."""
        started = time.thread_time()
        try:
            yield
        finally:
            spent = time.thread_time() - started
            self.cpu_s[phase] += spent
            self._phase.labels(phase).inc(spent)

    def took_batch(self, records: Mapping[str, int], counts: Mapping[str, int]) -> None:
        """One turn: how many records by topic, and what the step counted."""
        total = sum(records.values())
        if self._cpu_at_first is None and total:
            self._cpu_at_first = time.process_time()
        self.totals["records"] += total
        self.totals["batches"] += 1
        self._batch.observe(total)
        for topic, number in records.items():
            self._records.labels(topic).inc(number)
        for kind, number in counts.items():
            self.totals[kind] = self.totals.get(kind, 0) + number
            self._counts.labels(kind).inc(number)

    def dead_letter(self, reason: str) -> None:
        """One dead letter, after its commit."""
        self._dead.labels(reason).inc()

    def committed(self, seconds: float) -> None:
        """One commit and how long it took."""
        self.totals["commits"] += 1
        self._commit.observe(seconds)

    def restored(self, seconds: float, *, tasks: int) -> None:
        """Tasks were brought back; `tasks` is how many this worker has now."""
        self._restore.observe(seconds)
        self._tasks.set(tasks)

    def lag(self, partition: int, records: int) -> None:
        """Records of one task that are in Kafka and not taken."""
        self._lag.labels(str(partition)).set(records)

    def clock(self, partition: int, epoch_s: float) -> None:
        """What one task measures timers by."""
        self._clock.labels(str(partition)).set(epoch_s)

    def bench_line(self) -> str:
        """One line of JSON for `make bench`: CPU seconds in all, since the first record, by phase; and totals.

        What the phases leave of the seconds since the first record is fetching, sending and Faust itself.
        """
        now_s = time.process_time()
        line: dict[str, str | float] = {
            "bench": "worker",
            "cpu_s": now_s,
            "cpu_since_first_s": now_s - (self._cpu_at_first or now_s),
        }
        line |= {f"{phase}_s": spent for phase, spent in self.cpu_s.items()}
        return json.dumps({name: _rounded(value) for name, value in (line | self.totals).items()})

    def _counter(self, name: Name, help_text: str, label: str) -> Counter:
        return Counter(_full(name), help_text, [label], registry=self.registry)

    def _gauge(self, name: Name, help_text: str, label: str) -> Gauge:
        return Gauge(_full(name), help_text, [label], registry=self.registry)

    def _histogram(self, name: Name, help_text: str, *bounds: float) -> Histogram:
        return Histogram(_full(name), help_text, buckets=bounds, registry=self.registry)


def _full(name: Name) -> str:
    return f"throughline_{name}"


def _rounded(value: float | int | str) -> float | int | str:
    return round(value, 6) if isinstance(value, float) else value
