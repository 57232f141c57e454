"""Which actions stand in the end, and which were right when they were decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.oracle.actions import Action, expected_as_of
from tests.oracle.rules import MINUTE_MS, SECOND_MS
from tests.oracle.touchpoints import Item, Touchpoint
from tests.oracle.world import answer
from tests.unit.oracle.build import added, ordered, touchpoint

HAT = (Item("hat", 1, 5),)


def clocks(points: list[Touchpoint], *at_s: float) -> list[list[str]]:
    """Openers of the carts that may be acted on at each of these clocks, in seconds."""
    return [[a.opened_by for a in expected_as_of(points, round(s * SECOND_MS))] for s in at_s]


def test_an_abandoned_cart_is_due() -> None:
    """One action, with the cart as it was left, however often the owner comes back."""
    points = [added("m1", 0), touchpoint("m2", 100), added("m3", 200, product="bag"), touchpoint("m4", 300)]
    assert answer(points).actions == (Action("m1", 30 * MINUTE_MS, "due", HAT, 5, None),)


@pytest.mark.parametrize(
    ("after_min", "status"), [(1, "recovered"), (72 * 60, "recovered"), (72 * 60 + 1, "due")]
)
def test_an_order_within_72_hours_of_due_recovers(after_min: int, status: str) -> None:
    """The bound is inclusive and counted from the due time; revenue is that order's."""
    (action,) = answer([added("m1", 0), ordered("m2", 30 + after_min)]).actions
    assert (action.status, action.recovered_micros) == (status, 7 if status == "recovered" else None)


def test_an_emptied_cart_is_not_recovered() -> None:
    """An order after the cart was emptied is not that cart's."""
    emptied = touchpoint("m2", 60, event="Cart Updated")
    (action,) = answer([added("m1", 0), emptied, ordered("m3", 61)]).actions
    assert action.status == "due"


def test_a_purchase_of_the_same_person_elsewhere_settles() -> None:
    """Web cart on a device, till purchase on a loyalty card, linked by a login hours later: no action."""
    points = [
        added("m1", 0, who="device_id:d"),
        ordered("m2", 20, who="loyalty_id:l"),
        touchpoint("m3", 500, who="device_id:d loyalty_id:l"),
    ]
    assert answer(points).actions == ()
    assert len(answer(points[:2]).actions) == 1


def test_two_carts_of_a_merged_person_are_one_episode() -> None:
    """The earlier opener is the episode's; the other's action has no ground any more."""
    points = [
        added("m1", 5, who="device_id:d"),
        added("m2", 0, who="user_id:1", product="bag"),
        touchpoint("m3", 100, who="device_id:d user_id:1"),
    ]
    (action,) = answer(points).actions
    assert (action.opened_by, action.due_ms, action.value_micros) == ("m2", 35 * MINUTE_MS, 10)


def test_nothing_is_decided_before_due_and_lateness() -> None:
    """Due at 30 min; ten seconds later it may be decided."""
    due_s = 30 * 60
    assert clocks([added("m1", 0)], due_s, due_s + 9.999, due_s + 10) == [[], [], ["m1"]]


def test_a_late_till_upload_cancels_and_was_right_before() -> None:
    """Bought at 20 min, uploaded at 600 min: right to act at 40 min, wrong in the end."""
    points = [added("m1", 0), ordered("m2", 20, arrives_min=600)]
    assert clocks(points, 40 * 60, 600 * 60 - 0.001, 600 * 60) == [["m1"], ["m1"], []]
    assert answer(points).actions == ()


def test_a_copy_does_not_make_it_known_later() -> None:
    """What counts is when the first copy arrived."""
    order = ordered("m2", 20)
    copy = replace(order, received_ms=10**9, arrival_ms=10**9)
    assert clocks([added("m1", 0), copy, order], 40 * 60) == [[]]


def test_late_touchpoints_have_no_part_in_carts() -> None:
    """An order that arrives more than 72 h after it happened settles nothing."""
    points = [added("m1", 0), ordered("m2", 20, arrives_min=20 + 72 * 60 + 1)]
    assert [a.status for a in answer(points).actions] == ["due"]
    assert answer(points).stories[0].late == {"m2"}


def test_nobody_has_no_story() -> None:
    """A touchpoint without usable identifiers is in no person."""
    blocked = answer([touchpoint("m1", who="user_id:null")])
    assert not blocked.stories
    assert blocked.nobody == {"m1"}
