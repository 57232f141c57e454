"""History into Kafka: read, map, put into order, feed.

The two uses of a mapping: `import_files` writes touchpoints through a feeder, `touchpoints` gives them as dicts.
Must not know Kafka itself: a feed is whatever takes records with arrival times.

Delivery: in time order, nothing is written before every file was read to its end; then each touchpoint once. An
import that fails while it writes can be run again: ids do not change, so what was written already counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any, Literal, Protocol

import msgspec

from schemas.catalog import CHANNELS
from schemas.codec import encode_touchpoint
from streams.core.rules import Rules
from streams.importer.mapping import Mapping, load
from streams.importer.ordering import Timed, in_time_order
from streams.importer.reading import Table, open_table, require_columns
from streams.importer.rejects import OnReject, Reason, Reject, Rejects
from streams.importer.touchpoints import Binding, Counts, Touchpoint, read_touchpoints

#: `event`: by when it happened; `arrival`: by when it was received, with the lateness it had; `file`: as it stands.
Order = Literal["event", "arrival", "file"]

#: (phase, done, total): bytes while "reading", touchpoints while "writing".
Progress = Callable[[str, int, int], None]

_MAX_RECORD_BYTES = 983_040
_ROWS_PER_REPORT = 10_000
_PAYLOAD = Struct("<BH")
_CODES = {channel: code for code, channel in enumerate(CHANNELS)}


class Feed(Protocol):
    """What an import writes to; `feeding.Feeder` is one."""

    tick_ms: int | None

    def send(self, channel: str, key: bytes, value: bytes, arrival_ms: int) -> None: ...

    def finish(self, last_ms: int) -> None: ...


@dataclass(slots=True)
class Summary:
    """What an import did. Times are of `occurred_at`; None where nothing was written."""

    read: int = 0
    written: int = 0
    rejected: int = 0
    skipped: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    by_event: dict[str, int] = field(default_factory=dict)
    rejected_by_reason: dict[str, int] = field(default_factory=dict)
    first_rejects: list[str] = field(default_factory=list)


def import_files(
    files: Sequence[Path],
    mapping: Mapping | Path,
    feeder: Feed,
    *,
    order: Order = "event",
    rejects: Rejects | Path | None = None,
    progress: Progress | None = None,
    limit: int | None = None,
    rules: Rules | None = None,
    finish: bool = True,
) -> Summary:
    """Write the touchpoints of the files and, with `finish`, the closing ticks.

    Raises MappingError, Unreadable, TooManyRejects, and what the feeder raises.
    """
    with rejects if isinstance(rejects, Rejects) else Rejects(rejects) as rejected:
        job = _Job(
            files, mapping, order=order, on_reject=rejected.add, progress=progress, limit=limit, rules=rules
        )
        records = job.records()
        if order == "file":
            # Times may run backwards here, so no tick could keep its promise before the end.
            feeder.tick_ms = None
        else:
            records = in_time_order(records)
        _feed(records, feeder, job, progress=progress)
    if finish and job.last_arrival_ms is not None:
        feeder.finish(job.last_arrival_ms)
    return job.summary(rejected)


def touchpoints(
    files: Sequence[Path],
    mapping: Mapping | Path,
    order: Order = "event",
    on_reject: OnReject | None = None,
    *,
    limit: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The same touchpoints as dicts of envelope, own fields and properties."""
    job = _Job(files, mapping, order=order, on_reject=on_reject or _ignore, limit=limit)
    if order == "file":
        yield from (touchpoint.fields for _, touchpoint in job.touchpoints())
        return
    pack, unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
    packed = ((job.arrival_ms(one.fields), pack(one.fields)) for _, one in job.touchpoints())
    for _, payload in in_time_order(packed):
        yield unpack(payload)


