"""Browses: products that were viewed with nothing in the cart; what is told of them, taken back and recovered."""

from __future__ import annotations

from typing import Any

from streams.core.rules import Rules
from tests.unit.core.records import (
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    FakeRecord,
    OneTask,
    added,
    bought,
    touchpoint,
)

RULES = Rules(is_replay=True, browse_views=2)


def viewed(message_id: str, at_ms: int, *, product: str = "p", **more: Any) -> FakeRecord:
    """A product looked at, at 10 a piece."""
    items = [{"product_id": product, "quantity": 3, "price_micros": 10_000_000}]
    return touchpoint(message_id, at_ms, event="Product Viewed", items=items, currency="EUR", **more)


def actions(task: OneTask) -> list[tuple[str, str]]:
    """Trigger and status of each action."""
    return [(action["trigger"], action["status"]) for action in task.latest("actions", "action_id")]


def test_what_was_viewed_and_left_at_that_is_told_once() -> None:
    """With the products, each once, and by whom."""
    task = OneTask(RULES)
    task.take(viewed("1", 0), viewed("2", MINUTE_MS, product="q"), viewed("3", 2 * MINUTE_MS))
    task.tick(32 * MINUTE_MS + 9_000)
    assert actions(task) == []
    task.tick(33 * MINUTE_MS)
    [action] = task.latest("actions", "action_id")
    assert (action["trigger"], action["step"], action["status"]) == ("abandoned_browse", 1, "due")
    assert action["due_at"] == START_MS + 32 * MINUTE_MS
    assert [(item["product_id"], item["quantity"]) for item in action["items"]] == [("q", 1), ("p", 1)]
    assert (action["value_micros"], action["currency"], action["cart_id"]) == (20_000_000, "EUR", None)
    assert action["caused_by"] == ["1", "3"]
    assert action["identifiers"] == {"anonymous_id": "a"}
    task.take(viewed("4", 40 * MINUTE_MS), viewed("5", 41 * MINUTE_MS))
    task.tick(3 * HOUR_MS)
    assert len(actions(task)) == 1


def test_nothing_is_told_where_browses_do_not_count_or_something_lies_in_the_cart() -> None:
    """By default none is; and a cart is an abandoned cart."""
    plain = OneTask()
    plain.take(viewed("1", 0), viewed("2", MINUTE_MS))
    plain.tick(HOUR_MS)
    assert actions(plain) == []
    task = OneTask(RULES)
    task.take(added("1", 0), viewed("2", MINUTE_MS), viewed("3", 2 * MINUTE_MS))
    task.tick(HOUR_MS)
    assert actions(task) == [("abandoned_cart", "due")]


def test_a_purchase_after_it_recovers_one_heard_of_later_takes_back() -> None:
    """By event time: the till tells late that it was bought before the browse was due."""
    for minute, status in ((40, "recovered"), (20, "cancelled")):
        task = OneTask(RULES)
        task.take(viewed("1", 0), viewed("2", MINUTE_MS))
        task.tick(35 * MINUTE_MS)
        assert actions(task) == [("abandoned_browse", "due")]
        task.take(bought("3", minute * MINUTE_MS, arrives_ms=HOUR_MS, channel="pos"))
        assert actions(task) == [("abandoned_browse", status)]


def test_it_survives_a_restart_and_a_merge() -> None:
    """One view on the phone, one on the laptop, and one person: told once both are known to be one."""
    task = OneTask(RULES)
    task.take(viewed("1", 0, anonymous_id="phone"))
    task.take(viewed("2", MINUTE_MS, anonymous_id="laptop"))
    task.restart()
    task.take(touchpoint("3", 2 * MINUTE_MS, user_id="7", anonymous_id="phone"))
    task.take(touchpoint("4", 3 * MINUTE_MS, user_id="7", anonymous_id="laptop"))
    task.restart()
    task.tick(HOUR_MS)
    [action] = task.latest("actions", "action_id")
    assert (action["trigger"], action["opened_by"]) == ("abandoned_browse", "1")
    assert action["due_at"] == START_MS + 33 * MINUTE_MS


def test_views_are_forgotten() -> None:
    """Once no record can change what follows from them."""
    task = OneTask(RULES)
    task.take(viewed("1", 0), viewed("2", MINUTE_MS))
    for hours in range(1, 250, 10):
        task.tick(hours * HOUR_MS)
    assert [key for key in task.store if key.endswith(b"\0c")] == []
    assert actions(task) == [("abandoned_browse", "due")]
