"""The sink's loop as a process that tests may kill: like `throughline sink`, with a group that forgets quickly."""

from __future__ import annotations

import signal
import sys
import threading

from schemas.catalog import Catalog
from sinks.clickhouse.chunk import ChunkWriter
from sinks.clickhouse.landing import Landing, LandingOptions
from sinks.clickhouse.writer import Warehouse, Writer

SESSION_MS = 1_500


def main(bootstrap: str, url: str, chunk_s: str) -> None:
    """Land until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    options = LandingOptions(bootstrap, "test-sink", chunk_s=float(chunk_s), session_timeout_ms=SESSION_MS)
    writer = Writer(Warehouse(url, "throughline", "throughline"))
    Landing(options, writer, chunks=ChunkWriter(Catalog.embedded().schema)).run(stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
