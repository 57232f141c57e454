"""The sink's loop: output topics in, ClickHouse tables out.

For each partition the committed offset says what has landed, and its metadata what was about to: before an insert
the range is declared (`pending:<end>`), after it the end is committed. Whoever reads the partition next re-inserts
exactly the declared range first, and ClickHouse drops what it has. Knows nothing of what the records mean.

Delivery: exactly once into ClickHouse. A crash repeats an insert under the same token. It breaks if ClickHouse has
taken more than `non_replicated_deduplication_window` other blocks between the crash and the repeat.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sinks.clickhouse.chunk import Block, ChunkWriter, Record, Span
from sinks.clickhouse.writer import Unavailable
from sinks.consuming import BACKOFF_S, FENCED, TIMEOUT_S, Configuration, configuration

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """The table of a topic, and the one that takes blocks of several schemas, if it has one."""

    table: str
    mixed_table: str = ""


TARGETS: Final[Mapping[str, Target]] = {
    "touchpoints.stitched": Target("touchpoints", mixed_table="touchpoints_landing"),
    "sessions": Target("sessions"),
    "carts": Target("carts"),
    "actions": Target("actions"),
    "identities": Target("identities"),
    "deliveries": Target("deliveries"),
}
"""By the topic they come from: the outputs of workers, and what the webhook sink did with actions."""

_PENDING: Final = "pending:"
_POLL_S: Final = 0.05
_POLL_RECORDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class LandingOptions:
    """Where to read from, and how to cut."""

    bootstrap_servers: str
    group: str
    chunk_rows: int = 100_000
    chunk_s: float = 1.0
    session_timeout_ms: int = 6_000


class Stop(Protocol):
    """Set from outside when the loop should end; a threading.Event is one."""

    def is_set(self) -> bool: ...


class Inserts(Protocol):
    """Takes blocks; `writer.Writer` is one."""

    def insert(self, table: str, block: Block) -> None: ...


@dataclass(slots=True)
class _Held:
    """What was read of a partition and has not landed."""

    start: int
    end: int
    pending_end: int | None = None
    records: list[Record] = field(default_factory=list)

    def ready_end(self) -> int:
        """Where the next range may end; `start` if nothing can be landed."""
        if self.pending_end is None:
            return self.end
        return self.pending_end if self.end >= self.pending_end else self.start


class _Moved(Exception):
    """A rebalance took what we were landing."""


class _Stopped(Exception):
    """Asked to end while ClickHouse was away."""


class Landing:
    """Reads, cuts, declares, inserts, commits; one thread."""

    def __init__(
        self,
        options: LandingOptions,
        inserts: Inserts,
        *,
        chunks: ChunkWriter,
        targets: Mapping[str, Target] = TARGETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._inserts = inserts
        self._chunks = chunks
        self._targets = targets
        self._clock = clock
        self._held: dict[tuple[str, int], _Held] = {}
        self._rows = 0
        self._oldest_s = 0.0
        self._generation = 0
        self.landed: Counter[str] = Counter()
        """Rows by topic since the start."""
        self._consumer = Consumer(_consumer_configuration(options))

    def run(self, stop: Stop) -> None:
        """Land until `stop` is set, then what is in hand. Raises Rejected, CodecError or KafkaException."""
        self._consumer.subscribe(list(self._targets), on_assign=self._assigned, on_revoke=self._revoked)
        try:
            while not stop.is_set():
                self._read(_POLL_S)
                if self._is_due():
                    self._land(stop)
            self._land(stop)
        finally:
            self._consumer.close()

    def _is_due(self) -> bool:
        if self._rows >= self._options.chunk_rows:
            return True
        return self._oldest_s > 0 and self._clock() - self._oldest_s >= self._options.chunk_s

    # Reading

    def _read(self, timeout_s: float) -> None:
        for message in self._consumer.consume(_POLL_RECORDS, timeout_s):
            error = message.error()
            if error is not None:
                self._event(message, error)
            elif (held := self._held.get(_place(message))) is not None:
                self._hold(held, message)

    def _hold(self, held: _Held, message: Message) -> None:
        offset, value = message.offset(), message.value()
        if offset is None or offset < held.end:
            return
        held.end = offset + 1
        if value is not None:
            held.records.append((offset, value))
        self._touch(rows=1)

    def _touch(self, *, rows: int) -> None:
        self._rows += rows
        if not self._oldest_s:
            self._oldest_s = self._clock()

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
            self._touch(rows=0)
        if held.pending_end is not None and offset < held.pending_end:
            log.error(
                "%s/%d: the broker lost offsets %d to %d", *_place(message), offset, held.pending_end - 1
            )
            held.pending_end = None

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
        held.end, held.pending_end = max(held.end, low), None
        # Seeking does not wake a partition that has failed; a new assignment does.
        self._assign()

    # Landing

    def _land(self, stop: Stop) -> None:
        """Declare, insert, commit everything that is ready; afterwards nothing is due."""
        spans = {
            Span(topic, partition, held.start, end): self._targets[topic]
            for (topic, partition), held in self._held.items()
            if (end := held.ready_end()) > held.start
        }
        if spans:
            try:
                self._land_spans(spans, stop)
            except (_Moved, _Stopped):
                return
        self._rows = sum(len(held.records) for held in self._held.values())
        self._oldest_s = self._clock() if self._rows else 0.0

    def _land_spans(self, spans: Mapping[Span, Target], stop: Stop) -> None:
        generation = self._generation
        self._commit([_offset(span, span.start, f"{_PENDING}{span.end}") for span in spans], stop)
        for span, target in spans.items():
            for block in self._chunks.blocks(span, self._records(span), can_mix=bool(target.mixed_table)):
                table = target.mixed_table if block.is_mixed else target.table
                self._insert(table, block, stop=stop, generation=generation)
                self.landed[span.topic] += block.rows
        self._commit([_offset(span, span.end, "") for span in spans], stop)
        for span in spans:
            self._forget(span)

    def _records(self, span: Span) -> list[Record]:
        held = self._held[span.topic, span.partition]
        if held.end == span.end:
            return held.records
        return [record for record in held.records if record[0] < span.end]

    def _forget(self, span: Span) -> None:
        held = self._held.get((span.topic, span.partition))
        if held is not None:
            held.records = [record for record in held.records if record[0] >= span.end]
            held.start, held.pending_end = span.end, None

    def _insert(self, table: str, block: Block, *, stop: Stop, generation: int) -> None:
        for attempt in range(1_000_000_000):
            try:
                self._inserts.insert(table, block)
            except Unavailable as error:
                if attempt == 0:
                    log.warning("ClickHouse is unavailable, trying again until it answers: %s", error)
                self._wait(attempt, stop=stop, generation=generation)
            else:
                if attempt:
                    log.warning("ClickHouse is back after %d attempts", attempt + 1)
                return

    def _wait(self, attempt: int, *, stop: Stop, generation: int) -> None:
        """Read nothing more, but stay in the group. Raises _Stopped or _Moved."""
        until_s = self._clock() + BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]
        self._consumer.pause([TopicPartition(*place) for place in self._held])
        try:
            while self._clock() < until_s:
                if stop.is_set():
                    raise _Stopped
                self._read(_POLL_S)
                if self._generation != generation:
                    raise _Moved
        finally:
            if self._generation == generation:
                self._consumer.resume([TopicPartition(*place) for place in self._held])

    # Offsets

    def _commit(self, offsets: list[TopicPartition], stop: Stop) -> None:
        """Commit and wait for the broker's word. Raises _Moved if the group has moved on, _Stopped."""
        for attempt in range(1_000_000_000):
            error = self._commit_error(offsets)
            if error is None:
                return
            if error.code() in FENCED:
                self._held.clear()
                raise _Moved
            if error.fatal():
                raise KafkaException(error)
            if attempt == 0:
                log.warning("offsets cannot be committed, trying again: %s", error.str())
            if stop.is_set():
                raise _Stopped
            time.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])

    def _commit_error(self, offsets: list[TopicPartition]) -> KafkaError | None:
        try:
            committed = self._consumer.commit(offsets=offsets, asynchronous=False) or []
        except KafkaException as error:
            found = error.args[0]
            if isinstance(found, KafkaError):
                return found
            raise
        return next((each.error for each in committed if each.error is not None), None)

    # Group

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._generation += 1
        self._held.clear()
        for committed in consumer.committed(partitions, timeout=TIMEOUT_S):
            start = committed.offset
            if start < 0:
                start, _ = consumer.get_watermark_offsets(committed, timeout=TIMEOUT_S)
            pending_end = _pending_end(committed.metadata)
            self._held[committed.topic, committed.partition] = _Held(start, start, pending_end)
            if pending_end is not None:
                log.info(
                    "%s/%d: landing again [%d, %d)", committed.topic, committed.partition, start, pending_end
                )
        self._assign()

    def _assign(self) -> None:
        """Read on from the end of what is held."""
        self._consumer.assign([TopicPartition(*place, held.end) for place, held in self._held.items()])

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._generation += 1
        self._held.clear()


def _held_from(consumer: Consumer, committed: TopicPartition) -> _Held:
    """Where a partition's landing stands, by its committed offset."""
    start = committed.offset
    if start < 0:
        start, _ = _patiently(lambda: consumer.get_watermark_offsets(committed, timeout=TIMEOUT_S))
    return _Held(start, start, _pending_end(committed.metadata))


def _patiently(ask: Callable[[], T]) -> T:
    """The broker's answer, asked for again for a while: a rebalance is no place to give up at the first hiccup."""
    for backoff_s in BACKOFF_S:
        try:
            return ask()
        except KafkaException as error:
            log.warning("the broker does not answer, asking again: %s", error)
            time.sleep(backoff_s)
    return ask()


def _consumer_configuration(options: LandingOptions) -> Configuration:
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


def _offset(span: Span, offset: int, metadata: str) -> TopicPartition:
    return TopicPartition(span.topic, span.partition, offset, metadata)


def _pending_end(metadata: str | None) -> int | None:
    if metadata and metadata.startswith(_PENDING):
        return int(metadata.removeprefix(_PENDING))
    return None
