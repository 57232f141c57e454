"""What one person may consist of, and which of two links is the better one.

Owns limits by type and the order of links; must not know actors or messages. Links between identifiers of which the
earlier counts (`keep`) are the better the earlier; those with an identifier that follows its latest user (`move`) the
better the later, and better than any other. The order is one of content alone.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from streams.core.rules import MOVE, Rules
from streams.core.shapes import NEVER

Weight = tuple[int, int, str]
"""Of a link: the lower, the better."""
_ACT_MS: Final = NEVER + NEVER // 2
"""Before any time: a link by an act, whose digest is below 0, is better than any that a touchpoint shows."""


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
        """Of the link between two identifiers that a touchpoint shows, or an act makes."""
        pair = f"{one}\0{other}" if one < other else f"{other}\0{one}"
        if digest < 0:
            return at_ms + _ACT_MS, digest, pair
        return -at_ms if self._is_moving(one, other) else at_ms, digest, pair

    def time_of(self, weight: Weight, one: str, other: str) -> int:
        """When the link of this weight between the two was seen or made, epoch ms."""
        if weight[1] < 0:
            return weight[0] - _ACT_MS
        return -weight[0] if self._is_moving(one, other) else weight[0]

    def _is_moving(self, one: str, other: str) -> bool:
        return kind_of(one) in self.moving or kind_of(other) in self.moving

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


def only_one(members: Iterable[str], kind: str) -> str | None:
    """The member of a type of which there is at most one, or one of its names."""
    for member in members:
        if kind_of(member) == kind:
            return member
    return None


def counts_of(identifiers: Iterable[str]) -> dict[str, int]:
    """How many there are of each type."""
    counts: dict[str, int] = {}
    for identifier in identifiers:
        kind = kind_of(identifier)
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Counts by type of both together."""
    return {kind: counts.get(kind, 0) + more.get(kind, 0) for kind in {**counts, **more}}
