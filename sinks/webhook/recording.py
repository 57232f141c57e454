"""Deliveries to their topic and back: each attempt a record, and what earlier lives have recorded.

A place counts as settled only when the broker has the record of its outcome. All records of an action are in one
partition, in order. Knows the contract of a delivery; decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from schemas.catalog import Catalog
from schemas.codec import decode_as, encode
from sinks.consuming import TIMEOUT_S
from sinks.webhook.lanes import Delivery
from sinks.webhook.ledger import Ledger

__all__ = ["DELIVERIES", "CannotRecord", "History", "Recorder"]

DELIVERIES: Final = "deliveries"

_FLUSH_S: Final = 30.0
_READ_RECORDS: Final = 5_000


class CannotRecord(Exception):
    """Kafka did not take the record of a delivery: nothing more may be sent."""


class Recorder:
    """Writes delivery records."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = Producer({
            "bootstrap.servers": bootstrap_servers,
            "client.id": "throughline-webhook",
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "log.connection.close": False,
        })  # fmt: skip
        self._failure: KafkaError | None = None

    def record(self, endpoint: str, delivery: Delivery, on_stored: Callable[[], None]) -> None:
        """Hand over a record; `on_stored` is called from a later `poll`. Raises CannotRecord."""

        def delivered(error: KafkaError | None, _: Message) -> None:
            """The broker's word."""
            if error is None:
                on_stored()
            else:
                self._failure = error

        value = encode("deliveries", _fields(endpoint, delivery))
        key = delivery.event.action_id.encode()
        try:
            self._producer.produce(DELIVERIES, value, key, on_delivery=delivered)
        except BufferError as error:
            raise CannotRecord("Kafka takes no delivery records") from error
        except KafkaException as error:
            raise CannotRecord(f"Kafka refuses a delivery record: {error}") from error

    def poll(self) -> None:
        """Learn what has been stored. Raises CannotRecord."""
        self._producer.poll(0)
        self._check()

    async def flush(self) -> None:
        """Wait until all are stored. Raises CannotRecord."""
        waiting = await asyncio.to_thread(self._producer.flush, _FLUSH_S)
        self._check()
        if waiting:
            raise CannotRecord(f"Kafka did not take {waiting} delivery records")

    def close(self) -> None:
        """Let go of the broker; what has not been stored never is."""
        self._producer.purge()
        del self._producer

    def _check(self) -> None:
        if self._failure is not None:
            raise CannotRecord(f"Kafka did not take a delivery record: {self._failure.str()}")


def _fields(endpoint: str, delivery: Delivery) -> dict[str, Any]:
    event = delivery.event
    return {
        "endpoint": endpoint,
        "action_id": event.action_id,
        "revision": event.revision,
        "profile_id": event.profile_id,
        "trigger": event.trigger,
        "step": event.step,
        "status": event.status,
        "outcome": str(delivery.outcome),
        "reason": str(delivery.reason),
        "attempt": delivery.attempt,
        "attempted_at": delivery.attempted_ms,
        "latency_ms": delivery.latency_ms,
        "response_status": delivery.response_status,
        "retry_at": delivery.retry_ms,
        "is_sent": delivery.is_sent,
        "idempotency_key": delivery.idempotency_key,
    }


class History:
    """Reads the topic of deliveries into the ledgers: all of it at first, then what has come since."""

    def __init__(self, bootstrap_servers: str, ledgers: Mapping[str, Ledger], *, catalog: Catalog) -> None:
        self._configuration: dict[str, str | int | bool] = {
            "bootstrap.servers": bootstrap_servers,
            # A consumer must name one; nothing is ever committed under it.
            "group.id": "throughline-webhook-history",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 30,
            "log.connection.close": False,
        }
        self._ledgers = ledgers
        self._catalog = catalog
        self._next: dict[int, int] = {}
        self._lock = asyncio.Lock()

    async def catch_up(self) -> None:
        """Know every delivery recorded so far. Raises KafkaException or CodecError."""
        async with self._lock:
            consumer = Consumer(self._configuration)
            try:
                left = await asyncio.to_thread(self._behind, consumer)
                consumer.assign(
                    [TopicPartition(DELIVERIES, partition, self._next[partition]) for partition in left]
                )
                while left:
                    self._apply(await asyncio.to_thread(consumer.consume, _READ_RECORDS, 0.1), left)
            finally:
                await asyncio.to_thread(consumer.close)

    def _behind(self, consumer: Consumer) -> dict[int, int]:
        """Partition -> where it ended just now, for those that have something new."""
        listed = consumer.list_topics(DELIVERIES, timeout=TIMEOUT_S).topics[DELIVERIES]
        found = {}
        for partition in listed.partitions:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(DELIVERIES, partition), timeout=TIMEOUT_S
            )
            self._next[partition] = max(self._next.get(partition, 0), low)
            if self._next[partition] < high:
                found[partition] = high
        return found

    def _apply(self, messages: Iterable[Message], left: dict[int, int]) -> None:
        for message in messages:
            partition, offset, error = message.partition(), message.offset(), message.error()
            if error is not None and error.retriable():
                continue
            assert partition is not None
            assert offset is not None
            if error is None:
                self._note(message.value())
                offset += 1
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            self._next[partition] = offset
            if offset >= left.get(partition, 0):
                left.pop(partition, None)

    def _note(self, value: bytes | None) -> None:
        record = decode_as("deliveries", value, self._catalog)
        if (ledger := self._ledgers.get(record["endpoint"])) is not None:
            ledger.note(
                record["action_id"],
                record["revision"],
                record["status"],
                outcome=record["outcome"],
                is_sent=record["is_sent"],
            )
