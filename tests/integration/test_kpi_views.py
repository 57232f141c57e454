"""Key figures: each is what its definition says of a few orders, sessions and carts that can be counted by hand."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.integration.shop import Shop, at_ms
from tests.unit.sinks.samples import framed

pytestmark = pytest.mark.xdist_group("kpi_views")

DAY = at_ms("2024-03-01")
MINUTE = 60_000
EURO = 1_000_000
ONE_DAY = 86_400_000


def test_orders_and_their_average_value_by_day_and_channel(shop: Shop) -> None:
    """Cancelled orders stand apart, orders of unknown revenue count as orders and not in their value."""
    shop.order("ann", DAY, euros=10, order_id="o1")
    shop.order("ann", DAY + 1, euros=20, order_id="o2")
    shop.order("bob", DAY + 2, euros=None, order_id="o3")
    shop.order("bob", DAY + 3, euros=99, order_id="o4")
    shop.order("bob", DAY + 4, euros=7, channel="pos", order_id="o5")
    shop.order("ann", DAY + ONE_DAY, euros=8, order_id="o6", currency="CHF")
    shop.tell("orders", "Order Cancelled", "bob", DAY + 9, order_id="o4")
    shop.tell("orders", "Order Refunded", "ann", DAY + ONE_DAY, order_id="o1", refund_micros=4 * EURO)
    asked = """
        SELECT toString(day), channel, currency, orders, cancelled, customers, first_orders,
               revenue_micros / 1e6, refunded_micros / 1e6, net_revenue_micros / 1e6, aov_micros / 1e6
        FROM kpi_orders ORDER BY day, channel"""
    assert shop.ask(asked) == [
        ("2024-03-01", "pos", "EUR", 1, 0, 1, 0, 7, 0, 7, 7),
        ("2024-03-01", "web", "EUR", 3, 1, 2, 2, 30, 4, 26, 15),
        ("2024-03-02", "web", "CHF", 1, 0, 1, 0, 8, 0, 8, 8),
    ]


def test_conversion_counts_a_session_under_each_of_its_channels_and_once_under_all(shop: Shop) -> None:
    """Sessions with an order by sessions; retracted ones are gone."""
    for number, (channels, orders) in enumerate(
        ((["web", "app"], 1), (["web"], 0), (["web"], 2), (["pos"], 1))
    ):
        shop.session(f"s{number}", 0, 1, channels=channels, orders=orders)
    shop.session("s9", 0, 1, channels=["web"], is_retracted=True)
    asked = (
        "SELECT channel, sessions, sessions_with_order, conversion_rate FROM kpi_conversion ORDER BY channel"
    )
    assert shop.ask(asked) == [("all", 4, 3, 3 / 4), ("app", 1, 1, 1), ("pos", 1, 1, 1), ("web", 3, 2, 2 / 3)]


def test_repeat_rate_leaves_out_whom_there_was_no_time_to_see_again(shop: Shop) -> None:
    """Within 30 and 90 days to the millisecond; days to the second order are those between orders."""
    for who, days in {"a": (0, 30), "b": (0, 31), "c": (0, 90), "d": (0,), "e": (0, 100, 101)}.items():
        for number, day in enumerate(days):
            shop.order(who, DAY + day * ONE_DAY, order_id=f"{who}{number}")
    shop.order("f", DAY + 70 * ONE_DAY)
    shop.order("f", DAY + 71 * ONE_DAY)
    asked = """
        SELECT toString(month), customers, with_second_order, observed_30_days, repeated_30_days, observed_90_days,
               repeated_90_days, repeat_rate_90_days, mean_days_to_second, median_days_to_second
        FROM kpi_repeat_purchase ORDER BY month"""
    assert shop.ask(asked) == [
        ("2024-03-01", 5, 4, 5, 1, 5, 3, 3 / 5, (30 + 31 + 90 + 100) / 4, (31 + 90) / 2),
        ("2024-05-01", 1, 1, 1, 1, 0, 0, None, 1, 1),
    ]


def test_carts_abandoned_and_recovered(shop: Shop) -> None:
    """A cart bought after it was abandoned counts as both; several reminders recover its revenue once."""
    carts = {
        "open": "open",
        "bought": "purchased",
        "emptied": "emptied",
        "left": "abandoned",
        "saved": "purchased",
    }
    for number, (episode, status) in enumerate(carts.items()):
        opened = {"profile_id": "ann", "opened_at": DAY + number}
        value = framed("carts", episode_id=episode, status=status, value_micros=EURO, **opened)
        shop.land("carts", value)
    saved = {"profile_id": "ann", "opened_at": DAY + 4, "recovered_micros": 9 * EURO}
    for step, status in ((1, "recovered"), (2, "recovered"), (3, "cancelled")):
        shop.land("actions", framed("actions", action_id=f"saved{step}", step=step, status=status, **saved))
    other = {"profile_id": "ann", "opened_at": DAY + 1}
    shop.land("actions", framed("actions", action_id="b", trigger="payment_failed", **other))
    shop.land("actions", framed("actions", action_id="c", status="cancelled", **other))
    asked = "SELECT * EXCEPT (day) FROM kpi_carts"
    assert shop.ask(asked) == [("EUR", 5, 1, 2, 1, 2, 1, 2 / 4, 1 / 2, EURO, 9 * EURO)]


def test_users_by_where_they_were_seen(shop: Shop) -> None:
    """Revenue is by person of a group, buyers or not, under the person of today."""
    for who, channels in {
        "ann": ("web", "store"),
        "bob": ("app",),
        "cid": ("web",),
        "dan": ("email",),
    }.items():
        for channel in channels:
            shop.tell(channel, "Page Viewed", who, DAY)
    shop.order("ann", DAY, euros=10, channel="pos")
    shop.order("bob", DAY, euros=4)
    asked = """
        SELECT channel_group, users, currency, customers, orders, revenue_per_user_micros / 1e6
        FROM kpi_users_by_channels ORDER BY channel_group"""
    assert shop.ask(asked) == [
        ("neither", 1, None, 0, 0, 0),
        ("online only", 2, "EUR", 1, 1, 2),
        ("store and online", 1, "EUR", 1, 1, 10),
    ]
    shop.belongs("email:b", "ann", own="bob")
    assert shop.ask(asked)[1:] == [
        ("online only", 1, None, 0, 0, 0),
        ("store and online", 1, "EUR", 1, 2, 14),
    ]


def test_customers_by_the_channels_they_buy_through(shop: Shop) -> None:
    """Two channels make a customer omnichannel; a cancelled order makes nobody anything."""
    shop.order("ann", DAY, euros=5)
    shop.order("ann", DAY + 1, euros=6, channel="pos")
    shop.order("bob", DAY, euros=2)
    shop.order("bob", DAY + 1, euros=2)
    shop.order("cid", DAY, euros=1)
    shop.order("cid", DAY + 2, channel="pos", order_id="gone")
    shop.tell("orders", "Order Cancelled", "cid", DAY + 9, order_id="gone")
    asked = """
        SELECT customer_group, channels, customers, orders, repeat_rate, revenue_per_customer_micros / 1e6
        FROM kpi_customers_by_channels ORDER BY customer_group"""
    assert shop.ask(asked) == [
        ("omnichannel", ["pos", "web"], 1, 2, 1, 11),
        ("single-channel", ["web"], 2, 3, 1 / 2, 5 / 2),
    ]


def test_variants_are_judged_by_every_person_in_them(shop: Shop) -> None:
    """Orders from the first action on and so many days; who bought nothing counts, and later variants do not."""
    for who, variant, due in (("a", "mail", 0), ("b", "mail", 0), ("c", "none", 0), ("a", "none", 5)):
        told = {"profile_id": who, "variant": variant, "due_at": DAY + due}
        shop.land("actions", framed("actions", action_id=f"{who}{due}", **told))
    shop.order("a", DAY - 1, euros=50)
    shop.order("a", DAY + 2 * ONE_DAY, euros=3)
    shop.order("a", DAY + 2 * ONE_DAY + 1, euros=50)
    shop.order("c", DAY + 1, euros=4)
    asked = """
        SELECT variant, users, customers, orders, revenue_per_user_micros / 1e6, buyer_share
        FROM kpi_variants(days = 2) ORDER BY variant"""
    assert shop.ask(asked) == [("mail", 2, 1, 1, 3 / 2, 1 / 2), ("none", 1, 1, 1, 4, 1)]


@pytest.mark.parametrize(
    ("sold", "looked"), [("pos", "web"), ("web", "store"), ("app", "pos"), ("store", "app")]
)
def test_research_on_the_other_side_counts_within_its_days(shop: Shop, sold: str, looked: str) -> None:
    """At most so many days before, by the same person, on the other side, and before the purchase."""
    for who, gap in {"a": 3 * ONE_DAY, "b": 3 * ONE_DAY + 1, "c": -1, "d": 1, "f": 0}.items():
        shop.tell(looked, "Page Viewed", who, DAY - gap)
        shop.order(who, DAY, euros=5, channel=sold)
    shop.order("e", DAY, channel=sold, euros=5)
    shop.tell(sold, "Page Viewed", "e", DAY - 1)
    side = "store" if sold in ("pos", "store") else "online"
    asked = f"""
        SELECT orders, researched, research_share, researched_revenue_micros / 1e6
        FROM kpi_ropo(days = 3) WHERE sold_in = '{side}'"""
    assert shop.ask(asked) == [(6, 2, 2 / 6, 10)]


def test_store_sales_with_a_digital_contact_before(shop: Shop) -> None:
    """A message counts as a visit does, one after the sale does not, nor does a contact with the store."""
    for who, channel, gap in (
        ("a", "email", 1),
        ("b", "web", ONE_DAY + 1),
        ("c", "support", 1),
        ("d", "push", -1),
    ):
        shop.tell(channel, "Email Sent", who, DAY - gap)
        shop.order(who, DAY, euros=2, channel="pos")
    asked = "SELECT orders, with_contact, contact_revenue_micros / 1e6 FROM kpi_store_sales(days = {})"
    assert shop.ask(asked.format(1)) == [(4, 1, 2)]
    assert shop.ask(asked.format(2)) == [(4, 2, 4)]


def test_pickup_is_a_share_of_online_orders(shop: Shop) -> None:
    """Sales in stores and cancelled orders are no part of it."""
    for order_id, channel, method in (
        ("o1", "web", "pickup"), ("o2", "app", "express"), ("o3", "pos", "pickup"), ("o4", "web", "pickup"),
        ("o5", "web", ""),
    ):  # fmt: skip
        shop.order("ann", DAY, channel=channel, order_id=order_id, euros=3)
        if method:
            shop.tell("orders", "Order Packed", "ann", DAY + 1, order_id=order_id, shipping_method=method)
    shop.tell("orders", "Order Cancelled", "ann", DAY + 9, order_id="o4")
    asked = "SELECT orders, picked_up, pickup_share, pickup_revenue_micros FROM kpi_pickup"
    assert shop.ask(asked) == [(3, 1, 1 / 3, 3 * EURO)]


def test_any_orders_give_the_figures_of_a_plain_count(shop: Shop, seed: int) -> None:
    """Random orders of a year: days and channels, cohorts and churn are those that Python counts."""
    draw = random.Random(seed)
    print(f"seed {seed}")
    sales = sorted(
        (
            DAY + draw.randrange(366) * ONE_DAY + draw.randrange(ONE_DAY),
            draw.choice("abcdefgh"),
            draw.choice(("web", "pos")),
        )
        for _ in range(80)
    )
    values = [
        shop.touchpoint(channel, "Order Completed", who, when, revenue_micros=EURO)
        for when, who, channel in sales
    ]
    shop.land("touchpoints.stitched", *values)
    days = Counter((day_of(when), channel) for when, _, channel in sales)
    assert {tuple(row[:2]): row[2] for row in shop.ask("SELECT day, channel, orders FROM kpi_orders")} == days
    asked = "SELECT cohort, month, customers, active FROM cohorts WHERE active > 0"
    assert set(shop.ask(asked)) == cohorts_of(sales)
    until = date(2024, 11, 15)
    asked = f"SELECT profile_id, orders, is_churned FROM churn(until = '{until}', days = 40)"
    assert set(shop.ask(asked)) == churn_of(sales, until, 40)


def day_of(when: int) -> date:
    """The day of UTC."""
    return datetime.fromtimestamp(when / 1_000, UTC).date()


def cohorts_of(sales: list[tuple[int, str, str]]) -> set[tuple[Any, ...]]:
    """(month of first order, months later, customers, of them active)."""
    months: dict[str, list[date]] = defaultdict(list)
    for when, who, _ in sales:
        months[who].append(day_of(when).replace(day=1))
    sizes = Counter(bought[0] for bought in months.values())
    active = Counter(
        (bought[0], (month.year - bought[0].year) * 12 + month.month - bought[0].month)
        for bought in months.values()
        for month in set(bought)
    )
    return {(cohort, month, sizes[cohort], count) for (cohort, month), count in active.items()}


def churn_of(sales: list[tuple[int, str, str]], until: date, days: int) -> set[tuple[Any, ...]]:
    """(customer, orders, whether the last of them is too long ago)."""
    bought: dict[str, list[date]] = defaultdict(list)
    for when, who, _ in sales:
        if day_of(when) <= until:
            bought[who].append(day_of(when))
    return {(who, len(each), (until - each[-1]).days >= days) for who, each in bought.items()}
