"""Actions as they happen: a consumer of the `actions` topic for people to look at. Decides and commits nothing.

Delivery: each record at most once, to one watcher; a record that cannot be read is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from schemas.codec import CodecError, decode

TOPIC = "actions"


class Watch:
    """All of `actions` from its beginning."""

    def __init__(self, bootstrap: str, app: str, partitions: int) -> None:
        self._consumer = Consumer({
            "bootstrap.servers": bootstrap,
            "group.id": f"{app}-watch",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "log.connection.close": False,
        })  # fmt: skip
        self._consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(partitions)])

    def arrived(self, wait_s: float = 0.0) -> Iterator[dict[str, Any]]:
        """The actions that came since the last call, waiting for a first one if asked to."""
        for record in self._consumer.consume(500, timeout=wait_s):
            if record.error() is None:
                try:
                    yield decode(record.value())[1]
                except CodecError:
                    continue

    def close(self) -> None:
        """Leave."""
        self._consumer.close()
