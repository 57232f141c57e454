"""What belongs into a cart, and at what price: currencies, wishlists, orders that are sent back."""

from __future__ import annotations

from typing import Any

from tests.unit.core.records import HOUR_MS, MINUTE_MS, OneTask, added, bought, touchpoint

HAT = [{"product_id": "hat", "quantity": 1, "price_micros": 7_000_000}]


def abandoned(task: OneTask, after_ms: int = 2 * HOUR_MS) -> list[tuple[Any, ...]]:
    """Value, currency and quantities by product of each action that stands, the earliest due first."""
    task.tick(after_ms)
    return [
        (a["value_micros"], a["currency"], {item["product_id"]: item["quantity"] for item in a["items"]})
        for a in sorted(task.latest("actions", "action_id"), key=lambda action: action["due_at"])
        if a["status"] != "cancelled"
    ]


def test_prices_of_two_currencies_are_not_added_up() -> None:
    """What lay in the cart before has no price in the new one."""
    task = OneTask()
    task.take(added("1", 0, currency="EUR"), added("2", MINUTE_MS, product="q", currency="USD"))
    assert abandoned(task) == [(10_000_000, "USD", {"p": 1, "q": 1})]


def test_an_action_tells_the_currency_as_it_was() -> None:
    """The owner comes back after it, and shops in another one."""
    task = OneTask()
    task.take(added("1", 0, currency="EUR"), added("2", HOUR_MS, product="q", currency="USD"))
    task.restart()
    task.take(touchpoint("3", HOUR_MS + MINUTE_MS))
    assert abandoned(task) == [(10_000_000, "EUR", {"p": 1})]


def test_a_cart_that_is_said_anew_is_in_the_new_currency() -> None:
    """`Cart Updated` says all of it."""
    task = OneTask()
    said = touchpoint("2", MINUTE_MS, event="Cart Updated", items=HAT, currency="USD")
    task.take(added("1", 0, currency="EUR"), said)
    assert abandoned(task) == [(7_000_000, "USD", {"hat": 1})]


def test_a_wishlist_is_no_cart() -> None:
    """Until something moves from it into the cart."""
    task = OneTask()
    task.take(touchpoint("1", 0, event="Product Added to Wishlist", items=HAT))
    assert abandoned(task, HOUR_MS) == []
    task.take(touchpoint("2", HOUR_MS + MINUTE_MS, event="Wishlist Product Added to Cart", items=HAT))
    assert abandoned(task, 3 * HOUR_MS) == [(7_000_000, None, {"hat": 1})]


def test_what_is_sent_back_does_not_go_into_the_cart() -> None:
    """A refund neither fills a cart nor takes back that it was bought."""
    task = OneTask()
    task.take(added("1", 0), bought("2", MINUTE_MS))
    task.take(touchpoint("3", 2 * MINUTE_MS, event="Order Refunded", items=HAT))
    assert abandoned(task) == []
    [cart] = task.latest("carts", "episode_id")
    assert cart["status"] == "purchased"
