"""What became of each action at one endpoint, as far as is remembered: what decides whether news has to go out.

Fed by delivery records, those of earlier lives first, so that a restart knows what it has done. Applying one again
changes nothing. Bounded: the actions that were heard of least recently are forgotten. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum
from typing import Final, NamedTuple

from sinks.webhook.answers import Outcome
from sinks.webhook.event import DUE

__all__ = ["Known", "Ledger", "Standing"]

_MOST: Final = 200_000


class Standing(IntEnum):
    """What the receiver has of an action."""

    NOTHING = 0
    PERHAPS = 1
    """The last request left, and no success came back: it may have what it had before, or what was told."""
    DUE = 2
    TAKEN_BACK = 3


class Known(NamedTuple):
    """`revision`: the highest with a final outcome; `seen`: the highest there is a record of; `taken_back`: the last
    that may have taken the action back, 0 for none."""

    revision: int = -1
    seen: int = -1
    standing: Standing = Standing.NOTHING
    taken_back: int = 0


class Ledger:
    """By action_id."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._known: OrderedDict[str, Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, action_id: str) -> Known | None:
        """None where nothing is remembered."""
        return self._known.get(action_id)

    def note(self, action_id: str, revision: int, status: str, *, outcome: str, is_sent: bool) -> None:
        """Take in one delivery record."""
        known = self._known.get(action_id, Known())
        if revision < known.seen or revision == known.revision:
            return
        standing, taken_back = known.standing, known.taken_back
        if outcome == Outcome.DELIVERED:
            standing = Standing.DUE if status == DUE else Standing.TAKEN_BACK
        elif is_sent:
            # A cancellation that may have arrived makes as unsure as an action that may have.
            standing = Standing.PERHAPS
        if status != DUE and is_sent:
            taken_back = revision
        decided = known.revision if outcome == Outcome.RETRYING else revision
        self._known[action_id] = Known(decided, revision, standing, taken_back)
        self._known.move_to_end(action_id)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def idempotency_key(self, action_id: str, revision: int, status: str) -> str:
        """What every attempt at the same thing has in common, after a restart too.

        The action_id for the action itself, however often it is revised. News that take it back have one of their own,
        and so has an action that is due again after it may have been taken back: a receiver must not take it for done.
        """
        if status != DUE:
            return f"{action_id}:{status}:{revision}"
        taken_back = self._known.get(action_id, Known()).taken_back
        return f"{action_id}:due:{taken_back}" if taken_back else action_id
