"""When which actor next has something to do. Owns the order of timers; must not know what they are for."""

from heapq import heappop, heappush
from typing import Final

from streams.core.actor import Actor

SPAN_MS: Final = 16_384


class Timers:
    """At least one entry at or before each actor's next timer.

    Most timers are far off and move at every touchpoint: their keys lie in lists, one a span of 16 s, some ten bytes
    each. When its span begins, an entry is put right: what is due within the span lies in a heap of (due ms, key). An
    actor in memory knows which entry is its own; another that is left over is dropped when it comes up.
    """

    __slots__ = ("_far", "_near", "_spans")

    def __init__(self) -> None:
        self._near: list[tuple[int, bytes]] = []
        self._far: dict[int, list[bytes]] = {}
        self._spans: list[int] = []

    def set(self, actor: Actor, due_ms: int, clock_ms: int) -> None:
        """The actor next has something to do then, or later; the timer clock reads `clock_ms`."""
        held_ms = actor.timer_ms
        if held_ms is None or due_ms < held_ms:
            actor.timer_ms = self._add(actor.key, due_ms, clock_ms)

    def restore(self, key: bytes, due_ms: int) -> None:
        """The same, of an actor that is not in memory, before the clock is known."""
        self._add(key, due_ms, None)

    def due(self, clock_ms: int) -> list[tuple[str, int]]:
        """What may be due, removed: identifiers and entries' times; the caller sets those anew that are not done.

        In the order of identifiers: entries lie at other times after a restart, and the same state does the same.
        """
        found: list[tuple[str, int]] = []
        while self._spans and self._spans[0] <= clock_ms:
            began_ms = heappop(self._spans)
            found += [(key.decode(), began_ms) for key in self._far.pop(began_ms)]
        while self._near and self._near[0][0] <= clock_ms:
            due_ms, key = heappop(self._near)
            found.append((key.decode(), due_ms))
        found.sort()
        return found

    def _add(self, key: bytes, due_ms: int, clock_ms: int | None) -> int:
        """Returns the entry's time."""
        begins_ms = due_ms - due_ms % SPAN_MS
        if clock_ms is not None and begins_ms <= clock_ms:
            heappush(self._near, (due_ms, key))
            return due_ms
        held = self._far.get(begins_ms)
        if held is None:
            held = self._far[begins_ms] = []
            heappush(self._spans, begins_ms)
        held.append(key)
        return begins_ms
