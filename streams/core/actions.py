"""Actions on abandoned carts: when one is decided, and how it stands with all that is known now.

Owns the decision and its standing (due, recovered, cancelled); must not know records, clocks' rounds or delivery.
An action belongs to the episode that holds its anchor, the first touchpoint of the cart when it was decided.
"""

from collections.abc import Sequence

import msgspec

from streams.core.carts import PURCHASED, Episode, Item, value_micros
from streams.core.rules import Rules
from streams.core.sessions import content_uuid

TRIGGER, STEP = "abandoned_cart", 1
DUE, CANCELLED, RECOVERED = "due", "cancelled", "recovered"
_NAMESPACE = b"throughline/action"


class Action(msgspec.Struct, gc=False, array_like=True):
    """One decided action as last said; times in epoch ms, money in micros."""

    action_id: str
    anchor_ms: int
    anchor_digest: int
    decided_ms: int
    is_historical: bool
    status: str
    due_ms: int
    opened_ms: int
    opened_by: str
    caused_by: str
    cart_id: str | None
    items: tuple[Item, ...]
    currency: str | None
    recovered_micros: int | None = None

    @property
    def anchor(self) -> tuple[int, int]:
        """Place of the anchor among the profile's touchpoints."""
        return self.anchor_ms, self.anchor_digest

    @property
    def value_micros(self) -> int:
        """What the cart was worth when it was left."""
        return value_micros(self.items)


def undecided(episodes: Sequence[Episode], actions: Sequence[Action]) -> list[Episode]:
    """Abandoned, or about to be, without an action yet."""
    return [
        episode
        for episode in episodes
        if episode.is_abandoned and not any(episode.holds(action.anchor) for action in actions)
    ]


def decide(episode: Episode, clock_ms: int, rules: Rules) -> Action:
    """The action for an episode found abandoned when the timer clock read `clock_ms`.

    Historical, so never sent on, if that is too late to be of use or the cart was emptied meanwhile. In replay, where
    the clock leaps, it is the moment that counts at which a live pipeline could have decided.
    """
    could_ms = (
        max(episode.due_ms + rules.timer_lateness_ms, episode.arrived_ms) if rules.is_replay else clock_ms
    )
    is_over = not episode.is_open and episode.ended_ms <= could_ms
    is_historical = is_over or could_ms - episode.due_ms > rules.max_action_age_ms
    action_id = content_uuid(_NAMESPACE, f"{episode.episode_id}/{TRIGGER}/{STEP}")
    action = Action(
        action_id, episode.opened_ms, episode.digest, clock_ms, is_historical, DUE, 0, 0, "", "", None, (), None
    )  # fmt: skip
    _follow(action, episode, rules.recovery_ms)
    return action


def review(actions: list[Action], episodes: Sequence[Episode], recovery_ms: int) -> list[Action]:
    """Bring every action to how it stands now; returns those that changed."""
    changed = []
    taken: set[str] = set()
    for action in sorted(actions, key=lambda a: a.anchor):
        before = msgspec.structs.astuple(action)
        episode = next((e for e in episodes if e.holds(action.anchor)), None)
        if episode is None or not episode.is_abandoned or episode.episode_id in taken:
            action.status, action.recovered_micros = CANCELLED, None
        else:
            taken.add(episode.episode_id)
            _follow(action, episode, recovery_ms)
        if msgspec.structs.astuple(action) != before:
            changed.append(action)
    return changed


def _follow(action: Action, episode: Episode, recovery_ms: int) -> None:
    action.due_ms, action.items = episode.due_ms, episode.items_left
    action.opened_ms, action.opened_by = episode.opened_ms, episode.opened_by
    action.cart_id, action.currency = episode.cart_id, episode.currency
    action.caused_by = episode.left_by or episode.last_by
    is_recovered = episode.outcome == PURCHASED and episode.ended_ms <= episode.due_ms + recovery_ms
    action.status = RECOVERED if is_recovered else DUE
    action.recovered_micros = (episode.revenue_micros or 0) if is_recovered else None
