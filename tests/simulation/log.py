"""Partitions as lists: what a broker keeps, without a broker. Knows nothing of tasks or of what records mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as a consumer gets it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Log:
    """Every partition of every topic."""

    def __init__(self) -> None:
        self._partitions: dict[tuple[str, int], list[Kept]] = defaultdict(list)

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
        kept.append(Kept(topic, partition, len(kept), timestamp_ms, key, value, headers))

    def partition(self, topic: str, partition: int) -> Sequence[Kept]:
        """One partition, as it grows."""
        return self._partitions[topic, partition]
