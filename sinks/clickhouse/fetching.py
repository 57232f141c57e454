"""What brokers have of the partitions that the sink holds: asked for by offset, taken a whole record batch at a time.

Beside the consumer, which keeps the group and its offsets: that one makes an object of each record, which costs twice
as much as everything else that a row passes through. Reads what is committed only. Must not know of groups, or of
what becomes of the records.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Final

from aiokafka.errors import KafkaError, OffsetOutOfRangeError, for_code
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from schemas.committed import CommittedBatches
from sinks.clickhouse.brokers import Brokers, Led, Place
from sinks.clickhouse.rows import Record, take_records

__all__ = ["CannotRead", "Fetched", "Fetcher", "Place", "opened"]

log = logging.getLogger(__name__)

_BATCH: Final = Struct(">q13xh34xi")
"""The head of a record batch of format 2: first offset, attributes, how many records."""
_LENGTH_AT: Final = 8
_LENGTH_BYTES: Final = 12
"""The first offset and the length, which counts what comes behind it."""
_FORMAT_AT: Final = 16
_FORMAT: Final = 2
_CODEC: Final = 7
"""The bits of the attributes that name the compression."""


class CannotRead(Exception):
    """A broker that is too old, or records that are broken on its disk: a person is needed."""


@dataclass(slots=True)
class Fetched:
    """What a broker said of one partition, asked from an offset on."""

    place: Place
    next_offset: int
    """Where to read on: behind the last record, and behind markers of transactions. Where it was asked from, if there
    was nothing."""
    end: int
    """Behind the last record that can be read by now."""
    records: list[Record] = field(default_factory=list)
    is_out_of_range: bool = False
    """True if the broker does not have the offset that it was asked from, and so nothing else stands here."""


class Fetcher:
    """Asks brokers for records. Whatever breaks is tried again with the next question."""

    def __init__(self, led: Callable[[], Led], client_id: str) -> None:
        """`led` says who leads which partition by now; it may raise KafkaException."""
        self._brokers = Brokers(led, client_id)
        self._refused: set[tuple[Place, str]] = set()

    def fetch(self, offsets: Mapping[Place, int]) -> list[Fetched]:
        """What there is from these offsets on, some megabytes at most, without waiting for more.

        Raises CannotRead.
        """
        if not offsets:
            return []
        try:
            return list(self._fetched(offsets))
        except KafkaError as error:
            raise CannotRead(str(error)) from error

    def close(self) -> None:
        """Let go of the brokers."""
        self._brokers.close()

    def _fetched(self, offsets: Mapping[Place, int]) -> Iterator[Fetched]:
        for topic, answers in self._brokers.ask(offsets):
            for partition, error_code, end, stable, aborted, data in answers:
                place = topic, partition
                if error_code:
                    yield from self._refusal(place, error_code, offset=offsets[place])
                else:
                    # A mock broker knows of no transactions.
                    readable = stable if stable >= 0 else end
                    yield opened(place, data, offset=offsets[place], end=readable, aborted=aborted)

    def _refusal(self, place: Place, error_code: int, *, offset: int) -> Iterator[Fetched]:
        error = for_code(error_code)
        if error is OffsetOutOfRangeError:
            yield Fetched(place, offset, offset, is_out_of_range=True)
            return
        if (place, error.__name__) not in self._refused:
            self._refused.add((place, error.__name__))
            log.warning("%s/%d cannot be read, trying again: %s", *place, error.__name__)
        self._brokers.look_again()


def opened(
    place: Place, data: bytes, *, offset: int, end: int, aborted: Iterable[tuple[int, int]] = ()
) -> Fetched:
    """The records of whole record batches from an offset on; `aborted` is (producer, first offset) of transactions.

    Raises CorruptRecordException.
    """
    found = Fetched(place, offset, end)
    batches, at = CommittedBatches(TopicPartition(*place), MemoryRecords(data), aborted), 0
    while batches.has_next():
        batch, is_to_be_read = batches.next()
        length = int.from_bytes(data[at + _LENGTH_AT : at + _LENGTH_BYTES], "big")
        if is_to_be_read:
            _open(batch, data, at, least=offset, into=found.records)
        at += _LENGTH_BYTES + length
        # Not what the last record says: compaction may have removed that one.
        found.next_offset = batch.next_offset
    return found


def _open(batch: Any, data: bytes, at: int, *, least: int, into: list[Record]) -> None:
    if data[at + _FORMAT_AT] == _FORMAT:
        base, attributes, count = _BATCH.unpack_from(data, at)
        if not attributes & _CODEC:
            take_records(data, at + _BATCH.size, count, base, least, into)
            return
    into += [
        (record.offset, record.value)
        for record in batch
        if record.offset >= least and record.value is not None
    ]
