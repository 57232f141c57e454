"""One commit of one task as one Kafka transaction: all that it wrote and how far it had read, or nothing.

Owns the transactional producers of the tasks a worker holds. Must not know what is in the records, nor which tasks the
worker ought to hold: whoever opens a task last owns it, and the broker refuses everybody before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaConnectionError,
    KafkaError,
    ProducerFenced,
    UnknownTopicOrPartitionError,
)
from aiokafka.producer import sender

from streams.runtime.batches import pack
from streams.runtime.changelog import changelog_rows
from streams.runtime.commit import Batches, Fenced, NotePositions, TaskTopics, packed
from streams.runtime.engine import Effects
from streams.runtime.failpoints import Point, hit
from streams.runtime.metrics import Metrics, Outcome, Phase
from streams.runtime.plan import Plan
from streams.runtime.produce_protocol import send_unjoined

__all__ = ["ExactlyOnce", "MakeProducer", "transactional_producers"]

log = logging.getLogger(__name__)

MakeProducer = Callable[[str], Any]
"""Transactional id to an aiokafka producer that is not started."""

_MARKER = 1
"""The commit marker takes an offset of its own behind the records of a transaction."""
_RETRY_S = 0.5
_CLOSE_S = 2.0
_REQUEST_BYTES = 32 * 1024 * 1024
_REQUEST_MS = 10_000
"""Well below any transaction's timeout: a request that a dead connection has swallowed is repeated in time."""
_BATCH_BYTES = 1024 * 1024
_FENCED = (ProducerFenced, InvalidProducerIdMapping, InvalidTxnState)

# aiokafka waits so long when a transaction begins while the markers of the last one are still being written, which
# with batches following each other is the rule. Stock: 20 ms.
sender.BACKOFF_OVERRIDE = 0.001


def transactional_producers(bootstrap_servers: str, *, transaction_timeout_s: int) -> MakeProducer:
    """Makes the producers of tasks on a broker."""

    def make(transactional_id: str) -> Any:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers,
            client_id=transactional_id,
            transactional_id=transactional_id,
            transaction_timeout_ms=transaction_timeout_s * 1000,
            acks="all",
            linger_ms=0,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_REQUEST_BYTES,
            request_timeout_ms=min(_REQUEST_MS, transaction_timeout_s * 1000 // 3),
        )
        send_unjoined(producer)
        return producer

    return make


def _is_fenced(error: Exception, producer: Any) -> bool:
    """Whether the broker refused the producer: it says so to aiokafka's sender, and what we see may only follow."""
    sender_task = producer._sender.sender_task
    has_ended = sender_task is not None and sender_task.done() and not sender_task.cancelled()
    ended_by = sender_task.exception() if has_ended else None
    reasons = [error, error.__cause__, ended_by, ended_by.__cause__ if ended_by else None]
    return any(isinstance(reason, _FENCED) for reason in reasons)


