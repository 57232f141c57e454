"""What may be committed: nothing before it is without an outcome."""

from __future__ import annotations

from random import Random

from sinks.webhook.positions import Positions


def test_the_oldest_without_outcome_holds_the_commit(seed: int) -> None:
    """Whatever the order of outcomes, the committed offset is the least that has none, or the end.
    Seen to fail with the highest settled offset committed."""
    print(f"seed {seed}")
    random = Random(seed)
    positions = Positions()
    positions.open(0, 0, None)
    left = list(range(0, 200, 2))
    for offset in left:
        assert positions.take((0, offset)) is False
    positions.reach((0, 201))
    while left:
        positions.settle((0, left.pop(random.randrange(len(left)))))
        assert positions.settled() == {0: min(left, default=201)}


def test_what_an_earlier_life_had_begun_is_known() -> None:
    """Offsets behind the commit and before what was declared may have been sent; those after it cannot."""
    first = Positions()
    first.open(3, 5, None)
    for offset in (5, 6, 7):
        assert first.take((3, offset)) is False
    first.settle((3, 5))
    assert first.uncommitted() == {3: (6, "begun:8")}
    first.committed(first.uncommitted())
    assert first.uncommitted() == {}
    second = Positions()
    second.open(3, 6, "begun:8")
    assert [second.take((3, offset)) for offset in (6, 7, 8)] == [True, True, False]
    assert second.take((3, 7)) is None
    assert second.take((4, 0)) is None
