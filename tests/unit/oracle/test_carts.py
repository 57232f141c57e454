"""Carts: what lies in them, their episodes, and when one is abandoned."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.oracle.carts import Cart, cart_after, episodes_of, value_micros
from tests.oracle.persons import counted_once
from tests.oracle.rules import DEFAULT, MINUTE_MS
from tests.oracle.touchpoints import Item, Touchpoint, occurred_ms
from tests.unit.oracle.build import added, ordered, touchpoint

HATS: Cart = (Item("hat", 2, 5),)
KEEPING = replace(DEFAULT, keeps_leftovers=True)


@pytest.mark.parametrize(
    ("event", "items", "after"),
    [
        ("Product Added", [Item("hat", 1, 6)], [Item("hat", 3, 6)]),
        ("Product Added", [Item("bag", 1, 9)], [Item("bag", 1, 9), Item("hat", 2, 5)]),
        ("Product Removed", [Item("hat", 1, 0)], [Item("hat", 1, 5)]),
        ("Product Removed", [Item("hat")], [Item("hat", 1, 5)]),
        ("Product Removed", [Item("hat", 2, 0)], []),
        ("Product Removed", [Item("hat", 9, 0)], []),
        ("Product Removed", [Item("bag", 1, 0)], [Item("hat", 2, 5)]),
        ("Cart Updated", [Item("bag", 4, 1), Item("hat", 0, 5)], [Item("bag", 4, 1)]),
        ("Cart Updated", [], []),
        ("Order Completed", [Item("bag", 1, 1)], []),
        ("Order Completed", [], []),
        ("Checkout Started", [Item("bag", 1, 1)], [Item("hat", 2, 5)]),
    ],
)
def test_what_an_event_does_to_a_cart_of_two_hats(event: str, items: list[Item], after: list[Item]) -> None:
    """Additions, removals, snapshots and orders; everything else leaves the cart alone."""
    assert cart_after(HATS, touchpoint("m", event=event, items=tuple(items))) == tuple(after)


@pytest.mark.parametrize(
    ("cart_id", "items", "after"),
    [
        (None, [Item("hat", 1, 1)], [Item("bag", 1, 9)]),
        (None, [Item("scarf", 1, 1)], [Item("bag", 1, 9), Item("hat", 2, 5)]),
        (None, [Item("hat"), Item("bag")], []),
        (None, [], []),
        ("other", [Item("hat", 3, 1)], [Item("bag", 1, 9)]),
        ("mine", [Item("hat", 1, 1)], []),
    ],
)
def test_what_an_order_leaves_where_leftovers_are_kept(
    cart_id: str | None, items: list[Item], after: list[Item]
) -> None:
    """All products that it does not name, unless it was made from this cart, or names none."""
    order = replace(touchpoint("m", event="Order Completed", items=tuple(items)), cart_id=cart_id)
    cart = (Item("bag", 1, 9), *HATS)
    assert cart_after(cart, order, "mine", KEEPING) == tuple(after)
    assert cart_after(cart, order, "mine", DEFAULT) == ()


def test_what_an_order_leaves_is_abandoned_in_its_turn() -> None:
    """Half an hour after the order; the one that takes the rest has bought the cart."""
    points = [
        added("m0", 0),
        added("m1", 1, product="bag"),
        replace(ordered("m2", 10), items=(Item("hat"),)),
        replace(ordered("m3", 60), items=(Item("bag"),)),
    ]
    [episode] = episodes_of(points, KEEPING)
    assert (episode.status, episode.ended_by) == ("purchased", "m3")
    assert episode.abandonment is not None
    assert episode.abandonment.due_ms == 40 * MINUTE_MS
    assert [item.product_id for item in episode.abandonment.items] == ["bag"]
    assert [e.ended_by for e in episodes_of(points)] == ["m2"]


def test_value_is_quantity_times_price() -> None:
    """Two hats for 5 and a bag for 9."""
    assert value_micros((*HATS, Item("bag", 1, 9))) == 19


def test_episodes_open_and_end() -> None:
    """From the first thing in the cart to nothing in it, and again; the last one stays open to the end."""
    points = [
        touchpoint("m0", 0),
        added("m1", 1),
        added("m2", 2, product="bag"),
        ordered("m3", 3),
        ordered("m4", 4),
        added("m5", 5),
        touchpoint("m6", 6, event="Product Removed", items=(Item("hat"),)),
        added("m7", 7),
    ]
    episodes = episodes_of(points)
    assert [(e.opened_by, e.ended_by, e.status) for e in episodes] == [
        ("m1", "m3", "purchased"),
        ("m5", "m6", "emptied"),
        ("m7", None, "abandoned"),
    ]
    assert episodes[0].items == (Item("bag", 1, 5), Item("hat", 1, 5))
    assert episodes[0].order == points[3]
    assert [e.abandonment is None for e in episodes] == [True, True, False]


def test_silence_of_thirty_minutes_must_be_longer() -> None:
    """A touchpoint at exactly 30 minutes is activity; one a millisecond later finds the cart abandoned."""
    bought_in_time = [added("m1", 0), ordered("m2", 30)]
    bought_after = [added("m1", 0), ordered("m2", 30 + 1 / MINUTE_MS)]
    (in_time,), (after,) = episodes_of(bought_in_time), episodes_of(bought_after)
    assert in_time.abandonment is None
    assert after.abandonment is not None
    assert (after.abandonment.message_id, after.abandonment.due_ms) == ("m1", 30 * MINUTE_MS)


def test_any_touchpoint_in_any_channel_is_activity() -> None:
    """A call to support 20 minutes in puts the due time off to 50 minutes, with the cart as it is then."""
    points = [added("m1", 0), touchpoint("m2", 20, channel="support"), added("m3", 80, product="bag")]
    (episode,) = episodes_of(points)
    assert episode.abandonment is not None
    assert (episode.abandonment.message_id, episode.abandonment.due_ms) == ("m2", 50 * MINUTE_MS)
    assert [item.product_id for item in episode.abandonment.items] == ["hat"]
    assert [item.product_id for item in episode.items] == ["bag", "hat"]


def test_only_the_first_silence_counts() -> None:
    """An episode is abandoned once, at its first silence."""
    (episode,) = episodes_of([added("m1", 0), touchpoint("m2", 100), touchpoint("m3", 200)])
    assert episode.abandonment is not None
    assert episode.abandonment.due_ms == 30 * MINUTE_MS


def test_silence_before_a_cart_is_not_abandonment() -> None:
    """A silence counts only while something lies in the cart."""
    (episode,) = episodes_of([touchpoint("m0", 0), added("m1", 100), ordered("m2", 101)])
    assert episode.abandonment is None


@pytest.mark.parametrize("last", ["m2", "m3", "m4", "m5"])
def test_filled_and_paid_in_one_instant_is_not_abandoned(last: str) -> None:
    """What shares an instant is one act: no silence lies between an addition and an order in it."""
    points = counted_once([added("m1", 0), ordered(last, 0)])
    for episode in episodes_of(points):
        assert (episode.abandonment is None) == (episode.ended_by is not None)


def test_abandonment_is_what_every_minute_says() -> None:
    """Looking at every minute: due is the first at which the cart is full and 30 minutes were silent.

    The cart is abandoned at minute m when the last touchpoint up to m is exactly 30 minutes old, in the
    episode, and left something in the cart.
    """
    rng = random.Random(3)
    found = 0
    for _ in range(300):
        points = counted_once(
            _anything(rng, f"m{n}", rng.randrange(0, 400, 10)) for n in range(rng.randint(1, 12))
        )
        for episode in episodes_of(points):
            due_ms = episode.abandonment.due_ms if episode.abandonment else None
            assert due_ms == _due_by_scan(points, opened_by=episode.opened_by)
            found += due_ms is not None
    assert found > 100


def _anything(rng: random.Random, message_id: str, at_min: float) -> Touchpoint:
    event = rng.choice(
        ["Product Added", "Product Added", "Product Removed", "Order Completed", "Cart Updated", "x"]
    )
    items = tuple(
        Item(product, rng.randint(0, 2), 1) for product in rng.sample(["hat", "bag"], rng.randint(0, 2))
    )
    return touchpoint(message_id, at_min, event=event, items=items)


def _due_by_scan(points: Sequence[Touchpoint], *, opened_by: str) -> int | None:
    start = next(n for n, p in enumerate(points) if p.message_id == opened_by)
    for minute in range(0, 1000):
        now_ms = minute * MINUTE_MS
        past = [p for p in points if occurred_ms(p) <= now_ms]
        if len(past) <= start or now_ms - occurred_ms(past[-1]) != DEFAULT.abandon_after_ms:
            continue
        cart: Cart = ()
        for n, point in enumerate(past):
            cart = cart_after(cart, point)
            if n >= start and not cart:
                return None
        return now_ms
    raise AssertionError("an episode that does not end is abandoned some day")


def test_a_cart_that_lay_for_days_is_a_new_one() -> None:
    """72 h after it was due a cart has expired: it stays abandoned, and what comes then is another cart."""
    last_min = 30 + 72 * 60
    kept = episodes_of([added("m0"), ordered("m1", last_min)])
    gone = episodes_of([added("m0"), ordered("m1", last_min + 0.001)])
    again = episodes_of([added("m0"), added("m1", last_min + 0.001)])
    assert [episode.status for episode in kept] == ["purchased"]
    assert [episode.status for episode in gone] == ["abandoned"]
    assert [episode.status for episode in again] == ["abandoned", "abandoned"]
