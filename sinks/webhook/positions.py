"""Up to where each partition may be committed: everything before it has an outcome. Pure.

The committed metadata says how far a life of the service had begun (`begun:<offset>`): what lies behind the committed
offset and before that may have been sent, without a record of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sinks.webhook.event import Place

__all__ = ["Positions", "Standpoint", "begun_of"]

_BEGUN: Final = "begun:"


@dataclass(slots=True)
class Standpoint:
    """One partition. `pending`: offsets without an outcome, ascending; `begun` is where the last life had got to."""

    next: int
    begun: int
    pending: dict[int, None] = field(default_factory=dict)

    def settled(self) -> int:
        """Everything before it has an outcome."""
        return next(iter(self.pending), self.next)


class Positions:
    """By partition. Memory: one number an event that is held."""

    def __init__(self) -> None:
        self._of: dict[int, Standpoint] = {}
        self._committed: dict[int, tuple[int, int]] = {}

    def open(self, partition: int, offset: int, metadata: str | None) -> None:
        """Read on from a committed offset."""
        self._of[partition] = Standpoint(offset, max(offset, begun_of(metadata)))
        self._committed[partition] = (offset, self._of[partition].begun)

    def clear(self) -> None:
        """They are somebody else's."""
        self._of.clear()
        self._committed.clear()

    def take(self, place: Place) -> bool | None:
        """An event was read: whether the last life may have begun it; None for one that is not ours or was read."""
        partition, offset = place
        at = self._of.get(partition)
        if at is None or offset < at.next:
            return None
        at.next = offset + 1
        at.pending[offset] = None
        return offset < at.begun

    def reach(self, place: Place) -> None:
        """There is nothing before this offset that was not read: transaction markers take offsets, too."""
        partition, offset = place
        if (at := self._of.get(partition)) is not None and offset > at.next:
            at.next = offset

    def settle(self, place: Place) -> None:
        """An event has its outcome."""
        partition, offset = place
        if (at := self._of.get(partition)) is not None:
            at.pending.pop(offset, None)

    def uncommitted(self) -> dict[int, tuple[int, str]]:
        """(offset, metadata) by partition, where they are not what was committed last."""
        return {
            partition: (at.settled(), f"{_BEGUN}{max(at.next, at.begun)}")
            for partition, at in self._of.items()
            if (at.settled(), max(at.next, at.begun)) != self._committed.get(partition)
        }

    def committed(self, offsets: dict[int, tuple[int, str]]) -> None:
        """The broker has them."""
        for partition, (offset, metadata) in offsets.items():
            if partition in self._of:
                self._committed[partition] = (offset, begun_of(metadata))

    def settled(self) -> dict[int, int]:
        """By partition, where everything before has an outcome."""
        return {partition: at.settled() for partition, at in self._of.items()}


def begun_of(metadata: str | None) -> int:
    """Where an earlier life had got to; 0 where the metadata does not say."""
    if metadata and metadata.startswith(_BEGUN):
        return int(metadata.removeprefix(_BEGUN))
    return 0
