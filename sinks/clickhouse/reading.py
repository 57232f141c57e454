"""Kafka's side of the sink: what was read of each partition and has not landed, and what the group's offsets say.

One consumer, one thread. Knows nothing of ClickHouse, nor what becomes of the records.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sinks.clickhouse.chunk import Record, Span
from sinks.clickhouse.declared import Declared
from sinks.consuming import BACKOFF_S, FENCED, TIMEOUT_S, Configuration, configuration, refusal_of_commit

__all__ = ["Clock", "Moved", "Reading", "ReadingOptions", "Stop", "Stopped"]

log = logging.getLogger(__name__)

T = TypeVar("T")

Clock = Callable[[], float]

_POLL_S: Final = 0.05
_POLL_RECORDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """Where to read from, and as whom."""

    bootstrap_servers: str
    group: str
    session_timeout_ms: int = 6_000


class Stop(Protocol):
    """Set from outside when the loop should end; a threading.Event is one."""

    def is_set(self) -> bool: ...


class Moved(Exception):
    """A rebalance took what we were landing."""


class Stopped(Exception):
    """Asked to end while somebody we need was away."""


@dataclass(slots=True)
class _Held:
    """What was read of a partition and has not landed; `declared` if it was begun to be landed."""

    start: int
    end: int
    declared: Declared | None = None
    records: list[Record] = field(default_factory=list)

    def ready_end(self) -> int:
        """Where the next range may end; `start` if nothing can be landed."""
        if self.declared is None:
            return self.end
        return self.declared.end if self.end >= self.declared.end else self.start


class Reading:
    """What is held of the partitions that the group gives us."""

    def __init__(self, options: ReadingOptions, topics: Collection[str], *, stop: Stop, clock: Clock) -> None:
        """Joins the group. Raises KafkaException."""
        self._stop = stop
        self._clock = clock
        self._held: dict[tuple[str, int], _Held] = {}
        self._generation = 0
        self.rows = 0
        """Records held, those of transactions' markers not among them."""
        self.oldest_s = 0.0
        """When the first of them came, by the clock; 0.0 if nothing is to be landed."""
        self._consumer = Consumer(_consumer_configuration(options))
        self._consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked)

    def close(self) -> None:
        """Leaves the group."""
        self._consumer.close()

    # Reading

    def read(self) -> None:
        """What has come, or a moment's wait. Raises KafkaException when the consumer is broken for good."""
        all_held = self._held
        for message in self._consumer.consume(_POLL_RECORDS, _POLL_S):
            error = message.error()
            if error is not None:
                self._event(message, error)
                continue
            held = all_held.get((message.topic(), message.partition()))  # type: ignore[arg-type]
            offset, value = message.offset(), message.value()
            if held is None or offset is None or offset < held.end:
                continue
            held.end = offset + 1
            self.rows += 1
            if value is not None:
                held.records.append((offset, value))
        if self.rows:
            self._touch()

    def ready(self) -> dict[Span, Declared | None]:
        """Ranges that can be landed, with what was declared of those that were begun."""
        return {
            Span(topic, partition, held.start, end): held.declared
            for (topic, partition), held in self._held.items()
            if (end := held.ready_end()) > held.start
        }

    def records(self, span: Span) -> list[Record]:
        """Those of a range, ascending. Raises Moved."""
        held = self._held.get((span.topic, span.partition))
        if held is None:
            raise Moved
        if held.end == span.end:
            return held.records
        return [record for record in held.records if record[0] < span.end]

    def landed(self, spans: Iterable[Span]) -> None:
        """These ranges are done with, and committed."""
        for span in spans:
            held = self._held.get((span.topic, span.partition))
            if held is not None:
                held.records = [record for record in held.records if record[0] >= span.end]
                held.start, held.declared = span.end, None

    def rest(self) -> None:
        """All that was ready has been landed; what is left waits as if it came now."""
        self.rows = sum(len(held.records) for held in self._held.values())
        self.oldest_s = self._clock() if self.rows else 0.0

    def _touch(self) -> None:
        if not self.oldest_s:
            self.oldest_s = self._clock()

    def _event(self, message: Message, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self._ended(message)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._lost(message)
        elif error.fatal():
            raise KafkaException(error)
        elif not error.retriable():
            log.warning("reading %s: %s", message.topic(), error.str())

    def _ended(self, message: Message) -> None:
        held, offset = self._held.get(_place(message)), message.offset()
        if held is None or offset is None:
            return
        # Transaction markers take offsets: the end of a partition may lie behind its last record.
        if offset > held.end:
            held.end = offset
            self._touch()
        if held.declared is not None and offset < held.declared.end:
            log.error(
                "%s/%d: the broker lost offsets %d to %d", *_place(message), offset, held.declared.end - 1
            )
            held.declared = None

    def _lost(self, message: Message) -> None:
        """The broker no longer has what comes next: said loudly, and read on from what it has."""
        place = topic, partition = _place(message)
        low, _ = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_S)
        held = self._held.get(place)
        if held is None:
            return
        log.error(
            "%s/%d: offsets %d to %d were deleted before they could be landed", *place, held.end, low - 1
        )
        held.end, held.declared = max(held.end, low), None
        # Seeking does not wake a partition that has failed; a new assignment does.
        self._assign()

    def wait(self, wait_s: float) -> None:
        """Reads nothing more, but stays in the group. Raises Stopped or Moved."""
        generation, until_s = self._generation, self._clock() + wait_s
        self._consumer.pause([TopicPartition(*place) for place in self._held])
        try:
            while self._clock() < until_s:
                if self._stop.is_set():
                    raise Stopped
                self.read()
                if self._generation != generation:
                    raise Moved
        finally:
            if self._generation == generation:
                self._consumer.resume([TopicPartition(*place) for place in self._held])

    # Offsets

    def commit(self, offsets: Mapping[Span, tuple[int, str]]) -> None:
        """Commits an offset with metadata for each range's partition, and waits for the broker's word.

        Raises Moved if the group has moved on, Stopped, KafkaException.
        """
        asked = [TopicPartition(span.topic, span.partition, *of) for span, of in offsets.items()]
        for attempt in range(1_000_000_000):
            error = refusal_of_commit(self._consumer, asked)
            if error is None:
                return
            if error.code() in FENCED:
                self._held.clear()
                raise Moved
            if error.fatal():
                raise KafkaException(error)
            if attempt == 0:
                log.warning("offsets cannot be committed, trying again: %s", error.str())
            if self._stop.is_set():
                raise Stopped
            time.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])

    # Group

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._generation += 1
        self._held.clear()
        for committed in _patiently(lambda: consumer.committed(partitions, timeout=TIMEOUT_S)):
            place, start = (committed.topic, committed.partition), committed.offset
            if start < 0:
                start = _beginning(consumer, committed)
            declared = Declared.parse(committed.metadata, start)
            self._held[place] = _Held(start, start, declared)
            if declared is not None:
                log.info("%s/%d: landing again [%d, %d)", *place, start, declared.end)
        self._assign()

    def _assign(self) -> None:
        """Read on from the end of what is held."""
        self._consumer.assign([TopicPartition(*place, held.end) for place, held in self._held.items()])

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._generation += 1
        self._held.clear()


def _beginning(consumer: Consumer, of: TopicPartition) -> int:
    low, _ = _patiently(lambda: consumer.get_watermark_offsets(of, timeout=TIMEOUT_S))
    return low


def _patiently(ask: Callable[[], T]) -> T:
    """The broker's answer, asked for again for a while: a rebalance is no place to give up at the first hiccup."""
    for backoff_s in BACKOFF_S:
        try:
            return ask()
        except KafkaException as error:
            log.warning("the broker does not answer, asking again: %s", error)
            time.sleep(backoff_s)
    return ask()


def _consumer_configuration(options: ReadingOptions) -> Configuration:
    return configuration(
        options.bootstrap_servers,
        options.group,
        session_timeout_ms=options.session_timeout_ms,
        # Offsets the broker no longer has are data lost, not a place to go on from quietly.
        offset_reset="error",
        queued_kbytes=65_536,
    )


def _place(message: Message) -> tuple[str, int]:
    topic, partition = message.topic(), message.partition()
    return topic or "", -1 if partition is None else partition
