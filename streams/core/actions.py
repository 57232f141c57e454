"""Actions on abandoned carts and browses and failed payments: when one is decided, how it stands with all known now.

Owns the decision and its standing (due, recovered, cancelled); must not know records, clocks' rounds or delivery.
An action belongs to the cart or browse that holds its anchor: its first touchpoint when it was decided, or the payment
that failed.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from streams.core.browses import Browse, is_given_up
from streams.core.browses import step_of as step_of_browse
from streams.core.carts import (
    PURCHASED,
    Episode,
    Span,
    currency_at,
    episode_id_of,
    holds,
    is_open,
    steps_of,
)
from streams.core.rules import Rules
from streams.core.sessions import content_uuid
from streams.core.shapes import NEVER, Action, CartEntry, StepRow

ABANDONED_CART: Final = "abandoned_cart"
ABANDONED_CHECKOUT: Final = "abandoned_checkout"
"""Instead of it, where the owner had come to pay by then; the action stays the same if that is heard of later."""
PAYMENT_FAILED: Final = "payment_failed"
ABANDONED_BROWSE: Final = "abandoned_browse"
FAILURE: Final = 0
"""Instead of the number of a step: the first payment for the cart that failed."""
BROWSE: Final = -1
"""Instead of the number of a step: a browse is due once."""
DUE: Final = "due"
CANCELLED: Final = "cancelled"
RECOVERED: Final = "recovered"
_NAMESPACE: Final = b"throughline/action"

Undecided = tuple[Span, int, int]
"""A cart or browse, the number of its step, and when that is due."""


def undecided(
    episodes: Sequence[Episode], browses: Sequence[Browse], actions: Sequence[Action], rules: Rules
) -> list[Undecided]:
    """Steps of what is abandoned, or about to be, without an action yet; those of carts with their numbers, from 1."""
    found: list[Undecided] = []
    for episode in episodes:
        for number, step in enumerate(steps_of(episode, rules), 1):
            if not _is_decided(episode, number, actions):
                found.append((episode, number, step[0]))
    for browse in browses:
        if is_given_up(browse, rules) and not _is_decided(browse, BROWSE, actions):
            found.append((browse, BROWSE, browse.due_ms))
    return found


def failures(episodes: Sequence[Episode], actions: Sequence[Action]) -> list[Episode]:
    """Carts with a failed payment without an action yet."""
    return [
        episode
        for episode in episodes
        if episode.failed is not None and not _is_decided(episode, FAILURE, actions)
    ]


def gives_up(action: Action) -> bool:
    """Whether it says that its cart is abandoned."""
    return action.status == DUE and action.step > 0


def _is_decided(span: Span, number: int, actions: Sequence[Action]) -> bool:
    return any(
        action.step == number and holds(span, action.anchor_ms, action.anchor_digest) for action in actions
    )


def decide(span: Span, number: int, clock_ms: int, entries: Sequence[CartEntry], rules: Rules) -> Action:
    """The action for a step that was found due when the timer clock read `clock_ms`.

    Historical, so never sent on, if that is too late to be of use or the cart was emptied meanwhile. In replay, where
    the clock leaps, it is the moment that counts at which a live pipeline could have decided.
    """
    step = _step_of(span, number, entries, rules)
    assert step is not None, "a step that is not due"
    due_ms = step[0]
    could_ms = max(due_ms + rules.timer_lateness_ms, span.arrived_ms) if rules.is_replay else clock_ms
    is_over = not is_open(span) and span.ended_ms <= could_ms
    is_historical = is_over or could_ms - due_ms > rules.max_action_age_ms
    anchor_ms, digest = span.opened_ms, span.digest
    name = f"{episode_id_of(span)}/{ABANDONED_CART}/{number}"
    if isinstance(span, Browse):
        name = f"{episode_id_of(span)}/{ABANDONED_BROWSE}/1"
    elif number == FAILURE and isinstance(span, Episode):
        # What opened the cart may not have been heard of yet.
        anchor_ms, digest, name = due_ms, span.failed_digest, f"{step[2]}/{PAYMENT_FAILED}/1"
    action_id = content_uuid(_NAMESPACE, name.encode())
    action = Action(
        action_id, anchor_ms, digest, clock_ms, is_historical, DUE, 0, 0, "", "", None, (), None,
        step=number,
    )  # fmt: skip
    _follow(action, span, step, rules.recovery_ms)
    return action


def review(
    actions: list[Action],
    episodes: Sequence[Episode],
    browses: Sequence[Browse],
    entries: Sequence[CartEntry],
    rules: Rules,
) -> list[Action]:
    """Bring every action to how it stands now; returns those that changed."""
    changed: list[Action] = []
    taken: list[tuple[Span, int]] = []
    for action in sorted(actions, key=_anchor) if len(actions) > 1 else actions:
        before = msgspec.structs.astuple(action)
        number = action.step
        span = _holder(browses if number == BROWSE else episodes, action)
        step = _step_of(span, number, entries, rules) if span is not None else None
        if span is None or step is None or any(span is other and number == same for other, same in taken):
            action.status, action.recovered_micros = CANCELLED, None
        else:
            taken.append((span, number))
            _follow(action, span, step, rules.recovery_ms)
        if msgspec.structs.astuple(action) != before:
            changed.append(action)
    return changed


def _step_of(span: Span, number: int, entries: Sequence[CartEntry], rules: Rules) -> StepRow | None:
    """What an action of this number is about, None if there is nothing of it."""
    if isinstance(span, Browse):
        return step_of_browse(span, entries, rules)
    assert isinstance(span, Episode)
    if number == FAILURE:
        return span.failed
    steps = steps_of(span, rules)
    return steps[number - 1] if number <= len(steps) else None


def _anchor(action: Action) -> tuple[int, int]:
    """Place of its anchor among the profile's touchpoints."""
    return action.anchor_ms, action.anchor_digest


def _holder(spans: Sequence[Span], action: Action) -> Span | None:
    for span in spans:
        if holds(span, action.anchor_ms, action.anchor_digest):
            return span
    return None


def _follow(action: Action, span: Span, step: StepRow, recovery_ms: int) -> None:
    action.due_ms, action.items, action.caused_by = step
    action.opened_ms, action.opened_by = span.opened_ms, span.opened_by
    if isinstance(span, Browse):
        action.trigger, action.currency = ABANDONED_BROWSE, span.currency
    elif isinstance(span, Episode):
        action.cart_id = span.cart_id
        if action.step == FAILURE:
            # It may be about another than it was decided on, which is heard of later.
            action.decided_ms = max(action.decided_ms, span.failed_arrived_ms)
            action.trigger = PAYMENT_FAILED
            action.currency = span.failed_currency or currency_at(span, NEVER)
        else:
            action.currency = currency_at(span, action.due_ms)
            action.trigger = ABANDONED_CHECKOUT if span.paying_ms <= action.due_ms else ABANDONED_CART
    is_recovered = span.outcome == PURCHASED and span.ended_ms <= action.due_ms + recovery_ms
    action.status = RECOVERED if is_recovered else DUE
    action.recovered_micros = (span.revenue_micros or 0) if is_recovered else None
