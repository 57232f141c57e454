"""The sessions of a profile as they are stored: the newest in its head, older ones four to a part on a shelf.

A touchpoint changes the newest session, so what it writes does not grow with how many there were. Sessions are counted
through for ever: number n lies in part n // 4, and parts are not numbered anew when the oldest sessions are forgotten.
Owns the layout; must not know what a session means.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from mypy_extensions import mypyc_attr

from streams.core.sessions import Session, session_of
from streams.core.shapes import SessionRow

PART: Final = 4
_encode: Final[Any] = msgspec.msgpack.Encoder().encode
_decode: Final[Any] = msgspec.msgpack.Decoder(list[SessionRow]).decode


@mypyc_attr(acyclic=True)
class Shelf:
    """Which parts are stored, and how: what is encoded the same again is not written again."""

    __slots__ = ("_held", "forgotten")

    def __init__(self, forgotten: int = 0) -> None:
        self.forgotten = forgotten
        """How many sessions there were before those there are now."""
        self._held: dict[int, bytes] = {}

    def write(
        self, sessions: Sequence[Session], key: bytes, changes: list[tuple[bytes, bytes | None]]
    ) -> list[SessionRow]:
        """Append the parts that have changed, None where one is gone; returns what belongs into the head."""
        first = self.forgotten
        stop = (first + len(sessions) - 1) // PART if sessions else first // PART
        if not self._held and stop == first // PART:
            return [session.row() for session in sessions]
        for number in range(first // PART, stop):
            rows = [s.row() for s in sessions[max(0, number * PART - first) : (number + 1) * PART - first]]
            part: bytes = _encode(rows)
            if self._held.get(number) != part:
                self._held[number] = part
                changes.append((_part_key(key, number), part))
        for number in [n for n in self._held if not first // PART <= n < stop]:
            del self._held[number]
            changes.append((_part_key(key, number), None))
        return [session.row() for session in sessions[max(0, stop * PART - first) :]]

    def parts(self) -> int:
        """How many parts there are."""
        return len(self._held)

    def forget_what_is_stored(self) -> None:
        """The next `write` writes everything."""
        self._held.clear()


def read(
    key: bytes, forgotten: int, parts: int, head: Sequence[SessionRow], get: Callable[[bytes], bytes | None]
) -> tuple[Shelf, list[Session]]:
    """The shelf and the sessions of a profile, as `write` left them."""
    shelf, rows = Shelf(forgotten), []
    for number in range(forgotten // PART, forgotten // PART + parts):
        part = get(_part_key(key, number))
        assert part is not None, "a part of a profile's sessions is missing"
        shelf._held[number] = part
        rows += _decode(part)
    return shelf, [session_of(row) for row in (*rows, *head)]


def _part_key(key: bytes, number: int) -> bytes:
    return b"%s\0s%d" % (key, number)
