"""Dead letters of a sink to `records.dead`: records that can land nowhere, whole, with their story.

Knows nothing of why. Delivery: at least once; the same key (topic, partition and offset) is the same dead letter.
"""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.dead_letters import DEAD_LETTERS, headers_of

__all__ = ["CannotBury", "DeadLetters"]

_FLUSH_S = 30.0


class CannotBury(Exception):
    """Kafka did not take a dead letter: what it stands for may not be passed over."""


class DeadLetters:
    """Writes dead letters; connects with the first."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._producer: Producer | None = None
        self._failure: KafkaError | None = None

    def bury(
        self, topic: str, partition: int, offset: int, *, value: bytes, reason: str, detail: str
    ) -> None:
        """Hand over one record; `flush` says whether it is there. Raises CannotBury."""
        headers: list[tuple[str, str | bytes | None]] = [
            *headers_of(reason, detail, topic=topic, partition=partition, offset=offset)
        ]
        key = f"{topic}-{partition}-{offset}".encode()
        try:
            self._ready().produce(DEAD_LETTERS, value, key, headers=headers, on_delivery=self._told)
        except (BufferError, KafkaException) as error:
            raise CannotBury(f"Kafka takes no dead letters: {error}") from error

    def flush(self) -> None:
        """Wait until all are stored. Raises CannotBury."""
        if self._producer is None:
            return
        waiting = self._producer.flush(_FLUSH_S)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise CannotBury(f"Kafka did not take a dead letter: {failure.str()}")
        if waiting:
            raise CannotBury(f"Kafka did not take {waiting} dead letters within {_FLUSH_S:.0f} s")

    def close(self) -> None:
        """Let go of the broker; what was not flushed may be lost."""
        self._producer = None

    def _told(self, error: KafkaError | None, _: Message) -> None:
        self._failure = error or self._failure

    def _ready(self) -> Producer:
        if self._producer is None:
            self._producer = Producer({
                "bootstrap.servers": self._bootstrap_servers,
                "client.id": "throughline-sink",
                "acks": "all",
                "enable.idempotence": True,
                "log.connection.close": False,
            })  # fmt: skip
        return self._producer
