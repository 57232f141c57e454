"""Every scenario at once, on the embedded line and on a real Kafka: each comes out as the oracle says."""

from __future__ import annotations

import pytest

from tests.differential.scenarios import (
    OPENED_MS,
    PEOPLE_A_KIND,
    Told,
    clocks,
    late_tills,
    merges_around_a_purchase,
    wrong_clocks,
)
from tests.differential.shop import NAMES, Played, assert_right
from tests.differential.stream import part
from tests.oracle.compare import answer, differences
from tests.oracle.rules import MINUTE_MS

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("differential")]


@pytest.fixture(
    params=[
        pytest.param("embedded_shop", marks=pytest.mark.slow, id="embedded"),
        pytest.param("real_shop", marks=pytest.mark.kafka, id="real"),
    ]
)
def shop(request: pytest.FixtureRequest) -> Played:
    """All scenarios through four partitions and one worker."""
    run: Played = request.getfixturevalue(request.param)
    return run


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_comes_out_right(shop: Played, name: str) -> None:
    """Missing, duplicate, wrong, false and missed are all 0.

    Seen to fail, each of them, with one of the mistakes named below.
    """
    scenario = shop.scenario(name)
    found = differences(answer(scenario.touchpoints), part(shop.landed, scenario))
    assert not found, str(found)


def test_nobody_is_in_two_scenarios(shop: Played) -> None:
    """Judged together they come out right as well: none of them has been given what is another one's."""
    assert_right(shop)


def assert_told(shop: Played, expected: Told) -> None:
    """What was said of those carts.

    An action that is taken back need not have been decided at all: a slow worker knows better by then. Some are.
    """
    told = {opened_by: shop.told.get(opened_by, []) for opened_by in expected}
    taken_back = [opened_by for opened_by, said in expected.items() if said[-1:] == ["cancelled"]]
    unsaid = [opened_by for opened_by in taken_back if not told[opened_by]]
    assert {**told, **{opened_by: expected[opened_by] for opened_by in unsaid}} == expected
    assert not taken_back or len(unsaid) < len(taken_back)


def test_a_purchase_that_lay_unread_stops_every_action(shop: Played) -> None:
    """The worker was down past the carts' deadlines: those bought in another channel are never acted upon.

    Seen to fail, as a day and late tills then do, with timers that go by what one topic of their own task says.
    """
    expected = {
        point.message_id: ["due"] if point.message_id.startswith("left") else []
        for point in shop.scenario("the worker was down").touchpoints
        if point.event == "Product Added"
    }
    assert_told(shop, expected)


def test_a_merge_around_a_purchase_is_no_reason_to_act(shop: Played) -> None:
    """Cart, link and purchase in any order: no action if all is known in time, else one that is cancelled.

    Seen to fail with actions that are never taken back.
    """
    _, expected = merges_around_a_purchase()
    assert_told(shop, expected)


def test_a_till_that_uploads_a_day_late_takes_the_action_back(shop: Played) -> None:
    """Due, then cancelled, under one id; bought at a till that uploads at once: never due.

    Seen to fail with actions that are never taken back.
    """
    _, expected = late_tills()
    assert_told(shop, expected)
    assert {len(shop.ids[opened_by]) for opened_by in expected if opened_by in shop.ids} == {1}


def test_clocks_that_are_wrong_move_no_time(shop: Played) -> None:
    """Ahead by minutes or years, they say when it arrived; what lies in 1970 settles nothing, and is in no session.

    Seen to fail with times that are not clamped.
    """
    _, expected = wrong_clocks(is_real=shop.is_real)
    played = clocks(is_real=shop.is_real)
    assert_told(shop, expected)
    rows = [
        row for row in shop.landed.touchpoints if row.message_id in shop.scenario("wrong clocks").message_ids
    ]
    assert {row.message_id for row in rows if row.is_late} == {"order in 1970: buys", "cart in 1970: adds"}
    bounds = {
        session.session: tuple(
            (at_ms - OPENED_MS) // MINUTE_MS for at_ms in (session.started_ms, session.ended_ms)
        )
        for session in shop.landed.sessions
    }
    sessions = {
        name: sorted(
            {bounds[row.session] for row in rows if row.session and row.message_id.startswith(f"{name}:")}
        )
        for name in played
    }
    assert sessions == {name: clock.sessions for name, clock in played.items()}


def test_a_channel_that_lags_is_not_mistaken_for_silence_for_good(shop: Played) -> None:
    """Who bought in the app was acted upon for want of knowing, and the action is taken back when that is read.

    Seen to fail with actions that are never taken back.
    """
    expected = {f"lag-{who}-adds": ["due", "cancelled"] for who in range(PEOPLE_A_KIND)}
    assert_told(shop, expected)
