"""Kafka's side of the sink: what was read of each partition and has not landed, and what the group's offsets say.

One thread. The consumer is for the group and its offsets alone: it is told to fetch nothing, and records come by
`fetching`, which asks only when it is told to. So nothing is read ahead while somebody is busy with what was read.
Knows nothing of ClickHouse, nor what becomes of the records.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from sinks.clickhouse.brokers import Led, Place
from sinks.clickhouse.chunk import Record, Span
from sinks.clickhouse.declared import Declared
from sinks.clickhouse.fetching import Fetched, Fetcher
from sinks.consuming import BACKOFF_S, FENCED, TIMEOUT_S, Configuration, configuration, refusal_of_commit

__all__ = ["Clock", "Moved", "Reading", "ReadingOptions", "Stop", "Stopped"]

log = logging.getLogger(__name__)

T = TypeVar("T")

Clock = Callable[[], float]

_POLL_S: Final = 0.05
"""How often brokers are asked while they have nothing more."""
_PATIENCE_S: Final = 30.0
"""How long what was there before may not be there: a new leader does not know at once how far it may be read."""


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
    missed_since_s: float = 0.0
    """Since when the rest of what was declared is not there, by the clock; 0.0 if nobody knows that."""

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
        self._held: dict[Place, _Held] = {}
        self._generation = 0
        self.rows = 0
        """Records held, those of transactions' markers not among them."""
        self.oldest_s = 0.0
        """When the first of them came, by the clock, or earlier; 0.0 if nothing is to be landed."""
        self.is_behind = False
        """True if the last answers were not all that there is."""
        self._unasked_since_s = 0.0
        """Since when nobody has asked for what there is, by the clock; 0.0 if it was asked for just now."""
        self._consumer = Consumer(_consumer_configuration(options))
        self._consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked)
        self._fetcher = Fetcher(lambda: _led(self._consumer), options.group)

    def close(self) -> None:
        """Leaves the group."""
        self._fetcher.close()
        self._consumer.close()

    # Reading

    def read(self) -> None:
        """What has come, or a moment's wait. Raises CannotRead; KafkaException when the consumer is broken for good."""
        self._serve_group(0.0 if self.is_behind or self._unasked_since_s else _POLL_S)
        offsets = {place: held.end for place, held in self._held.items()}
        self.is_behind = False
        for fetched in self._fetcher.fetch(offsets):
            self._take(self._held[fetched.place], fetched)
        self._unasked_since_s = 0.0

    def _take(self, held: _Held, fetched: Fetched) -> None:
        if fetched.is_out_of_range:
            self._lost(fetched.place, held)
        elif fetched.next_offset > held.end:
            # Not always behind the last record: markers of transactions take offsets.
            held.records += fetched.records
            held.end, held.missed_since_s = fetched.next_offset, 0.0
            # A broker fills its answer in the order of the question: who had none yet is asked for first next time.
            self._held[fetched.place] = self._held.pop(fetched.place)
            self.rows += len(fetched.records)
            self.is_behind |= held.end < fetched.end
            self._touch()
        elif held.end == fetched.end:
            self._ended(fetched.place, held)

    def _serve_group(self, wait_s: float) -> None:
        message = self._consumer.poll(wait_s)
        error = message.error() if message is not None else None
        if error is None or error.code() == KafkaError._PARTITION_EOF:
            return
        if error.fatal():
            raise KafkaException(error)
        if not error.retriable():
            log.warning("the group of the sink: %s", error.str())

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

    def again(self, span: Span) -> list[Record] | None:
        """Those of a range that was read before, by whomever; None if the broker has not all of it any more.

        Raises Moved, Stopped or CannotRead.
        """
        place, at, found = (span.topic, span.partition), span.start, list[Record]()
        moved_s = self._clock()
        while at < span.end:
            for fetched in self._fetcher.fetch({place: at}):
                if fetched.is_out_of_range:
                    return None
                if fetched.next_offset > at:
                    moved_s, at = self._clock(), fetched.next_offset
                    found += fetched.records
                    break
                if self._clock() - moved_s >= _PATIENCE_S:
                    return None
            else:
                self.wait(_POLL_S)
        return [record for record in found if record[0] < span.end]

    def landed(self, spans: Iterable[Span]) -> None:
        """These ranges are done with, and committed."""
        for span in spans:
            held = self._held.get((span.topic, span.partition))
            if held is not None:
                is_all = held.end == span.end
                held.records = [] if is_all else [each for each in held.records if each[0] >= span.end]
                held.start, held.declared = span.end, None

    def is_ours(self, span: Span) -> bool:
        """Whether the partition of a range that has landed is still ours, as that left it."""
        held = self._held.get((span.topic, span.partition))
        return held is not None and held.start == span.end and held.declared is None

    def rest(self, since_s: float) -> None:
        """All that was ready has been landed, from `since_s` on, by the clock.

        Whatever is left or found next may have come ever since, and counts as having come then.
        """
        self.rows = sum(len(held.records) for held in self._held.values())
        self.oldest_s = since_s if self.rows else 0.0
        self._unasked_since_s = since_s

    def _touch(self) -> None:
        if not self.oldest_s:
            self.oldest_s = self._unasked_since_s or self._clock()

    def _ended(self, place: Place, held: _Held) -> None:
        """There is nothing more by now: what was declared and is not there for long never comes."""
        if held.declared is not None and held.end < held.declared.end:
            held.missed_since_s = held.missed_since_s or self._clock()
            if self._clock() - held.missed_since_s < _PATIENCE_S:
                return
            log.error("%s/%d: the broker lost offsets %d to %d", *place, held.end, held.declared.end - 1)
            held.declared = None

    def _lost(self, place: Place, held: _Held) -> None:
        """The broker no longer has what comes next: said loudly, and read on from what it has."""
        low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=TIMEOUT_S)
        if low > held.end:
            log.error(
                "%s/%d: offsets %d to %d were deleted before they could be landed", *place, held.end, low - 1
            )
            held.end, held.declared = low, None
        elif high < held.end:
            log.error("%s/%d: the broker lost offsets %d to %d", *place, high, held.end - 1)
            # Other records will have these offsets.
            held.start, held.end, held.declared = min(held.start, high), high, None
            held.records = [record for record in held.records if record[0] < high]

    def wait(self, wait_s: float) -> None:
        """Reads nothing more, but stays in the group. Raises Stopped or Moved."""
        generation, until_s = self._generation, self._clock() + wait_s
        while (left_s := until_s - self._clock()) > 0:
            if self._stop.is_set():
                raise Stopped
            self._serve_group(min(left_s, _POLL_S))
            if self._generation != generation:
                raise Moved

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
        assigned = [TopicPartition(*place, held.start) for place, held in self._held.items()]
        consumer.assign(assigned)
        consumer.pause(assigned)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._generation += 1
        self._held.clear()


def _led(consumer: Consumer) -> Led:
    found = consumer.list_topics(timeout=TIMEOUT_S)
    addresses = {node: (str(broker.host), int(broker.port)) for node, broker in found.brokers.items()}
    leaders = {
        (name, number): partition.leader
        for name, topic in found.topics.items()
        for number, partition in topic.partitions.items()
    }
    return Led(addresses, leaders)


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
        # It fetches nothing but what is on its way when it is told not to.
        queued_kbytes=1_024,
    )
