"""What a worker has got done, as plain facts that a thread can read while the event loop is busy or stuck.

Written on the main loop by way of `metrics`, a few times a batch; judged here, for the watchdog, the health endpoints
and the gauges. Must not know Kafka, nor do anything about what it finds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Lane", "Progress", "RunTime", "State", "TaskProgress"]

STALL_S = 120.0

_READY_SHARE = 0.25
"""Not ready after this share of the time after which a worker counts as stalled: told to people before it is ended."""

_LEAST_READY_S = 3.0
"""Lag is measured every second: less would be chance."""

GROUP_PATIENCE_S = 60.0
"""A rebalance waits so long for members that still restore (Faust's `broker_rebalance_timeout`)."""

_BEAT_S = 1.0


class State(StrEnum):
    """Where a worker is between start and stop."""

    STARTING = "starting"
    RESTORING = "restoring"
    RUNNING = "running"
    REBALANCING = "rebalancing"


class RunTime:
    """Seconds this process was let run: a stop by signal, a suspended machine or a frozen container do not count.

    `tick` it every `longest_s` or more often; what is longer was not ours.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        # One value, so that another thread never sees half of a tick.
        self._at = (0.0, time.monotonic())

    def tick(self) -> None:
        """From the one thread that keeps it."""
        self._at = (self(), time.monotonic())

    def __call__(self) -> float:
        seconds, ticked_s = self._at
        return seconds + min(time.monotonic() - ticked_s, self._longest_s)


@dataclass(slots=True)
class Lane:
    """Inputs or inbox, of a task or of the whole worker: records in Kafka, records in hand, and when last all was well.

    All is well when a batch of it was committed, and when nothing is left while the broker can be heard.
    """

    well_s: float
    unread: int = 0
    in_hand: int = 0

    @property
    def backlog(self) -> int:
        """Records that are in Kafka and not committed."""
        return self.unread + self.in_hand


@dataclass(slots=True)
class TaskProgress:
    """One task this worker holds."""

    inputs: Lane
    inbox: Lane
    clock_s: float | None = None
    """What its timers are measured by, epoch seconds."""

    @property
    def backlog(self) -> int:
        return self.inputs.backlog + self.inbox.backlog

    @property
    def well_s(self) -> float:
        """When last nothing of it stood still."""
        return min(self.inputs.well_s, self.inbox.well_s)


@dataclass(slots=True)
class Progress:
    """All of it. `now` is a clock in seconds, see RunTime; without progress for `stall_s` (inf: never) it stalls."""

    now: Callable[[], float] = time.monotonic
    stall_s: float = STALL_S
    inbox: str = "profiles.inbox"
    state: State = State.STARTING
    tasks: Mapping[int, TaskProgress] = field(default_factory=dict)
    """Replaced, never changed: another thread may be looking through it."""
    restoring: Mapping[int, float] = field(default_factory=dict)
    """Task -> share of its changelog that is read; replaced as well."""
    inputs_all: Lane = field(init=False)
    inbox_all: Lane = field(init=False)
    beaten_s: float = field(init=False)
    changed_s: float = field(init=False)
    """When the state changed, or a restore got on."""
    _heard_ms: int = 0

    def __post_init__(self) -> None:
        self.beaten_s = self.changed_s = self.now()
        self.inputs_all, self.inbox_all = Lane(self.changed_s), Lane(self.changed_s)

    # -- told

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on, the loop shows every second that it runs."""
        self.beaten_s = self.now()
        loop.call_later(_BEAT_S, self.follow, loop)

    def restores(self, shares: Mapping[int, float]) -> None:
        """Tasks are being taken over; so much of each changelog is read."""
        self.state, self.changed_s = State.RESTORING, self.now()
        self.restoring = {**self.restoring, **shares}

    def holds(self, partitions: Iterable[int]) -> None:
        """The tasks are there, and get their turns."""
        now_s = self.now()
        self.state, self.changed_s, self.restoring = State.RUNNING, now_s, {}
        self.tasks = {partition: TaskProgress(Lane(now_s), Lane(now_s)) for partition in partitions}
        self.inputs_all, self.inbox_all = Lane(now_s), Lane(now_s)

    def lets_go(self) -> None:
        """A rebalance: no task is ours."""
        self.state, self.changed_s, self.tasks, self.restoring = State.REBALANCING, self.now(), {}, {}

    def takes(self, partition: int, records: Mapping[str, int]) -> None:
        """A task has a batch in hand: records by topic."""
        task = self.tasks.get(partition)
        if task is not None:
            inbox = records.get(self.inbox, 0)
            task.inbox.in_hand, task.inputs.in_hand = inbox, sum(records.values()) - inbox

    def commits(self, partition: int) -> None:
        """What the task had in hand is committed."""
        task, now_s = self.tasks.get(partition), self.now()
        for lane, whole in self._lanes(task) if task is not None else ():
            if lane.in_hand:
                lane.in_hand, lane.well_s, whole.well_s = 0, now_s, now_s

    def measures(self, unread: Mapping[tuple[str, int], int], heard_ms: int) -> None:
        """Records in Kafka that were not taken, by topic and partition; `heard_ms` tells of the latest answered fetch.

        An end that nobody confirms any more says nothing: without a new answer, nothing is well.
        """
        now_s, is_heard = self.now(), heard_ms != self._heard_ms
        self._heard_ms = heard_ms
        for task in self.tasks.values():
            task.inputs.unread = task.inbox.unread = 0
        for (topic, partition), number in unread.items():
            if partition in self.tasks:
                lane = self.tasks[partition].inbox if topic == self.inbox else self.tasks[partition].inputs
                lane.unread += number
        for whole, lanes in (
            (self.inputs_all, [task.inputs for task in self.tasks.values()]),
            (self.inbox_all, [task.inbox for task in self.tasks.values()]),
        ):
            whole.unread, whole.in_hand = sum(one.unread for one in lanes), sum(one.in_hand for one in lanes)
            for lane in (*lanes, whole) if is_heard else ():
                if not lane.backlog:
                    lane.well_s = now_s

    def clocks(self, partition: int, epoch_s: float) -> None:
        """What the task measures its timers by."""
        task = self.tasks.get(partition)
        if task is not None:
            task.clock_s = epoch_s

    # -- judged

    def stall(self) -> str:
        """Why the worker must not go on like this; empty while it is all right. From any thread."""
        now_s, stall_s = self.now(), self.stall_s
        silent_s = now_s - self.beaten_s
        silent = f"the event loop has not run for {silent_s:.0f} s"
        if silent_s >= stall_s:
            return silent
        other = self._other_stall(now_s)
        # What stands still for that reason may have stood a moment longer.
        return f"{silent}; {other}" if other and silent_s >= _LEAST_READY_S else other

    def obstacles(self) -> list[str]:
        """What keeps the worker from being ready; each in a line, nobody's name in it. From any thread."""
        if self.state is not State.RUNNING:
            shares = "".join(f", task {p} {share:.0%}" for p, share in sorted(self.restoring.items()))
            return [f"{self.state}{shares}"]
        now_s, most_s = self.now(), max(_LEAST_READY_S, min(self.stall_s, STALL_S) * _READY_SHARE)
        silent_s = now_s - self.beaten_s
        late = [f"the event loop has not run for {silent_s:.0f} s"] if silent_s >= most_s else []
        return late + [
            f"task {partition} has not moved for {now_s - task.well_s:.0f} s, {task.backlog} records are waiting"
            for partition, task in sorted(self.tasks.items())
            if now_s - task.well_s >= most_s
        ]

    def _other_stall(self, now_s: float) -> str:
        waited_s, stall_s = now_s - self.changed_s, self.stall_s
        match self.state:
            case State.RUNNING:
                return self._stall_of_lanes(now_s) if self.tasks else ""
            case State.RESTORING:
                return f"the restore has not got on for {waited_s:.0f} s" if waited_s >= stall_s else ""
            case _:
                is_late = waited_s >= stall_s + GROUP_PATIENCE_S
                return (
                    f"it has been {self.state} for {waited_s:.0f} s without getting its tasks"
                    if is_late
                    else ""
                )

    def _stall_of_lanes(self, now_s: float) -> str:
        for name, lane in (("inputs", self.inputs_all), ("inbox", self.inbox_all)):
            age_s = now_s - lane.well_s
            if age_s < self.stall_s:
                continue
            if lane.backlog:
                return f"no position of the {name} was committed for {age_s:.0f} s, while {lane.backlog} records wait"
            return f"the broker has not answered a fetch for {age_s:.0f} s"
        return ""

    def _lanes(self, task: TaskProgress) -> Iterator[tuple[Lane, Lane]]:
        yield task.inputs, self.inputs_all
        yield task.inbox, self.inbox_all
