"""Ends a worker that makes no progress, whatever it hangs in, so that its supervisor starts another.

Looks at `progress` and knows nothing of why there is none. Three nets, each for what gets through the one before: a
thread, for an event loop that is blocked or waits for ever; the kernel's timer, for code that never lets another
thread run (a compiled loop that holds the interpreter's lock); the same timer once more, for an end that hangs itself
(a log that nobody reads).
"""

from __future__ import annotations

import faulthandler
import math
import signal
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from streams.runtime.ending import ExitCode, end_process
from streams.runtime.progress import Progress, RunTime

__all__ = ["Alarm", "Watchdog", "beat_s_of"]

_LONGEST_BEAT_S = 5.0
_BEATS = 10
"""It looks so often within the time after which a worker counts as stalled."""

_LAST_WORDS_S = 10.0
_STACKS_AT = 0.9

End = Callable[[ExitCode, str], Any]


Alarm = Callable[[float], Any]
"""The kernel's timer: ends the process in so many seconds, unless set again, whatever the process does."""


def beat_s_of(stall_s: float) -> float:
    """How often the watchdog looks."""
    return min(_LONGEST_BEAT_S, stall_s / _BEATS)


def kernel_alarm(seconds: float) -> None:
    """SIGALRM, which nobody here handles, ends the process; a moment before, the stacks go to stderr. 0: never."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    if seconds:
        faulthandler.dump_traceback_later(seconds * _STACKS_AT)
    else:
        faulthandler.cancel_dump_traceback_later()


def end_with_stacks(code: ExitCode, line: str) -> NoReturn:
    """Where every thread stands, which is code and no values, then the end."""
    faulthandler.dump_traceback(all_threads=True)
    end_process(code, line)


class Watchdog:
    """A thread that looks at the progress, and keeps the time that the process was let run.

    Exit code 6 with a line that says why and where every thread stands; if Python cannot say anything any more, the
    process is ended by SIGALRM (-14, or 142 in a shell).
    """

    def __init__(
        self,
        progress: Progress,
        run_time: RunTime,
        *,
        end: End = end_with_stacks,
        alarm: Alarm = kernel_alarm,
    ) -> None:
        self._progress = progress
        self._run_time = run_time
        self._end = end
        self._alarm = alarm
        self._beat_s = beat_s_of(progress.stall_s)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """From now on it watches. On the main thread: a SIGALRM that the parent ignored must count here."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self._thread.start()

    def stop(self) -> None:
        """The worker ends by itself."""
        self._stopped.set()
        self._thread.join()
        self._alarm(0.0)

    def look(self) -> bool:
        """One look; True if the process was told to end."""
        self._run_time.tick()
        reason = self._progress.stall()
        if math.isfinite(self._progress.stall_s):
            self._alarm(_LAST_WORDS_S if reason else self._progress.stall_s + 2 * self._beat_s)
        if reason:
            self._end(ExitCode.STALLED, f"no progress: {reason} (worker.stall_s); ending")
        return bool(reason)

    def _watch(self) -> None:
        while not self._stopped.wait(self._beat_s):
            if self.look():
                return
