"""The same stream through what others give: stock Faust, sessions alone, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import cast

from streams.broker.embedded import EmbeddedBroker
from streams.importer.feeding import Feeder
from streams.runtime.topics import INPUTS
from tests.bench.report import Row, Section
from tests.bench.stock_faust import CHANGELOG
from tests.bench.stream import Stream, feed
from tests.bench.whole_job import PARTITIONS, Figures, WrongRun

_PATIENCE_S = 120.0


def measure(stream: Stream) -> Figures:
    """Run stock Faust over the stream. Raises WrongRun."""
    topics = dict.fromkeys((*INPUTS, CHANGELOG), PARTITIONS)
    with EmbeddedBroker.start(topics) as broker:
        with Feeder(broker.bootstrap, "stock", PARTITIONS, pace=False, tick_ms=None, outputs=()) as feeder:
            feed(stream, feeder)
        command = [sys.executable, "-m", "tests.bench.stock_faust", broker.bootstrap]
        ended = subprocess.run(
            [*command, str(len(stream.records)), str(PARTITIONS)],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    # Before it Faust prints what makes a terminal's cursor come and go.
    _, begin, line = ended.stdout.partition('{"touchpoints"')
    if not begin:
        raise WrongRun(f"stock Faust ended with {ended.returncode}: {ended.stderr.strip()[-500:]}")
    return cast(dict[str, float], json.loads(begin + line.splitlines()[0]))


def section(stock: Figures, ours: Figures) -> Section:
    """Its figures, and ours beside them."""
    stock_us, ours_us = (1e6 * run["cpu_since_first_s"] / run["touchpoints"] for run in (stock, ours))
    return Section(
        "Stock Faust, sessions alone, one worker process",
        [
            Row("touchpoints a second of worker CPU", 1e6 / stock_us, "/s"),
            Row("CPU a touchpoint", stock_us),
            Row("ours, doing all of it, is faster by", stock_us / ours_us, "x"),
        ],
        f"{stock['touchpoints']:,.0f} touchpoints; no identity, duplicates, late ones, carts, actions or outputs",
    )
