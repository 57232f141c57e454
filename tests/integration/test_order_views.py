"""Orders, their lines and what was paid back: each once, whoever told of it and however often."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any, NamedTuple

import pytest

from tests.integration.shop import Shop, at_ms, item

pytestmark = pytest.mark.xdist_group("order_views")

DAY = at_ms("2024-03-01")
MINUTE = 60_000
EURO = 1_000_000

ORDERS = "SELECT order_key, profile_id, channel, revenue_micros, told_by FROM orders ORDER BY order_key"


def test_an_order_that_several_channels_tell_of_is_one(shop: Shop) -> None:
    """It is the customer's channel that sold it, however early the order system spoke; revenue is not added up."""
    shop.order("ann", DAY, channel="orders", euros=7, order_id="o1")
    shop.order("ann", DAY + 2 * MINUTE, euros=5, order_id="o1")
    shop.order("ann", DAY + MINUTE, euros=5, order_id="o1")
    shop.order("ann", DAY + 3 * MINUTE, channel="app", euros=6, order_id="o1")
    shop.order("bob", DAY, channel="orders", euros=9, order_id="o2")
    assert shop.ask(ORDERS) == [
        ("o1", "ann", "web", 5 * EURO, ["app", "orders", "web"]),
        ("o2", "bob", "orders", 9 * EURO, ["orders"]),
    ]
    asked = "SELECT order_key, sold_in, toUnixTimestamp64Milli(ordered_at), message_id FROM orders ORDER BY order_key"
    assert shop.ask(asked) == [
        ("o1", "online", DAY + MINUTE, "told-000003"),
        ("o2", "other", DAY, "told-000005"),
    ]


def test_parts_of_an_order_add_up(shop: Shop) -> None:
    """Touchpoints of one order in one channel with other items or amounts are its parts; equal ones the same again."""
    for product in ("hat", "coat", "hat"):
        shop.order("ann", DAY, euros=5, order_id="o1", items=[item(product, euros=5)])
    assert shop.ask("SELECT revenue_micros, quantity FROM orders") == [(10 * EURO, 2)]
    lines = "SELECT order_key, line_number, product_id, amount_micros FROM order_lines ORDER BY line_number"
    assert shop.ask(lines) == [("o1", 1, "coat", 5 * EURO), ("o1", 2, "hat", 5 * EURO)]


def test_what_the_seller_does_not_say_another_may(shop: Shop) -> None:
    """Items, revenue and currency come from who tells of them first."""
    shop.order("ann", DAY, euros=None, order_id="o1", currency=None)
    shop.order(
        "ann",
        DAY + 1,
        channel="orders",
        euros=7,
        order_id="o1",
        currency="CHF",
        items=[item("hat", quantity=3)],
    )
    assert shop.ask("SELECT channel, revenue_micros, currency, quantity FROM orders") == [
        ("web", 7 * EURO, "CHF", 3)
    ]


def test_orders_without_an_id_are_their_touchpoints(shop: Shop) -> None:
    """Each is an order, within a person by its message_id; unknown revenue stays unknown."""
    shop.order("ann", DAY, message_id="m1", euros=None)
    shop.order("ann", DAY, message_id="m1", euros=None)
    shop.order("ann", DAY + 1, message_id="m2", order_id="")
    shop.order("bob", DAY, message_id="m1")
    assert shop.ask("SELECT profile_id, message_id, revenue_micros FROM orders ORDER BY ALL") == [
        ("ann", "m1", None), ("ann", "m2", EURO), ("bob", "m1", EURO),
    ]  # fmt: skip


def test_refunds_are_taken_off_their_order(shop: Shop) -> None:
    """Told by till and order system under one return_id it is one refund; one without an order belongs to none."""
    shop.order("ann", DAY, euros=100, order_id="o1", channel="pos")
    back: dict[str, Any] = {"order_id": "o1", "return_id": "r1"}
    shop.tell("orders", "Order Refunded", "ann", DAY + 2, **back, refund_micros=30 * EURO)
    shop.tell("orders", "Order Refunded", "ann", DAY + 3, **back, refund_micros=30 * EURO)
    shop.tell("orders", "Order Refunded", "ann", DAY + 4, order_id="o1", revenue_micros=-5 * EURO)
    shop.order("ann", DAY + 5, euros=8, channel="pos", is_return=True)
    shop.tell("pos", "Order Refunded", "ann", DAY + 6, is_return=True, items=[item("hat", quantity=2)])
    assert shop.ask("SELECT order_key, revenue_micros, refunded_micros, net_revenue_micros FROM orders") == [
        ("o1", 100 * EURO, 35 * EURO, 65 * EURO)
    ]
    assert shop.ask("SELECT order_id, return_id, refunded_micros FROM refunds ORDER BY refunded_at") == [
        ("o1", "r1", 30 * EURO), ("o1", "", 5 * EURO), (None, "", 8 * EURO), (None, "", 2 * EURO),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        ("Order Cancelled", {}),
        ("Order Updated", {"order_status": "cancelled"}),
        ("", {"order_status": "canceled"}),
    ],
)
def test_cancelled_orders_are_worth_nothing_and_have_no_number(
    shop: Shop, event: str, changes: dict[str, Any]
) -> None:
    """The order after one that was cancelled is the person's first."""
    shop.order("ann", DAY, order_id="o1", euros=3)
    shop.order("ann", DAY + 9, order_id="o2", euros=4)
    shop.tell("orders", event, "ann", DAY + 20, order_id="o1", **changes)
    asked = "SELECT order_key, is_cancelled, revenue_micros, net_revenue_micros, order_number, is_first_order"
    assert shop.ask(f"{asked} FROM orders ORDER BY order_key") == [
        ("o1", True, 3 * EURO, 0, None, 0), ("o2", False, 4 * EURO, 4 * EURO, 1, 1),
    ]  # fmt: skip


