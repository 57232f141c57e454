"""Which actions must stand at the end, and which could be known to be right at a given clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.oracle.acts import Act
from tests.oracle.browses import Browse, browses_of
from tests.oracle.carts import FAILED, Abandonment, Cart, Episode, Failure, episodes_of, value_micros
from tests.oracle.persons import on_time, persons_of
from tests.oracle.rules import DEFAULT, Rules
from tests.oracle.touchpoints import Touchpoint, arrived_ms, occurred_ms

CART, CHECKOUT, PAYMENT, BROWSE = "abandoned_cart", "abandoned_checkout", "payment_failed", "abandoned_browse"


@dataclass(frozen=True, slots=True)
class Action:
    """What one reminder, failed payment or browse calls for, known by its opener, its trigger and number."""

    opened_by: str
    due_ms: int
    status: str
    items: Cart
    value_micros: int
    recovered_micros: int | None
    step: int = 1
    trigger: str = CART
    currency: str | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What it is known by."""
        return self.opened_by, self.trigger, self.step


def all_actions_of(touchpoints: Sequence[Touchpoint], rules: Rules = DEFAULT) -> tuple[Action, ...]:
    """Of one person: those for carts and those for browses."""
    browses = browses_of(touchpoints, rules)
    browsed = (_browsed(browse, browse.due_ms) for browse in browses if browse.due_ms is not None)
    return *actions_of(episodes_of(touchpoints, rules), rules), *browsed


def _browsed(browse: Browse, due_ms: int) -> Action:
    return Action(
        opened_by=browse.opened_by,
        due_ms=due_ms,
        status="recovered" if browse.order else "due",
        items=browse.items,
        value_micros=value_micros(browse.items),
        recovered_micros=browse.order.revenue_micros if browse.order else None,
        trigger=BROWSE,
        currency=browse.currency,
    )


def actions_of(episodes: Sequence[Episode], rules: Rules = DEFAULT) -> tuple[Action, ...]:
    """One action for each time an abandoned episode is due, one for its first payment that failed."""
    actions = []
    for episode in episodes:
        for step, left in enumerate(episode.abandonments, 1):
            trigger = CHECKOUT if left.was_paying else CART
            actions.append(_action(episode, trigger, step, of=left, due_ms=left.due_ms, rules=rules))
        failure = episode.failure
        if failure is not None:
            actions.append(_action(episode, PAYMENT, 1, of=failure, due_ms=failure.failed_ms, rules=rules))
    return tuple(actions)


def _action(
    episode: Episode, trigger: str, step: int, *, of: Abandonment | Failure, due_ms: int, rules: Rules
) -> Action:
    recovered = is_recovered(episode, due_ms, rules)
    return Action(
        opened_by=episode.opened_by,
        due_ms=due_ms,
        status="recovered" if recovered else "due",
        items=of.items,
        value_micros=value_micros(of.items),
        recovered_micros=episode.order.revenue_micros if recovered and episode.order else None,
        step=step,
        trigger=trigger,
        currency=of.currency,
    )


def is_recovered(episode: Episode, due_ms: int, rules: Rules = DEFAULT) -> bool:
    """The order that ended the episode came within 72 h of this due time, inclusive."""
    return episode.order is not None and occurred_ms(episode.order, rules) <= due_ms + rules.recovery_ms


def has_failed(
    touchpoints: Iterable[Touchpoint], message_id: str, clock_ms: int, rules: Rules = DEFAULT
) -> bool:
    """A payment that failed may be acted on once it has arrived, whatever else is unread: it is a fact by itself."""
    return any(
        t.message_id == message_id and t.event == FAILED and arrived_ms(t, rules) <= clock_ms
        for t in touchpoints
    )


def expected_as_of(
    touchpoints: Iterable[Touchpoint],
    clock_ms: int,
    rules: Rules = DEFAULT,
    acts: Iterable[Act] = (),
    *,
    read_until_ms: int | None = None,
) -> tuple[Action, ...]:
    """Actions that may be decided at `clock_ms`: due by then, judged by the touchpoints that had arrived by then alone.

    And by these acts. With `read_until_ms` what arrived until that later moment is known as well. Of failed payments,
    which do not wait for the clock, see `has_failed`.
    """
    until_ms = clock_ms if read_until_ms is None else read_until_ms
    known = [t for t in touchpoints if arrived_ms(t, rules) <= until_ms]
    return tuple(
        action
        for person in persons_of(known, rules, acts)
        for action in all_actions_of(on_time(person, rules), rules)
        if action.due_ms + rules.timer_lateness_ms <= clock_ms
    )
