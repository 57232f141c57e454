"""What a fetch loop knows of each assigned partition, and what it asks for. No connection, no loop.

Must not know who takes, or when a request is due.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from aiokafka import errors
from aiokafka.structs import TopicPartition

from streams.runtime.fetched import Fetched

__all__ = ["FetchPace", "Source", "by_topic"]


@dataclass(frozen=True, slots=True)
class FetchPace:
    """How much a fetch may bring, and how soon the next one follows."""

    most_bytes: int
    each_bytes: int
    """Of one partition; while so much of it waits, no more is asked for."""
    wait_ms: int
    """How long a broker may hold a request that finds nothing."""
    gap_s: float
    """The least time between two requests to a broker, unless it has shown more."""
    buffer_bytes: int = 64 << 20
    """Beyond so much that waits to be taken, only tasks of which nothing waits are asked for: one batch of each of
    hundreds of partitions is far too much, but a task that does not get on must never hold up the others."""

    @property
    def quiet_s(self) -> float:
        """While others are not asked for, how often partitions are looked at that had none."""
        return max(self.gap_s, self.wait_ms / 1000)


class Source:
    """One assigned partition."""

    __slots__ = (
        "asked_at",
        "failure",
        "has_flow",
        "shown_ms",
        "size_bytes",
        "state",
        "tp",
        "waiting",
    )

    def __init__(self, tp: TopicPartition, state: Any) -> None:
        self.tp = tp
        self.state = state
        self.asked_at = -1
        """The offset that was last asked for."""
        self.waiting: deque[Fetched] = deque()
        """What was fetched and is not taken, each from where the one before it ends."""
        self.size_bytes = 0
        self.failure: errors.KafkaError | None = None
        self.shown_ms: int | None = None
        """When the fetch was *sent* that showed the end we know of. When its answer came would be too late: a record
        that arrived in between would be taken for read."""
        self.has_flow = False
        """True if its last answer had records."""

    @property
    def next_at(self) -> int | None:
        """The offset behind all that was fetched; None while nobody has set a position."""
        at: int | None = self.waiting[-1].end if self.waiting else self.state._position
        return at

    @property
    def is_behind(self) -> bool:
        """True if the broker has shown records, of closed transactions, that were not fetched; or nothing yet."""
        stable, at = self.state.lso, self.next_at
        return stable is None or (at is not None and at < stable)

    def is_to_be_asked(self, below_bytes: int) -> bool:
        """True where the position is known and less than so much waits."""
        state = self.state
        return (
            state._position is not None
            and self.size_bytes < below_bytes
            and self.failure is None
            and not state._paused
        )


def by_topic(asked: Sequence[Source]) -> dict[str, list[tuple[int, int]]]:
    """What to ask. Each is first once in a while: a broker fills its answer in the order of the request."""
    first = random.randrange(len(asked))
    found: dict[str, list[tuple[int, int]]] = {}
    for source in (*asked[first:], *asked[:first]):
        topic, partition = source.tp
        source.asked_at = cast(int, source.next_at)
        found.setdefault(topic, []).append((partition, source.asked_at))
    return found
