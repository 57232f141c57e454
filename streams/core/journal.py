"""The journal of a profile: one compact entry a touchpoint, the one source of everything that looks back.

Owns the entry's bytes and the parts they are stored in; must not know sessions, carts or identity. Entries lie in
arrival order in parts of at most eight, so that a touchpoint rewrites one part, never the whole journal.
"""

from struct import Struct
from typing import Any, Final

from mypy_extensions import i64, mypyc_attr

_ENTRY: Final = Struct("<qQIBBq")
_pack: Final[Any] = _ENTRY.pack
_unpack: Final[Any] = _ENTRY.iter_unpack
_needle: Final[Any] = Struct("<Q").pack
ENTRY_BYTES: Final = 30
PART_BYTES: Final = 240
"""A part that is full; eight entries."""

OTHER: Final = 0
ORDERED: Final = 1
"""What an entry's `kind` says: nothing that sessions count apart, or a completed order."""

Row = tuple[int, int, int, int, int, int]
"""One entry: occurred_ms (epoch ms), digest, member (index of the identifier it came through in the profile's members),
channel (code), kind, revenue_micros."""


@mypyc_attr(acyclic=True)
class Journal:
    """Full parts `first, first + 1, …` and the `tail` that still grows.

    `dirty` holds the numbers of full parts to write, or, outside of those there are, to delete.
    """

    __slots__ = ("dirty", "first", "parts", "tail")

    def __init__(self, first: int = 0, parts: list[bytes] | None = None, tail: bytes = b"") -> None:
        self.first = first
        self.parts = parts if parts is not None else []
        self.tail = tail
        self.dirty: set[int] = set()

    def __contains__(self, digest: int) -> bool:
        needle: bytes = _needle(digest)
        if _holds(self.tail, needle):
            return True
        return any(_holds(part, needle) for part in self.parts)

    def rows(self) -> list[Row]:
        """Entries in arrival order."""
        return [*_unpack(b"".join((*self.parts, self.tail)))]

    def in_order(self) -> list[Row]:
        """Entries by event time, then digest: the order that decides."""
        rows = self.rows()
        rows.sort()
        return rows

    def append(
        self, occurred_ms: int, digest: int, member: int, channel: int, kind: int, revenue_micros: int
    ) -> None:
        """Add one entry."""
        self._add(_pack(occurred_ms, digest, member, channel, kind, revenue_micros))

    def extend(self, other: "Journal", index: list[int]) -> None:
        """Add another's entries whose touchpoints are not here yet; `index` tells its members' places here."""
        held = {digest for _, digest, _, _, _, _ in self.rows()}
        for occurred_ms, digest, member, channel, kind, revenue_micros in other.rows():
            if digest not in held:
                held.add(digest)
                self._add(_pack(occurred_ms, digest, index[member], channel, kind, revenue_micros))

    def drop_before(self, cutoff_ms: int) -> None:
        """Forget entries that occurred before the cutoff."""
        held = self.rows()
        kept = [row for row in held if row[0] >= cutoff_ms]
        if len(kept) < len(held):
            self.clear()
            for occurred_ms, digest, member, channel, kind, revenue_micros in kept:
                self._add(_pack(occurred_ms, digest, member, channel, kind, revenue_micros))

    def _add(self, entry: bytes) -> None:
        tail = self.tail + entry
        if len(tail) >= PART_BYTES:
            self.dirty.add(self.first + len(self.parts))
            self.parts.append(tail)
            tail = b""
        self.tail = tail

    def clear(self) -> None:
        """Forget everything; the numbers of parts are not used again."""
        stop = self.first + len(self.parts)
        self.dirty.update(range(self.first, stop))
        self.first, self.parts, self.tail = stop, [], b""


def _holds(part: bytes, needle: bytes) -> bool:
    """True if an entry's digest field is `needle`."""
    size: i64 = len(part)
    first: i64 = needle[0]
    at: i64 = 8
    while at < size:
        if part[at] == first and part[at : at + 8] == needle:
            return True
        at += ENTRY_BYTES
    return False
