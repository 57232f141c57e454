"""A history through all tasks in this process: imported as the command imports it, read as consumers read it.

Stands in for Kafka, the feeder and the worker, so that an order of arrival takes seconds to try. Knows no right answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from schemas.codec import decode
from streams.core.identifier import murmur2
from streams.core.rules import Rules
from streams.core.step import INPUTS
from streams.importer.feeding import HOUR_MS
from streams.importer.importing import Order, Summary, import_files
from streams.importer.mapping import Mapping
from tests.oracle.landed import Landed
from tests.simulation.cluster import Cluster, Faults
from tests.simulation.landing import landed_from, rows_of
from tests.simulation.log import Log

TICK_MS = 24 * HOUR_MS
"""Public files tell of months: a tick a day."""
CLOSING_MS = (2 * HOUR_MS, 73 * HOUR_MS)
CLOSING_TICKS = 4
EAGERNESS = 0.02
"""The chance that a task works while there is still something to be written."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was imported, what the tasks made of it, and every record they wrote by its topic.

    `told` is each touchpoint as it was written, by its message id.
    """

    summary: Summary
    told: dict[str, dict[str, Any]] = field(repr=False)
    landed: Landed = field(repr=False)
    rows: dict[str, list[dict[str, Any]]] = field(repr=False)

    def sessions(self) -> set[frozenset[str]]:
        """The message ids of each session."""
        members: dict[str | None, set[str]] = {}
        for row in self.landed.touchpoints:
            members.setdefault(row.session, set()).add(row.message_id)
        assert None not in members, f"{len(members[None])} touchpoints have no session"
        counted = {session.session: session.touchpoints for session in self.landed.sessions}
        assert {session: len(ids) for session, ids in members.items()} == counted
        return set(map(frozenset, members.values()))


class Feed:
    """What an import writes to: the partitions of a cluster that works meanwhile, and waits for each closing tick."""

    def __init__(self, log: Log, cluster: Cluster, partitions: int, *, rng: Random) -> None:
        self.tick_ms: int | None = TICK_MS
        self.told: dict[str, dict[str, Any]] = {}
        self._log = log
        self._cluster = cluster
        self._partitions = partitions
        self._rng = rng
        self._last_tick_ms = 0

    def send(self, channel: str, key: bytes, value: bytes, arrival_ms: int) -> None:
        """One touchpoint, and before it a tick if one is due."""
        if self.tick_ms is not None and arrival_ms - 1 >= self._last_tick_ms + self.tick_ms:
            self._tick(arrival_ms - 1)
        touchpoint = decode(value)[1]
        self.told[touchpoint["message_id"]] = touchpoint
        partition = murmur2(key) % self._partitions
        self._log.append(f"touchpoints.{channel}", partition, key=key, value=value, timestamp_ms=arrival_ms)
        if self._rng.random() < EAGERNESS:
            self._cluster.turn()

    def finish(self, last_ms: int) -> None:
        """Past what is due soon, and past the last timer."""
        for after_ms in CLOSING_MS:
            for step in range(CLOSING_TICKS):
                self._tick(last_ms + after_ms + step)
                self._cluster.settle()

    def _tick(self, clock_ms: int) -> None:
        self._log.tick(INPUTS, self._partitions, clock_ms)
        self._last_tick_ms = clock_ms


def replay(
    files: Sequence[Path], mapping: Path | Mapping, *, order: Order, partitions: int, seed: int
) -> Replayed:
    """Import the files in that order and let the tasks finish; raises AssertionError where a record was refused."""
    rng = Random(f"replay {seed}")
    log = Log()
    cluster = Cluster(log, partitions, Rules(is_replay=True), rng=rng, faults=Faults())
    feed = Feed(log, cluster, partitions, rng=rng)
    summary = import_files(files, mapping, feed, order=order)
    assert not cluster.dead, [dead.detail for dead in cluster.dead]
    return Replayed(
        summary, feed.told, landed_from(cluster.written, may_repeat=False), rows_of(cluster.written)
    )
