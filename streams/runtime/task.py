"""A task: partition p of every input topic, with its shard of state. And all tasks that a worker holds at the moment.

Order of effects only: what a record means is the core's, how bytes reach Kafka is `commit`'s and `transport`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from schemas.dead_letters import DeadShare
from streams.runtime.changelog import Changelog, ChangelogTruncated, Restored
from streams.runtime.commit import Commit, Fenced
from streams.runtime.dead_letters import flood_line
from streams.runtime.ending import ExitCode, end_process
from streams.runtime.engine import Effects, Engine, EngineFactory, Record, Store
from streams.runtime.failpoints import Point, hit
from streams.runtime.metrics import Metrics, Phase
from streams.runtime.plan import Plan, PlanLost, plan_of
from streams.runtime.store.format import StateTooNew

__all__ = ["Pace", "Task", "Tasks", "Turn"]

log = logging.getLogger(__name__)

IDLE_TURN_S = 0.2
"""A task without records still gets a turn this often: it is how clocks go round."""

HEAR_EVERY_S = 0.1
"""A task without records of its inputs reads its inbox, and sends news, this often: else idle clocks chase each other
round. With records, the inbox goes along: what was forwarded is late enough."""


_ROUNDS_BETWEEN_SLICES = 6
"""So often the loop goes round before a step goes on: a commit takes some twenty rounds, each of which would else wait
for a slice. With none, a commit took 42 ms at 12,000 touchpoints/s (median), with one 33, with five 21, with 12 15."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a turn takes, how soon the next one may follow, and how much may lie fetched before it is taken."""

    batch_records: int
    batch_bytes: int
    poll_s: float
    buffer_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Turn:
    """One batch for one task: what a poll returned for it, perhaps nothing."""

    task: Task
    records: Mapping[str, Sequence[Record]]
    caught_up: Mapping[str, int]
    """Input topic -> wall epoch-ms of the sending of the fetch that showed nothing is left behind this batch."""
    tenure: int
    """The tenure of the task it was made in; a turn that outlives it comes to nothing."""
    positions: Mapping[str, int]
    """Topic -> where to read on behind this batch, for the topics whose position moved. Markers of transactions and
    what was aborted take offsets too, so that is not always behind the last record, and may move without any."""


