"""Partitions as lists and how far each has been read: what a broker keeps, without a broker.

Knows nothing of tasks or of what records mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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


class Log:
    """Every partition of every topic, each read by one task."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, int], list[Kept]] = defaultdict(list)
        self._positions: dict[tuple[str, int], int] = defaultdict(int)
        self._unread: dict[int, dict[str, None]] = defaultdict(dict)

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
        records = self._records[topic, partition]
        records.append(Kept(topic, partition, len(records), timestamp_ms, key, value, headers))
        self._unread[partition][topic] = None

    def unread(self, partition: int) -> list[str]:
        """Topics whose partition has something to read."""
        return list(self._unread[partition])

    def has_unread(self, partition: int) -> bool:
        """Whether any topic's partition has something to read."""
        return bool(self._unread[partition])

    def read(self, topic: str, partition: int, most: int) -> Sequence[Kept]:
        """What comes after the committed position."""
        at = self._positions[topic, partition]
        return self._records[topic, partition][at : at + most]

    def commit(self, last: Kept) -> None:
        """Its partition is read up to and with this record."""
        at = topic, partition = last.topic, last.partition
        self._positions[at] = last.offset + 1
        if last.offset + 1 == len(self._records[at]):
            del self._unread[partition][topic]
