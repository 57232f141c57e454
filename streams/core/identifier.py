"""Identifiers: which values identify, how they are written, which of two ranks first, where one lives.

Owns normalisation, blocked values, order and partition of an identifier; must not know profiles or records.
An identifier is the string `type:value`, normalised, the same string everywhere (keys, state, outputs).
"""

from collections.abc import Iterable, Mapping
from typing import Final

from mypy_extensions import i64

BLOCKED: Final = frozenset({"", "null", "undefined", "nan", "none", "-1", "0", "anonymous", "guest", "n/a"})
MEMO_LIMIT: Final = 10_000


def normalise(kind: str, value: str) -> str | None:
    """The identifier `kind:value`, or None when the value identifies nobody."""
    value = value.strip()
    folded = value.lower()
    if folded in BLOCKED or not folded.strip("0-") or "\0" in value:
        return None
    return f"{kind}:{folded if kind == 'email' else value}"


def murmur2(key: bytes) -> int:
    """Kafka's murmur2 (org.apache.kafka.common.utils.Utils.murmur2) as a non-negative 31-bit int."""
    length: i64 = len(key)
    h: i64 = (0x9747B28C ^ length) & 0xFFFFFFFF
    at: i64 = 0
    while at + 4 <= length:
        k: i64 = key[at] | key[at + 1] << 8 | key[at + 2] << 16 | key[at + 3] << 24
        # Factors are below 2^31 and 2^32, so no product leaves 64 bits.
        k = k * 0x5BD1E995 & 0xFFFFFFFF
        h = (h * 0x5BD1E995 & 0xFFFFFFFF) ^ ((k ^ k >> 24) * 0x5BD1E995 & 0xFFFFFFFF)
        at += 4
    if at < length:
        while length > at:
            length -= 1
            h ^= key[length] << (length - at) * 8
        h = h * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return (h ^ h >> 15) & 0x7FFFFFFF


class Identifiers:
    """Order and home of identifiers under one ranking and one partition count; remembers what it worked out."""

    __slots__ = ("_homes", "_partitions", "_ranks", "_sets")

    def __init__(self, ranks: Iterable[str], partitions: int) -> None:
        self._ranks = {kind: rank for rank, kind in enumerate(ranks)}
        self._partitions = partitions
        self._homes: dict[str, int] = {}
        self._sets: dict[bytes, tuple[str, ...]] = {}

    def order(self, identifier: str) -> tuple[int, str]:
        """Sort key: the lower of two is the root."""
        return self._ranks[identifier[: identifier.index(":")]], identifier

    def partition(self, identifier: str) -> int:
        """The partition, and so the task, that holds the identifier's actor."""
        home = self._homes.get(identifier)
        if home is None:
            if len(self._homes) >= MEMO_LIMIT:
                self._homes.clear()
            home = self._homes[identifier] = murmur2(identifier.encode()) % self._partitions
        return home

    def known(self, raw: bytes) -> tuple[str, ...] | None:
        """The answer `usable` gave for this encoded map, if it is remembered."""
        return self._sets.get(raw)

    def usable(self, values: Mapping[str, str], raw: bytes) -> tuple[str, ...]:
        """Identifiers of a touchpoint, lowest first; `raw` is the map as encoded, the key to remember it by."""
        found = {normalise(kind, value) for kind, value in values.items() if kind in self._ranks}
        identifiers = tuple(sorted((i for i in found if i), key=self.order))
        if len(self._sets) >= MEMO_LIMIT:
            self._sets.clear()
        self._sets[raw] = identifiers
        return identifiers
