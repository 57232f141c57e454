"""How a worker ends when it must not go on: one clear line, one exit code. The only place that ends the process.

Exit codes: 0 stopped as asked, 1 broken (a failed commit, an invariant), 3 the broker no longer has what the worker
needs, 4 too many dead letters, 5 fenced (the task is somebody else's by now; start again), 6 no progress.
"""

from __future__ import annotations

import logging
import os
import sys
from enum import IntEnum
from typing import NoReturn

__all__ = ["ExitCode", "end_process"]

log = logging.getLogger(__name__)


class ExitCode(IntEnum):
    """What the exit code of a worker says."""

    STOPPED = 0
    BROKEN = 1
    LOST = 3
    TOO_MANY_DEAD = 4
    FENCED = 5
    STALLED = 6


def end_process(code: ExitCode, line: str, *, error: BaseException | None = None) -> NoReturn:
    """Says why and ends at once: nothing more is processed, sent or committed. The next owner replays the batch."""
    log.error(line, exc_info=error)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
