"""Who is one person, and what counts of each person once."""

from __future__ import annotations

import random
from itertools import combinations

from tests.oracle.persons import persons_of
from tests.oracle.touchpoints import usable_identifiers
from tests.unit.oracle.build import touchpoint


def test_a_chain_of_links_is_one_person() -> None:
    """Identifiers that are linked through others belong together; the root is the lowest of all."""
    points = [
        touchpoint("m1", who="anonymous_id:a device_id:d"),
        touchpoint("m2", who="email:e device_id:d"),
        touchpoint("m3", who="email:e user_id:9"),
        touchpoint("m4", who="anonymous_id:b"),
    ]
    first, second = persons_of(points)
    assert first.root == "user_id:9"
    assert first.identifiers == {"user_id:9", "email:e", "device_id:d", "anonymous_id:a"}
    assert [t.message_id for t in second.touchpoints] == ["m4"]


def test_rank_goes_before_text() -> None:
    """The root is by rank of the type first, then by text: user_id:10 is before user_id:9."""
    (person,) = persons_of(
        [touchpoint("m1", who="email:a user_id:9"), touchpoint("m2", who="email:a user_id:10")]
    )
    assert person.root == "user_id:10"


def test_a_blocked_value_links_nobody() -> None:
    """Two people who share the device `0` stay two."""
    points = [touchpoint("m1", who="user_id:1 device_id:0"), touchpoint("m2", who="user_id:2 device_id:0")]
    assert [p.root for p in persons_of(points)] == ["user_id:1", "user_id:2"]


def test_a_late_touchpoint_links() -> None:
    """Too late for sessions is not too late to say who somebody is."""
    points = [
        touchpoint("m1", who="user_id:1"),
        touchpoint("m2", who="device_id:d"),
        touchpoint("m3", who="user_id:1 device_id:d", arrives_min=100 * 60),
    ]
    (person,) = persons_of(points)
    assert len(person.touchpoints) == 3


def test_a_message_counts_once_a_person() -> None:
    """Of two copies within a person the one that arrived first counts; two people each have their own."""
    copy = touchpoint("m1", 3, arrives_min=9)
    (person,) = persons_of([copy, touchpoint("m1", 3, arrives_min=5)])
    assert [t.arrival_ms for t in person.touchpoints] == [5 * 60_000]
    both = persons_of([copy, touchpoint("m1", who="user_id:2")])
    assert [len(p.touchpoints) for p in both] == [1, 1]


def test_persons_are_what_repeated_merging_gives() -> None:
    """Merging any two sets that share an identifier, until none do, gives the same people."""
    rng = random.Random(7)
    pool = [f"{type_}:{n}" for type_ in ("user_id", "email", "device_id") for n in range(1, 7)]
    for _ in range(50):
        points = [
            touchpoint(f"m{n}", who=" ".join(rng.sample(pool, rng.choice([1, 1, 2, 2, 3]))))
            for n in range(rng.randint(1, 12))
        ]
        sets = [frozenset(usable_identifiers(p)) for p in points]
        while clash := next(((a, b) for a, b in combinations(set(sets), 2) if a & b), None):
            sets = [clash[0] | clash[1] if s in clash else s for s in sets]
        assert {p.identifiers for p in persons_of(points)} == set(sets)
