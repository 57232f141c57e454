"""Carts whose owner came to pay: what is due then is called otherwise; a failed payment is acted on at once."""

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


def paying(message_id: str, at_ms: int, **more: Any) -> FakeRecord:
    """The owner of the cart says how to pay."""
    return touchpoint(message_id, at_ms, event="Payment Info Entered", **more)


def failed(message_id: str, at_ms: int, **more: Any) -> FakeRecord:
    """A payment that did not go through."""
    return touchpoint(message_id, at_ms, event="Payment Failed", **more)


def actions(task: OneTask) -> list[tuple[str, int, str]]:
    """Trigger, step and status of each action, the earliest due first."""
    by_due = sorted(
        task.latest("actions", "action_id"), key=lambda action: (action["due_at"], action["trigger"])
    )
    return [(action["trigger"], action["step"], action["status"]) for action in by_due]


def test_a_cart_left_after_its_owner_came_to_pay_is_an_abandoned_checkout() -> None:
    """Whether that came before the silence counts, for each step by itself."""
    task = OneTask(Rules(is_replay=True, reminders_ms=(24 * HOUR_MS,)))
    task.take(added("1", 0), paying("2", 2 * HOUR_MS))
    task.tick(26 * HOUR_MS)
    assert actions(task) == [("abandoned_cart", 1, "due"), ("abandoned_checkout", 2, "due")]


def test_a_payment_heard_of_later_makes_no_second_action() -> None:
    """The same action is called otherwise; nobody is written to twice."""
    task = OneTask()
    task.take(added("1", 0), touchpoint("2", 2 * MINUTE_MS))
    task.tick(HOUR_MS)
    [before] = task.latest("actions", "action_id")
    task.take(paying("3", MINUTE_MS, arrives_ms=2 * HOUR_MS))
    [after] = task.latest("actions", "action_id")
    assert (before["trigger"], after["trigger"]) == ("abandoned_cart", "abandoned_checkout")
    assert (before["action_id"], before["due_at"]) == (after["action_id"], after["due_at"])


def test_a_failed_payment_is_acted_on_in_its_batch() -> None:
    """It waits for no clock, says what lay in the cart, and does not make the cart an abandoned one."""
    task = OneTask()
    task.take(added("1", 0), added("2", MINUTE_MS, product="q"), failed("3", 2 * MINUTE_MS))
    [action] = task.latest("actions", "action_id")
    assert (action["trigger"], action["step"], action["status"]) == ("payment_failed", 1, "due")
    assert action["due_at"] == action["decided_at"] == START_MS + 2 * MINUTE_MS
    assert (action["value_micros"], action["caused_by"]) == (20_000_000, ["1", "3"])
    assert "payment" in action["reason"]
    [cart] = task.latest("carts", "episode_id")
    assert cart["status"] == "open"


def test_a_purchase_recovers_the_failed_payment_in_its_batch() -> None:
    """As it does any other action."""
    task = OneTask()
    task.take(added("1", 0), failed("2", MINUTE_MS))
    task.restart()
    task.take(bought("3", 5 * MINUTE_MS))
    [action] = task.latest("actions", "action_id")
    assert (action["status"], action["recovered_micros"]) == ("recovered", 10_000_000)


def test_of_a_cart_one_failed_payment_is_acted_on() -> None:
    """Who tries three times gets one message; an earlier failure that comes later moves it."""
    task = OneTask()
    task.take(added("1", 0), failed("2", 2 * MINUTE_MS), failed("3", 3 * MINUTE_MS))
    task.restart()
    task.take(failed("4", MINUTE_MS, arrives_ms=5 * MINUTE_MS))
    [action] = task.latest("actions", "action_id")
    assert action["due_at"] == START_MS + MINUTE_MS
    task.tick(2 * HOUR_MS)
    assert actions(task) == [("payment_failed", 1, "due"), ("abandoned_checkout", 1, "due")]


def test_a_failed_payment_tells_of_an_empty_cart_what_was_in_it() -> None:
    """A shop that emits no cart events still gets both actions."""
    task = OneTask()
    task.take(failed("1", 0, items=[{"product_id": "p", "quantity": 2, "price_micros": 10_000_000}]))
    task.tick(HOUR_MS)
    assert actions(task) == [("payment_failed", 1, "due"), ("abandoned_checkout", 1, "due")]
    assert {action["value_micros"] for action in task.latest("actions", "action_id")} == {20_000_000}


def test_payments_without_a_cart_say_nothing() -> None:
    """There is nothing to be left, and nothing to be paid."""
    task = OneTask()
    task.take(paying("1", 0), failed("2", MINUTE_MS), bought("3", 2 * MINUTE_MS), failed("4", 3 * MINUTE_MS))
    task.tick(HOUR_MS)
    assert task.latest("actions", "action_id") == task.latest("carts", "episode_id") == []


def test_failed_payments_of_two_who_become_one_are_one() -> None:
    """Of two carts that become one cart, the later failure's action has no ground any more."""
    task = OneTask()
    task.take(added("1", 0, device_id="d"), failed("2", MINUTE_MS, device_id="d"))
    task.take(added("3", MINUTE_MS, user_id="u"), failed("4", 2 * MINUTE_MS, user_id="u"))
    assert [status for _, _, status in actions(task)] == ["due", "due"]
    task.take(touchpoint("5", 3 * MINUTE_MS, device_id="d", user_id="u"))
    standing = [a for a in task.latest("actions", "action_id") if a["status"] == "due"]
    assert [(a["opened_by"], a["caused_by"]) for a in standing] == [("1", ["1", "2"])]


def test_a_failure_that_came_after_the_purchase_is_history() -> None:
    """It is told for analysis and never sent on."""
    task = OneTask()
    task.take(added("1", 0), bought("2", 5 * MINUTE_MS))
    task.take(failed("3", MINUTE_MS, arrives_ms=HOUR_MS))
    [action] = task.latest("actions", "action_id")
    assert (action["historical"], action["status"]) == (True, "recovered")
