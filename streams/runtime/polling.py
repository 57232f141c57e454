"""The aiokafka consumer in Faust's consumer thread: batches by task out of what was fetched, seeks, reports.

Its options differ from Faust's: read_committed; a task assignor; our own fetches (see `fetching`); and an error
instead of a silent jump when an input was trimmed. Must not know what is done with a batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.runtime.assignor import TaskAssignor, UnequalTopics
from streams.runtime.bell import end_wait
from streams.runtime.ending import ExitCode, end_process
from streams.runtime.engine import Record
from streams.runtime.fetch_sources import FetchPace
from streams.runtime.fetching import Fetching
from streams.runtime.group_patience import be_patient
from streams.runtime.heartbeats import beat_while_assigned
from streams.runtime.metrics import Phase
from streams.runtime.task import Pace
from streams.runtime.wiring import Wiring

__all__ = ["ConsumerThread", "Taken"]

log = logging.getLogger(__name__)

Result = TypeVar("Result")

FETCH_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class Taken:
    """What one poll took for one task."""

    records: dict[str, list[Record]] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
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

    consumer: Any
    """The `BatchConsumer` this thread works for."""
    _fetching: Fetching
    _wakeable: asyncio.Future[None] | None = None
    _is_woken = False
    _working: set[asyncio.Task[Any]]

    async def on_start(self) -> None:
        """Starts the consumer, with our own fetches."""
        self._working = set()
        await super().on_start()
        consumer = self._ensure_consumer()
        wiring: Wiring = self.consumer.wiring
        if wiring.traits.is_patience_needed:
            be_patient(consumer)
        beat_while_assigned(consumer)
        pace = FetchPace(
            most_bytes=FETCH_BYTES,
            each_bytes=max(wiring.pace.batch_bytes, 1024 * 1024),
            wait_ms=wiring.traits.fetch_wait_ms,
            # Twice while a task rests: what a batch takes is then no older than half of that.
            gap_s=wiring.pace.poll_s / 2,
            buffer_bytes=wiring.pace.buffer_bytes,
        )
        self._fetching = await Fetching.in_place_of_stock(consumer, pace)

    def _create_worker_consumer(self, transport: Any) -> Any:
        conf = self.app.conf
        wiring: Wiring = self.consumer.wiring
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[_Assignor(lambda: self.consumer.last_tasks, wiring.partitions)],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
        )

    @property
    def is_serving(self) -> bool:
        """Whether anybody is there to be called: not before the thread has started. A stop may come sooner."""
        return self.thread_loop.is_running()

    def wake(self) -> None:
        """Ends a poll that is waiting. From any thread."""
        self.thread_loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._is_woken = True
        if self._wakeable is not None:
            end_wait(self._wakeable)

    async def _called(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the work returns, done on the thread's loop. Faust's queue for this makes four tasks of a call."""
        outcome: asyncio.Future[Result] = self.parent_loop.create_future()

        def settle(done: asyncio.Task[Result]) -> None:
            self._working.discard(done)
            self.parent_loop.call_soon_threadsafe(_settle, outcome, done)

        def begin() -> None:
            task = self.thread_loop.create_task(work)
            self._working.add(task)
            task.add_done_callback(settle)

        self.thread_loop.call_soon_threadsafe(begin)
        return await outcome

    async def take(
        self, wanted: Mapping[int, Collection[str]], *, pace: Pace, inputs: Collection[str], wait_s: float
    ) -> dict[int, Taken]:
        """For the first task of whose wanted topics something has been fetched, all that was, bounded by the pace; one
        waits only while there is nothing at all. Others of which something is there are left out."""
        return await self._called(self._take(wanted, pace, inputs=inputs, wait_s=wait_s))

    async def _take(
        self, wanted: Mapping[int, Collection[str]], pace: Pace, *, inputs: Collection[str], wait_s: float
    ) -> dict[int, Taken]:
        subscriptions = self._ensure_consumer()._subscription
        if not self.consumer.flow_active:
            return {}
        # Tells aiokafka's heartbeat that somebody polls.
        with subscriptions.fetch_context():
            if subscriptions.reassignment_in_progress:
                await subscriptions.wait_for_assignment()
            if wait_s > 0 and not any(self._fetching.ready(at, topics) for at, topics in wanted.items()):
                await self._wait_for_records(wait_s, is_wakeable=True)
            self._is_woken = False
            waiting = [at for at, topics in wanted.items() if self._fetching.ready(at, topics)]
            taken = {at: Taken() for at in wanted if at not in waiting}
            if waiting:
                taken[waiting[0]] = await self._fill(waiting[0], wanted[waiting[0]], pace)
        for partition, got in taken.items():
            caught_up = self._fetching.caught_up(partition, wanted[partition])
            got.caught_up = {topic: at for topic, at in caught_up.items() if topic in inputs}
        return taken

    async def _fill(self, partition: int, topics: Collection[str], pace: Pace) -> Taken:
        """A batch; not to be woken, since a task that became free can wait for it."""
        got = Taken()
        deadline_s = time.monotonic() + pace.poll_s
        while True:
            # It never suspends, so the time of this thread is its own.
            with self.consumer.wiring.metrics.phase(Phase.POLL):
                self._take_for(partition, topics, pace=pace, into=got)
            left_s = deadline_s - time.monotonic()
            # A fetch may bring but one small batch of each partition; a commit costs more than the next fetch.
            if got.is_full or left_s <= 0 or not self._fetching.is_behind(partition, topics):
                return got
            await self._wait_for_records(left_s, is_wakeable=False)

    async def _wait_for_records(self, wait_s: float, *, is_wakeable: bool) -> None:
        if is_wakeable and self._is_woken:
            return
        # Made by aiokafka, so that it can hand us what is wrong with the group.
        waiter = self._ensure_consumer()._fetcher._create_fetch_waiter()
        timer = self.thread_loop.call_later(wait_s, end_wait, waiter)
        if is_wakeable:
            self._wakeable = waiter
        try:
            await waiter
        finally:
            self._wakeable = None
            timer.cancel()

    def _take_for(self, partition: int, topics: Collection[str], *, pace: Pace, into: Taken) -> None:
        # Those taken longest ago first, so that no topic of the task starves another.
        subscriptions = self._ensure_consumer()._fetcher._subscriptions
        if not self._fetching.ready(partition, topics):
            return
        for topic in self._fetching.ready(partition, self.consumer.wiring.topics.read):
            if not self.consumer.flow_active or subscriptions.reassignment_in_progress:
                # Whoever asked was overtaken by a rebalance.
                return
            room = pace.batch_records - into.count
            if room <= 0 or into.size_bytes >= pace.batch_bytes:
                break
            records = self._fetching.take(topic, partition, room=room)
            # Also without records: markers of transactions, and what was aborted, are behind us now.
            position = self._fetching.position(topic, partition)
            if position is not None:
                into.positions[topic] = position
            if records:
                into.records.setdefault(topic, []).extend(records)
                into.count += len(records)
                into.size_bytes += sum([len(record.value) for record in records if record.value is not None])
        into.is_full = into.count >= pace.batch_records or into.size_bytes >= pace.batch_bytes

    async def lags(self) -> tuple[dict[tuple[str, int], int], int]:
        """Records that can be read and were not taken, where the broker has told; when the last fetch was sent that it
        answered."""
        return await self._called(self._lags())

    async def _lags(self) -> tuple[dict[tuple[str, int], int], int]:
        # Faust asks at its commit interval, and does not wait until this thread has started.
        fetching: Fetching | None = getattr(self, "_fetching", None)
        return fetching.lags() if fetching is not None else ({}, 0)

    async def report(self, positions: Mapping[TP, int]) -> None:
        """Commits positions to the group. They decide nothing, so a refusal is no failure."""
        await self._called(self._report(positions))

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
        await self._called(self._go_to(positions, others))

    async def _go_to(self, positions: Mapping[TP, int], others: Collection[TP]) -> None:
        consumer = self._ensure_consumer()
        unknown = [TopicPartition(*tp) for tp in others]
        beginnings = await consumer.beginning_offsets(unknown) if unknown else {}
        told = await asyncio.gather(*(consumer.committed(tp) for tp in unknown))
        for tp, offset in zip(unknown, told, strict=True):
            consumer.seek(tp, beginnings[tp] if offset is None else offset)
        for tp, offset in positions.items():
            consumer.seek(TopicPartition(*tp), offset)
        self._fetching.seeked()


def _settle(outcome: asyncio.Future[Result], done: asyncio.Task[Result]) -> None:
    if outcome.done():
        return
    if done.cancelled():
        # The thread stops, and the worker with it.
        outcome.cancel()
    elif (error := done.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(done.result())
