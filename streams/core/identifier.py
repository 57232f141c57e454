"""Identifiers: which a touchpoint has, which of two ranks first, where one lives.

Owns order and partition of an identifier; must not know how values are written, profiles or records.
An identifier is the string `type:value`, normalised, the same string everywhere (keys, state, outputs).
"""

from collections.abc import Mapping
from typing import Final

from mypy_extensions import i64

from streams.core.normalise import Normaliser
from streams.core.rules import Rules

MEMO_LIMIT: Final = 10_000


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
    """Order and home of identifiers under one set of rules and one partition count; remembers what it worked out."""

    __slots__ = ("_blocked", "_homes", "_partitions", "_ranks", "_sets", "normaliser")

    def __init__(self, rules: Rules, partitions: int) -> None:
        self._ranks = {kind: rank for rank, kind in enumerate(rules.ranks)}
        self.normaliser = Normaliser(rules)
        self._partitions = partitions
        self._homes: dict[str, int] = {}
        self._sets: dict[bytes, tuple[str, ...]] = {}
        self._blocked: dict[bytes, tuple[str, ...]] = {}

    def order(self, identifier: str) -> tuple[int, str]:
        """Sort key: the lower of two gives its person the name."""
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

    def blocked(self, raw: bytes) -> tuple[str, ...]:
        """Types whose values in this encoded map identify nobody; `known` or `usable` has just been asked about it."""
        return self._blocked.get(raw, ())

    def usable(self, values: Mapping[str, str], raw: bytes) -> tuple[str, ...]:
        """Identifiers of a touchpoint, lowest first; `raw` is the map as encoded, the key to remember it by."""
        found: list[str] = []
        blocked: list[str] = []
        for kind, value in values.items():
            if kind in self._ranks:
                identifier = self.normaliser.identifier(kind, value)
                if identifier is None:
                    blocked.append(kind)
                else:
                    found.append(identifier)
        identifiers = tuple(sorted(found, key=self.order))
        if len(self._sets) >= MEMO_LIMIT:
            self._sets.clear()
            self._blocked.clear()
        self._sets[raw] = identifiers
        if blocked:
            self._blocked[raw] = tuple(blocked)
        return identifiers
