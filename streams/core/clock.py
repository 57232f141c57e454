"""The clock of a task: the time by which everything that had arrived is processed, everywhere.

Owns the rounds in which tasks tell each other; must not know timers or records. Arrival times, epoch ms. Round one is
what a task's own inputs say; round r + 1 is the least of all tasks' round r; the last round is the timer clock.
A task tells its clocks one commit after they became true, so that nobody hears of a clock before what was forwarded
under it has been delivered, whatever crashes in between.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from streams.core.rules import ROUNDS
from streams.core.shapes import NEVER, ClockState

CLOCKS_KEY: Final = b"\0clocks"
"""Under which a task keeps them."""


def clock_state(stored: bytes) -> ClockState:
    """What a task has kept."""
    return msgspec.msgpack.decode(stored, type=ClockState)


class Clocks:
    """The clocks of one task of `partitions`, over the input topics named."""

    __slots__ = ("_state", "is_changed")

    def __init__(self, topics: Iterable[str], partitions: int, stored: bytes | None) -> None:
        never = [NEVER] * ROUNDS
        self._state = ClockState(
            dict.fromkeys(topics, NEVER), never[:], never[:], [never[:] for _ in range(partitions)]
        )
        if stored is not None:
            known = clock_state(stored)
            for topic in self._state.inputs:
                self._state.inputs[topic] = known.inputs.get(topic, NEVER)
            self._state = msgspec.structs.replace(known, inputs=self._state.inputs)
        self.is_changed = False

    @property
    def timer_ms(self) -> int:
        """Everything that had arrived by then has been heard of by everybody whom it concerns."""
        return min(clocks[-1] for clocks in self._state.heard)

    @property
    def newest_ms(self) -> int:
        """The latest clock anybody is known to have reached."""
        return max(self._state.mine[0], *(clocks[0] for clocks in self._state.heard))

    @property
    def has_news(self) -> bool:
        """True while the others have not been told what is true here."""
        return self._state.mine != self._state.told

    def advance(self, topic: str, clock_ms: int) -> None:
        """An input partition has been read up to there."""
        if clock_ms > self._state.inputs[topic]:
            self._state.inputs[topic] = clock_ms
            self.is_changed = True

    def hear(self, sender: int, rounds: list[int]) -> None:
        """Another task's clocks; they never go back, so a repeat changes nothing."""
        heard = self._state.heard[sender]
        for i, clock_ms in enumerate(rounds):
            if clock_ms > heard[i]:
                heard[i] = clock_ms
                self.is_changed = True

    def tell(self) -> list[int] | None:
        """The clocks to broadcast, true since the last commit; None if they have been told."""
        if not self.has_news:
            return None
        self._state.told = self._state.mine[:]
        self.is_changed = True
        return self._state.told

    def settle(self) -> None:
        """At the end of a batch: what becomes true with its commit."""
        if self.is_changed:
            state = self._state
            lasts = (min(clocks[i] for clocks in state.heard) for i in range(ROUNDS - 1))
            state.mine = [min(state.inputs.values()), *lasts]

    def encode(self) -> bytes:
        """The state, to be restored from."""
        self.is_changed = False
        return msgspec.msgpack.encode(self._state)
