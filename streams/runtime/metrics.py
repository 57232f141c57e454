"""What a worker tells about itself: Prometheus metrics by batch, and CPU seconds by phase for benchmarks.

Never a label with a person in it, never a metric per record. Must not decide anything. `METRICS` is the one list: what
is exposed, what deploy/README.md says, and what alerts and dashboards may name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector

from schemas.dead_letters import VERSION
from streams.runtime.progress import Progress

__all__ = ["METRICS", "PREFIX", "Metric", "Metrics", "Name", "Outcome", "Phase", "Step"]

PREFIX = "throughline_"

# A series more for each counter, and nobody asks when it was made.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Name(StrEnum):
    """Every metric there is; `throughline_` stands before it on the wire, and `_total` behind a counter."""

    RECORDS = "records"
    TOUCHPOINTS = "touchpoints"
    FORWARDED = "touchpoints_forwarded"
    DUPLICATES = "touchpoints_duplicate"
    LATE = "touchpoints_late"
    CLAMPED = "touchpoints_clamped"
    BLOCKED = "identifiers_blocked"
    MESSAGES = "messages"
    FIRED = "timers_fired"
    HELD = "timers_held"
    ACTIONS = "actions"
    COUNTS = "counts"
    DEAD = "dead_letters"
    BATCH_RECORDS = "batch_records"
    STEP_SECONDS = "step_seconds"
    CPU_SECONDS = "phase_cpu_seconds"
    TRANSACTIONS = "transactions"
    TRANSACTION_SECONDS = "transaction_seconds"
    RESTORES = "restore_seconds"
    RESTORED = "restored_records"
    REBALANCES = "rebalances"
    RESTORE_SHARE = "restore_share"
    TASKS = "tasks"
    LAG = "lag_records"
    IN_HAND = "in_hand_records"
    CLOCK = "timer_clock_seconds"
    CLOCK_DELAY = "clock_delay_seconds"
    PROGRESS_AGE = "progress_age_seconds"
    READY = "ready"
    LIVE = "live"
    INFO = "worker_info"


class Phase(StrEnum):
    """Where the CPU time of a worker goes."""

    POLL = "poll"
    PROCESS = "process"
    PACK = "pack"
    APPLY = "apply"


class Step(StrEnum):
    """What a batch goes through: the core's step, packing, from its effects to the broker's last word, the store."""

    PROCESS = "process"
    PACK = "pack"
    COMMIT = "commit"
    APPLY = "apply"


class Outcome(StrEnum):
    """How a transaction ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it is, what it says, and its labels."""

    name: Name
    kind: Literal["counter", "histogram", "gauge"]
    says: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def wire(self) -> str:
        """As Prometheus knows it: counters end in `_total`; a histogram has `_bucket`, `_sum` and `_count`."""
        return f"{PREFIX}{self.name}{'_total' if self.kind == 'counter' else ''}"


_SIZES = (1, 10, 100, 500, 1_000, 2_000, 5_000, 20_000)
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30)

METRICS = (
    Metric(Name.RECORDS, "counter", "records read", ("topic",)),
    Metric(Name.TOUCHPOINTS, "counter", "touchpoints that reached their person's task or came by here"),
    Metric(Name.FORWARDED, "counter", "of these, sent on to another task: paid for twice"),
    Metric(Name.DUPLICATES, "counter", "touchpoints that had been processed before"),
    Metric(Name.LATE, "counter", "touchpoints more than 72 h late: landed, in no session"),
    Metric(Name.CLAMPED, "counter", "touchpoints said to have happened after they arrived"),
    Metric(Name.BLOCKED, "counter", "identifiers left out: placeholders, blocked or too long", ("type",)),
    Metric(Name.MESSAGES, "counter", "messages of other tasks"),
    Metric(Name.FIRED, "counter", "timers that were due and did what they were for"),
    Metric(Name.HELD, "counter", "timers that were due and had to wait: for a merge, or for unread records"),
    Metric(Name.ACTIONS, "counter", "action records written"),
    Metric(Name.COUNTS, "counter", "whatever else processing counts", ("kind",)),
    Metric(Name.DEAD, "counter", "records that can never be processed", ("reason",)),
    Metric(Name.BATCH_RECORDS, "histogram", "records in a batch", buckets=_SIZES),
    Metric(Name.STEP_SECONDS, "histogram", "wall time of a batch by step", ("step",), _SECONDS),
    Metric(Name.CPU_SECONDS, "counter", "CPU time by phase", ("phase",)),
    Metric(Name.TRANSACTIONS, "counter", "Kafka transactions by their end; a failed one ends its worker", ("outcome",)),
    Metric(Name.TRANSACTION_SECONDS, "histogram", "from begin to the broker's last word", buckets=_SECONDS),
    Metric(Name.RESTORES, "histogram", "taking tasks over, restores included", buckets=(*_SECONDS, 120, 600)),
    Metric(Name.RESTORED, "counter", "changelog records read back"),
    Metric(Name.REBALANCES, "counter", "times this worker's tasks were handed out anew"),
    Metric(Name.RESTORE_SHARE, "gauge", "share of the changelog that is read back, while it is", ("partition",)),
    Metric(Name.TASKS, "gauge", "tasks of this worker"),
    Metric(Name.LAG, "gauge", "records in Kafka that are not committed", ("partition",)),
    Metric(Name.IN_HAND, "gauge", "of these, records that are being processed", ("partition",)),
    Metric(Name.CLOCK, "gauge", "the timer clock, epoch seconds", ("partition",)),
    Metric(Name.CLOCK_DELAY, "gauge", "how far the timer clock is behind; live clocks only", ("partition",)),
    Metric(Name.PROGRESS_AGE, "gauge", "since a task last got on, or had nothing to do", ("partition",)),
    Metric(Name.READY, "gauge", "1 while /readyz says yes"),
    Metric(Name.LIVE, "gauge", "1 while /livez says yes"),
    Metric(Name.INFO, "gauge", "1; which version this is", ("version",)),
)  # fmt: skip

_COUNTED = {
    "touchpoints": Name.TOUCHPOINTS, "forwarded": Name.FORWARDED, "duplicates": Name.DUPLICATES, "late": Name.LATE,
    "clamped": Name.CLAMPED, "messages": Name.MESSAGES, "fired": Name.FIRED, "held": Name.HELD,
    "actions": Name.ACTIONS, "blocked": Name.BLOCKED,
}  # fmt: skip
"""What the core counts and has a metric of its own; the core writes a label, where there is one, after a colon."""


class Metrics:
    """One worker's figures. Its gauges are read off `progress` when somebody asks."""

    def __init__(self, progress: Progress | None = None, *, is_live: bool = True) -> None:
        self.progress = progress or Progress()
        self.registry = CollectorRegistry()
        self.cpu_s: dict[Phase, float] = dict.fromkeys(Phase, 0.0)
        self.totals: dict[str, int] = {"records": 0, "batches": 0, "commits": 0}
        self._cpu_at_first: float | None = None
        self._counters = {
            one.name: Counter(PREFIX + one.name, one.says, one.labels, registry=self.registry)
            for one in METRICS
            if one.kind == "counter"
        }
        self._histograms = {
            one.name: Histogram(
                PREFIX + one.name, one.says, one.labels, registry=self.registry, buckets=one.buckets
            )
            for one in METRICS
            if one.kind == "histogram"
        }
        # Looked up once: these are touched with every batch.
        self._cpu = {phase: self._counters[Name.CPU_SECONDS].labels(phase) for phase in Phase}
        self._steps = {step: self._histograms[Name.STEP_SECONDS].labels(step) for step in Step}
        self._walls: dict[Phase, Histogram] = {
            phase: self._steps[Step(phase)] for phase in Phase if phase is not Phase.POLL
        }
        for outcome in Outcome:
            self._counters[Name.TRANSACTIONS].labels(outcome)
        self.registry.register(_Gauges(self.progress, is_live=is_live))
        ProcessCollector(registry=self.registry)

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Adds the CPU time this thread spends inside. Must not be held across an await."""
        started_s, wall_s = time.thread_time(), time.perf_counter()
        try:
            yield
        finally:
            self.spent(phase, cpu_s=time.thread_time() - started_s, wall_s=time.perf_counter() - wall_s)

    def spent(self, phase: Phase, *, cpu_s: float, wall_s: float) -> None:
        """What a phase took."""
        self.cpu_s[phase] += cpu_s
        self._cpu[phase].inc(cpu_s)
        step = self._walls.get(phase)
        if step is not None:
            step.observe(wall_s)

    def took_batch(self, partition: int, records: Mapping[str, int], counts: Mapping[str, int]) -> None:
        """One turn of a task: how many records by topic, and what the step counted."""
        self.progress.takes(partition, records)
        total = sum(records.values())
        if self._cpu_at_first is None and total:
            self._cpu_at_first = time.process_time()
        self.totals["records"] += total
        self.totals["batches"] += 1
        self._histograms[Name.BATCH_RECORDS].observe(total)
        for topic, number in records.items():
            self._counters[Name.RECORDS].labels(topic).inc(number)
        for kind, number in counts.items():
            self.totals[kind] = self.totals.get(kind, 0) + number
            name, _, label = kind.partition(":")
            known = _COUNTED.get(name)
            counter = self._counters[known] if known else self._counters[Name.COUNTS].labels(kind)
            (counter.labels(label) if known and label else counter).inc(number)

    def dead_letter(self, reason: str) -> None:
        """One dead letter, after its commit."""
        self._counters[Name.DEAD].labels(reason).inc()

    def committed(self, partition: int, seconds: float) -> None:
        """One commit of a task and how long it took."""
        self.progress.commits(partition)
        self.totals["commits"] += 1
        self._steps[Step.COMMIT].observe(seconds)

    def transaction(self, outcome: Outcome, seconds: float) -> None:
        """One Kafka transaction, when its outcome is known."""
        self._counters[Name.TRANSACTIONS].labels(outcome).inc()
        self._histograms[Name.TRANSACTION_SECONDS].observe(seconds)

    def restoring(self, shares: Mapping[int, float], records: int = 0) -> None:
        """Tasks are being taken over: share of each one's changelog that is read, and records since last told."""
        self.progress.restores(shares)
        self._counters[Name.RESTORED].inc(records)

    def restored(self, seconds: float, *, tasks: Collection[int]) -> None:
        """Tasks were taken over; `tasks` are all that this worker has now."""
        self.progress.holds(tasks)
        self._counters[Name.REBALANCES].inc()
        self._histograms[Name.RESTORES].observe(seconds)

    def let_go(self) -> None:
        """A rebalance has begun: this worker has no task."""
        self.progress.lets_go()

    def lags(self, unread: Mapping[tuple[str, int], int], heard_ms: int) -> None:
        """Records in Kafka that were not taken, by topic and partition, as of an answer of the broker."""
        self.progress.measures(unread, heard_ms)

    def clock(self, partition: int, epoch_s: float) -> None:
        """What one task measures timers by."""
        self.progress.clocks(partition, epoch_s)

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


