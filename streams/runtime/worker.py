"""One worker process around a Faust app: signals, logging, exit code. Knows nothing of what the app does."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import faust

from streams.runtime.ending import ExitCode
from streams.runtime.metrics import Metrics

__all__ = [
    "Seldom",
    "Stopping",
    "Worker",
    "run",
    "set_up_logging",
    "spare_garbage_collector",
]

log = logging.getLogger(__name__)

# Below these levels Faust and aiokafka tell what is ordinary: a rebalance, a coordinator that moved, a commit of
# offsets that a rebalance refused.
_NOISE = {
    "faust": logging.ERROR,
    "mode": logging.ERROR,
    "aiokafka": logging.ERROR,
    "aiokafka.consumer.group_coordinator": logging.CRITICAL,
}


YOUNG_OBJECTS = 200_000
"""How many more objects than before start a collection. State is containers that live on and are in no cycle: looking
through them every 700 (stock) costs 2-4 us a touchpoint and finds nothing. What cycles there are (tracebacks, a
rebalance's futures) wait a little longer, some 20 MB at most."""

_SWITCH_S = 0.0005
"""How long the thread that fetches waits for the interpreter while a step is at work. Stock: 5 ms, several times a
fetch; p99 from produce to readable was 468 ms with that and 332 without, then 504 and 411, 595 and 703."""
_SAID_AGAIN_S = 10.0


class Seldom(logging.Filter):
    """Lets what aiokafka says pass once in 10 s: without a broker it says the same some fifty times a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said_s: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is new, or long ago."""
        if not record.name.startswith("aiokafka"):
            return True
        now_s, what = self._clock(), (record.name, str(record.msg))
        is_due = now_s - self._said_s.get(what, -_SAID_AGAIN_S) >= _SAID_AGAIN_S
        if is_due:
            self._said_s[what] = now_s
        return is_due


class Stopping:
    """Lets the inside of a worker stop it in good order, once, with a reason."""

    def __init__(self) -> None:
        self.code = ExitCode.STOPPED
        self.worker: Worker | None = None

    def __call__(self, code: ExitCode, line: str) -> None:
        """Says why and begins the stop; what is in hand is still committed."""
        if self.code is not ExitCode.STOPPED or self.worker is None:
            return
        self.code = code
        log.error(line)
        self.worker.stop_soon()


class Worker(faust.Worker):
    """Faust's worker without banner, spinner, renamed process, redirected prints or waiting for nothing at the end."""

    def __init__(self, app: Any, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(app, loop=loop, quiet=True, override_logging=False, redirect_stdouts=False)
        self.spinner = None

    def stop_soon(self) -> None:
        """Begins an orderly stop, as a signal would."""
        if self._signal_stop_future is None:
            self._signal_stop_future = asyncio.ensure_future(self._stop(), loop=self.loop)

    async def _stop(self) -> None:
        await self.stop()
        if self._starting_fut is not None:
            self._starting_fut.cancel()

    def _shutdown_loop(self) -> None:
        # All is stopped. A loop that closes gives its signals back to the system: a second SIGTERM would look like a
        # worker that was killed. Blocked in this thread alone, it would still reach another.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
            self.loop._signal_handlers.pop(number, None)  # type: ignore[attr-defined]
        super()._shutdown_loop()

    def _setproctitle(self, info: str, *, ident: str = "") -> None:
        """Stock: shows datadir and web port, of which there are none."""

    async def _sentinel_task(self) -> None:
        """Stock: sleeps a second before the loop is closed."""


def run(app: Any, *, stopping: Stopping, metrics: Metrics) -> int:
    """Runs the app until a signal or `stopping`. Returns the exit code."""
    sys.setswitchinterval(_SWITCH_S)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    metrics.progress.follow(loop)
    stopping.worker = Worker(app, loop=loop)
    try:
        stopping.worker.execute_from_commandline()
    except SystemExit as ended:
        code = stopping.code or (ExitCode.BROKEN if ended.code else ExitCode.STOPPED)
    if os.environ.get("THROUGHLINE_BENCH"):
        print(metrics.bench_line(), flush=True)
    return code


def spare_garbage_collector() -> None:
    """Leaves out of all collections to come what is there now: modules, and state that was restored."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


def set_up_logging(log_level: str) -> None:
    """One line a record, on stderr; what Faust and aiokafka say of ordinary life is left out."""
    logging.basicConfig(level=log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(Seldom())
    for name, least in _NOISE.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(log_level)))
