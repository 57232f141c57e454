"""What a changelog says, brought into the stores of tasks: all of it, or what is behind a store's own state.

Owns whether a store's state is continued from, the migration of values, and progress. Must not know Kafka's protocol
(`changelog_reading`), how stores keep state, or what keys and values mean, except the keys that are the runtime's own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from streams.runtime.changelog_reading import Chunk, chunks
from streams.runtime.engine import Change, Reflected, Store
from streams.runtime.plan import PLAN_KEY, Plan
from streams.runtime.store.format import FIRST_FORMAT, StateFormat, new_changelog_id
from streams.runtime.store.trust import Found, distrust

__all__ = ["OFFSETS_KEY", "ChangelogTruncated", "OnProgress", "Progress", "Restoration", "Restored"]

log = logging.getLogger(__name__)

OFFSETS_KEY = b"\x00offsets"
"""The runtime's own key: msgpack {topic: next offset}, for every input topic and the inbox. The core never sees it."""

OnProgress = Callable[[Mapping[int, float], int], None]
"""Takes, while a restore reads: partition -> share that is read, and the records that came since last told."""

_TELL_EVERY_S = 5.0
_HEAD_BYTES = 64 * 1024


class ChangelogTruncated(Exception):
    """The broker has dropped the beginning of a changelog, so the state cannot be rebuilt from it."""

    def __init__(self, topic: str, partition: int, *, beginning: int) -> None:
        super().__init__(
            f"the changelog {topic}[{partition}] now begins at offset {beginning}, so the state cannot be restored: "
            "the embedded broker keeps 5 MiB a partition and this run's changelog outgrew it; use a real Kafka"
        )


