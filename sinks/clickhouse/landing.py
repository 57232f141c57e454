"""The sink's loop: output topics in, ClickHouse tables out.

For each partition the committed offset says what has landed, and its metadata what was about to: before an insert
the range is declared, after it the end is committed. Whoever reads the partition next re-inserts exactly the declared
range first, and ClickHouse drops what it has. Knows nothing of what the records mean.

An insert into many columns costs much before its first row, so ranges of a topic's partitions land together where they
make one block. Each of them is declared with all, and whoever reads one of them next repeats the block, for which it
reads those of the others again. A block that is refused has landed nothing; its ranges then land each by itself.

Delivery: exactly once into ClickHouse. A crash repeats an insert under the same token. It breaks if ClickHouse has
taken more than `non_replicated_deduplication_window` other blocks between the crash and the repeat.

What follows from rows, such as who is where today, may take its time: the last offsets are committed when that is done,
so that whoever waits for them finds it. The next range of a partition does not wait.

Where a range is refused, those of its records that are at fault are looked for, declared as well, and left out. Each of
them has its own last try, in a block of its own, and is a dead letter if that is refused too; then the range is done.
Too many of them are no accident: the sink stops, with nothing of the range committed.
"""

from __future__ import annotations

import gc
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from schemas.dead_letters import DeadShare
from schemas.wire import CodecError, Reason
from sinks.clickhouse.chunk import Block, ChunkWriter, Record, Span, by_schema
from sinks.clickhouse.declared import METADATA_BYTES, MOST_TOGETHER, Declared, Range
from sinks.clickhouse.examining import at_fault
from sinks.clickhouse.reading import Clock, Moved, Reading, ReadingOptions, Stop, Stopped
from sinks.clickhouse.writer import Rejected, Unavailable
from sinks.consuming import BACKOFF_S

