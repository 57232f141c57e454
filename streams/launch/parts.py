"""One part of the line as a child process: its log, its end, what it cost.

Must not know what the part does. A part never outlives this process by more than it takes to notice.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

_LOG_LINES = 5
_POLL_S = 0.02


class PartDied(RuntimeError):
    """A part ended that should be running; says which, how, and its last words."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process used until it ended."""

    cpu_s: float
    peak_rss_bytes: int


class Part:
    """A `throughline` command running in a process of its own, its output in `log`."""

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self.exit_code: int | None = None
        self.cost: Cost | None = None
        self._peak_rss_bytes = 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the parent, which stops its parts in order
            )

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether the process lives; notes how it ended and what it cost."""
        if self.exit_code is not None:
            return False
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return True
        self.exit_code = os.waitstatus_to_exitcode(status)
        self._process.returncode = self.exit_code
        # The kernel counts what this process held when it forked; what was read of the child itself is right.
        self.cost = Cost(usage.ru_utime + usage.ru_stime, self._peak_rss_bytes or usage.ru_maxrss * 1024)
        return False

    def require_running(self) -> None:
        """Raises PartDied if it is not."""
        if not self.is_running():
            raise PartDied(
                f"the {self.name} ended ({self._ending()}): {self.last_words() or 'it said nothing'}"
            )

    def signal(self, number: Signals) -> None:
        """Send a signal, if it still runs."""
        if self.is_running():
            os.kill(self.pid, number)

    def stop(self, timeout_s: float = 20.0) -> None:
        """SIGTERM, and SIGKILL to one that does not listen."""
        self._peak_rss_bytes = peak_rss_bytes(self.pid)
        self.signal(SIGTERM)
        if not self._ended_within(timeout_s):
            self.kill()

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.signal(SIGKILL)
        self._ended_within(10.0)

    def last_words(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-_LOG_LINES:])

    def _ended_within(self, timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while self.is_running():
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _ending(self) -> str:
        code = self.exit_code or 0
        return f"signal {Signals(-code).name}" if code < 0 else f"exit code {code}"


def peak_rss_bytes(pid: int) -> int:
    """The most memory a process has held so far; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    peak = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peak[0].split()[1]) * 1024 if peak else 0
