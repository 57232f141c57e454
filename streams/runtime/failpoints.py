"""Named points in the life of a batch at which a test ends, freezes or fails a worker; otherwise nothing at all.

Armed by THROUGHLINE_FAILPOINTS in the environment of the one process that is meant. Must not know what lies between two
points.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["VARIABLE", "FailpointRaised", "Point", "armed_by", "hit"]

VARIABLE = "THROUGHLINE_FAILPOINTS"
"""`<point>:<which hit, from 1>:<action>`, several with commas. Actions: `kill`, `stop` (SIGSTOP), `raise`,
`sleep=<seconds>` (the whole event loop), `kill=<milliseconds>` (that much later, wherever the worker is by then)."""


class Point(StrEnum):
    """Where a worker can be hit, in the order in which a batch passes them; the last five belong to rebalances."""

    PACKED = "commit.packed"
    PLANNED = "commit.planned"
    """Only without transactions."""
    BEGUN = "commit.begun"
    SENDING = "commit.sending"
    SENT = "commit.sent"
    COMMITTED = "commit.committed"
    APPLIED = "commit.applied"
    REVOKED = "rebalance.revoked"
    PARKED = "rebalance.parked"
    OPENED = "restore.opened"
    RESTORED = "restore.restored"
    ASSIGNED = "rebalance.assigned"


class FailpointRaised(Exception):
    """What the action `raise` raises."""


@dataclass(slots=True)
class _Armed:
    """What happens at a point, and how many hits it still lets pass."""

    left: int
    action: str

    def hit(self, point: Point) -> None:
        self.left -= 1
        if self.left == 0:
            _act(self.action, point)


def armed_by(text: str) -> dict[Point, _Armed]:
    """What the variable says. Raises ValueError."""
    found: dict[Point, _Armed] = {}
    for one in text.split(",") if text else ():
        point, nth, action = one.split(":")
        verb, _, number = action.partition("=")
        if verb not in ("kill", "stop", "raise", "sleep") or (verb == "sleep" and not number):
            raise ValueError(f"{VARIABLE}: no action {action!r}")
        float(number or 0)
        found[Point(point)] = _Armed(int(nth), action)
    return found


_armed = armed_by(os.environ.get(VARIABLE, ""))


def hit(point: Point) -> None:
    """The worker is at this point now."""
    if _armed and point in _armed:
        _armed[point].hit(point)


def _act(action: str, point: Point) -> None:
    verb, _, number = action.partition("=")
    print(f"failpoint {point}: {action}", file=sys.stderr, flush=True)
    if verb == "raise":
        raise FailpointRaised(point)
    if verb == "sleep":
        time.sleep(float(number))
    elif verb == "kill" and number:
        threading.Timer(float(number) / 1000, os.kill, (os.getpid(), signal.SIGKILL)).start()
    else:
        os.kill(os.getpid(), signal.SIGKILL if verb == "kill" else signal.SIGSTOP)
