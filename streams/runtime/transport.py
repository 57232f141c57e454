"""Faust's aiokafka driver, made to hand out one batch per task and poll, and to leave commits to `commit`.

Faust keeps the group, the threads and the order of a rebalance. What is replaced, and why:

- `getmany`: yields turns, not records, and only for tasks that are free: the poll is the backpressure.
- `commit`: reports positions that are already committed elsewhere, for those who watch lag. Faust's own would commit
  what was handed out, processed or not.
- `perform_seek`: goes to where the restored state says, not to the group's offsets.
- The aiokafka consumer: read_committed, a task assignor, short fetches (a fetch that waits holds up every partition
  that is not part of it), and an error instead of a silent jump when an input was trimmed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import aiokafka
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.runtime.assignor import TaskAssignor, UnequalTopics
from streams.runtime.broker_traits import BrokerTraits
from streams.runtime.commit import TaskTopics
from streams.runtime.ending import ExitCode, end_process
from streams.runtime.engine import Record
from streams.runtime.group_patience import be_patient
from streams.runtime.metrics import Metrics, Phase
from streams.runtime.task import Pace, Tasks, Turn

__all__ = ["BatchConsumer", "BatchProducer", "BatchTransport", "Wiring"]

log = logging.getLogger(__name__)

FETCH_BYTES = 8 * 1024 * 1024
LAG_EVERY_S = 1.0


@dataclass(slots=True)
class Wiring:
    """What the transport needs to know of the worker around it; set once, before the app starts."""

    tasks: Tasks
    topics: TaskTopics
    partitions: int
    pace: Pace
    metrics: Metrics
    traits: BrokerTraits
    is_live: bool


@dataclass(slots=True)
class Taken:
    """What one poll took for one task."""

    records: dict[str, list[Record]] = field(default_factory=dict)
    caught_up: dict[str, int] = field(default_factory=dict)
    count: int = 0
    size_bytes: int = 0
    is_full: bool = False


class _Assignor(TaskAssignor):
    """Unequal topics end the worker: nobody would ever be assigned anything."""

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return super().assign(cluster, members)
        except UnequalTopics as error:
            end_process(ExitCode.BROKEN, str(error))


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The aiokafka consumer in Faust's consumer thread. Methods with an underscore run on that thread's loop."""

    consumer: BatchConsumer
    _sent_ms: dict[TopicPartition, tuple[Any, int]]
    _woken: asyncio.Event

    async def on_start(self) -> None:
        """Starts the consumer, and times its fetches."""
        self._sent_ms = {}
        self._woken = asyncio.Event()
        await super().on_start()
        consumer = self._ensure_consumer()
        if cast(BatchTransport, self.transport).wiring.traits.is_patience_needed:
            be_patient(consumer)
        fetcher = consumer._fetcher
        # A partition whose task is busy committing must not hold up the fetches of all others (stock: 0.1 s).
        fetcher._prefetch_backoff = 0
        self._time_fetches(fetcher)

    def _time_fetches(self, fetcher: Any) -> None:
        """Remembers, with each end offset the broker shows, when the fetch that showed it was *sent*.

        aiokafka's own `last_poll_timestamp` is when the answer came: a record that arrived in between would be taken
        for read.
        """
        stock = fetcher._proc_fetch_request

        async def timed(assignment: Any, node_id: int, request: Any) -> bool:
            asked = [TopicPartition(topic, p) for topic, ps in request.topics for p, *_ in ps]
            states = {tp: assignment.state_value(tp) for tp in asked}
            for state in states.values():
                state.timestamp = None
            sent_ms = time.time_ns() // 1_000_000
            has_new = await stock(assignment, node_id, request)
            for tp, state in states.items():
                if state.timestamp is not None:
                    self._sent_ms[tp] = (assignment, sent_ms)
            return cast(bool, has_new)

        fetcher._proc_fetch_request = timed

    def _create_worker_consumer(self, transport: Any) -> Any:
        conf = self.app.conf
        wiring: Wiring = transport.wiring
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[_Assignor(lambda: self.consumer.last_tasks, wiring.partitions)],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=max(wiring.pace.batch_bytes, 1024 * 1024),
            fetch_max_bytes=FETCH_BYTES,
            fetch_max_wait_ms=wiring.traits.fetch_wait_ms,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
        )

    def wake(self) -> None:
        """Ends a poll that is waiting. From any thread."""
        self.thread_loop.call_soon_threadsafe(self._woken.set)

    async def take(
        self, wanted: Mapping[int, Collection[TP]], *, pace: Pace, inputs: Collection[str], wait_s: float
    ) -> dict[int, Taken]:
        """For each task what has been fetched for it, bounded by the pace; waits only while there is nothing at all."""
        return cast(
            dict[int, Taken], await self.call_thread(self._take, wanted, pace, inputs=inputs, wait_s=wait_s)
        )

    async def _take(
        self, wanted: Mapping[int, Collection[TP]], pace: Pace, *, inputs: Collection[str], wait_s: float
    ) -> dict[int, Taken]:
        fetcher = self._ensure_consumer()._fetcher
        if not self.consumer.flow_active:
            return {}
        taken = {partition: Taken() for partition in wanted}
        with fetcher._subscriptions.fetch_context():
            if wait_s > 0 and not any(tp in fetcher._records for tps in wanted.values() for tp in tps):
                await self._wait_for_records(fetcher, wait_s)
            self._woken.clear()
            deadline_s = time.monotonic() + pace.poll_s
            while True:
                for partition, tps in wanted.items():
                    await self._take_for(fetcher, tps, pace=pace, into=taken[partition])
                behind = [tps for partition, tps in wanted.items() if not taken[partition].is_full]
                left_s = deadline_s - time.monotonic()
                # A fetch may bring but one small batch of each partition; a commit costs more than the next fetch.
                if left_s <= 0 or not any(self._is_behind(fetcher, tps) for tps in behind):
                    break
                await self._wait_for_records(fetcher, left_s)
            for partition, tps in wanted.items():
                taken[partition].caught_up = self._caught_up(
                    fetcher, [tp for tp in tps if tp.topic in inputs]
                )
        return taken

    @staticmethod
    def _is_behind(fetcher: Any, tps: Iterable[TP]) -> bool:
        """True if the broker has shown records of these partitions that were not taken."""
        assignment = fetcher._subscriptions.subscription.assignment
        for tp in tps:
            state = assignment.state_value(tp)
            if state is not None and state.has_valid_position and state.position < (state.highwater or 0):
                return True
        return False

    async def _wait_for_records(self, fetcher: Any, wait_s: float) -> None:
        waiter = fetcher._create_fetch_waiter()
        woken = asyncio.ensure_future(self._woken.wait())
        await asyncio.wait([waiter, woken], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()
        if waiter.done():
            waiter.result()
        else:
            waiter.cancel()

    async def _take_for(self, fetcher: Any, tps: Collection[TP], *, pace: Pace, into: Taken) -> None:
        # In the order of fetching, so that no topic of the task starves another.
        for tp in [tp for tp in fetcher._records if tp in tps]:
            room = pace.batch_records - into.count
            into.is_full = room <= 0 or into.size_bytes >= pace.batch_bytes
            if into.is_full:
                return
            # Without a timeout it never suspends, so the time of this thread is its own.
            with self.consumer.wiring.metrics.phase(Phase.POLL):
                records = (await fetcher.fetched_records({tp}, timeout=0, max_records=room)).get(tp)
            if records:
                into.records.setdefault(tp.topic, []).extend(records)
                into.count += len(records)
                into.size_bytes += sum([record.serialized_value_size for record in records])
        into.is_full = into.count >= pace.batch_records or into.size_bytes >= pace.batch_bytes

    def _caught_up(self, fetcher: Any, tps: Iterable[TP]) -> dict[str, int]:
        """Input topic -> when the fetch was sent that showed an end we have reached."""
        assignment = fetcher._subscriptions.subscription.assignment
        reached: dict[str, int] = {}
        for tp in tps:
            state = assignment.state_value(tp)
            sent_with, sent_ms = self._sent_ms.get(tp, (None, 0))
            if state is None or sent_with is not assignment or not state.has_valid_position:
                continue
            if state.position >= state.highwater:
                reached[tp.topic] = sent_ms
        return reached

    async def lags(self, tps: Iterable[TP]) -> dict[int, int]:
        """Records in Kafka that were not taken, by partition; where the broker has told."""
        return cast(dict[int, int], await self.call_thread(self._lags, list(tps)))

    async def _lags(self, tps: Iterable[TP]) -> dict[int, int]:
        assignment = self._ensure_consumer()._fetcher._subscriptions.subscription.assignment
        found: dict[int, int] = {}
        for tp in tps:
            state = assignment.state_value(tp)
            if state is not None and state.highwater is not None and state.has_valid_position:
                lag = max(0, state.highwater - state.position)
                found[tp.partition] = found.get(tp.partition, 0) + lag
        return found

    async def report(self, positions: Mapping[TP, int]) -> None:
        """Commits positions to the group. They decide nothing, so a refusal is no failure."""
        await self.call_thread(self._report, positions)

    async def _report(self, positions: Mapping[TP, int]) -> None:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        offsets = {
            TopicPartition(*tp): OffsetAndMetadata(at, "") for tp, at in positions.items() if tp in assigned
        }
        if not offsets:
            return
        try:
            await consumer.commit(offsets)
        except KafkaError as error:
            log.debug("positions were not reported to the group: %r", error)

    async def go_to(self, positions: Mapping[TP, int], others: Collection[TP]) -> None:
        """Seeks the given positions; the others go to the group's offset, or else to the beginning."""
        await self.call_thread(self._go_to, positions, others)

    async def _go_to(self, positions: Mapping[TP, int], others: Collection[TP]) -> None:
        consumer = self._ensure_consumer()
        unknown = [TopicPartition(*tp) for tp in others]
        beginnings = await consumer.beginning_offsets(unknown) if unknown else {}
        told = await asyncio.gather(*(consumer.committed(tp) for tp in unknown))
        for tp, offset in zip(unknown, told, strict=True):
            consumer.seek(tp, beginnings[tp] if offset is None else offset)
        for tp, offset in positions.items():
            consumer.seek(TopicPartition(*tp), offset)


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
        self._freed = asyncio.Event()
        self._lag_at = 0.0
        self.last_tasks: tuple[int, ...] = ()
        self._shards.on_free = self._wake

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _wake(self) -> None:
        self._freed.set()
        self._thread.wake()

    def note(self, partition: int, positions: Mapping[str, int]) -> None:
        """Committed positions of a task, for the next report to the group."""
        for topic, offset in positions.items():
            self._noted[TP(topic, partition)] = offset

    # -- turns

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """The turns that are ready now, one a task; waits up to some 0.2 s for the first."""
        if not self.flow_active:
            await self.wait_first(self.can_resume_flow.wait())
            return
        now_s = time.monotonic()
        ready = [task for task in self._shards.held.values() if task.is_ready(now_s)]
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
            got = taken.get(task.partition, Taken())
            if got.records or task.is_due(now_s):
                # A full batch means more is waiting: go on at once. Otherwise let the next one fill: commits cost.
                rest_s = 0.0 if got.is_full else self.wiring.pace.poll_s
                task.hand_out(now_s, rest_s=rest_s, has_heard=task.partition in hearing)
                yield self._enveloped(Turn(task, got.records, got.caught_up, tenure=task.tenure))

    def _is_over(self, generation: int) -> bool:
        """True when a rebalance or a stop has begun since: what was taken will be read again."""
        return not self.flow_active or self.should_stop or generation != self.app.consumer_generation_id

    async def _poll(
        self, ready: Sequence[int], hearing: Collection[int], *, wait_s: float
    ) -> dict[int, Taken]:
        topics = self.wiring.topics
        wanted = {
            partition: {
                TP(topic, partition) for topic in (topics.read if partition in hearing else topics.inputs)
            }
            for partition in ready
        }
        inputs = frozenset(topics.inputs) if self.wiring.is_live else frozenset()
        try:
            return await self._thread.take(wanted, pace=self.wiring.pace, inputs=inputs, wait_s=wait_s)
        except OffsetOutOfRangeError as error:
            end_process(ExitCode.LOST, f"the broker dropped records before they were read: {error}")

    async def _nap(self, now_s: float, longest_s: float) -> None:
        """Until a task is free or has rested, whichever is first."""
        resting = [task.ready_in_s(now_s) for task in self._shards.held.values() if not task.is_busy]
        self._freed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._freed.wait(), timeout=min([*resting, longest_s]))

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
        await self._shards.assign(partitions)
        self.last_tasks = tuple(partitions)
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finishes the commits in hand, then lets the tasks go."""
        self.stop_flow()
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
            # The group may have been told less: a report is refused during a rebalance, and lost with a crash.
            self.note(partition, task.positions)

    async def wait_empty(self) -> None:
        """Before a stop or a rebalance: until what is being committed is committed, and reported."""
        await self._shards.drain()
        await self.commit()

    # -- what Faust does every `broker_commit_interval`

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Reports positions to the group, and lag to the metrics."""
        noted, self._noted = self._noted, {}
        if noted:
            await self._thread.report(noted)
        now_s = time.monotonic()
        if now_s - self._lag_at >= LAG_EVERY_S and self.flow_active:
            self._lag_at = now_s
            for partition, lag in (await self._thread.lags(self.assignment())).items():
                self.wiring.metrics.lag(partition, lag)
        return False

    async def verify_all_partitions_active(self) -> None:
        """Faust's check of single records' progress; turns have none."""


class BatchProducer(driver.Producer):
    """Faust's producer with its aiokafka client opened up: whole batches go out through that."""

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