class ExactlyOnce:
    """Outputs, dead letters, inbox, state and the offsets of all inputs in one transaction a task and batch.

    1. `open`, before a task is restored: a producer with the task's transactional id starts. The broker ends what an
       earlier owner had begun and refuses whatever that owner still sends, so the restore reads the last word.
    2. `commit`: begin; send whole batches; await all acknowledgements, since a transaction commits even if a batch was
       refused; commit. Awaited, each.
    3. The caller applies the changes to its store. The group's offsets follow some 0.1 s later, for those who watch
       lag; they decide nothing.

    Delivery: exactly once for readers with `isolation.level=read_committed`; others see what a crash left behind.
    After a crash at any moment the next owner starts where the last committed transaction ended, and nothing of a
    later one is visible, so no plan is kept. Offsets are a record of the changelog, as with `AtLeastOnce`: those of
    the group would have to be added by two more requests a transaction, and they expire.
    """

    def __init__(
        self,
        make_producer: MakeProducer,
        topics: TaskTopics,
        *,
        group: str,
        note: NotePositions,
        metrics: Metrics,
        changelog_batch_bytes: int,
    ) -> None:
        self._make_producer = make_producer
        self._topics = topics
        self._group = group
        self._note = note
        self._metrics = metrics
        self._changelog_batch_bytes = changelog_batch_bytes
        self._owned: dict[int, Any] = {}

    async def open(self, partition: int) -> None:
        """From here on no earlier owner may commit for the task, and what it had committed is readable."""
        await self.close(partition)
        self._owned[partition] = await self._started(f"{self._group}-{partition}")

    async def close(self, partition: int) -> None:
        """Lets the producer go; a fenced one may not answer any more."""
        producer = self._owned.pop(partition, None)
        if producer is not None:
            with suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(producer.stop(), _CLOSE_S)

    def resume(self, partition: int, positions: Mapping[str, int]) -> None:
        """A report is refused during a rebalance, and lost with a crash."""
        self._note(partition, positions)

    async def commit(
        self, partition: int, effects: Effects, *, positions: Mapping[str, int], plan: Plan
    ) -> int:
        """See the class. Raises Fenced, or what aiokafka raises."""
        del plan
        producer = self._owned[partition]
        batches = self._batches(partition, effects, positions)
        hit(Point.PACKED)
        started_s = time.perf_counter()
        try:
            end = await self._transaction(producer, batches)
        except Exception as error:
            is_fenced = _is_fenced(error, producer)
            outcome = Outcome.FENCED if is_fenced else Outcome.ABORTED
            self._metrics.transaction(outcome, time.perf_counter() - started_s)
            if is_fenced:
                raise Fenced(
                    f"task {partition}: fenced by the broker; another worker has taken the task over, or the "
                    "transaction outlasted worker.transaction_timeout_s. Nothing of it is visible; ending"
                ) from error
            raise
        self._metrics.transaction(Outcome.COMMITTED, time.perf_counter() - started_s)
        self._note(partition, positions)
        return end

    def _batches(self, partition: int, effects: Effects, positions: Mapping[str, int]) -> Batches:
        """All batches of a commit; those of the changelog last."""
        timestamp_ms = time.time_ns() // 1_000_000
        with self._metrics.phase(Phase.PACK):
            batches = list(
                packed(
                    effects,
                    self._topics,
                    partition=partition,
                    timestamp_ms=timestamp_ms,
                    is_transactional=True,
                )
            )
            # Together they are one transaction, so changes need not fit into one batch.
            changes = pack(
                changelog_rows(effects.changes, positions),
                timestamp_ms,
                limit_bytes=self._changelog_batch_bytes,
                is_transactional=True,
            )
            return [*batches, *((self._topics.changelog, partition, batch) for batch in changes)]

    async def _transaction(self, producer: Any, batches: Batches) -> int:
        """The offset behind the changelog batch that is last, and behind its marker."""
        await producer.begin_transaction()
        hit(Point.BEGUN)
        sent = [await producer.send_batch(batch, topic, partition=to) for topic, to, batch in batches]
        hit(Point.SENDING)
        appended = await asyncio.gather(*sent)
        hit(Point.SENT)
        await producer.commit_transaction()
        hit(Point.COMMITTED)
        return int(appended[-1].offset) + int(batches[-1][2].record_count()) + _MARKER

    async def _started(self, transactional_id: str) -> Any:
        """A producer that owns the id and knows where all topics are; waits while no broker can be reached.

        A producer asks where a topic is at its first batch for it, and gives that up by the clock: one that is woken
        from a long stop would fail there before it could hear that it is fenced.
        """
        while True:
            producer = self._make_producer(transactional_id)
            try:
                await producer.start()
                await asyncio.gather(*map(producer.partitions_for, self._topics.written))
            except (KafkaConnectionError, UnknownTopicOrPartitionError) as error:
                log.warning("no broker takes over %s, trying again: %s", transactional_id, error)
                await producer.stop()
                await asyncio.sleep(_RETRY_S)
            else:
                return producer
