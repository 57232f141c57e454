"""Sessions: maximal unions of covers."""

from __future__ import annotations

import random

import networkx as nx

from tests.oracle.rules import DEFAULT, MINUTE_MS, Rules
from tests.oracle.sessions import Session, cover, sessions_of
from tests.unit.oracle.build import ordered, touchpoint


def test_thirty_minutes_are_inside_and_one_ms_more_is_not() -> None:
    """Both bounds of a cover are inclusive."""
    points = [touchpoint("m1", 0), touchpoint("m2", 30), touchpoint("m3", 60 + 1 / MINUTE_MS)]
    assert [s.members for s in sessions_of(points)] == [("m1", "m2"), ("m3",)]


def test_what_is_said_of_a_session() -> None:
    """It ends at its last touchpoint; channels by first appearance; orders and revenue of orders alone."""
    points = [
        touchpoint("m1", 0, channel="web", revenue_micros=100),
        touchpoint("m2", 10, channel="email"),
        touchpoint("m3", 20, channel="web"),
        ordered("m4", 25),
    ]
    assert sessions_of(points) == (
        Session(("m1", "m2", "m3", "m4"), 0, 25 * MINUTE_MS, ("web", "email", "pos"), 1, 7),
    )


def test_a_long_cover_reaches_past_a_short_one() -> None:
    """With a gap of its own a channel can hold a session open that a later touchpoint would have let go."""
    rules = Rules(gaps_ms={"store": 120 * MINUTE_MS, "ads": MINUTE_MS})
    points = [touchpoint("m1", 0, channel="store"), touchpoint("m2", 5, channel="ads"), touchpoint("m3", 100)]
    assert [s.members for s in sessions_of(points, rules)] == [("m1", "m2", "m3")]
    assert len(sessions_of(points[1:], rules)) == 2


def test_sessions_are_the_components_of_touching_covers() -> None:
    """Comparing every pair of covers gives the same sessions."""
    rng = random.Random(11)
    rules = Rules(gaps_ms={"store": 90 * MINUTE_MS, "ads": 0})
    for _ in range(200):
        points = [
            touchpoint(f"m{n}", minute, channel=rng.choice(["web", "store", "ads"]))
            for n, minute in enumerate(sorted(rng.choices(range(0, 600, 15), k=rng.randint(1, 12))))
        ]
        touching: nx.Graph[str] = nx.Graph()
        for a in points:
            for b in points:
                if max(cover(a, rules)[0], cover(b, rules)[0]) <= min(cover(a, rules)[1], cover(b, rules)[1]):
                    touching.add_edge(a.message_id, b.message_id)
        assert {frozenset(s.members) for s in sessions_of(points, rules)} == {
            frozenset(component) for component in nx.connected_components(touching)
        }


def test_nobody_has_no_sessions() -> None:
    """Nothing gives nothing."""
    assert sessions_of([], DEFAULT) == ()
