"""The sink's loop as a process that tests may kill: like `throughline sink`, with a group that forgets quickly.

`python -m tests.integration.sink_process BOOTSTRAP URL CHUNK_S [POINT:NTH]`: it kills itself when it comes to a point
for the n-th time, from 1.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from enum import StrEnum

from schemas.catalog import Catalog
from sinks.clickhouse.chunk import Block, ChunkWriter, Span
from sinks.clickhouse.landing import Landing, LandingOptions
from sinks.clickhouse.reading import Reading, ReadingOptions
from sinks.clickhouse.resolving import Resolver
from sinks.clickhouse.writer import Warehouse, Writer
from sinks.dead_letters import DeadLetters

SESSION_MS = 3_000
"""Less, and a busy machine's sink loses its place in the group without being dead."""


class Point(StrEnum):
    """The steps of landing a range, in their order."""

    DECLARING = "declaring"
    DECLARED = "declared"
    INSERTING = "inserting"
    INSERTED = "inserted"
    RESOLVING = "resolving"
    RESOLVED = "resolved"
    BURYING = "burying"
    BURIED = "buried"
    COMMITTING = "committing"
    COMMITTED = "committed"


class Killed:
    """Counts how often each point was passed, and ends the process at one of them."""

    def __init__(self, at: str) -> None:
        point, _, nth = at.partition(":")
        self._at = Point(point) if point else None
        self._left = int(nth or 1)

    def hit(self, point: Point) -> None:
        """The process is at this point now."""
        if point is self._at:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main(bootstrap: str, url: str, chunk_s: str, at: str = "") -> None:
    """Land until SIGTERM, or until a point is reached."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    killed = Killed(at)
    commit = Reading.commit

    class Inserts(Writer):
        """A writer with points around each insert."""

        def insert(self, table: str, block: Block) -> None:
            killed.hit(Point.INSERTING)
            super().insert(table, block)
            killed.hit(Point.INSERTED)

    class Burials(DeadLetters):
        """Dead letters with points around them."""

        def flush(self) -> None:
            killed.hit(Point.BURYING)
            super().flush()
            killed.hit(Point.BURIED)

    class Followup(Resolver):
        """What follows from rows, with points around it."""

        def _resolve(self, ends: Mapping[int, int]) -> None:
            # Not the look around at the start, when nothing has landed.
            if ends:
                killed.hit(Point.RESOLVING)
            super()._resolve(ends)
            if ends:
                killed.hit(Point.RESOLVED)

    def commit_between(reading: Reading, offsets: Mapping[Span, tuple[int, str]]) -> None:
        declares = any(metadata for _, metadata in offsets.values())
        killed.hit(Point.DECLARING if declares else Point.COMMITTING)
        commit(reading, offsets)
        killed.hit(Point.DECLARED if declares else Point.COMMITTED)

    Reading.commit = commit_between  # type: ignore[method-assign,assignment]
    options = LandingOptions(ReadingOptions(bootstrap, "test-sink", SESSION_MS), chunk_s=float(chunk_s))
    warehouse = Warehouse(url, "throughline", "throughline")
    Landing(
        options,
        Inserts(warehouse),
        chunks=ChunkWriter(Catalog.embedded().schema),
        burials=Burials(bootstrap),
        followup=Followup(warehouse),
    ).run(stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
