"""Which actions must stand at the end, and which could be known to be right at a given clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.oracle.acts import Act
from tests.oracle.carts import Abandonment, Cart, Episode, episodes_of, value_micros
from tests.oracle.persons import on_time, persons_of
from tests.oracle.rules import DEFAULT, Rules
from tests.oracle.touchpoints import Touchpoint, arrived_ms, occurred_ms


@dataclass(frozen=True, slots=True)
class Action:
    """One reminder of an abandoned cart, known by the message that opened its episode, and its number."""

    opened_by: str
    due_ms: int
    status: str
    items: Cart
    value_micros: int
    recovered_micros: int | None
    step: int = 1


def actions_of(episodes: Sequence[Episode], rules: Rules = DEFAULT) -> tuple[Action, ...]:
    """One action for each time an abandoned episode is due, or recovered by the order that ended the episode."""
    actions = []
    for episode in episodes:
        for step, abandonment in enumerate(episode.abandonments, 1):
            recovered = is_recovered(episode, abandonment, rules)
            actions.append(
                Action(
                    opened_by=episode.opened_by,
                    due_ms=abandonment.due_ms,
                    status="recovered" if recovered else "due",
                    items=abandonment.items,
                    value_micros=value_micros(abandonment.items),
                    recovered_micros=episode.order.revenue_micros if recovered and episode.order else None,
                    step=step,
                )
            )
    return tuple(actions)


def is_recovered(episode: Episode, abandonment: Abandonment, rules: Rules = DEFAULT) -> bool:
    """The order that ended the abandoned episode came within 72 h of this due time, inclusive."""
    if episode.order is None:
        return False
    return occurred_ms(episode.order, rules) <= abandonment.due_ms + rules.recovery_ms


def expected_as_of(
    touchpoints: Iterable[Touchpoint], clock_ms: int, rules: Rules = DEFAULT, acts: Iterable[Act] = ()
) -> tuple[Action, ...]:
    """Actions that may be decided at `clock_ms`: due by then, judged by the touchpoints that had arrived by then alone.

    And by these acts.
    """
    known = [t for t in touchpoints if arrived_ms(t, rules) <= clock_ms]
    return tuple(
        action
        for person in persons_of(known, rules, acts)
        for action in actions_of(episodes_of(on_time(person, rules), rules), rules)
        if action.due_ms + rules.timer_lateness_ms <= clock_ms
    )
