"""When which actor next has something to do. Owns the order of timers; must not know what they are for."""

from heapq import heappop, heappush

from streams.core.actor import Actor


class Timers:
    """A heap of (due ms, identifier) with at least one entry at or before each actor's next timer.

    A timer that moves back leaves its entry, which is put right when it comes up: most timers move at every touchpoint.
    """

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._due: dict[str, int] = {}

    def set(self, actor: Actor, due_ms: int) -> None:
        """The actor next has something to do then, or later."""
        held = self._due.get(actor.identifier)
        if held is None or due_ms < held:
            self._due[actor.identifier] = due_ms
            heappush(self._heap, (due_ms, actor.identifier))

    def due(self, clock_ms: int) -> list[str]:
        """The identifiers whose entries are due, removed; the caller sets those anew that are not done."""
        found = []
        while self._heap and self._heap[0][0] <= clock_ms:
            due_ms, identifier = heappop(self._heap)
            if self._due.get(identifier) == due_ms:
                del self._due[identifier]
                found.append(identifier)
        return found
