"""The aiokafka consumer in Faust's consumer thread: batches by task out of what was fetched, seeks, reports.

Its options differ from Faust's: read_committed; a task assignor; short fetches, because a fetch that waits holds up
every partition that is not part of it; and an error instead of a silent jump when an input was trimmed. Must not know
what is done with a batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.runtime.assignor import TaskAssignor, UnequalTopics
from streams.runtime.ending import ExitCode, end_process
from streams.runtime.engine import Record
from streams.runtime.fetch_budget import keep_to_budget
from streams.runtime.group_patience import be_patient
from streams.runtime.metrics import Phase
from streams.runtime.task import Pace
from streams.runtime.wiring import Wiring

__all__ = ["ConsumerThread", "Taken"]

log = logging.getLogger(__name__)

FETCH_BYTES = 8 * 1024 * 1024


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

    consumer: Any
    """The `BatchConsumer` this thread works for."""
    _sent_ms: dict[TopicPartition, tuple[Any, int]]
    _woken: asyncio.Event

    async def on_start(self) -> None:
        """Starts the consumer, and times its fetches."""
        self._sent_ms = {}
        self._woken = asyncio.Event()
        await super().on_start()
        consumer = self._ensure_consumer()
        if self.consumer.wiring.traits.is_patience_needed:
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
            if not await keep_to_budget(
                fetcher, request, budget_bytes=self.consumer.wiring.pace.buffer_bytes
            ):
                return False
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
                await self._wait_for_records(fetcher, wait_s, is_wakeable=True)
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
                # Not to be woken: a task that became free can wait for the others' batches to fill.
                await self._wait_for_records(fetcher, left_s, is_wakeable=False)
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

    async def _wait_for_records(self, fetcher: Any, wait_s: float, *, is_wakeable: bool) -> None:
        waiter = fetcher._create_fetch_waiter()
        woken = [asyncio.ensure_future(self._woken.wait())] if is_wakeable else []
        await asyncio.wait([waiter, *woken], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in woken:
            wait.cancel()
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

    async def lags(self, tps: Iterable[TP]) -> tuple[dict[tuple[str, int], int], int]:
        """Records that can be read and were not taken, where the broker has told; when the last fetch was sent that it
        answered."""
        return cast(tuple[dict[tuple[str, int], int], int], await self.call_thread(self._lags, list(tps)))

    async def _lags(self, tps: Iterable[TP]) -> tuple[dict[tuple[str, int], int], int]:
        assignment = self._ensure_consumer()._fetcher._subscriptions.subscription.assignment
        found: dict[tuple[str, int], int] = {}
        for tp in tps:
            state = assignment.state_value(tp)
            if state is not None and state.highwater is not None and state.has_valid_position:
                # What lies behind an open transaction cannot be read by anybody.
                end = state.highwater if state.lso is None else min(state.highwater, state.lso)
                found[tp.topic, tp.partition] = max(0, end - state.position)
        return found, max((sent_ms for _, sent_ms in self._sent_ms.values()), default=0)

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
