"""The journal of a profile: one compact entry a touchpoint, the one source of everything that looks back.

Owns the entry's bytes and the parts they are stored in; must not know sessions, carts or identity. Entries lie in
arrival order in parts of at most PART_ENTRIES, so that a touchpoint rewrites one part, never the whole journal.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

ENTRY = Struct("<qQIBBq")
ENTRY_BYTES = ENTRY.size
PART_ENTRIES = 8
PART_BYTES = PART_ENTRIES * ENTRY_BYTES
OTHER, ORDERED = 0, 1
"""What an entry's `kind` says: nothing that sessions count apart, or a completed order."""


class Entry(NamedTuple):
    """Times in epoch ms; `member` is the index of the identifier it came through in the profile's members."""

    occurred_ms: int
    digest: int
    member: int
    channel: int
    kind: int
    revenue_micros: int


Row = tuple[int, int, int, int, int, int]
"""The fields of an Entry, in its order."""


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
        needle = digest.to_bytes(8, "little")
        # Nearly always absent, which the first look tells.
        if needle in self.tail and _holds(self.tail, needle):
            return True
        return any(needle in part and _holds(part, needle) for part in self.parts)

    def __iter__(self) -> Iterator[Entry]:
        """Entries in arrival order."""
        for part in (*self.parts, self.tail):
            yield from map(Entry._make, ENTRY.iter_unpack(part))

    def in_order(self) -> list[Row]:
        """Entries by event time, then digest: the order that decides. Plain tuples, which cost a fifth of Entry."""
        return sorted(ENTRY.iter_unpack(b"".join((*self.parts, self.tail))))

    def append(self, *entry: int) -> None:
        """Add one entry, its fields in the order of Entry."""
        self.tail += ENTRY.pack(*entry)
        if len(self.tail) >= PART_BYTES:
            self.dirty.add(self.first + len(self.parts))
            self.parts.append(self.tail)
            self.tail = b""

    def extend(self, entries: Iterable[Entry]) -> None:
        """Add the entries whose touchpoints are not here yet."""
        held = {entry.digest for entry in self}
        for entry in entries:
            if entry.digest not in held:
                held.add(entry.digest)
                self.append(*entry)

    def drop_before(self, cutoff_ms: int) -> None:
        """Forget entries that occurred before the cutoff."""
        held = list(self)
        kept = [entry for entry in held if entry.occurred_ms >= cutoff_ms]
        if len(kept) < len(held):
            self.clear()
            for entry in kept:
                self.append(*entry)

    def clear(self) -> None:
        """Forget everything; the numbers of parts are not used again."""
        stop = self.first + len(self.parts)
        self.dirty.update(range(self.first, stop))
        self.first, self.parts, self.tail = stop, [], b""


def _holds(part: bytes, needle: bytes) -> bool:
    """True if an entry's digest field is `needle`, wherever else in the part these bytes may appear."""
    at = part.find(needle)
    while at >= 0:
        if at % ENTRY_BYTES == 8:
            return True
        at = part.find(needle, at + 1)
    return False