class _Job:
    """One pass over the files, with what it counts on the way."""

    def __init__(
        self,
        files: Sequence[Path],
        mapping: Mapping | Path,
        *,
        order: Order,
        on_reject: OnReject,
        progress: Progress | None = None,
        limit: int | None = None,
        rules: Rules | None = None,
    ) -> None:
        self._mapping = load(mapping) if isinstance(mapping, Path) else mapping
        named = self._mapping.columns()
        self._tables = [open_table(Path(path), self._mapping.file, wanted=tuple(named)) for path in files]
        require_columns(self._tables, self._mapping.file, named=named)
        self._order = order
        self._on_reject = on_reject
        self._progress = progress
        self._limit = limit
        self._rules = rules or Rules()
        self._counts = Counts()
        self._by_event: Counter[str] = Counter()
        self._first_ms: int | None = None
        self._last_ms: int | None = None
        self.last_arrival_ms: int | None = None
        self.mapped = 0
        self.written = 0

    def touchpoints(self) -> Iterator[tuple[Table, Touchpoint]]:
        """Every touchpoint in the order of the files, with the table it comes from."""
        total = sum(table.size_bytes for table in self._tables)
        done = 0
        for table in self._tables:
            binding = Binding(self._mapping, table, rules=self._rules)
            rows = read_touchpoints(table, binding, self._on_reject, counts=self._counts, limit=self._limit)
            for number, touchpoint in enumerate(rows):
                if self._progress is not None and number % _ROWS_PER_REPORT == 0:
                    self._progress("reading", done + table.done_bytes, total)
                yield table, touchpoint
            done += table.size_bytes
            self._report("reading", done, total)

    def records(self) -> Iterator[Timed]:
        """(arrival, channel with key and Avro bytes) of every touchpoint."""
        for table, touchpoint in self.touchpoints():
            fields, key = touchpoint.fields, touchpoint.key
            value = encode_touchpoint(fields)
            if len(key) + len(value) > _MAX_RECORD_BYTES:
                detail = f"{len(value):,} bytes, {_MAX_RECORD_BYTES:,} allowed"
                self._on_reject(Reject(str(table.path), touchpoint.line, Reason.TOO_LARGE, detail, ""))
                continue
            self._count(fields)
            yield self.arrival_ms(fields), _PAYLOAD.pack(_CODES[fields["channel"]], len(key)) + key + value

    def arrival_ms(self, fields: dict[str, Any]) -> int:
        """When a touchpoint arrives in the replay."""
        moment_ms: int = fields["received_at" if self._order == "arrival" else "occurred_at"]
        return moment_ms

    def summary(self, rejected: Rejects) -> Summary:
        return Summary(
            read=self._counts.read,
            written=self.written,
            rejected=rejected.count,
            skipped=self._counts.skipped,
            first_ms=self._first_ms,
            last_ms=self._last_ms,
            by_event=dict(self._by_event.most_common()),
            rejected_by_reason=dict(rejected.by_reason.most_common()),
            first_rejects=[str(reject) for reject in rejected.first],
        )

    def _count(self, fields: dict[str, Any]) -> None:
        self.mapped += 1
        self._by_event[fields["event"]] += 1
        occurred_ms: int = fields["occurred_at"]
        arrival_ms = self.arrival_ms(fields)
        if self._first_ms is None or self._last_ms is None or self.last_arrival_ms is None:
            self._first_ms = self._last_ms = occurred_ms
            self.last_arrival_ms = arrival_ms
        elif occurred_ms > self._last_ms:
            self._last_ms = occurred_ms
        elif occurred_ms < self._first_ms:
            self._first_ms = occurred_ms
        if arrival_ms > self.last_arrival_ms:
            self.last_arrival_ms = arrival_ms

    def _report(self, phase: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(phase, done, total)


def _feed(records: Iterator[Timed], feeder: Feed, job: _Job, *, progress: Progress | None) -> None:
    unpack, width, send = _PAYLOAD.unpack_from, _PAYLOAD.size, feeder.send
    for arrival_ms, payload in records:
        code, length = unpack(payload)
        send(CHANNELS[code], payload[width : width + length], payload[width + length :], arrival_ms)
        job.written += 1
        if progress is not None and job.written % _ROWS_PER_REPORT == 0:
            progress("writing", job.written, job.mapped)


def _ignore(reject: Reject) -> None:
    """Nobody wants to know."""
