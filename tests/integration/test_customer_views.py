"""Cohorts, scores, churn, funnels, histories and values of customers that can be counted by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests.integration.shop import Rows, Shop, at_ms

pytestmark = pytest.mark.xdist_group("customer_views")

DAY = at_ms("2024-03-01")
MINUTE = 60_000
ONE_DAY = 86_400_000
EURO = 1_000_000


def test_a_cohort_has_a_row_for_every_month_up_to_the_last(shop: Shop) -> None:
    """Months without an order of the cohort count nobody; a cancelled first order makes no cohort."""
    for who, day in (
        ("a", "2024-01-31"),
        ("a", "2024-03-01"),
        ("a", "2024-03-09"),
        ("b", "2024-01-01"),
        ("c", "2024-02-29"),
    ):
        shop.order(who, at_ms(day))
    shop.order("c", at_ms("2024-01-05"), order_id="gone")
    shop.tell("orders", "Order Cancelled", "c", at_ms("2024-03-02"), order_id="gone")
    assert shop.ask("SELECT toString(cohort), month, customers, active, active_share FROM cohorts") == [
        ("2024-01-01", 0, 2, 2, 1),
        ("2024-01-01", 1, 2, 0, 0),
        ("2024-01-01", 2, 2, 1, 1 / 2),
        ("2024-02-01", 0, 1, 1, 1),
        ("2024-02-01", 1, 1, 0, 0),
    ]


def test_rfm_scores_are_quintiles_and_equals_have_the_same(shop: Shop) -> None:
    """Ten customers, two in each fifth; the best has 5 in all three; orders after the day do not count."""
    for number in range(10):
        for order in range(number + 1):
            shop.order(f"p{number}", DAY + number * ONE_DAY + order, euros=10)
    shop.order("p0", DAY + 20 * ONE_DAY, euros=10_000)
    shop.order("p0", DAY, euros=1, currency="CHF")
    asked = """
        SELECT profile_id, recency_days, frequency, monetary_micros / 1e6,
               recency_score, frequency_score, monetary_score
        FROM rfm(until = '2024-03-11') WHERE currency = 'EUR' ORDER BY profile_id"""
    assert shop.ask(asked) == [
        (f"p{n}", 10 - n, n + 1, 10 * (n + 1), n // 2 + 1, n // 2 + 1, n // 2 + 1) for n in range(10)
    ]
    assert shop.ask("SELECT * FROM rfm(until = '2024-03-11') WHERE currency = 'CHF'") == [
        ("p0", "CHF", 10, 1, EURO, 5, 1, 1)
    ]


def test_customers_who_are_equal_have_equal_scores(shop: Shop) -> None:
    """Nine of ten who bought once are in the lowest fifth of frequency together."""
    for number in range(10):
        shop.order(f"p{number}", DAY)
    shop.order("p3", DAY)
    asked = "SELECT frequency_score, count() FROM rfm(until = '2024-03-01') GROUP BY ALL ORDER BY ALL"
    assert shop.ask(asked) == [(1, 9), (5, 1)]


def test_churned_is_who_did_not_order_in_the_last_days(shop: Shop) -> None:
    """The day asked for is the last of them; later orders are not known then."""
    for who, days in {"a": (0, 10), "b": (0, 9), "c": (1,), "d": (0, 21)}.items():
        for day in days:
            shop.order(who, DAY + day * ONE_DAY)
    until = "2024-03-20"
    asked = (
        f"SELECT profile_id, days_since_order, is_churned FROM churn(until = '{until}', days = 10) ORDER BY 1"
    )
    assert shop.ask(asked) == [("a", 9, False), ("b", 10, True), ("c", 18, True), ("d", 19, True)]


def test_retention_is_of_those_who_ordered_before_the_month(shop: Shop) -> None:
    """So many days before its first and from it on; a month whose days are not over is left out."""
    for who, days in {
        "a": ("2024-01-22", "2024-02-10"),  # in the ten days before, and in those from it
        "b": ("2024-01-21", "2024-02-01"),  # a day too early
        "c": ("2024-01-31", "2024-02-11"),  # back a day too late
        "d": ("2024-02-29", "2024-03-01", "2024-03-09"),
    }.items():
        for day in days:
            shop.order(who, at_ms(day))
    asked = "SELECT toString(month), customers, retained, retention_rate FROM retention(days = 10)"
    assert shop.ask(asked) == [("2024-02-01", 2, 1, 1 / 2)]
    shop.tell("web", "Page Viewed", "e", at_ms("2024-03-10"))
    assert shop.ask(asked) == [("2024-02-01", 2, 1, 1 / 2), ("2024-03-01", 1, 1, 1)]


STEPS = {
    "view": "Product Viewed",
    "cart": "Product Added",
    "pay": "Checkout Started",
    "buy": "Order Completed",
}


@pytest.mark.parametrize(
    ("steps", "reached"),
    [
        (("view", "cart", "pay", "buy"), 4),
        (("view", "buy"), 4),
        (("view", "pay"), 3),
        (("cart", "pay", "view"), 1),
        (("view", "cart", "cart"), 2),
        (("buy", "view", "cart"), 2),
        (("cart", "pay", "buy"), 0),
    ],
)
def test_how_far_a_session_and_a_person_come(shop: Shop, steps: tuple[str, ...], reached: int) -> None:
    """Steps count one after the other, from a product viewed; a later one stands for those before it."""
    shop.session("s1", 0, 60)
    for minute, step in enumerate(steps):
        shop.touch(f"m{minute}", at=minute, event=STEPS[step])
    assert shop.ask("SELECT session_id, profile_id, reached FROM funnel_sessions") == [("s1", "p1", reached)]
    assert shop.ask("SELECT reached FROM funnel_people(days = 1)") == [(reached,)]


def test_a_person_may_take_several_sessions_within_the_days(shop: Shop) -> None:
    """Seen on one channel, bought on another: a whole funnel of the person, none of a session."""
    shop.session("s1", 0, 5)
    shop.session("s2", 1_000, 1_005, channels=["app"])
    shop.touch("m1", at=0, event="Product Viewed")
    shop.touch("m2", at=5, event="Product Added")
    shop.touch("m3", at=1_440, event="Order Completed")
    shop.touch("m4", at=1_001, event="Product Viewed")
    assert shop.ask("SELECT session_id, reached FROM funnel_sessions ORDER BY session_id") == [
        ("s1", 2),
        ("s2", 1),
    ]
    assert shop.ask("SELECT reached FROM funnel_people(days = 1)") == [(4,)]
    shop.touch("m5", profile_id="late", at=0, event="Product Viewed")
    shop.touch("m6", profile_id="late", at=1_441, event="Order Completed")
    assert shop.ask("SELECT reached FROM funnel_people(days = 1) WHERE profile_id = 'late'") == [(1,)]
    assert shop.ask("SELECT * EXCEPT day FROM kpi_funnel ORDER BY day") == [
        (1, 1, 1, 0, 0, 1, 0, None, 0),
        (1, 1, 0, 0, 0, 0, None, None, 0),
    ]


def test_history_counts_days_with_a_purchase(shop: Shop) -> None:
    """Two orders of a day are one purchase; the first is not counted, nor what came after the day asked for."""
    for day, euros in ((0, 5), (7, 10), (7, 20), (21, 6), (40, 99)):
        shop.order("ann", DAY + day * ONE_DAY, euros=euros)
    shop.order("bob", DAY + 28 * ONE_DAY, euros=4)
    shop.order("ann", DAY, euros=4, currency="CHF")
    asked = "SELECT * FROM customer_history(until = '2024-03-29') ORDER BY ALL"
    assert shop.ask(asked) == [
        ("ann", "CHF", 0, 0, 4, 0), ("ann", "EUR", 2, 3, 4, 18 * EURO), ("bob", "EUR", 0, 0, 0, 0),
    ]  # fmt: skip


VALUES = """
    SELECT profile_id, currency, round(alive, 6), expected_orders, expected_value_micros, was_people
    FROM current_customer_values ORDER BY profile_id, currency"""


def value(
    shop: Shop, who: str, run: int, *, alive: float = 0.5, orders: float = 1, currency: str | None = "EUR"
) -> None:
    """A customer as a run valued them."""
    told = {
        "profile_id": who, "currency": currency, "computed_at": datetime(2024, 3, run, tzinfo=UTC),
        "until": date(2024, 3, 1), "alive": alive, "expected_orders": orders, "expected_value_micros": orders * EURO,
    }  # fmt: skip
    shop.client.insert("customer_values", [list(told.values())], column_names=list(told))


def test_values_are_those_of_the_last_run_of_each_currency(shop: Shop) -> None:
    """A run without a currency leaves that of another day in place."""
    value(shop, "ann", 1, orders=9)
    value(shop, "ann", 1, orders=3, currency="CHF")
    value(shop, "ann", 2, orders=2, alive=1)
    value(shop, "bob", 2, currency=None)
    expected: Rows = [
        ("ann", "CHF", 0.5, 3, 3 * EURO, 1), ("ann", "EUR", 1, 2, 2 * EURO, 1), ("bob", None, 0.5, 1, EURO, 1),
    ]  # fmt: skip
    assert shop.ask(VALUES) == expected


def test_values_follow_a_merge(shop: Shop) -> None:
    """Two who became one are expected to order what both were, and alive unless neither is."""
    value(shop, "ann", 1, orders=9, alive=0.2)
    value(shop, "bob", 1, orders=2, alive=0.5)
    shop.belongs("email:b", "ann", own="bob")
    assert shop.ask(VALUES) == [("ann", "EUR", 0.6, 11, 11 * EURO, 2)]
