"""What the sinks' consumers have in common: how they read, and how they bear with a broker.

Must not know what is read, nor where it goes.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

__all__ = ["BACKOFF_S", "FENCED", "TIMEOUT_S", "Configuration", "configuration", "refusal_of_commit"]

Configuration = dict[str, str | int | bool]

TIMEOUT_S: Final = 10.0
"""For one question to the broker."""
BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""How long to wait before each further try; the last one again and again."""
FENCED: Final = frozenset({
    KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID, KafkaError._ASSIGNMENT_LOST,
})  # fmt: skip
"""A commit refused so: the group has moved on without us, and what we hold is somebody else's."""


def configuration(
    bootstrap_servers: str, group: str, *, session_timeout_ms: int, offset_reset: str, queued_kbytes: int
) -> Configuration:
    """A member of a group that reads what is committed and commits by hand, told of each partition's end.

    `offset_reset` is where to begin without an offset, or with one that the broker no longer has.
    """
    return {
        "bootstrap.servers": bootstrap_servers,
        "group.id": group,
        "client.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": offset_reset,
        "partition.assignment.strategy": "range",
        "session.timeout.ms": session_timeout_ms,
        "heartbeat.interval.ms": max(100, session_timeout_ms // 4),
        # An embedded broker answers an empty fetch only after this, whatever arrives meanwhile.
        "fetch.wait.max.ms": 30,
        "queued.max.messages.kbytes": queued_kbytes,
        "log.connection.close": False,
    }


def refusal_of_commit(consumer: Consumer, offsets: list[TopicPartition]) -> KafkaError | None:
    """Commits, and waits for the broker's word: None, or why it refused. Raises KafkaException for anything else."""
    try:
        committed = consumer.commit(offsets=offsets, asynchronous=False) or []
    except KafkaException as error:
        found = error.args[0]
        if isinstance(found, KafkaError):
            return found
        raise
    return next((each.error for each in committed if each.error is not None), None)
