"""What a fetch loop knows of each assigned partition, and what it asks for. No connection, no loop.

Must not know who takes, or when a request is due.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import errors
from aiokafka.structs import TopicPartition

from streams.runtime.fetched import Fetched

__all__ = ["FetchPace", "Source", "by_topic", "to_be_asked"]


@dataclass(frozen=True, slots=True)
class FetchPace:
    """How much a fetch may bring, and how soon the next one follows."""

    most_bytes: int
    each_bytes: int
    """Of one partition."""
    wait_ms: int
    """How long a broker may hold a request that finds nothing."""
    gap_s: float
    """The least time between two requests to a broker, unless a partition is behind."""
    buffer_bytes: int = 64 << 20
    """Beyond so much that waits to be taken, only tasks of which nothing waits are asked for: one batch of each of
    hundreds of partitions is far too much, but a task that does not get on must never hold up the others."""

    @property
    def quiet_s(self) -> float:
        """While records wait to be taken, how often partitions are looked at that had none."""
        return max(self.gap_s, self.wait_ms / 1000)


class Source:
    """One assigned partition."""

    __slots__ = (
        "asked_at",
        "asked_s",
        "failure",
        "fetched",
        "has_flow",
        "shown_ms",
        "size_bytes",
        "state",
        "tp",
    )

    def __init__(self, tp: TopicPartition, state: Any) -> None:
        self.tp = tp
        self.state = state
        self.asked_at = -1
        """The offset that was last asked for."""
        self.asked_s = 0.0
        self.fetched: Fetched | None = None
        self.size_bytes = 0
        self.failure: errors.KafkaError | None = None
        self.shown_ms: int | None = None
        """When the fetch was *sent* that showed the end we know of. When its answer came would be too late: a record
        that arrived in between would be taken for read."""
        self.has_flow = False
        """True if its last answer had records."""

    @property
    def is_behind(self) -> bool:
        """True if the broker has shown records, of closed transactions, that were not taken; or nothing yet."""
        stable, position = self.state.lso, self.state._position
        return stable is None or (position is not None and position < stable)


def to_be_asked(led: Iterable[Source], renewing: Collection[Source]) -> list[Source]:
    """Those of which nothing waits, or that are asked for anew, where the position is known."""
    return [
        source
        for source in led
        if (source.fetched is None or source in renewing)
        and source.failure is None
        and (state := source.state)._position is not None
        and not state._paused
    ]


def by_topic(asked: Sequence[Source]) -> dict[str, list[tuple[int, int]]]:
    """What to ask. Each is first once in a while: a broker fills its answer in the order of the request."""
    first = random.randrange(len(asked))
    now_s = time.monotonic()
    found: dict[str, list[tuple[int, int]]] = {}
    for source in (*asked[first:], *asked[:first]):
        topic, partition = source.tp
        position = source.asked_at = source.state._position
        source.asked_s = now_s
        if topic in found:
            found[topic].append((partition, position))
        else:
            found[topic] = [(partition, position)]
    return found
