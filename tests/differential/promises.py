"""Which ids of actions the rules promise, by the oracle: where it does not matter who was sooner, clock or record.

An action has the id of its cart as it was known when it was decided. Where what arrives later tells of an earlier
opening, or that two carts are one, its id depends on when that was read. One on a failed payment has that of the
payment, of which there may be an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.oracle.actions import PAYMENT, Action, expected_as_of
from tests.oracle.carts import Episode
from tests.oracle.compare import CopiesByMessage, answer
from tests.oracle.rules import HOUR_MS
from tests.oracle.touchpoints import Touchpoint, arrived_ms, occurred_ms

__all__ = ["promised_actions"]

DAY_MS = 24 * HOUR_MS


def promised_actions(touchpoints: Iterable[Touchpoint]) -> set[str]:
    """`opener/trigger/step` of each action that could never have been decided under another opener."""
    expected = answer(touchpoints)
    copies = CopiesByMessage(expected)
    return {
        f"{action.opened_by}/{action.trigger}/{action.step}"
        for story in expected.stories
        for episode in story.episodes
        for action in story.actions
        if action.opened_by == episode.opened_by
        and action.trigger != PAYMENT
        and _is_promised(action, episode, copies.of(action.opened_by))
    }


def _is_promised(action: Action, episode: Episode, copies: Sequence[Touchpoint]) -> bool:
    """Whatever had arrived when something on this cart was due: what opened it then is what opens it in the end."""
    ended_ms = episode.ended_ms or max(map(occurred_ms, copies))
    of_the_cart = {t.message_id for t in copies if episode.opened_ms <= occurred_ms(t) <= ended_ms}
    arrivals_ms = sorted({arrived_ms(t) for t in copies})
    until_ms = [*(at_ms - 1 for at_ms in arrivals_ms[1:]), max(arrivals_ms[-1], action.due_ms) + DAY_MS]
    return all(
        due.opened_by == action.opened_by
        for clock_ms in until_ms
        for due in expected_as_of(copies, clock_ms)
        if due.opened_by in of_the_cart and due.step == action.step and due.trigger != PAYMENT
    )
