"""The worlds of the shop are the random ones, with everybody somebody else."""

from __future__ import annotations

import pytest

from tests.differential.shop import WORLDS, first_world
from tests.differential.small_worlds import small_worlds, worlds_of_the_shop
from tests.oracle.persons import persons_of
from tests.oracle.rules import DEFAULT
from tests.oracle.touchpoints import Touchpoint


def groups(points: tuple[Touchpoint, ...]) -> list[tuple[str, ...]]:
    """The message ids of each person."""
    return [tuple(sorted(t.message_id for t in person.touchpoints)) for person in persons_of(points, DEFAULT)]


@pytest.mark.parametrize("known", [None, 505_549_000])
def test_marks_part_the_people_of_two_worlds_and_no_others(seed: int, known: int | None) -> None:
    """Phone numbers were parted into as many as they were written in ways, and came to their limit (505549074)."""
    first = first_world(seed) if known is None else known
    apart = [group for each in worlds_of_the_shop(first, WORLDS) for group in groups(each.touchpoints)]
    assert sorted(groups(small_worlds(first, WORLDS).touchpoints)) == sorted(apart)
