"""What one person may consist of, and which of two links is the better one.

Owns limits by type and the order of links; must not know actors or messages. Links between identifiers of which the
earlier counts (`keep`) are the better the earlier; those with an identifier that follows its latest user (`move`) the
better the later, and better than any other. The order is one of content alone.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from streams.core.rules import MOVE, Rules

Weight = tuple[int, int, str]
"""Of a link: the lower, the better."""


def kind_of(identifier: str) -> str:
    """The type of an identifier."""
    return identifier[: identifier.index(":")]


class Limits:
    """The rules bound to the numbers set."""

    __slots__ = ("_limits", "moving")

    def __init__(self, rules: Rules) -> None:
        self._limits: Final = dict(rules.limits)
        self.moving: Final = frozenset(kind for kind, what in rules.on_conflict.items() if what == MOVE)

    def weight(self, one: str, other: str, at_ms: int, digest: int) -> Weight:
        """Of the link between two identifiers that a touchpoint shows."""
        is_moving = kind_of(one) in self.moving or kind_of(other) in self.moving
        pair = f"{one}\0{other}" if one < other else f"{other}\0{one}"
        return -at_ms if is_moving else at_ms, digest, pair

    def broken_by(self, held: Mapping[str, int], more: Mapping[str, int]) -> str:
        """The type of which there would be too many with so many more, "" if of none; both count by type."""
        for kind in self._limits:
            if kind in more and held.get(kind, 0) + more[kind] > self._limits[kind]:
                return kind
        return ""

    def is_unique(self, kind: str) -> bool:
        """True if a person has at most one of these: of two, it is the links between them that tell who is who."""
        return self._limits.get(kind) == 1

    def rule(self, kind: str) -> str:
        """In words."""
        return f"limit {kind} {self._limits[kind]}"


def counts_of(identifiers: Iterable[str]) -> dict[str, int]:
    """How many there are of each type."""
    counts: dict[str, int] = {}
    for identifier in identifiers:
        kind = kind_of(identifier)
        counts[kind] = counts.get(kind, 0) + 1
    return counts
