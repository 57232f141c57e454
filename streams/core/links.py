"""The links of one person: a minimum spanning tree over its identifiers, the best link between any two of them.

A touchpoint that shows several identifiers links the first of them to each of the others. Of the links of a cycle the
worst is left out, and once left out it is never needed again (the cycle rule of minimum spanning trees, Tarjan 1983):
so the tree does not depend on the order in which links become known. Owns the tree; must not know why a link is better.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from streams.core.shapes import NEVER

ROOT = -1
PENDING = -2
"""Instead of a parent: the first member, and a member whose links are still on their way."""
PART: Final = 64
"""Members are stored in parts of so many, where there are more."""

LinkRow = tuple[int, int, int]
"""A member's parent in the tree (its place among the members), and the touchpoint that links them: epoch ms, digest."""


@mypyc_attr(acyclic=True)
class Links:
    """By place among the members: the parent in the tree, and when and by what it was linked to it.

    `dirty` are parts of members that have changed since they were stored, where there are parts.
    """

    __slots__ = ("digests", "dirty", "newest_ms", "parents", "times_ms")

    def __init__(self) -> None:
        self.parents: list[int] = [ROOT]
        self.times_ms: list[int] = [NEVER]
        self.digests: list[int] = [0]
        self.newest_ms = NEVER
        """No link is later."""
        self.dirty: set[int] | None = None

    def append(self, parent: int, at_ms: int, digest: int) -> None:
        """The link of the next member."""
        self.parents.append(parent)
        self.times_ms.append(at_ms)
        self.digests.append(digest)
        if at_ms > self.newest_ms:
            self.newest_ms = at_ms
        last = len(self.parents) - 1
        if last % PART == 0:
            self.mark(last - 1)

    def expect(self, members: int) -> None:
        """Places for more members, whose links are still on their way; a part of nobody need not be stored."""
        last = len(self.parents) - 1
        self.parents += [PENDING] * members
        self.times_ms += [NEVER] * members
        self.digests += [0] * members
        self.mark(last)

    def mark(self, place: int) -> None:
        """Note that a member has changed."""
        if len(self.parents) > PART:
            if self.dirty is None:
                self.dirty = set()
            self.dirty.add(place // PART)

    def set(self, child: int, parent: int, at_ms: int, digest: int) -> None:
        """Another link for a member."""
        self.parents[child], self.times_ms[child], self.digests[child] = parent, at_ms, digest
        self.mark(child)
        if at_ms > self.newest_ms:
            self.newest_ms = at_ms

    def rows(self, first: int, stop: int) -> list[LinkRow]:
        """What is stored of some members."""
        return list(
            zip(self.parents[first:stop], self.times_ms[first:stop], self.digests[first:stop], strict=True)
        )

    def path(self, one: int, other: int) -> list[int]:
        """The links between two members, each named by its child; empty if it is one and the same."""
        above = self._to_root(one)
        known = {member: i for i, member in enumerate(above)}
        below: list[int] = []
        at = other
        while at not in known:
            below.append(at)
            at = self.parents[at]
            assert at >= 0, "a path through a member whose links are not known yet"
        return above[: known[at]] + below

    def lowest_first(self, children: Iterable[int]) -> list[int]:
        """These links in an order in which none of them is cut off with another one."""
        return sorted(children, key=lambda child: (-len(self._to_root(child)), child))

    def below(self, top: int) -> list[int]:
        """A member and all that hang on it, in the order of members."""
        is_below: dict[int, bool] = {top: True, 0: top == 0}
        found: list[int] = []
        for member in range(len(self.parents)):
            trail: list[int] = []
            at = member
            while at >= 0 and at not in is_below:
                trail.append(at)
                at = self.parents[at]
            answer = is_below[at] if at >= 0 else False
            for passed in trail:
                is_below[passed] = answer
            if is_below.get(member, False):
                found.append(member)
        return found

    def cut(self, child: int) -> None:
        """Leave out the link of a member; what hangs on it is then a tree of its own."""
        self.parents[child], self.times_ms[child], self.digests[child] = ROOT, NEVER, 0
        self.mark(child)

    def top_of(self, member: int) -> int:
        """Where the tree that a member is in begins."""
        return self._to_root(member)[-1]

    def lead_from(self, top: int) -> None:
        """Turn the tree around so that it leads up to this member; the links stay what they are."""
        child, parent = top, self.parents[top]
        at_ms, digest = self.times_ms[top], self.digests[top]
        self.parents[top], self.times_ms[top], self.digests[top] = ROOT, NEVER, 0
        self.mark(top)
        while parent >= 0:
            above, above_ms, above_digest = self.parents[parent], self.times_ms[parent], self.digests[parent]
            self.parents[parent], self.times_ms[parent], self.digests[parent] = child, at_ms, digest
            self.mark(parent)
            child, parent, at_ms, digest = parent, above, above_ms, above_digest

    def _to_root(self, member: int) -> list[int]:
        found = [member]
        while self.parents[found[-1]] >= 0:
            found.append(self.parents[found[-1]])
        return found


def links_of(rows: Iterable[LinkRow], members: int) -> Links:
    """The tree as it was stored; members from before links were kept hang on the first."""
    links, held = Links(), [*rows]
    held += [(0, NEVER, 0)] * (members - 1 - len(held))
    links.parents += [parent for parent, _, _ in held]
    links.times_ms += [at_ms for _, at_ms, _ in held]
    links.digests += [digest for _, _, digest in held]
    links.newest_ms = max(links.times_ms)
    if members > PART:
        links.dirty = set(range((members - 1) // PART))
    return links


def only(links: Links, members: Sequence[int], top: int) -> list[LinkRow]:
    """The rows of a part that was cut off as a tree of its own, led from `top`, which comes first."""
    links.lead_from(top)
    order = [top, *[member for member in members if member != top]]
    place = {member: i for i, member in enumerate(order)}
    return [(place[links.parents[m]], links.times_ms[m], links.digests[m]) for m in order[1:]]
