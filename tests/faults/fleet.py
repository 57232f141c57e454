"""Workers as an operator's supervisor keeps them: named, started again when they end, each start armed as planned.

Knows processes and their ends; nothing of what they work on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from types import TracebackType

from streams.launch.parts import Part
from streams.runtime.failpoints import VARIABLE
from streams.settings import PREFIX

__all__ = ["Ended", "Fleet", "until"]

PATIENCE_S = 120.0
_TEND_S = 0.05


@dataclass(frozen=True, slots=True)
class Ended:
    """One end of one worker: how it was armed, and its exit code (negative: the signal)."""

    worker: str
    armed: str
    code: int


@dataclass(slots=True)
class _Slot:
    """A named worker."""

    name: str
    settings: Mapping[str, str]
    plan: deque[str]
    armed: str = ""
    part: Part | None = None


@dataclass
class Fleet:
    """Keeps workers running until `stop`. A thread of its own starts again what has ended."""

    environment: Mapping[str, str]
    logs: Path
    ended: list[Ended] = field(default_factory=list)
    _slots: dict[str, _Slot] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._tending = threading.Thread(target=self._tend, daemon=True)
        self._tending.start()

    def start(self, name: str, plan: Iterable[str] = (), **settings: str) -> None:
        """A worker; each of its starts takes the next failpoints of the plan, then none. Settings without prefix."""
        with self._lock:
            self._slots[name] = slot = _Slot(name, settings, deque(plan))
            self._launch(slot)

    def signal(self, name: str, number: Signals) -> None:
        """Sends a signal to a worker as it runs now."""
        with self._lock:
            part = self._slots[name].part
            if part is not None:
                part.signal(number)

    def is_running(self, name: str) -> bool:
        """Whether a signal would meet it: between its end and its next start it would not."""
        with self._lock:
            part = self._slots[name].part
            return part is not None and part.is_running()

    def pid(self, name: str) -> int:
        """The process of a worker as it runs now."""
        with self._lock:
            part = self._slots[name].part
            assert part is not None
            return part.pid

    def is_up(self, name: str) -> bool:
        """Whether a worker does something about SIGTERM: before, while it is being loaded, it just ends."""
        status = Path(f"/proc/{self.pid(name)}/status").read_text()
        [caught] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
        return bool(int(caught, 16) >> (SIGTERM - 1) & 1)

    def retire(self, name: str, *, times: int = 1, kill: bool = False) -> int:
        """Stops a worker for good, with so many SIGTERMs; its exit code."""
        with self._lock:
            part = self._slots.pop(name).part
        assert part is not None
        if kill:
            part.kill()
        for _ in range(times - 1):
            part.signal(Signals.SIGTERM)
            time.sleep(0.02)
        part.stop()
        assert part.exit_code is not None
        return part.exit_code

    def kills(self) -> int:
        """How many ends by SIGKILL there were."""
        return sum(1 for end in self.ended if end.code == -SIGKILL)

    def said(self, name: str) -> str:
        """Everything a worker wrote to its log, over all its lives."""
        return self._log(name).read_text(errors="replace")

    def stop(self) -> dict[str, int]:
        """SIGTERM to all; exit codes by name."""
        with self._lock:
            names = list(self._slots)
        return {name: self.retire(name) for name in names}

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._tending.join()
        for slot in self._slots.values():
            if slot.part is not None:
                slot.part.kill()

    def _tend(self) -> None:
        while not self._stopping.wait(_TEND_S):
            with self._lock:
                for slot in self._slots.values():
                    if slot.part is not None and not slot.part.is_running():
                        assert slot.part.exit_code is not None
                        self.ended.append(Ended(slot.name, slot.armed, slot.part.exit_code))
                        self._launch(slot)

    def _launch(self, slot: _Slot) -> None:
        slot.armed = slot.plan.popleft() if slot.plan else ""
        told = {PREFIX + key: value for key, value in slot.settings.items()}
        environment = {**self.environment, **told, VARIABLE: slot.armed}
        slot.part = Part(slot.name, ["worker"], environment=environment, log=self._log(slot.name))

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def until(done: Callable[[], bool], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Returns when it is done; fails after the patience, saying what was waited for."""
    deadline_s = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < deadline_s, f"waited {patience_s:.0f} s for {what}"
        time.sleep(0.05)