class _Gauges:
    """Gauges as of the moment they are asked for: what a task that moved away said last is not told any more."""

    def __init__(self, progress: Progress, *, is_live: bool) -> None:
        self._progress = progress
        self._is_live = is_live

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Names only, for the registry."""
        return [_gauge(one) for one in METRICS if one.kind == "gauge"]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All of them, now."""
        values = self._values()
        for one in METRICS:
            if one.kind == "gauge":
                family = _gauge(one)
                for label, value in values.get(one.name, {}).items():
                    family.add_metric([label] if one.labels else [], value)
                yield family

    def _values(self) -> Mapping[Name, Mapping[str, float]]:
        """Name -> label -> value; no label is the empty one."""
        progress, now_s, epoch_s = self._progress, self._progress.now(), time.time()
        tasks = {str(partition): task for partition, task in progress.tasks.items()}
        clocks = {
            at: task.clock_s for at, task in tasks.items() if task.clock_s is not None and task.clock_s > 0
        }
        return {
            Name.TASKS: {"": len(tasks)},
            Name.LAG: {at: task.backlog for at, task in tasks.items()},
            Name.IN_HAND: {at: task.inputs.in_hand + task.inbox.in_hand for at, task in tasks.items()},
            Name.CLOCK: clocks,
            Name.CLOCK_DELAY: {at: epoch_s - clock_s for at, clock_s in clocks.items()}
            if self._is_live
            else {},
            Name.PROGRESS_AGE: {at: now_s - task.well_s for at, task in tasks.items()},
            Name.RESTORE_SHARE: {str(at): share for at, share in progress.restoring.items()},
            Name.READY: {"": float(not progress.obstacles())},
            Name.LIVE: {"": float(not progress.stall())},
            Name.INFO: {VERSION.decode(): 1.0},
        }


def _gauge(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + metric.name, metric.says, labels=metric.labels or None)


def _rounded(value: float | int | str) -> float | int | str:
    return round(value, 6) if isinstance(value, float) else value
