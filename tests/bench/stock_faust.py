"""Stock Faust doing sessions alone, as its documentation would have one write it: the peer of `whole_job`.

    python -m tests.bench.stock_faust BOOTSTRAP TOUCHPOINTS PARTITIONS

An agent over the touchpoints, a table keyed by the record key, at least once. No identity, no duplicates, no late
touchpoints, no carts, no outputs. Prints one line of JSON when it has processed that many: CPU since the first.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

import faust

from schemas.codec import read_head
from streams.runtime.topics import INPUTS

APP = "stock"
CHANGELOG = f"{APP}-sessions-changelog"
GAP_MS = 30 * 60 * 1000


def build(bootstrap: str, touchpoints: int, partitions: int) -> Any:
    """The app; its process ends with the last touchpoint."""
    app = faust.App(
        APP,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="throughline-bench-"),
        # The embedded broker creates no topic on request.
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=partitions,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
    )
    topic = app.topic(*INPUTS, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw")
    sessions = app.Table("sessions", partitions=partitions, key_type=bytes)

    @app.agent(topic)
    async def sessionize(stream: Any) -> None:
        done, first_s = 0, 0.0
        async for event in _events(stream):
            if not done:
                first_s = time.process_time()
            at_ms = read_head(event.value)[4]
            held = sessions.get(event.key)
            if held is None or at_ms > held[1] + GAP_MS:
                sessions[event.key] = (at_ms, at_ms, 1)
            else:
                sessions[event.key] = (held[0], max(held[1], at_ms), held[2] + 1)
            done += 1
            if done == touchpoints:
                _end(done, time.process_time() - first_s)

    return app


def _events(stream: Any) -> AsyncIterator[Any]:
    events: AsyncIterator[Any] = stream.events()
    return events


def _end(touchpoints: int, cpu_s: float) -> None:
    """What is still on its way to the changelog is left out, in Faust's favour."""
    print(json.dumps({"touchpoints": touchpoints, "cpu_since_first_s": cpu_s}), flush=True)
    os._exit(0)


def main() -> None:
    """Run a stock worker."""
    bootstrap, touchpoints, partitions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    app = build(bootstrap, touchpoints, partitions)
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False, quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main()
