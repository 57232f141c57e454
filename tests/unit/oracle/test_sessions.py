"""Sessions: maximal unions of covers."""

from __future__ import annotations

import random
from dataclasses import replace

import networkx as nx
import pytest

from tests.oracle.rules import DEFAULT, MINUTE_MS, Rules
from tests.oracle.sessions import Session, cover, event_of, sessions_of
from tests.oracle.touchpoints import Touchpoint
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
        Session(
            *(("m1", "m2", "m3", "m4"), 0, 25 * MINUTE_MS, ("web", "email", "pos"), 1, 7),
            revenue=(("", 7),),
            is_bounce=False,
            is_engaged=True,
            path=("web:Product Viewed", "email:Product Viewed", "web:Product Viewed", "pos:Order Completed"),
            is_path_cut=False,
            events=(("Order Completed", 1), ("Product Viewed", 3)),
            first_campaign=None,
            last_campaign=None,
        ),
    )


def test_a_bounce_is_one_touchpoint() -> None:
    """Whatever it was: even an order, which makes it an engaged one."""
    [bounce], [two] = sessions_of([ordered("m1", 0)]), sessions_of([ordered("m1", 0), touchpoint("m2", 0)])
    assert (bounce.is_bounce, bounce.is_engaged, two.is_bounce) == (True, True, False)


SECOND = 1 / 60


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([touchpoint("m1", event="Email Opened"), touchpoint("m2", 10 * SECOND, event="x")], True),
        ([touchpoint("m1", event="Email Opened"), touchpoint("m2", 9.99 * SECOND, event="x")], False),
        ([touchpoint("m1"), touchpoint("m2", event="x")], False),
        ([touchpoint("m1"), replace(touchpoint("m2", event="Home"), type="page")], True),
        ([touchpoint("m1"), touchpoint("m2", event="Promotion Viewed")], False),
        ([ordered("m1", 0)], True),
    ],
)
def test_engaged_is_who_stays_10_seconds_orders_or_views_twice(
    points: list[Touchpoint], expected: bool
) -> None:
    """The bound is inclusive; a page call is a view, seeing a promotion is none."""
    [session] = sessions_of(points)
    assert session.is_engaged == expected


@pytest.mark.parametrize(
    ("call", "event", "expected"),
    [
        ("track", "Product Viewed", "Product Viewed"),
        ("track", "Fitting Room Booked", "Fitting Room Booked"),
        ("track", "Something Else", "other"),
        ("track", "", "track"),
        ("page", "", "page"),
        ("page", "Home", "page"),
        ("page", "Product Viewed", "Product Viewed"),
        ("identify", "Identify", "identify"),
        ("track", "other", "other"),
        ("alias", "other", "alias"),
    ],
)
def test_what_a_touchpoint_was(call: str, event: str, expected: str) -> None:
    """A name that is told apart says it, else the call; a `track` of another name says nothing."""
    point = replace(touchpoint("m1", event=event), type=call)
    assert event_of(point, Rules(events=("Fitting Room Booked",))) == expected


def test_revenue_is_told_by_currency() -> None:
    """An order that says no currency, or what cannot be one, is of none; no revenue is 0."""
    said = [("EUR", 7), ("USD", 3), ("EUR", 2), (None, 5), ("", 1), ("x" * 17, 1), ("CHF", None)]
    orders = [
        replace(ordered(f"m{n}", 0), currency=currency, revenue_micros=micros)
        for n, (currency, micros) in enumerate(said)
    ]
    [session] = sessions_of([*orders, replace(touchpoint("m9", 1, revenue_micros=9), currency="EUR")])
    assert session.revenue == (("", 7), ("CHF", 0), ("EUR", 9), ("USD", 3))
    assert session.revenue_micros == 19


def test_campaigns_are_those_of_the_first_and_the_last_that_has_one() -> None:
    """One that says nothing is none; of long parts 256 characters count."""
    none, empty = (None,) * 5, ("", None, "", None, "")
    mail, search = ("mail", "", "spring", None, None), ("s" * 300, "cpc", None, None, None)
    points = [
        replace(touchpoint(f"m{n}", n), campaign=campaign)
        for n, campaign in enumerate([None, none, mail, None, search, empty])
    ]
    [session] = sessions_of(points)
    assert session.first_campaign == ("mail", None, "spring", None, None)
    assert session.last_campaign == ("s" * 256, "cpc", None, None, None)


def test_a_path_has_fifty_touchpoints() -> None:
    """What comes behind is counted among the events."""
    points = [touchpoint(f"m{n}", n, channel="app" if n == 49 else "web") for n in range(51)]
    [exact], [longer] = sessions_of(points[:50]), sessions_of(points)
    assert exact.path == longer.path == (*["web:Product Viewed"] * 49, "app:Product Viewed")
    assert (exact.is_path_cut, longer.is_path_cut) == (False, True)
    assert longer.events == (("Product Viewed", 51),)


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
