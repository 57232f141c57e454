"""Who holds timers, by the clocks that tasks have kept."""

from __future__ import annotations

from streams.cli.trail.clocks import ClockOf, clocks_of
from streams.core.rules import ROUNDS
from streams.core.shapes import NEVER, ClockState


def state(web_ms: int, pos_ms: int, heard_ms: list[int]) -> ClockState:
    """A task that has read its inputs so far, and has heard as much in all rounds from each task."""
    mine = [min(web_ms, pos_ms)] * ROUNDS
    return ClockState({"web": web_ms, "pos": pos_ms}, mine, mine, [[at_ms] * ROUNDS for at_ms in heard_ms])


def test_the_inputs_that_are_read_least_far_hold_the_timers_of_all() -> None:
    """Not the task that shows it: that one only waits to hear from the other."""
    clocks = clocks_of({0: state(90, 95, [80, 40]), 1: state(70, 50, [85, 45])}, 2)
    assert clocks.held_since_ms == 40
    assert clocks.held_by == ClockOf(
        1, is_known=True, timer_ms=45, heard_from=1, inputs_ms=50, waiting=("pos",)
    )
    assert clocks.tasks[0] == ClockOf(
        0, is_known=True, timer_ms=40, heard_from=1, inputs_ms=90, waiting=("web",)
    )


def test_several_topics_may_stand_at_the_same_moment() -> None:
    """As ticks leave them."""
    [clock] = clocks_of({0: state(7, 7, [7])}, 1).tasks
    assert clock.waiting == ("pos", "web")


def test_a_task_that_never_committed_holds_everything() -> None:
    """Nobody has heard from it; who has read nothing comes second."""
    clocks = clocks_of({0: state(NEVER, 5, [1, NEVER, NEVER]), 2: state(9, 9, [1, NEVER, NEVER])}, 3)
    assert clocks.held_by == ClockOf(1, is_known=False)
    assert clocks.held_since_ms is None
    assert (clocks.tasks[0].inputs_ms, clocks.tasks[0].waiting) == (None, ("web",))
    assert (clocks.tasks[0].timer_ms, clocks.tasks[0].heard_from) == (None, 1)
