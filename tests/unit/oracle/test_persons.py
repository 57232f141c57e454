"""Who is one person, and what counts of each person once."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import combinations
from typing import Any

from tests.oracle.persons import persons_of
from tests.oracle.rules import DEFAULT
from tests.oracle.touchpoints import Touchpoint, usable_identifiers
from tests.unit.oracle.build import touchpoint

UNLIMITED = replace(DEFAULT, limits={})


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
    points = [touchpoint("m1", who="email:a user_id:9"), touchpoint("m2", who="email:a user_id:10")]
    (person,) = persons_of(points, UNLIMITED)
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
        assert {p.identifiers for p in persons_of(points, UNLIMITED)} == set(sets)


def members_of(*points: Touchpoint, **rules: Any) -> set[frozenset[str]]:
    """The identifiers of each person."""
    return {person.identifiers for person in persons_of(points, replace(DEFAULT, **rules))}


def test_two_accounts_stay_two_and_the_latest_link_between_them_does_not_count() -> None:
    """A tablet is whose it was first, with the cookies that were on it then; later ones are the other one's."""
    family = [
        touchpoint("m1", 1, who="device_id:tablet anonymous_id:a"),
        touchpoint("m2", 2, who="user_id:ann device_id:tablet"),
        touchpoint("m3", 3, who="user_id:bob device_id:tablet"),
        touchpoint("m4", 4, who="user_id:bob anonymous_id:b"),
    ]
    ann, bob = {"user_id:ann", "device_id:tablet", "anonymous_id:a"}, {"user_id:bob", "anonymous_id:b"}
    for _ in range(10):
        assert members_of(*family) == {frozenset(ann), frozenset(bob)}
        random.shuffle(family)


def test_what_follows_its_latest_user_moves() -> None:
    """With the device types set to move, the tablet is the last one's; what came only through it goes along."""
    points = [
        touchpoint("m1", 1, who="user_id:ann device_id:tablet"),
        touchpoint("m2", 2, who="user_id:bob device_id:tablet"),
        touchpoint("m3", 3, who="device_id:tablet"),
    ]
    assert members_of(*points, moving=frozenset({"device_id"})) == {
        frozenset({"user_id:ann"}),
        frozenset({"user_id:bob", "device_id:tablet"}),
    }


def test_a_sixth_address_is_somebody_elses() -> None:
    """Where a person has as many of a type as there may be, the earliest are the person's."""
    points = [touchpoint(f"m{n}", n, who=f"user_id:1 email:{n}") for n in range(1, 7)]
    (members,) = members_of(*reversed(points))
    assert members == {"user_id:1", *[f"email:{n}" for n in range(1, 6)]}
