"""When which actor next has something to do. Owns the order of timers; must not know what they are for."""

from heapq import heappop, heappush

from streams.core.actor import Actor


class Timers:
    """A heap of (due ms, key) with at least one entry at or before each actor's next timer.

    A timer that moves back leaves its entry, which is put right when it comes up: most timers move at every touchpoint.
    An actor in memory knows which entry is its own; another that is left over is dropped when it comes up.
    """

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[tuple[int, bytes]] = []

    def set(self, actor: Actor, due_ms: int) -> None:
        """The actor next has something to do then, or later."""
        if actor.timer_ms is None or due_ms < actor.timer_ms:
            actor.timer_ms = due_ms
            heappush(self._heap, (due_ms, actor.key))

    def restore(self, key: bytes, due_ms: int) -> None:
        """The same, of an actor that is not in memory."""
        heappush(self._heap, (due_ms, key))

    def due(self, clock_ms: int) -> list[tuple[str, int]]:
        """What is due, removed: identifiers and entries' times; the caller sets those anew that are not done.

        In the order of identifiers: entries lie at other times after a restart, and the same state does the same.
        """
        found: list[tuple[str, int]] = []
        while self._heap and self._heap[0][0] <= clock_ms:
            due_ms, key = heappop(self._heap)
            found.append((key.decode(), due_ms))
        found.sort()
        return found
