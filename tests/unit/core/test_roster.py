"""Profiles of many members: stored in parts, moved in pieces, and the same after any restart."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from streams.core.actor import Actor
from streams.core.links import PART
from streams.core.rules import Rules
from streams.core.step import Effects
from tests.unit.core.records import FakeRecord, OneTask, touchpoint

MEMBERS = 3 * PART + 7
RULES = Rules(is_replay=True, limits={}, shared_profiles=0, piece_members=40)


class Restarted(OneTask):
    """A task that another owner takes over before every batch."""

    def take(self, *records: FakeRecord) -> Effects:
        """Process records as one batch."""
        self.restart()
        return super().take(*records)


def seen(name: str, at_ms: int, who: str, device: str) -> FakeRecord:
    """An account and a device on a page."""
    shown: dict[str, Any] = {"user_id": who, "device_id": device}
    return touchpoint(name, at_ms, **shown)


def many(task: OneTask, who: str) -> None:
    """An account that came with one device after another."""
    for number in range(MEMBERS):
        task.take(seen(f"{who}{number}", number, who, f"{who}-{number}"))


def root(task: OneTask, identifier: str) -> Actor:
    """Who holds the profile of an identifier, in two steps at most."""
    actor = task.step._actors.find(identifier)
    for _ in range(2):
        if actor is not None and actor.profile is None:
            actor = task.step._actors.find(actor.root)
    assert actor is not None
    assert actor.profile is not None
    return actor


def links(actor: Actor) -> dict[frozenset[str], int]:
    """What holds a person together: two identifiers, and when they were seen together."""
    profile = actor.profile
    assert profile is not None
    return {
        frozenset((profile.members[child], profile.members[parent])): profile.links.times_ms[child]
        for child, parent in enumerate(profile.links.parents)
        if parent >= 0
    }


def test_what_one_of_many_writes_does_not_grow() -> None:
    """One more device costs as much as the first did, however many there are."""
    task = OneTask(RULES)
    many(task, "a")
    written = [
        sum(len(value or b"") for _, value in task.take(seen(f"more{n}", n, "a", f"more-{n}")).changes)
        for n in range(2 * PART)
    ]
    assert max(written) < 8_000
    parts = [key for key in task.store if b"user_id:a\0m" in key]
    assert len(parts) == (MEMBERS + 2 * PART) // PART


@pytest.mark.parametrize("make", [OneTask, Restarted])
@pytest.mark.parametrize(("who", "device"), [("b", "a-100"), ("a", "b-100")])
def test_two_of_many_become_one(make: type[OneTask], who: str, device: str) -> None:
    """All members and links of both, and the one that joined them; nothing is left of the other's parts."""
    task = make(RULES)
    many(task, "a")
    many(task, "b")
    before = {**links(root(task, "user_id:a")), **links(root(task, "user_id:b"))}
    task.take(seen("both", 10_000, who, device))
    one = root(task, "user_id:a")
    assert one.profile is not None
    assert len(one.index) == 2 * (MEMBERS + 1)
    assert {root(task, member).identifier for member in one.index} == {one.identifier}
    joined = links(one)
    assert {pair: joined[pair] for pair in before} == before
    assert joined.keys() - before.keys() == {frozenset((f"user_id:{who}", f"device_id:{device}"))}
    assert one.journal.size() == 2 * MEMBERS + 1
    other = "user_id:b" if one.identifier == "user_id:a" else "user_id:a"
    assert not [key for key in task.store if key.startswith(other.encode() + b"\0")]


def test_what_comes_while_it_moves_is_not_lost() -> None:
    """Touchpoints of both, and a link to a third, while the pieces are on their way; the answer is as if after it."""
    task = Interrupted(RULES)
    many(task, "a")
    many(task, "b")
    task.take(seen("third", 5, "c", "c-0"))
    task.meanwhile = [
        seen("a again", 20_000, "a", "a-0"),
        seen("b again", 20_001, "b", "b-0"),
        seen("b and the third", 20_002, "b", "c-0"),
        seen("a new one", 20_003, "b", "b-new"),
    ]
    task.take(seen("both", 10_000, "b", "a-100"))
    assert not task.meanwhile
    one = root(task, "user_id:a")
    assert len(one.index) == 2 * (MEMBERS + 1) + 3
    assert {root(task, member).identifier for member in one.index} == {one.identifier}
    assert one.journal.size() == 2 * MEMBERS + 6
    assert one.profile is not None
    profile = one.profile
    assert [profile.waiting, profile.expecting, profile.reserved, profile.arriving] == [[], [], {}, {}]


class Interrupted(OneTask):
    """A task that has something else to do between any two pieces; `meanwhile` is what, in any order."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.meanwhile: list[FakeRecord] = []
        self._rng = Random(7)

    def take(self, *records: FakeRecord) -> Effects:
        """Process records as one batch, then one of those that came meanwhile."""
        effects = super().take(*records)
        if self.meanwhile:
            super().take(self.meanwhile.pop(self._rng.randrange(len(self.meanwhile))))
        return effects
