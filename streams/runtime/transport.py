"""Faust's aiokafka driver, made to hand out one batch per task and poll, and to leave commits to `commit`.

Faust keeps the group, the threads and the order of a rebalance. What is replaced, and why:

- `getmany`: yields turns, not records, and only for tasks that are free: the poll is the backpressure.
- `_drain_messages`: the loop around it, without what Faust does for single records.
- `commit`: reports positions that are already committed elsewhere, for those who watch lag. Faust's own would commit
  what was handed out, processed or not.
- `perform_seek`: goes to where the restored state says, not to the group's offsets.
- The thread with the aiokafka consumer: see `polling`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, cast

from aiokafka.errors import OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.runtime.bell import Bell
from streams.runtime.ending import ExitCode, end_process
from streams.runtime.failpoints import Point, hit
from streams.runtime.polling import ConsumerThread, Taken
from streams.runtime.produce_protocol import send_unjoined
from streams.runtime.task import Turn
from streams.runtime.wiring import Wiring
from streams.runtime.worker import spare_garbage_collector

__all__ = ["BatchConsumer", "BatchProducer", "BatchTransport"]

LAG_EVERY_S = 1.0


class BatchConsumer(driver.Consumer):
    """Faust's consumer, with turns of tasks in place of records. Runs on the worker's main loop.

    Delivery: hands a record out again only after a rebalance or restart, from the position its task's state reflects.
    """

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wiring: Wiring = cast(BatchTransport, self.transport).wiring
        self._shards = self.wiring.tasks
        self._noted: dict[TP, int] = {}
        self._freed = Bell()
        self._lag_at = 0.0
        self.last_tasks: tuple[int, ...] = ()
        self._shards.on_free, self._shards.on_stepped = self._wake, self._freed.ring

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _wake(self) -> None:
        self._freed.ring()
        self._thread.wake()

    def note(self, partition: int, positions: Mapping[str, int]) -> None:
        """Committed positions of a task, for the next report to the group."""
        for topic, offset in positions.items():
            self._noted[TP(topic, partition)] = offset

    # -- turns

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hands turns to the agent for as long as Faust's fetcher lives. Stock: five tasks and timeouts a record."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                async for _, message in self.getmany(1.0):
                    await self.callback(message)
        except asyncio.CancelledError:
            # Only a stop cancels it. Within a rebalance Faust would take that for a crash, which ends the process.
            return

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """The turns that are ready now: a batch for one task, and idle turns for others; waits up to some 0.2 s."""
        if not self.flow_active:
            await self.wait_first(self.can_resume_flow.wait())
            return
        now_s = time.monotonic()
        ready = self._shards.ready(now_s)
        if not ready:
            await self._nap(now_s, timeout)
            return
        generation = self.app.consumer_generation_id
        hearing = {task.partition for task in ready if task.hears(now_s)}
        wait_s = min([task.due_in_s(now_s) for task in ready])
        taken = await self._poll([task.partition for task in ready], hearing, wait_s=wait_s)
        if self._is_over(generation):
            return
        now_s = time.monotonic()
        for task in ready:
            got = taken.get(task.partition)
            if got is not None and (got.positions or task.is_due(now_s)):
                # A full batch means more is waiting: go on at once. Otherwise let the next one fill: commits cost.
                rest_s = 0.0 if got.is_full else self.wiring.pace.poll_s
                has_heard = task.partition in hearing or self.wiring.topics.inbox in got.positions
                task.hand_out(now_s, rest_s=rest_s, has_heard=has_heard)
                yield self._enveloped(
                    Turn(task, got.records, got.caught_up, tenure=task.tenure, positions=got.positions)
                )

    def _is_over(self, generation: int) -> bool:
        """True when a rebalance or a stop has begun since: what was taken will be read again."""
        return not self.flow_active or self.should_stop or generation != self.app.consumer_generation_id

    async def _poll(
        self, ready: Sequence[int], hearing: Collection[int], *, wait_s: float
    ) -> dict[int, Taken]:
        topics = self.wiring.topics
        wanted = {partition: topics.read if partition in hearing else topics.inputs for partition in ready}
        inputs = frozenset(topics.inputs) if self.wiring.is_live else frozenset()
        try:
            return await self._thread.take(wanted, pace=self.wiring.pace, inputs=inputs, wait_s=wait_s)
        except OffsetOutOfRangeError as error:
            end_process(ExitCode.LOST, f"the broker dropped records before they were read: {error}")

    async def _nap(self, now_s: float, longest_s: float) -> None:
        """Until a step is done, or a task is free or has rested, whichever is first."""
        resting = [task.ready_in_s(now_s) for task in self._shards.held.values() if not task.is_busy]
        # Not at all, if one has rested: then a step is at work, and its end is waited for.
        await self._freed.wait(min([rest_s for rest_s in resting if rest_s > 0], default=longest_s))

    def _enveloped(self, turn: Turn) -> tuple[TP, ConsumerMessage]:
        # The inbox stands for all topics of the task. Offset 0 always: Faust compares offsets to drop what it has
        # seen and to find gaps, neither of which means anything for a turn.
        tp = TP(self.wiring.topics.inbox, turn.task.partition)
        message = ConsumerMessage(
            *tp,
            0,
            0.0,
            0,
            [],
            None,
            cast(Any, turn),
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )
        return tp, message

    def ack(self, message: Any) -> bool:
        """Lets go of a turn; positions are committed with its effects, not here."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    # -- rebalance

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Restores the tasks before anything is fetched for them."""
        partitions = sorted({tp.partition for tp in assigned})
        try:
            await self._shards.assign(partitions)
        except Exception as error:
            # aiokafka would log it and go on, with tasks that nobody works on.
            end_process(ExitCode.BROKEN, f"tasks {partitions} could not be taken over", error=error)
        spare_garbage_collector()
        self.last_tasks = tuple(partitions)
        await super().on_partitions_assigned(assigned, generation_id)
        hit(Point.ASSIGNED)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finishes the commits in hand, then lets the tasks go."""
        self.stop_flow()
        hit(Point.REVOKED)
        await self._shards.drain()
        await self.commit()
        await super().on_partitions_revoked(revoked)
        await self._shards.park_all()

    async def perform_seek(self) -> None:
        """To where the restored state of each task says."""
        known: dict[TP, int] = {}
        others: set[TP] = set()
        for tp in self.assignment():
            task = self._shards.held.get(tp.partition)
            if task is not None and tp.topic in task.positions:
                known[tp] = task.positions[tp.topic]
            else:
                others.add(tp)
        await self._thread.go_to(known, others)
        for partition, task in self._shards.held.items():
            self._shards.commit.resume(partition, task.positions)

    async def wait_empty(self) -> None:
        """Before a stop or a rebalance: until what is being committed is committed, and reported."""
        await self._shards.drain()
        await self.commit()

    # -- what Faust does every `broker_commit_interval`

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Reports positions to the group, and lag to the metrics."""
        if not self._thread.is_serving:
            return False
        noted, self._noted = self._noted, {}
        if noted:
            await self._thread.report(noted)
        now_s = time.monotonic()
        if now_s - self._lag_at >= LAG_EVERY_S and self.flow_active:
            self._lag_at = now_s
            self.wiring.metrics.lags(*await self._thread.lags())
        return False

    async def verify_all_partitions_active(self) -> None:
        """Faust's check of single records' progress; turns have none."""


class BatchProducer(driver.Producer):
    """Faust's producer with its aiokafka client opened up: whole batches go out through that."""

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        send_unjoined(producer)
        return producer

    @property
    def client(self) -> Any:
        """The running aiokafka producer."""
        return self._ensure_producer()

    def _settings_extra(self) -> Mapping[str, Any]:
        # Idempotent: a request repeated after a broken connection can neither double nor reorder a batch.
        return {"acks": "all", "enable_idempotence": True}


class BatchTransport(driver.Transport):
    """The driver as a whole."""

    Consumer = BatchConsumer
    Producer = BatchProducer
    wiring: Wiring
