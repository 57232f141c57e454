"""What holds timers, by the clocks that all tasks have kept. Must not know where these are kept, nor print anything.

A timer fires only when the timer clock has passed it: the least of what all tasks say of themselves, and have told each
other. Times are epoch ms; None for never.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streams.core.shapes import NEVER, ClockState

__all__ = ["ClockOf", "Clocks", "clocks_of"]


@dataclass(frozen=True, slots=True)
class ClockOf:
    """Of one task: its timers stand at `timer_ms`, by what it has heard from `heard_from`, the furthest behind.

    Its own inputs are read up to `inputs_ms`; `waiting` are the topics of which no more than that is known. None of all
    of this, and `is_known` false, if it has never committed.
    """

    task: int
    is_known: bool
    timer_ms: int | None = None
    heard_from: int | None = None
    inputs_ms: int | None = None
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Clocks:
    """Of all tasks: no timer due after `held_since_ms` can fire, because of the inputs of `held_by`."""

    tasks: tuple[ClockOf, ...]
    held_by: ClockOf
    held_since_ms: int | None


def clocks_of(states: Mapping[int, ClockState], partitions: int) -> Clocks:
    """The clocks of tasks 0 to `partitions` - 1; those without a state have never said anything, and so hold all."""
    tasks = tuple(_clock_of(task, states.get(task)) for task in range(partitions))
    return Clocks(
        tasks,
        min(tasks, key=lambda each: (each.is_known, _number(each.inputs_ms), each.task)),
        min((each.timer_ms for each in tasks), key=_number),
    )


def _clock_of(task: int, state: ClockState | None) -> ClockOf:
    if state is None:
        return ClockOf(task, is_known=False)
    least = min(state.inputs.values())
    heard = [rounds[-1] for rounds in state.heard]
    return ClockOf(
        task,
        is_known=True,
        timer_ms=_said(min(heard)),
        heard_from=heard.index(min(heard)),
        inputs_ms=_said(least),
        waiting=tuple(sorted(topic for topic, at_ms in state.inputs.items() if at_ms == least)),
    )


def _said(clock_ms: int) -> int | None:
    return None if clock_ms == NEVER else clock_ms


def _number(clock_ms: int | None) -> int:
    return NEVER if clock_ms is None else clock_ms
