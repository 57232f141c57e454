"""Actions on abandoned carts: when one is decided, and how it stands with all that is known now.

Owns the decision and its standing (due, recovered, cancelled); must not know records, clocks' rounds or delivery.
An action belongs to the episode that holds its anchor, the first touchpoint of the cart when it was decided.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from streams.core.carts import PURCHASED, Episode, episode_id_of, holds, is_abandoned, is_open, items_left
from streams.core.rules import Rules
from streams.core.sessions import content_uuid
from streams.core.shapes import Action

TRIGGER: Final = "abandoned_cart"
STEP: Final = 1
DUE: Final = "due"
CANCELLED: Final = "cancelled"
RECOVERED: Final = "recovered"
_NAMESPACE: Final = b"throughline/action"


def undecided(episodes: Sequence[Episode], actions: Sequence[Action]) -> list[Episode]:
    """Abandoned, or about to be, without an action yet."""
    return [episode for episode in episodes if is_abandoned(episode) and not _is_decided(episode, actions)]


def _is_decided(episode: Episode, actions: Sequence[Action]) -> bool:
    return any(holds(episode, action.anchor_ms, action.anchor_digest) for action in actions)


def decide(episode: Episode, clock_ms: int, rules: Rules) -> Action:
    """The action for an episode found abandoned when the timer clock read `clock_ms`.

    Historical, so never sent on, if that is too late to be of use or the cart was emptied meanwhile. In replay, where
    the clock leaps, it is the moment that counts at which a live pipeline could have decided.
    """
    could_ms = (
        max(episode.due_ms + rules.timer_lateness_ms, episode.arrived_ms) if rules.is_replay else clock_ms
    )
    is_over = not is_open(episode) and episode.ended_ms <= could_ms
    is_historical = is_over or could_ms - episode.due_ms > rules.max_action_age_ms
    action_id = content_uuid(_NAMESPACE, f"{episode_id_of(episode)}/{TRIGGER}/{STEP}".encode())
    action = Action(
        action_id, episode.opened_ms, episode.digest, clock_ms, is_historical, DUE, 0, 0, "", "", None, (), None
    )  # fmt: skip
    _follow(action, episode, rules.recovery_ms)
    return action


def review(actions: list[Action], episodes: Sequence[Episode], recovery_ms: int) -> list[Action]:
    """Bring every action to how it stands now; returns those that changed."""
    changed: list[Action] = []
    taken: list[Episode] = []
    for action in sorted(actions, key=_anchor) if len(actions) > 1 else actions:
        before = msgspec.structs.astuple(action)
        episode = _holder(episodes, action)
        if episode is None or not is_abandoned(episode) or any(episode is other for other in taken):
            action.status, action.recovered_micros = CANCELLED, None
        else:
            taken.append(episode)
            _follow(action, episode, recovery_ms)
        if msgspec.structs.astuple(action) != before:
            changed.append(action)
    return changed


def _anchor(action: Action) -> tuple[int, int]:
    """Place of its anchor among the profile's touchpoints."""
    return action.anchor_ms, action.anchor_digest


def _holder(episodes: Sequence[Episode], action: Action) -> Episode | None:
    for episode in episodes:
        if holds(episode, action.anchor_ms, action.anchor_digest):
            return episode
    return None


def _follow(action: Action, episode: Episode, recovery_ms: int) -> None:
    action.due_ms, action.items = episode.due_ms, items_left(episode)
    action.opened_ms, action.opened_by = episode.opened_ms, episode.opened_by
    action.cart_id, action.currency = episode.cart_id, episode.currency
    action.caused_by = episode.left_by or episode.last_by
    is_recovered = episode.outcome == PURCHASED and episode.ended_ms <= episode.due_ms + recovery_ms
    action.status = RECOVERED if is_recovered else DUE
    action.recovered_micros = (episode.revenue_micros or 0) if is_recovered else None