class Task:
    """State and positions of one partition.

    Busy from the moment a turn is handed out until its commit is confirmed. A tenure is the time between an
    assignment and the next rebalance; `changelog_end` tells whether anybody else has written in between.
    """

    def __init__(
        self,
        partition: int,
        engine: Engine,
        *,
        store: Store,
        restored: Restored,
        commit: Commit,
        metrics: Metrics,
    ) -> None:
        self.partition = partition
        self.positions = dict(restored.positions)
        self.changelog_end = restored.end
        self.is_busy = False
        self.is_stepping = False
        """From when a turn is handed out until its step is done; what follows is the commit."""
        self.turned_at_s = 0.0
        self.tenure = 0
        self._engine = engine
        self._store = store
        self._commit = commit
        self._metrics = metrics
        self._rests_until_s = 0.0
        self._heard_at_s = 0.0
        self._plan = Plan([], 0, {})
        self._working: asyncio.Task[bool] | None = None
        self._restored = restored
        self._header = list(restored.header)

    def is_ready(self, now_s: float) -> bool:
        """True when the task may be given a batch."""
        return not self.is_busy and now_s >= self._rests_until_s

    def ready_in_s(self, now_s: float) -> float:
        """How long until `is_ready`, if nothing keeps it busy."""
        return max(0.0, self._rests_until_s - now_s)

    def hears(self, now_s: float) -> bool:
        """True when it is time to read the inbox for its own sake."""
        return now_s >= self._heard_at_s + HEAR_EVERY_S

    def is_due(self, now_s: float) -> bool:
        """True when the task should get a turn even without records."""
        has_news = self.hears(now_s) and self._engine.has_news
        return has_news or now_s >= self.turned_at_s + IDLE_TURN_S

    def due_in_s(self, now_s: float) -> float:
        """How long until there may be something to do for it besides records of its inputs."""
        idle_s = max(0.0, self.turned_at_s + IDLE_TURN_S - now_s)
        if self.hears(now_s):
            return 0.0 if self._engine.has_news else idle_s
        return min(idle_s, self._heard_at_s + HEAR_EVERY_S - now_s)

    def hand_out(self, now_s: float, *, rest_s: float, has_heard: bool) -> None:
        """Marks the task busy with a turn that is on its way to the agent; the next one may follow after the rest."""
        self.is_busy = self.is_stepping = True
        self.turned_at_s = now_s
        self._rests_until_s = now_s + rest_s
        if has_heard:
            self._heard_at_s = now_s

    def start(self, work: Coroutine[Any, Any, bool], *, on_done: Callable[[], None]) -> None:
        """Does the work of a turn in the background, so that other tasks go on; `on_done` when this one is free, if the
        work says that it has done anything."""
        self._working = asyncio.ensure_future(work)
        self._working.add_done_callback(lambda done: self._settle(done, on_done=on_done))

    @property
    def is_working(self) -> bool:
        """True from when a turn has been taken until what came of it is committed."""
        return self._working is not None

    async def settled(self) -> None:
        """Waits for the work under way, if there is some."""
        if self._working is not None:
            await asyncio.wait([self._working])

    async def process(self, turn: Turn) -> Effects:
        """One step of the core. Whatever it raises is a broken invariant: bad records come back as dead letters."""
        now_ms = time.time_ns() // 1_000_000
        try:
            return await self._process(turn.records, turn.positions, now_ms=now_ms, caught_up=turn.caught_up)
        except Exception as error:
            end_process(ExitCode.BROKEN, f"task {self.partition}: processing a batch failed", error=error)
        finally:
            self.is_stepping = False

    async def carry_out(self, plan: Plan, records: Mapping[str, Sequence[Record]]) -> None:
        """Does the batch that an earlier owner had begun, before anything else."""
        positions = {topic: behind for topic, _, behind in plan.ranges}
        effects = await self._process(records, positions, now_ms=plan.now_ms, caught_up=plan.caught_up)
        await self.commit(effects)

    async def _process(
        self,
        records: Mapping[str, Sequence[Record]],
        positions: Mapping[str, int],
        *,
        now_ms: int,
        caught_up: Mapping[str, int],
    ) -> Effects:
        effects = await self._worked(self._engine.work(records, now_ms=now_ms, caught_up=caught_up))
        self._metrics.clock(self.partition, self._engine.timer_clock_ms / 1000)
        self._plan = plan_of(records, now_ms=now_ms, caught_up=caught_up)
        self.positions.update(positions)
        return effects

    async def _worked(self, work: Generator[None, None, Effects]) -> Effects:
        cpu_s, began_s = 0.0, time.perf_counter()
        try:
            while True:
                started_s = time.thread_time()
                try:
                    next(work)
                finally:
                    cpu_s += time.thread_time() - started_s
                for _ in range(_ROUNDS_BETWEEN_SLICES):
                    await asyncio.sleep(0)
        except StopIteration as done:
            return cast(Effects, done.value)
        finally:
            self._metrics.spent(Phase.PROCESS, cpu_s=cpu_s, wall_s=time.perf_counter() - began_s)

    def end_tenure(self) -> None:
        """From here on, turns handed out before come to nothing. Only when settled."""
        self.tenure += 1
        self.is_busy = self.is_stepping = False

    async def commit(self, effects: Effects) -> None:
        """Writes what a step wants written; then the store has it."""
        started_s = time.perf_counter()
        header, self._header = self._header, []
        positions, changes = dict(self.positions), effects.changes[:]
        effects.changes[:0] = header
        end = await self._commit.commit(self.partition, effects, positions=positions, plan=self._plan)
        with self._metrics.phase(Phase.APPLY):
            self._store.apply(changes, self._restored.behind(end, positions))
        hit(Point.APPLIED)
        self.changelog_end = end
        self._metrics.committed(self.partition, time.perf_counter() - started_s)
        for letter in effects.dead:
            self._metrics.dead_letter(letter.reason)

    def close(self) -> None:
        """Lets go of the state. Only when settled."""
        self._store.close()

    def _settle(self, done: asyncio.Task[bool], *, on_done: Callable[[], None]) -> None:
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if isinstance(error, Fenced):
            end_process(ExitCode.FENCED, str(error))
        if error is not None:
            # Its outcome is unknown and memory is ahead of the store: only a restore knows what was confirmed.
            end_process(ExitCode.BROKEN, f"task {self.partition}: the commit failed; ending", error=error)
        self._working = None
        self.is_busy = False
        if done.result():
            on_done()


