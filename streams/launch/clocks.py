"""The clocks of all tasks as of their last commits: each task keeps its own in its changelog.

Owns finding them there; must not know what they say about timers.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.core.clock import CLOCKS_KEY, clock_state
from streams.core.shapes import ClockState
from streams.core.step import CHANGELOG
from streams.runtime.topics import connect

__all__ = ["ClocksUnavailable", "read_clocks"]

_WINDOWS = (2_000, 50_000, 1_000_000_000)
"""So many records from the end of a changelog are looked through: a task that is at work keeps its clocks often."""
_ANSWER_S = 10.0
_SILENCE_S = 30.0


class ClocksUnavailable(RuntimeError):
    """The changelog cannot be read; the message says what to do."""


def read_clocks(bootstrap: str, partitions: int) -> dict[int, ClockState]:
    """By task, as its last commit says; a task that has not kept any is left out.

    Raises BrokerUnavailable, ClocksUnavailable.
    """
    connect(bootstrap)
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "throughline-explain-clock",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "log_level": 0,
    })  # fmt: skip
    found: dict[int, ClockState] = {}
    missing = list(range(partitions))
    try:
        for window in _WINDOWS:
            # The last one of each window is the latest there is.
            found.update(_last_of(consumer, missing, window=window))
            missing = [partition for partition in missing if partition not in found]
        return found
    except KafkaException as error:
        raise ClocksUnavailable(
            f"{CHANGELOG} cannot be read ({error.args[0].str()}); `throughline topics check` says what is wrong"
        ) from error
    finally:
        consumer.close()


def _last_of(
    consumer: Consumer, partitions: Collection[int], *, window: int
) -> Iterator[tuple[int, ClockState]]:
    starts = []
    for partition in partitions:
        low, end = consumer.get_watermark_offsets(TopicPartition(CHANGELOG, partition), timeout=_ANSWER_S)
        if end > low:
            starts.append(TopicPartition(CHANGELOG, partition, max(low, end - window)))
    unread = {start.partition for start in starts}
    if not unread:
        return
    consumer.assign(starts)
    last: dict[int, bytes] = {}
    heard_s = time.monotonic()
    while unread:
        messages = consumer.consume(10_000, timeout=0.1)
        if not messages and time.monotonic() - heard_s > _SILENCE_S:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        heard_s = time.monotonic() if messages else heard_s
        for message in messages:
            at, error, value = message.partition(), message.error(), message.value()
            assert at is not None, "a message of no partition"
            if error is None:
                if message.key() == CLOCKS_KEY and value is not None:
                    last[at] = value
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(at)
            else:
                raise KafkaException(error)
    for partition, value in last.items():
        yield partition, clock_state(value)
