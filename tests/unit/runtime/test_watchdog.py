"""The watchdog: looks, keeps the kernel's timer wound, and ends what stands still; in processes: `test_liveness`."""

from __future__ import annotations

import math

from streams.runtime.ending import ExitCode
from streams.runtime.progress import Progress, RunTime
from streams.runtime.watchdog import Watchdog, beat_s_of


class House:
    """A watchdog over a clock that is set by hand; nothing is ended."""

    def __init__(self, stall_s: float = 100.0) -> None:
        self.now_s = 0.0
        self.ended: list[tuple[ExitCode, str]] = []
        self.alarms: list[float] = []
        self.progress = Progress(lambda: self.now_s, stall_s)
        self.watchdog = Watchdog(
            self.progress,
            RunTime(1.0),
            end=lambda code, line: self.ended.append((code, line)),
            alarm=self.alarms.append,
        )


def test_while_all_is_well_the_kernels_timer_is_wound_up_again() -> None:
    """It runs out only if the watchdog itself does not get to run for longer than a stall may last."""
    house = House()
    assert not house.watchdog.look()
    assert (house.ended, house.alarms) == ([], [110.0])


def test_a_stall_ends_the_worker_and_the_kernel_sees_to_it() -> None:
    """One line with the reason and a code of its own; if even that hangs, the timer is short now."""
    house = House()
    house.now_s = 100.0
    assert house.watchdog.look()
    assert house.ended == [
        (
            ExitCode.STALLED,
            "no progress: the event loop has not run for 100 s (worker.stall_s); ending",
        )
    ]
    assert house.alarms == [10.0]


def test_without_a_limit_nothing_is_ended() -> None:
    """worker.stall_s = 0: to look at a worker in a debugger."""
    house = House(math.inf)
    house.now_s = 1e9
    assert not house.watchdog.look()
    assert (house.ended, house.alarms) == ([], [])


def test_it_looks_ten_times_in_a_stall_and_every_five_seconds_at_least() -> None:
    """A stall is told from a moment's delay."""
    assert [beat_s_of(stall_s) for stall_s in (5.0, 50.0, 120.0, math.inf)] == [0.5, 5.0, 5.0, 5.0]


def test_it_ends_with_the_worker() -> None:
    """The thread is gone and the timer off: a worker that took long to stop is not ended in its last second."""
    house = House()
    house.watchdog.start()
    house.watchdog.stop()
    assert house.alarms[-1] == 0.0
