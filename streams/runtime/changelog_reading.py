"""Changelog partitions as chunks of changes: what was committed, in order, the last value of each key in a chunk.

Takes record batches straight out of what aiokafka has fetched: making its records would cost three times as much as all
the rest. Must not know what is done with the changes, nor which partitions are read or from where.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from aiokafka import TopicPartition

from schemas.committed import CommittedBatches
from streams.runtime.store.format import HEADER_PREFIX

__all__ = ["PART_KEY", "Chunk", "chunks"]

PART_KEY = b"\x00part"
"""The runtime's own key: stands before the changes of a batch that is one of several of a commit; which, from 0."""

_WAIT_S = 1.0


@dataclass(slots=True)
class Chunk:
    """Consecutive records of one partition: the last value of each key, None where it was removed."""

    changes: dict[bytes, bytes | None] = field(default_factory=dict)
    records: int = 0
    next_offset: int = 0
    """Where to read on. Not always behind the last record: markers of transactions and compaction leave holes."""
    header: tuple[bytes, bytes] | None = None
    """Key and value of the header that stands before these records, if one does."""
    part: int | None = None
    """These are one batch, this one of those that were appended for one commit without a transaction around them."""


async def chunks(
    consumer: Any, ends: Mapping[TopicPartition, int]
) -> AsyncIterator[tuple[TopicPartition, Chunk]]:
    """From the consumer's positions at least to the ends, all partitions side by side. Raises KafkaError.

    By position, never by counting. The consumer is read_committed, and this is all it is assigned. Whoever has
    enough of a partition takes it out of `ends`.
    """
    assignment = consumer._subscription.subscription.assignment
    states = {tp: assignment.state_value(tp) for tp in ends}
    while True:
        behind = {tp for tp, end in ends.items() if states[tp].position < end}
        for tp in states.keys() - behind:
            # Or else what comes of it would hold up the others.
            consumer.pause(tp)
        if not behind:
            return
        for tp, opened in await _fetched(consumer._fetcher, {tp: states[tp] for tp in behind}):
            for chunk in opened:
                yield tp, chunk


async def _fetched(
    fetcher: Any, states: Mapping[TopicPartition, Any]
) -> list[tuple[TopicPartition, list[Chunk]]]:
    """What has been fetched by now, opened; waits some time for the first of it."""
    if not any(tp in fetcher._records for tp in states):
        waiter = fetcher._create_fetch_waiter()
        await asyncio.wait([waiter], timeout=_WAIT_S)
        waiter.cancel()
    opened = []
    for tp in [tp for tp in fetcher._records if tp in states]:
        result = fetcher._records.pop(tp)
        if hasattr(result, "check_raise"):
            result.check_raise()
        fetched, state = result._partition_records, states[tp]
        # It may have been asked for before a seek.
        if fetched.next_fetch_offset == state.position:
            found = list(_open(tp, fetched, position=state.position))
            state.consumed_to(found[-1].next_offset)
            opened.append((tp, found))
    # The next may be fetched.
    fetcher._notify(fetcher._wait_consume_future)
    return opened


def _open(tp: TopicPartition, fetched: Any, *, position: int) -> Iterator[Chunk]:
    """At least one chunk, perhaps an empty one."""
    chunk = Chunk(next_offset=position)
    batches = CommittedBatches(tp, fetched._records, fetched._aborted_transactions)
    while batches.has_next():
        batch, is_to_be_read = batches.next()
        if is_to_be_read:
            # A batch must be asked for its iterator once only.
            records: Iterator[Any] = islice(batch, None)
            if batch.base_offset < position:
                # A broker begins at the batch that holds the position.
                records = iter([record for record in records if record.offset >= position])
            first = next(records, None)
            if first is not None and first.key is not None and first.key.startswith(HEADER_PREFIX):
                yield chunk
                chunk = Chunk(header=(first.key, first.value or b""), next_offset=chunk.next_offset)
                first = next(records, None)
            if first is not None and first.key == PART_KEY:
                # Its own header goes with it; what was read before it is a chunk of its own.
                if chunk.records or chunk.header is None:
                    yield chunk
                    chunk = Chunk()
                chunk.part = int.from_bytes(first.value, "big")
                _take(chunk, records)
                chunk.next_offset = batch.next_offset
                yield chunk
                chunk = Chunk(next_offset=batch.next_offset)
                continue
            if first is not None:
                records = chain((first,), records)
            _take(chunk, records)
        chunk.next_offset = batch.next_offset
    yield chunk


def _take(chunk: Chunk, records: Iterable[Any]) -> None:
    changes, count = chunk.changes, 0
    for count, record in enumerate(records, 1):  # noqa: B007  # what is counted with
        changes[record.key] = record.value
    chunk.records += count
