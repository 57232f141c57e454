"""What looks at a worker while it runs, put together: its figures, the endpoints that show them, the watchdog.

Knows none of them from inside, and nothing of the worker.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from streams.runtime.health import Health
from streams.runtime.metrics import Metrics
from streams.runtime.progress import Progress, RunTime
from streams.runtime.watchdog import Watchdog, beat_s_of

__all__ = ["observed"]


@contextmanager
def observed(stall_s: float, *, port: int, inbox: str, is_live: bool) -> Iterator[Metrics]:
    """The figures of a worker that is watched for as long as this lasts.

    `stall_s` 0: never ended; `port` 0: no endpoints. Raises CannotServe.
    """
    stall_s = stall_s or math.inf
    run_time = RunTime(2 * beat_s_of(stall_s))
    metrics = Metrics(Progress(run_time, stall_s, inbox), is_live=is_live)
    with ExitStack() as running:
        if port:
            running.callback(Health(metrics, port).close)
        watchdog = Watchdog(metrics.progress, run_time)
        watchdog.start()
        running.callback(watchdog.stop)
        yield metrics