def test_orders_are_numbered_by_person_of_today(shop: Shop) -> None:
    """Two people who become one have one sequence of orders, and come apart again."""
    for number, who in enumerate(("ann", "bob", "ann", "bob")):
        shop.order(who, DAY + number, order_id=f"o{number}")
    asked = "SELECT order_key, profile_id, order_number FROM orders ORDER BY order_key"
    apart = [("o0", "ann", 1), ("o1", "bob", 1), ("o2", "ann", 2), ("o3", "bob", 2)]
    assert shop.ask(asked) == apart
    shop.belongs("email:b", "ann", own="bob")
    assert shop.ask(asked) == [(f"o{number}", "ann", number + 1) for number in range(4)]
    shop.belongs("email:b", "bob", own="bob", kind="split")
    assert shop.ask(asked) == apart


def test_fate_of_an_order_is_what_was_told_last(shop: Shop) -> None:
    """Its status, how it travels and when it came, by whatever touchpoint names the order."""
    shop.order("ann", DAY, order_id="o1")
    for minute, status in enumerate(("paid", "shipped", "delivered"), 1):
        shop.tell("orders", "Order Updated", "ann", DAY + minute, order_id="o1", order_status=status)
    shop.tell(
        "orders", "Order Shipped", "ann", DAY, order_id="o1", shipping_method="pickup", delivered_at=DAY + 9
    )
    asked = "SELECT status, shipping_method, toUnixTimestamp64Milli(delivered_at) FROM orders"
    assert shop.ask(asked) == [("delivered", "pickup", DAY + 9)]


class Told(NamedTuple):
    """A report of an order, as the test made it up."""

    when: int
    message_id: str
    who: str
    channel: str
    order_id: str | None
    euros: int | None


def test_any_reports_give_the_orders_a_plain_count_gives(shop: Shop, seed: int) -> None:
    """Random reports, refunds and cancellations: orders, money and numbers are those of a plain count.

    Seen to fail with revenue added up over channels, and with cancelled orders numbered.
    """
    draw = random.Random(seed)
    print(f"seed {seed}")
    told = [
        Told(
            DAY + draw.randrange(400), f"m{number:03}", draw.choice("ab"), draw.choice(("web", "orders", "pos")),
            draw.choice((None, *"12345")), draw.choice((None, 1, 2, 3)),
        )
        for number in range(60)
    ]  # fmt: skip
    refunds = [(draw.choice("12345"), draw.randrange(3)) for _ in range(4)]
    cancelled = {draw.choice("12345")}
    values = [
        shop.touchpoint(
            each.channel, "Order Completed", each.who, each.when, message_id=each.message_id,
            order_id=each.order_id, revenue_micros=each.euros and each.euros * EURO,
        )
        for each in told
    ]  # fmt: skip
    values += [
        shop.touchpoint("orders", "Order Refunded", "a", DAY, order_id=order_id, refund_micros=euros * EURO)
        for order_id, euros in refunds
    ]
    values += [shop.touchpoint("orders", "Order Cancelled", "a", DAY, order_id=each) for each in cancelled]
    draw.shuffle(values)
    shop.land("touchpoints.stitched", *values)
    found = shop.ask(
        "SELECT order_key, profile_id, channel, revenue_micros, net_revenue_micros, order_number FROM orders"
    )
    assert sorted(found, key=repr) == sorted(counted(told, refunds, cancelled), key=repr)


def counted(told: list[Told], refunds: list[tuple[str, int]], cancelled: set[str]) -> list[tuple[Any, ...]]:
    """The orders of these reports."""
    reports: dict[tuple[str, ...], list[Told]] = defaultdict(list)
    for each in sorted(told):
        reports[("", each.order_id) if each.order_id else (each.who, each.message_id)].append(each)
    numbers: dict[str, int] = defaultdict(int)
    answer = []
    for key, same in sorted(reports.items(), key=lambda pair: (sold(pair[1])[0].when, pair[0])):
        seller = sold(same)[0]
        revenue = next(filter(lambda sum_: sum_ is not None, map(worth, by_channel(same))), None)
        net: int | None = 0
        number = None
        if seller.order_id not in cancelled:
            back = sum(euros for order_id, euros in refunds if order_id == seller.order_id)
            net = None if revenue is None else (revenue - back) * EURO
            numbers[seller.who] += 1
            number = numbers[seller.who]
        gross = None if revenue is None else revenue * EURO
        answer.append((key[-1], seller.who, seller.channel, gross, net, number))
    return answer


def by_channel(same: list[Told]) -> list[list[Told]]:
    """Reports of an order by channel, who counts first in front."""
    channels: dict[str, list[Told]] = defaultdict(list)
    for each in same:
        channels[each.channel].append(each)
    return sorted(channels.values(), key=lambda reports: (reports[0].channel == "orders", reports[0]))


def sold(same: list[Told]) -> list[Told]:
    """The reports of the channel that sold it."""
    return by_channel(same)[0]


def worth(reports: list[Told]) -> int | None:
    """The parts added up, each once."""
    known = {each.euros for each in reports if each.euros is not None}
    return sum(known) if known else None
