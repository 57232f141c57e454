"""Actions on abandoned carts and failed payments: when one is decided, and how it stands with all that is known now.

Owns the decision and its standing (due, recovered, cancelled); must not know records, clocks' rounds or delivery.
An action belongs to the episode that holds its anchor: the first touchpoint of the cart when it was decided, or the
payment that failed.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from streams.core.carts import (
    PURCHASED,
    Episode,
    currency_at,
    episode_id_of,
    holds,
    is_abandoned,
    is_open,
    steps_of,
)
from streams.core.rules import Rules
from streams.core.sessions import content_uuid
from streams.core.shapes import NEVER, Action, StepRow

ABANDONED_CART: Final = "abandoned_cart"
ABANDONED_CHECKOUT: Final = "abandoned_checkout"
"""Instead of it, where the owner had come to pay by then; the action stays the same if that is heard of later."""
PAYMENT_FAILED: Final = "payment_failed"
FAILURE: Final = 0
"""Instead of the number of a step: the first payment for the cart that failed."""
DUE: Final = "due"
CANCELLED: Final = "cancelled"
RECOVERED: Final = "recovered"
_NAMESPACE: Final = b"throughline/action"


def undecided(
    episodes: Sequence[Episode], actions: Sequence[Action], rules: Rules
) -> list[tuple[Episode, int, StepRow]]:
    """Steps of abandoned carts, or of those about to be, without an action yet; with their numbers, from 1."""
    found: list[tuple[Episode, int, StepRow]] = []
    for episode in episodes:
        if is_abandoned(episode):
            for number, step in enumerate(steps_of(episode, rules), 1):
                if not _is_decided(episode, number, actions):
                    found.append((episode, number, step))
    return found


def failures(episodes: Sequence[Episode], actions: Sequence[Action]) -> list[tuple[Episode, StepRow]]:
    """Failed payments without an action yet."""
    return [
        (episode, episode.failed)
        for episode in episodes
        if episode.failed is not None and not _is_decided(episode, FAILURE, actions)
    ]


def gives_up(action: Action) -> bool:
    """Whether it says that its cart is abandoned."""
    return action.status == DUE and action.step != FAILURE


def _is_decided(episode: Episode, number: int, actions: Sequence[Action]) -> bool:
    return any(
        action.step == number and holds(episode, action.anchor_ms, action.anchor_digest) for action in actions
    )


def decide(episode: Episode, number: int, step: StepRow, clock_ms: int, rules: Rules) -> Action:
    """The action for a step of an episode that was found due when the timer clock read `clock_ms`.

    Historical, so never sent on, if that is too late to be of use or the cart was emptied meanwhile. In replay, where
    the clock leaps, it is the moment that counts at which a live pipeline could have decided.
    """
    due_ms = step[0]
    could_ms = max(due_ms + rules.timer_lateness_ms, episode.arrived_ms) if rules.is_replay else clock_ms
    is_over = not is_open(episode) and episode.ended_ms <= could_ms
    is_historical = is_over or could_ms - due_ms > rules.max_action_age_ms
    anchor_ms, digest = episode.opened_ms, episode.digest
    name = f"{episode_id_of(episode)}/{ABANDONED_CART}/{number}"
    if number == FAILURE:
        # What opened the cart may not have been heard of yet.
        anchor_ms, digest, name = due_ms, episode.failed_digest, f"{step[2]}/{PAYMENT_FAILED}/1"
    action_id = content_uuid(_NAMESPACE, name.encode())
    action = Action(
        action_id, anchor_ms, digest, clock_ms, is_historical, DUE, 0, 0, "", "", None, (), None,
        step=number,
    )  # fmt: skip
    _follow(action, episode, step, rules.recovery_ms)
    return action


def review(actions: list[Action], episodes: Sequence[Episode], rules: Rules) -> list[Action]:
    """Bring every action to how it stands now; returns those that changed."""
    changed: list[Action] = []
    taken: list[tuple[Episode, int]] = []
    for action in sorted(actions, key=_anchor) if len(actions) > 1 else actions:
        before = msgspec.structs.astuple(action)
        episode = _holder(episodes, action)
        number = action.step
        step = _step_of(episode, number, rules) if episode is not None else None
        if (
            episode is None
            or step is None
            or any(episode is other and number == same for other, same in taken)
        ):
            action.status, action.recovered_micros = CANCELLED, None
        else:
            taken.append((episode, number))
            _follow(action, episode, step, rules.recovery_ms)
        if msgspec.structs.astuple(action) != before:
            changed.append(action)
    return changed


def _step_of(episode: Episode, number: int, rules: Rules) -> StepRow | None:
    """What an action of this number is about, None if the episode has nothing of it."""
    if number == FAILURE:
        return episode.failed
    steps = steps_of(episode, rules)
    return steps[number - 1] if number <= len(steps) else None


def _anchor(action: Action) -> tuple[int, int]:
    """Place of its anchor among the profile's touchpoints."""
    return action.anchor_ms, action.anchor_digest


def _holder(episodes: Sequence[Episode], action: Action) -> Episode | None:
    for episode in episodes:
        if holds(episode, action.anchor_ms, action.anchor_digest):
            return episode
    return None


def _follow(action: Action, episode: Episode, step: StepRow, recovery_ms: int) -> None:
    action.due_ms, action.items, action.caused_by = step
    action.opened_ms, action.opened_by = episode.opened_ms, episode.opened_by
    action.cart_id = episode.cart_id
    if action.step == FAILURE:
        # It may be about another than it was decided on, which is heard of later.
        action.decided_ms = max(action.decided_ms, episode.failed_arrived_ms)
        action.trigger, action.currency = (
            PAYMENT_FAILED,
            episode.failed_currency or currency_at(episode, NEVER),
        )
    else:
        action.currency = currency_at(episode, action.due_ms)
        action.trigger = ABANDONED_CHECKOUT if episode.paying_ms <= action.due_ms else ABANDONED_CART
    is_recovered = episode.outcome == PURCHASED and episode.ended_ms <= action.due_ms + recovery_ms
    action.status = RECOVERED if is_recovered else DUE
    action.recovered_micros = (episode.revenue_micros or 0) if is_recovered else None
