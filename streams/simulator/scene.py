"""What every act of a household's day stands on: dice, shop, recorder, agenda. Decides nothing."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.simulator.recorder import Face, Recorder
from streams.simulator.shop import Shop

Act = Callable[[int], None]
"""Something that is done at a time, epoch milliseconds."""


class Agenda:
    """What a household is going to do, by time; doing one thing may put others on it."""

    def __init__(self) -> None:
        self._acts: list[tuple[int, int, Act]] = []
        self._planned = 0

    def at(self, at_ms: int, act: Act) -> None:
        """Do it then; things planned for the same moment happen in the order of planning."""
        self._planned += 1
        heapq.heappush(self._acts, (at_ms, self._planned, act))

    def run(self, end_ms: int) -> None:
        """Do everything that is due before the end."""
        while self._acts and self._acts[0][0] < end_ms:
            at_ms, _, act = heapq.heappop(self._acts)
            act(at_ms)


@dataclass(slots=True)
class Scene:
    """One household's world."""

    end_ms: int
    shop: Shop
    rnd: random.Random
    recorder: Recorder
    agenda: Agenda = field(default_factory=Agenda)

    def happens(self, share: float) -> bool:
        """True in that share of all cases."""
        return self.rnd.random() < share

    def between(self, low: float, high: float) -> int:
        """A whole number from the range, such as milliseconds."""
        return int(low + self.rnd.random() * (high - low))

    def face(self, **identifiers: str | None) -> Face:
        """How somebody with these identifiers shows up."""
        return self.recorder.face(**identifiers)