@dataclass(frozen=True, slots=True)
class Restored:
    """What a changelog says besides state: positions (topic -> next offset), where the changelog itself ends, and
    what an earlier owner had begun to send without committing it."""

    positions: dict[str, int]
    end: int
    plan: Plan | None = None
    header: Sequence[Change] = ()
    """What has to begin the first commit: this changelog has no values in today's format yet."""
    reflected: Reflected = field(default_factory=Reflected)

    def behind(self, end: int, positions: Mapping[str, int]) -> Reflected:
        """What the store reflects once a commit up to `end` is confirmed."""
        now_ms = time.time_ns() // 1_000_000
        return msgspec.structs.replace(
            self.reflected, offset=end, positions=dict(positions), plan=None, unseen_since_ms=now_ms
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a restore is."""

    tasks: int
    records: int
    share: float
    """Of the offsets to be read; 1.0 at the end, which is always told."""
    elapsed_s: float

    @property
    def left_s(self) -> float:
        """How long it will still take, at the pace so far."""
        return self.elapsed_s * (1 - self.share) / self.share if self.share else float("inf")


def log_progress(progress: Progress) -> None:
    """One line."""
    rate = progress.records / max(progress.elapsed_s, 1e-9)
    if progress.share < 1.0:
        log.info(
            "restoring %d tasks: %.0f %% of the changelog, %d records, %.0f/s, %.0f s left",
            progress.tasks,
            100 * progress.share,
            progress.records,
            rate,
            progress.left_s,
        )
    else:
        log.info(
            "restored %d tasks: %d records in %.1f s, %.0f/s",
            progress.tasks,
            progress.records,
            progress.elapsed_s,
            rate,
        )


@dataclass(slots=True)
class _Target:
    """A store that is being filled."""

    store: Store
    start: int
    end: int
    base: Reflected
    """What the store reflects, as far as it was read."""
    read: int = 0
    """Up to where; behind what it reflects while a commit of several batches has not come to its end."""
    parts: list[Chunk] = field(default_factory=list)
    """What is there of that commit."""

    def take(self, chunk: Chunk, *, state_format: StateFormat, where: str) -> None:
        self.read = chunk.next_offset
        committed = self._committed(chunk)
        if committed is not None:
            self._take(committed, state_format=state_format, where=where)

    def _committed(self, chunk: Chunk) -> Chunk | None:
        """The chunk, with the parts before it if it is the last of several; None if it is not known to be committed."""
        if chunk.part is None:
            # What stands behind parts without an end is a successor's, who did that batch anew.
            if chunk.changes:
                self.parts = []
            return None if self.parts else chunk
        if chunk.part == 0:
            self.parts = []
        if chunk.part != len(self.parts):
            return None
        self.parts.append(chunk)
        if OFFSETS_KEY not in chunk.changes:
            return None
        parts, self.parts = self.parts, []
        changes = {key: value for part in parts for key, value in part.changes.items()}
        return Chunk(changes, next_offset=chunk.next_offset, header=parts[0].header)

    def _take(self, chunk: Chunk, *, state_format: StateFormat, where: str) -> None:
        base, changes = self.base, chunk.changes
        if chunk.header is not None:
            key, changelog_id = chunk.header
            version = state_format.version_of(key, where=where)
            base = msgspec.structs.replace(
                base, log_format=version, changelog_id=base.changelog_id or changelog_id
            )
        positions = changes.pop(OFFSETS_KEY, None)
        if positions is not None:
            base = msgspec.structs.replace(
                base, positions=msgspec.msgpack.decode(positions, type=dict[str, int])
            )
        plan = changes.pop(PLAN_KEY, base.plan)
        base = msgspec.structs.replace(base, plan=plan, offset=chunk.next_offset)
        if base.log_format != state_format.version:
            changes = state_format.migrate(changes, base.log_format)
        self.store.apply(changes.items(), base)
        self.base = base


@dataclass(slots=True)
class Restoration:
    """One restore of some tasks by one consumer, which is read_committed and nobody's member."""

    consumer: Any
    topic: str
    state_format: StateFormat
    tell: Callable[[Progress], None] = log_progress
    on_progress: OnProgress = lambda shares, records: None
    targets: dict[TopicPartition, _Target] = field(default_factory=dict)
    records: int = 0

    async def run(self, stores: Mapping[int, Store]) -> dict[int, Restored]:
        """Raises ChangelogTruncated, StateTooNew or KafkaError."""
        wanted = {TopicPartition(self.topic, partition): store for partition, store in stores.items()}
        self.consumer.assign(list(wanted))
        started_ms = time.time_ns() // 1_000_000
        await self._refuse_truncated()
        ends = await self.consumer.end_offsets(list(wanted))
        await self._drop_distrusted(wanted, ends, now_ms=started_ms)
        for tp, store in wanted.items():
            base = store.reflected
            if not base.offset:
                base = Reflected(log_format=FIRST_FORMAT, unseen_since_ms=started_ms)
            self.targets[tp] = _Target(store, base.offset, ends[tp], base)
            store.prepare(ends[tp] - base.offset)
            self.consumer.seek(tp, base.offset)
        await self._fill()
        return {tp.partition: self._settle(target, started_ms) for tp, target in self.targets.items()}

    async def _fill(self) -> None:
        started_s = told_s = time.monotonic()
        ends = {tp: target.end for tp, target in self.targets.items()}
        try:
            async for tp, chunk in chunks(self.consumer, ends):
                where = f"the changelog {tp.topic}[{tp.partition}]"
                self.targets[tp].take(chunk, state_format=self.state_format, where=where)
                self.records += chunk.records
                self.on_progress({tp.partition: min(1.0, chunk.next_offset / ends[tp])}, chunk.records)
                now_s = time.monotonic()
                if now_s - told_s >= _TELL_EVERY_S:
                    told_s = now_s
                    self.tell(self._progress(now_s - started_s))
        except OffsetOutOfRangeError:
            await self._refuse_truncated()
            raise
        self.tell(self._progress(time.monotonic() - started_s))

    def _progress(self, elapsed_s: float) -> Progress:
        whole = sum(target.end - target.start for target in self.targets.values())
        done = sum(max(0, min(target.read, target.end) - target.start) for target in self.targets.values())
        return Progress(len(self.targets), self.records, done / whole if whole else 1.0, elapsed_s)

    def _settle(self, target: _Target, started_ms: int) -> Restored:
        """Everything that was there when the restore began is in the store."""
        header: list[Change] = []
        reflected = msgspec.structs.replace(target.base, unseen_since_ms=started_ms)
        if not reflected.changelog_id or reflected.log_format != self.state_format.version:
            changelog_id = reflected.changelog_id or new_changelog_id()
            header = self.state_format.header(changelog_id)
        target.store.apply((), reflected)
        target.store.settle()
        if header:
            # From the first commit on, which it begins.
            reflected = msgspec.structs.replace(
                reflected, changelog_id=header[0][1], log_format=self.state_format.version
            )
        plan = reflected.plan
        return Restored(
            reflected.positions,
            max(target.end, reflected.offset),
            plan=None if plan is None else msgspec.msgpack.decode(plan, type=Plan),
            header=header,
            reflected=reflected,
        )

    async def _drop_distrusted(
        self, wanted: Mapping[TopicPartition, Store], ends: Mapping[TopicPartition, int], *, now_ms: int
    ) -> None:
        """Stores whose state does not belong to these changelogs begin anew."""
        kept = [tp for tp, store in wanted.items() if store.reflected.offset]
        ids = await self._changelog_ids({tp: ends[tp] for tp in kept})
        for tp in kept:
            reason = distrust(wanted[tp].reflected, Found(ids[tp], ends[tp], now_ms))
            if reason:
                log.warning(
                    "task %d: the state on disk is rebuilt from the changelog: %s", tp.partition, reason
                )
                wanted[tp].reset()

    async def _changelog_ids(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, bytes]:
        """What the headers say that changelogs begin with; empty where there is none. Only plans may stand before."""
        if not ends:
            return {}
        ids = dict.fromkeys(ends, b"")
        fetcher = self.consumer._fetcher
        stock_bytes, fetcher._max_partition_fetch_bytes = fetcher._max_partition_fetch_bytes, _HEAD_BYTES
        for tp in ends:
            self.consumer.seek(tp, 0)
        looking = dict(ends)
        async for tp, chunk in chunks(self.consumer, looking):
            if chunk.header is not None and tp in looking:
                ids[tp] = chunk.header[1]
            if chunk.header is not None or chunk.changes.keys() - {PLAN_KEY}:
                looking.pop(tp, None)
        fetcher._max_partition_fetch_bytes = stock_bytes
        self.consumer.resume(*ends)
        return ids

    async def _refuse_truncated(self) -> None:
        for tp, beginning in (await self.consumer.beginning_offsets(self.consumer.assignment())).items():
            if beginning > 0:
                raise ChangelogTruncated(self.topic, tp.partition, beginning=beginning)