__all__ = ["TARGETS", "Burials", "Followup", "Inserts", "Landing", "LandingOptions", "Target"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_YOUNG_OBJECTS: Final = 200_000
"""How many more objects than before start a collection of garbage: records are in no cycle, and looking through them
every 700, as is usual, is a twelfth of what a row costs."""


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


@dataclass(frozen=True, slots=True)
class LandingOptions:
    """Where to read from, how to cut, and when dead letters are too many."""

    reading: ReadingOptions
    chunk_rows: int = 100_000
    chunk_s: float = 0.6
    max_dead_share: float = 0.5


class Inserts(Protocol):
    """Takes blocks; `writer.Writer` is one."""

    def insert(self, table: str, block: Block) -> None: ...

    def refusal(self, table: str, block: Block) -> str: ...


class Burials(Protocol):
    """Takes dead letters; `dead_letters.DeadLetters` is one."""

    def bury(
        self, topic: str, partition: int, offset: int, *, value: bytes, reason: str, detail: str
    ) -> None: ...

    def flush(self) -> None: ...


class Followup(Protocol):
    """Does what follows from rows that have landed; `resolving.Resolver` is one."""

    @property
    def is_done(self) -> bool: ...

    def landed(self, spans: Collection[Span]) -> None: ...

    def rest(self) -> None: ...

    def finish(self) -> None: ...


class Landing:
    """Cuts, declares, inserts, commits; one thread."""

    def __init__(
        self,
        options: LandingOptions,
        inserts: Inserts,
        *,
        chunks: ChunkWriter,
        burials: Burials,
        followup: Followup | None = None,
        targets: Mapping[str, Target] = TARGETS,
        clock: Clock = time.monotonic,
    ) -> None:
        self._options = options
        self._inserts = inserts
        self._burials = burials
        self._chunks = chunks
        self._followup = followup
        self._waiting: dict[tuple[str, int], Span] = {}
        """By partition the last range, where it has landed and what follows from it is not done."""
        self._targets = targets
        self._clock = clock
        self._dead_share = DeadShare(options.max_dead_share)
        self._reading: Reading
        self.landed: Counter[str] = Counter()
        """Rows by topic since the start."""

    def run(self, stop: Stop) -> None:
        """Land until `stop` is set, then what is in hand. Raises Rejected, CannotBury, CannotRead
        or KafkaException."""
        reading = self._reading = Reading(self._options.reading, self._targets, stop=stop, clock=self._clock)
        thresholds = gc.get_threshold()
        gc.set_threshold(_YOUNG_OBJECTS, *thresholds[1:])
        try:
            while not stop.is_set():
                self._follow()
                reading.read()
                if self._is_due():
                    self._land()
            self._land()
            self._follow(is_end=True)
        finally:
            gc.set_threshold(*thresholds)
            reading.close()

    def _is_due(self) -> bool:
        if self._reading.rows >= self._options.chunk_rows:
            return True
        if self._reading.is_behind:
            # An insert costs much before its first row: all that is there goes into one.
            return False
        oldest_s = self._reading.oldest_s
        return oldest_s > 0 and self._clock() - oldest_s >= self._options.chunk_s

    def _land(self) -> None:
        """Declare, insert, commit everything that is ready; afterwards nothing is due."""
        began_s, ready = self._clock(), self._reading.ready()
        if ready:
            try:
                self._land_spans(self._planned(ready))
            except (Moved, Stopped):
                return
        self._reading.rest(began_s)

    def _planned(self, ready: Mapping[Span, Declared | None]) -> dict[Span, Declared]:
        """How each range lands: as it was declared, else with the others of its topic, if that makes one block."""
        planned = {span: begun or Declared(span.end) for span, begun in ready.items()}
        if self._reading.rows >= self._options.chunk_rows:
            # Each range of a full chunk is large enough by itself, and need not be looked through first.
            return planned
        for topic, target in self._targets.items():
            fresh = [span for span, begun in ready.items() if begun is None and span.topic == topic][
                :MOST_TOGETHER
            ]
            parts = {span: self._reading.records(span) for span in fresh}
            if len(fresh) > 1 and self._chunks.are_one(parts, can_mix=bool(target.mixed_table)):
                together = tuple((span.partition, span.start, span.end) for span in fresh)
                planned.update({span: Declared(span.end, together=together) for span in fresh})
        return planned

    def _land_spans(self, spans: Mapping[Span, Declared]) -> None:
        self._declare(spans)
        together: dict[tuple[str, tuple[Range, ...]], list[Span]] = {}
        alone: dict[Span, Declared] = {}
        for span, declared in spans.items():
            if declared.together:
                together.setdefault((span.topic, declared.together), []).append(span)
            else:
                alone[span] = declared
        for (topic, ranges), ours in together.items():
            if not self._land_together(topic, ranges, ours):
                parted = {span: Declared(span.end) for span in ours}
                self._declare(parted)
                alone |= parted
        for span, declared in alone.items():
            self._land_span(span, declared)
        self._burials.flush()
        if self._followup is not None:
            self._followup.landed(spans)
            if not self._followup.is_done:
                self._waiting |= {(span.topic, span.partition): span for span in spans}
        self._commit(span for span in spans if self._waiting.get((span.topic, span.partition)) != span)
        self._reading.landed(spans)

    def _follow(self, *, is_end: bool = False) -> None:
        """What follows from what has landed, as far as it is time for it; then its offsets are committed."""
        if self._followup is None:
            return
        (self._followup.finish if is_end else self._followup.rest)()
        if self._waiting and self._followup.is_done:
            # If the group has moved on, whoever reads it next lands it again, which changes nothing.
            with suppress(Moved, Stopped):
                self._commit(span for span in self._waiting.values() if self._reading.is_ours(span))
            self._waiting.clear()

    def _commit(self, spans: Iterable[Span]) -> None:
        if offsets := {span: (span.end, "") for span in spans}:
            self._reading.commit(offsets)

    def _declare(self, spans: Mapping[Span, Declared]) -> None:
        for span in spans:
            # To declare the next range says that this one has landed.
            self._waiting.pop((span.topic, span.partition), None)
        metadata = {span: declared.text(span.start) for span, declared in spans.items()}
        for span, text in metadata.items():
            if len(text) > METADATA_BYTES:
                raise Rejected(_flood(span, len(spans[span].without)))
        self._reading.commit({span: (span.start, text) for span, text in metadata.items()})

    def _land_together(self, topic: str, ranges: Sequence[Range], ours: Collection[Span]) -> bool:
        """False if that is refused, or the broker has no longer all of it; nothing is landed then."""
        parts: dict[Span, Sequence[Record]] = {}
        for partition, start, end in ranges:
            span = Span(topic, partition, start, end)
            records = self._reading.records(span) if span in ours else self._reading.again(span)
            if records is None:
                log.error(
                    "%s/%d: offsets %d to %d were deleted; what was being landed with them may land twice",
                    *(topic, partition, start, end - 1),
                )
                return False
            parts[span] = records
        target = self._targets[topic]
        try:
            block = self._chunks.together(parts)
            self._insert(target.mixed_table if block.is_mixed else target.table, block)
        except (CodecError, Rejected):
            return False
        for span in ours:
            self.landed[topic] += len(parts[span])
            self._dead_share.is_exceeded(len(parts[span]), 0)
        return True

    def _land_span(self, span: Span, declared: Declared) -> None:
        records, tokens = self._reading.records(span), set[str]()
        while True:
            left_out = set(declared.without)
            kept = [record for record in records if record[0] not in left_out] if left_out else records
            try:
                self._insert_all(span, kept, is_apart=declared.is_apart, tokens=tokens)
            except (CodecError, Rejected) as error:
                declared = self._examined(span, declared, kept, tokens=tokens, error=error)
                self._declare({span: declared})
            else:
                break
        self.landed[span.topic] += len(kept)
        dead = (
            self._try_last(span, [record for record in records if record[0] in left_out]) if left_out else 0
        )
        if self._dead_share.is_exceeded(len(records), dead):
            raise Rejected(_flood(span, dead))

    def _insert_all(self, span: Span, records: Sequence[Record], *, is_apart: bool, tokens: set[str]) -> None:
        target = self._targets[span.topic]
        can_mix = bool(target.mixed_table) and not is_apart
        for block in self._chunks.blocks(span, records, can_mix=can_mix):
            if block.token not in tokens:
                self._insert(target.mixed_table if block.is_mixed else target.table, block)
                tokens.add(block.token)

    # What is refused

    def _examined(
        self,
        span: Span,
        declared: Declared,
        records: Sequence[Record],
        *,
        tokens: set[str],
        error: CodecError | Rejected,
    ) -> Declared:
        """What to declare instead: without those at fault. Raises the error again if it is not for the records."""
        table = self._targets[span.topic].table
        if isinstance(error, CodecError):
            # Met before anything was inserted.
            found = at_fault(records, check=self._chunks.check, is_refused=lambda _: False)
        else:
            groups = by_schema(records)
            for schema_id in groups:
                if self._patiently(lambda of=schema_id: self._inserts.refusal(table, self._chunks.empty(of))):  # type: ignore[misc]
                    raise error
            suspects = [
                record
                for group in groups.values()
                if self._chunks.blocks(span, group)[0].token not in tokens
                for record in group
            ]
            found = at_fault(
                suspects, check=self._chunks.check, is_refused=lambda some: self._is_refused(span, some)
            )
        if found:
            return replace(declared, without=tuple(sorted({*declared.without, *found})))
        if isinstance(error, CodecError) or declared.is_apart or not self._targets[span.topic].mixed_table:
            raise error
        # Each by itself is fine: it is for the mixed block as such, of which nothing has landed.
        return replace(declared, is_apart=True)

    def _is_refused(self, span: Span, records: Sequence[Record]) -> bool:
        table = self._targets[span.topic].table
        [block] = self._chunks.blocks(span, records)
        return bool(self._patiently(lambda: self._inserts.refusal(table, block)))

    def _try_last(self, span: Span, records: Sequence[Record]) -> int:
        """Each by itself, since what was refused yesterday may be taken today, and by its own token only once.

        How many are dead letters after that.
        """
        dead = 0
        for offset, value in records:
            try:
                self._chunks.check(value)
                alone = replace(span, start=offset, end=offset + 1)
                for block in self._chunks.blocks(alone, [(offset, value)]):
                    self._insert(self._targets[span.topic].table, block)
            except CodecError as error:
                reason, detail = str(error.reason), error.detail
            except Rejected as error:
                reason, detail = str(Reason.FAILED), f"ClickHouse: {error}"
            else:
                self.landed[span.topic] += 1
                continue
            dead += 1
            place = span.topic, span.partition, offset
            log.error("%s/%d: offset %d is a dead letter: %s", *place, reason)
            self._burials.bury(*place, value=value, reason=reason, detail=detail)
        return dead

    # ClickHouse, which may be away

    def _insert(self, table: str, block: Block) -> None:
        self._patiently(lambda: self._inserts.insert(table, block))

    def _patiently(self, ask: Callable[[], T]) -> T:
        """What ClickHouse says, once it is there. Raises Rejected, Moved or Stopped."""
        for attempt in range(1_000_000_000):
            try:
                said = ask()
            except Unavailable as error:
                if attempt == 0:
                    log.warning("ClickHouse is unavailable, trying again until it answers: %s", error)
                self._reading.wait(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            else:
                if attempt:
                    log.warning("ClickHouse is back after %d attempts", attempt + 1)
                return said
        raise AssertionError("unreachable")


def _flood(span: Span, dead: int) -> str:
    return (
        f"{dead} records of {span.topic}[{span.partition}] from offset {span.start} to {span.end - 1} cannot be "
        "landed; stopping before they are passed over. A sink older than its workers does not know their schemas: "
        "upgrade it; or let them pass: sink.max_dead_share"
    )