@dataclass(slots=True)
class Tasks:
    """The tasks of this worker: assigned, given turns, revoked. All on the worker's main loop."""

    make_engine: EngineFactory
    make_store: Callable[[int], Store]
    changelog: Changelog
    commit: Commit
    inputs: Collection[str]
    dead_share: DeadShare
    metrics: Metrics
    stop: Callable[[ExitCode, str], None]
    """Stops the worker in good order, with this exit code and line."""
    on_free: Callable[[], None] = lambda: None
    """Called when a task has become free again."""
    on_stepped: Callable[[], None] = lambda: None
    """Called when no step is at work any more."""
    held: dict[int, Task] = field(default_factory=dict)
    parked: dict[int, Task] = field(default_factory=dict)
    """Given up in the rebalance under way; taken up again if they come back and nobody wrote meanwhile."""
    _moving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _at_work: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One step at a time: two in turns would both be late."""
    _is_closed: bool = False

    async def assign(self, partitions: Iterable[int]) -> None:
        """Takes tasks over: as they were parked, or restored. Ends the process if the state cannot be restored.

        Whatever fails here must end the process: the group believes that the tasks are being worked on.
        """
        async with self._moving:
            if not self._is_closed:
                await self._assign(sorted(partitions))

    async def _assign(self, wanted: Sequence[int]) -> None:
        started_s = time.perf_counter()
        self.metrics.restoring({})
        kept = await self._unchanged(wanted)
        await self._let_go([partition for partition in self.parked if partition not in kept])
        missing = [partition for partition in wanted if partition not in kept]
        # Restored ones first, and none held before all are there.
        restored = await self._restored(missing)
        self.held = {partition: kept.get(partition) or restored[partition] for partition in wanted}
        self.parked = {}
        self.metrics.restored(time.perf_counter() - started_s, tasks=self.held.keys())

    async def park_all(self) -> None:
        """Finishes the work in hand and gives all tasks up; turns still on their way come to nothing."""
        await self.drain()
        for task in self.held.values():
            task.end_tenure()
        self.parked, self.held = {**self.parked, **self.held}, {}
        self.metrics.let_go()
        hit(Point.PARKED)

    async def close(self) -> None:
        """Gives everything up for good; a restore under way comes to its end first."""
        self._is_closed = True
        async with self._moving:
            await self.park_all()
            await self._let_go(list(self.parked))

    async def drain(self) -> None:
        """Waits for all work under way, also of turns that are taken meanwhile."""
        while any(task.is_working for task in self.held.values()):
            await asyncio.gather(*(task.settled() for task in self.held.values()))

    def ready(self, now_s: float) -> list[Task]:
        """Those that may be given a batch, the one whose last turn is longest ago first. None while a step is at work:
        what is taken when it is done is fresher."""
        if self._are_stepping():
            return []
        ready = [task for task in self.held.values() if task.is_ready(now_s)]
        return sorted(ready, key=lambda task: task.turned_at_s)

    def _are_stepping(self) -> bool:
        return any(task.is_stepping for task in self.held.values())

    def take(self, turn: Turn) -> None:
        """What the agent does with a turn: process it and commit, in the background."""
        if turn.tenure == turn.task.tenure:
            turn.task.start(self._do(turn), on_done=self.on_free)

    async def _do(self, turn: Turn) -> bool:
        """False if there was nothing to do: nobody need hear at once that an idle task is free again."""
        task = turn.task
        async with self._at_work:
            effects = await task.process(turn)
        if not self._are_stepping():
            self.on_stepped()
        self.metrics.took_batch(
            task.partition, {topic: len(rs) for topic, rs in turn.records.items()}, effects.counts
        )
        if _is_void(turn, effects):
            return False
        if self._is_flood(turn, effects):
            # Its state is ahead of its store for good: it must not be taken up again as it is.
            task.end_tenure()
            del self.held[task.partition]
            self.stop(ExitCode.TOO_MANY_DEAD, flood_line(effects.dead))
        else:
            await task.commit(effects)
        return True

    async def _unchanged(self, wanted: Collection[int]) -> dict[int, Task]:
        candidates = [partition for partition in wanted if partition in self.parked]
        ends = await self.changelog.ends(candidates)
        return {
            partition: self.parked[partition]
            for partition in candidates
            if self.parked[partition].changelog_end == ends[partition]
        }

    async def _let_go(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self.parked.pop(partition).close()
        await asyncio.gather(*(self.commit.close(partition) for partition in partitions))

    async def _restored(self, partitions: Iterable[int]) -> dict[int, Task]:
        stores = {partition: self.make_store(partition) for partition in partitions}
        # Fence first, then read: the other way round an earlier owner could still append behind what was read.
        await asyncio.gather(*(self.commit.open(partition) for partition in stores))
        hit(Point.OPENED)
        try:
            restored = await self.changelog.restore(stores, on_progress=self.metrics.restoring)
        except ChangelogTruncated as error:
            end_process(ExitCode.LOST, str(error))
        except StateTooNew as error:
            end_process(ExitCode.BROKEN, str(error))
        tasks: dict[int, Task] = {}
        for partition, store in stores.items():
            tasks[partition] = Task(
                partition,
                self.make_engine(partition, store),
                store=store,
                restored=restored[partition],
                commit=self.commit,
                metrics=self.metrics,
            )
            # An engine looks through its state: the loop must be seen to run in between.
            self.metrics.restoring({partition: 1.0})
            await asyncio.sleep(0)
        hit(Point.RESTORED)
        await asyncio.gather(*(self._carry_out(task, restored[at].plan) for at, task in tasks.items()))
        return tasks

    async def _carry_out(self, task: Task, plan: Plan | None) -> None:
        """An earlier owner may have sent half of a batch: nothing else may come of those records."""
        if plan is None:
            return
        try:
            records = await self.changelog.read_again(task.partition, plan)
        except PlanLost as error:
            log.warning("task %d: a batch cannot be done again as it was begun: %s", task.partition, error)
            return
        await task.carry_out(plan, records)

    def _is_flood(self, turn: Turn, effects: Effects) -> bool:
        # A dead letter may have come through the inbox too, whose clocks would thin it out if they counted.
        read = sum(len(records) for topic, records in turn.records.items() if topic in self.inputs)
        return self.dead_share.is_exceeded(read, len(effects.dead))


def _is_void(turn: Turn, effects: Effects) -> bool:
    """True when nothing was read and nothing is to be written."""
    return not (turn.positions or effects.outputs or effects.inbox or effects.changes or effects.dead)
