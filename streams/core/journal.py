"""The journal of a profile: one compact entry a touchpoint, the one source of everything that looks back.

Owns the entry's bytes and the parts they are stored in; must not know sessions, carts or identity. Entries lie in
arrival order in parts of at most eight, so that a touchpoint rewrites one part, never the whole journal.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Any, Final

from mypy_extensions import i64, mypyc_attr

from streams.core.shapes import NEVER

_ENTRY: Final = Struct("<qQIBBq")
_pack: Final[Any] = _ENTRY.pack
_unpack: Final[Any] = _ENTRY.iter_unpack
_needle: Final[Any] = Struct("<Q").pack
ENTRY_BYTES: Final = 30
PART_ENTRIES: Final = 8
PART_BYTES: Final = 240
FEW_PARTS: Final = 32
"""Up to so many parts are looked through for a digest; of more, digests are kept in a set."""

Row = tuple[int, int, int, int, int, int]
"""One entry: occurred_ms (epoch ms), digest, member (index of the identifier it came through in the profile's members),
channel (code), kind (code of the event, see `vocabulary`), revenue_micros."""


@mypyc_attr(acyclic=True)
class Journal:
    """Full parts `first, first + 1, …` and the `tail` that still grows; what occurred before `floor_ms` is forgotten.

    `dirty` holds the numbers of full parts to write, or, outside of those there are, to delete; None if there are none.
    Most people never fill a part, so neither that set nor a list of parts is made for them.
    """

    __slots__ = ("_digests", "dirty", "first", "floor_ms", "parts", "tail")

    def __init__(
        self, first: int = 0, parts: tuple[bytes, ...] = (), tail: bytes = b"", floor_ms: int = NEVER
    ) -> None:
        self.first = first
        self.parts = parts
        self.tail = tail
        self.floor_ms = floor_ms
        self.dirty: set[int] | None = None
        self._digests: set[int] | None = None

    def __contains__(self, digest: int) -> bool:
        if len(self.parts) > FEW_PARTS:
            if self._digests is None:
                self._digests = {row[1] for row in self._all_rows()}
            return digest in self._digests
        needle: bytes = _needle(digest)
        return _holds(self.tail, needle) or any(_holds(part, needle) for part in self.parts)

    def size(self) -> int:
        """How many entries are stored."""
        return len(self.parts) * PART_ENTRIES + len(self.tail) // ENTRY_BYTES

    def rows(self) -> list[Row]:
        """Entries in arrival order."""
        floor_ms, rows = self.floor_ms, self._all_rows()
        return rows if floor_ms == NEVER else [row for row in rows if row[0] >= floor_ms]

    def in_order(self) -> list[Row]:
        """Entries by event time, then digest: the order that decides."""
        rows = self.rows()
        rows.sort()
        return rows

    def append(
        self, occurred_ms: int, digest: int, member: int, channel: int, kind: int, revenue_micros: int
    ) -> None:
        """Add one entry."""
        if self._digests is not None:
            self._digests.add(digest)
        tail: bytes = self.tail + _pack(occurred_ms, digest, member, channel, kind, revenue_micros)
        if len(tail) >= PART_BYTES:
            number = self.first + len(self.parts)
            self._mark(number, number + 1)
            self.parts += (tail,)
            tail = b""
        self.tail = tail

    def extend(self, other: "Journal", index: Sequence[int]) -> None:
        """Add another's entries whose touchpoints are not here yet; `index` tells its members' places here."""
        if self.floor_ms > NEVER:
            self._compact()
        held = {digest for _, digest, _, _, _, _ in self.rows()}
        added: list[bytes] = []
        for occurred_ms, digest, member, channel, kind, revenue_micros in other.rows():
            if digest not in held:
                held.add(digest)
                added.append(_pack(occurred_ms, digest, index[member], channel, kind, revenue_micros))
        self._add_all(added)
        self._digests = held if len(self.parts) > FEW_PARTS else None

    def take_out(self, members: dict[int, int]) -> list[Row]:
        """Remove and return the entries that came through these members, with the places they are given there."""
        held = self.rows()
        self.clear()
        self.floor_ms = NEVER
        taken: list[Row] = []
        left: list[bytes] = []
        for occurred_ms, digest, member, channel, kind, revenue_micros in held:
            place = members.get(member)
            if place is None:
                left.append(_pack(occurred_ms, digest, member, channel, kind, revenue_micros))
            else:
                taken.append((occurred_ms, digest, place, channel, kind, revenue_micros))
        self._add_all(left)
        return taken

    def drop_before(self, cutoff_ms: int) -> None:
        """Forget entries that occurred before the cutoff: at once, and their parts from the front as they run empty."""
        self.floor_ms = max(self.floor_ms, cutoff_ms)
        stale = 0
        for part in self.parts:
            if any(row[0] >= cutoff_ms for row in _unpacked(part)):
                break
            stale += 1
        if stale:
            self._mark(self.first, self.first + stale)
            self.first += stale
            self.parts = self.parts[stale:]
            self._digests = None
        if not self.parts and not any(row[0] >= cutoff_ms for row in _unpacked(self.tail)):
            self.tail = b""

    def _compact(self) -> None:
        """Rewrite what is not forgotten: what another remembers may have occurred before the floor."""
        held = self.rows()
        self.clear()
        self.floor_ms = NEVER
        self._add_all([_pack(*row) for row in held])

    def _all_rows(self) -> list[Row]:
        return _unpacked(b"".join((*self.parts, self.tail)))

    def _add_all(self, entries: list[bytes]) -> None:
        """Add many, with one look at the parts; of their digests nothing is noted."""
        tail = b"".join((self.tail, *entries))
        full = len(tail) // PART_BYTES
        number = self.first + len(self.parts)
        self._mark(number, number + full)
        self.parts += tuple([tail[at * PART_BYTES : (at + 1) * PART_BYTES] for at in range(full)])
        self.tail = tail[full * PART_BYTES :]

    def clear(self) -> None:
        """Forget everything; the numbers of parts are not used again."""
        stop = self.first + len(self.parts)
        self._mark(self.first, stop)
        self.first, self.parts, self.tail, self._digests = stop, (), b"", None

    def mark_all(self) -> None:
        """Every part is to be written."""
        self._mark(self.first, self.first + len(self.parts))

    def _mark(self, first: int, stop: int) -> None:
        if first < stop:
            if self.dirty is None:
                self.dirty = set()
            self.dirty.update(range(first, stop))


def _unpacked(entries: bytes) -> list[Row]:
    return [*_unpack(entries)]


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
