"""Partitions as lists and how far each has been read: what a broker keeps, without a broker.

Knows nothing of tasks or of what records mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Kept(NamedTuple):
    """A record as a consumer gets it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Partition:
    """One partition of a topic; `position` is the offset up to which it is read."""

    __slots__ = ("position", "records")

    def __init__(self) -> None:
        self.records: list[Kept] = []
        self.position = 0

    def read(self, most: int) -> Sequence[Kept]:
        """What comes next, at most so many."""
        return self.records[self.position : self.position + most]


class Log:
    """Every partition of every topic, each read by one task."""

    def __init__(self) -> None:
        self._partitions: dict[tuple[str, int], Partition] = defaultdict(Partition)
        self._unread: dict[int, dict[str, Partition]] = defaultdict(dict)

    def append(
        self,
        topic: str,
        partition: int,
        *,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int = 0,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """One record at the end of its partition."""
        kept = self._partitions[topic, partition]
        kept.records.append(Kept(topic, partition, len(kept.records), timestamp_ms, key, value, headers))
        self._unread[partition][topic] = kept

    def tick(self, topics: Iterable[str], partitions: int, clock_ms: int) -> None:
        """Everything that arrived by then is written: said in every partition of these topics."""
        headers = [("clock-ms", str(clock_ms).encode())]
        for topic in topics:
            for partition in range(partitions):
                self.append(topic, partition, key=None, value=None, timestamp_ms=clock_ms, headers=headers)

    def unread(self, partition: int) -> dict[str, Partition]:
        """The topics that have something to read in this partition."""
        return self._unread[partition]

    def commit(self, last: Kept) -> None:
        """Its partition is read up to and with this record."""
        unread = self._unread[last.partition]
        kept = unread[last.topic]
        kept.position = last.offset + 1
        if kept.position == len(kept.records):
            del unread[last.topic]
