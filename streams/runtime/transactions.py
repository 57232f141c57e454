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
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaConnectionError,
    KafkaError,
    ProducerFenced,
)
from aiokafka.producer import sender

from streams.runtime.batches import pack
from streams.runtime.changelog import changelog_rows
from streams.runtime.commit import Batches, Fenced, TaskTopics, packed
from streams.runtime.engine import Effects
from streams.runtime.failpoints import Point, hit
from streams.runtime.metrics import Metrics, Outcome, Phase
from streams.runtime.plan import Plan

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
        return AIOKafkaProducer(
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

    return make


def _is_fenced(error: Exception, producer: Any) -> bool:
    """Whether the broker refused the producer: it says so to aiokafka's sender, and what we see may only follow."""
    sender_task = producer._sender.sender_task
    has_ended = sender_task is not None and sender_task.done() and not sender_task.cancelled()
    ended_by = sender_task.exception() if has_ended else None
    reasons = [error, error.__cause__, ended_by, ended_by.__cause__ if ended_by else None]
    return any(isinstance(reason, _FENCED) for reason in reasons)


@dataclass(slots=True)
class _Ownership:
    """The producer of a task, and what the group's offsets were set to through it."""

    producer: Any
    told: dict[str, int] = field(default_factory=dict)


class ExactlyOnce:
    """Outputs, dead letters, inbox, state, positions and the group's offsets in one transaction a task and batch.

    1. `open`, before a task is restored: a producer with the task's transactional id starts. The broker ends what an
       earlier owner had begun and refuses whatever that owner still sends, so the restore reads the last word.
    2. `commit`: begin; send whole batches; await all acknowledgements, since a transaction commits even if a batch was
       refused; add the offsets, which must not race the batches; commit. Awaited, each.
    3. The caller applies the changes to its store.

    Delivery: exactly once for readers with `isolation.level=read_committed`; others see what a crash left behind.
    After a crash at any moment the next owner starts where the last committed transaction ended, and nothing of a
    later one is visible, so no plan is kept. Positions are read from the changelog, as with `AtLeastOnce`: the group's
    offsets say the same, but they expire, and they lag behind after a crash without transactions.
    """

    def __init__(
        self,
        make_producer: MakeProducer,
        topics: TaskTopics,
        *,
        group: str,
        metrics: Metrics,
        changelog_batch_bytes: int,
    ) -> None:
        self._make_producer = make_producer
        self._topics = topics
        self._group = group
        self._metrics = metrics
        self._changelog_batch_bytes = changelog_batch_bytes
        self._owned: dict[int, _Ownership] = {}

    async def open(self, partition: int) -> None:
        """From here on no earlier owner may commit for the task, and what it had committed is readable."""
        await self.close(partition)
        producer = await self._started(f"{self._group}-{partition}")
        self._owned[partition] = _Ownership(producer)

    async def close(self, partition: int) -> None:
        """Lets the producer go; a fenced one may not answer any more."""
        owned = self._owned.pop(partition, None)
        if owned is not None:
            with suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(owned.producer.stop(), _CLOSE_S)

    def resume(self, partition: int, positions: Mapping[str, int]) -> None:
        """Nothing to tell: the first transaction sets the group's offsets of all topics."""

    async def commit(
        self, partition: int, effects: Effects, *, positions: Mapping[str, int], plan: Plan
    ) -> int:
        """See the class. Raises Fenced, or what aiokafka raises."""
        del plan
        owned = self._owned[partition]
        batches = self._batches(partition, effects, positions)
        hit(Point.PACKED)
        offsets = {
            TopicPartition(topic, partition): at
            for topic, at in positions.items()
            if owned.told.get(topic) != at
        }
        started_s = time.perf_counter()
        try:
            end = await self._transaction(owned.producer, batches, offsets)
        except Exception as error:
            is_fenced = _is_fenced(error, owned.producer)
            outcome = Outcome.FENCED if is_fenced else Outcome.ABORTED
            self._metrics.transaction(outcome, time.perf_counter() - started_s)
            if is_fenced:
                raise Fenced(
                    f"task {partition}: fenced by the broker; another worker has taken the task over, or the "
                    "transaction outlasted worker.transaction_timeout_s. Nothing of it is visible; ending"
                ) from error
            raise
        self._metrics.transaction(Outcome.COMMITTED, time.perf_counter() - started_s)
        owned.told = dict(positions)
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

    async def _transaction(
        self, producer: Any, batches: Batches, offsets: Mapping[TopicPartition, int]
    ) -> int:
        """The offset behind the changelog batch that is last, and behind its marker."""
        await producer.begin_transaction()
        hit(Point.BEGUN)
        sent = [await producer.send_batch(batch, topic, partition=to) for topic, to, batch in batches]
        hit(Point.SENDING)
        appended = await asyncio.gather(*sent)
        hit(Point.SENT)
        if offsets:
            await producer.send_offsets_to_transaction(offsets, self._group)
        hit(Point.OFFSETS)
        await producer.commit_transaction()
        hit(Point.COMMITTED)
        return int(appended[-1].offset) + int(batches[-1][2].record_count()) + _MARKER

    async def _started(self, transactional_id: str) -> Any:
        """A producer that owns the id; waits while no broker can be reached."""
        while True:
            producer = self._make_producer(transactional_id)
            try:
                await producer.start()
            except KafkaConnectionError as error:
                log.warning("no broker takes over %s, trying again: %s", transactional_id, error)
                await producer.stop()
                await asyncio.sleep(_RETRY_S)
            else:
                return producer
