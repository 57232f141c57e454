"""What was sold, in words: orders, conversion, carts, actions, funnel."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Final

from sinks.report.model import DayOrders, FunnelStep, Report
from streams.cli.reporting.outline import Bar, Bars, Cell, Chart, Columns, Figure, Section, table
from streams.cli.reporting.words import amount, currency_of, money, month, number, of, percent

_MOST_DAYS: Final = 92
_MOST_GAPS: Final = 400
_MOST_CURRENCIES: Final = 4


def orders(report: Report, top: int) -> Section:
    """Orders and revenue, currency by currency."""
    views = ("kpi_orders", "orders")
    if not report.orders:
        why = "No order is there: an order is a touchpoint Order Completed on any channel."
        return Section("orders", "Orders and revenue", views, empty=why)
    sums: list[tuple[Cell, ...]] = [
        (
            currency_of(each.currency), number(each.orders), number(each.cancelled), number(each.customers),
            number(each.first_orders), amount(each.revenue_micros), amount(each.refunded_micros),
            amount(each.net_revenue_micros), amount(each.aov_micros),
        )
        for each in report.orders
    ]  # fmt: skip
    by_channel: list[tuple[Cell, ...]] = [
        (
            each.channel, each.sold_in, currency_of(each.currency), number(each.orders), number(each.customers),
            amount(each.revenue_micros), amount(each.net_revenue_micros), amount(each.aov_micros),
        )
        for each in report.orders_by_channel
    ]  # fmt: skip
    return Section(
        "orders",
        "Orders and revenue",
        views,
        charts=_by_day(report.orders_by_day),
        tables=(
            table(
                "By currency",
                "currency | #orders | #cancelled | #customers | #first orders | #revenue | #refunded | #net revenue "
                "| #average order",
                sums,
            ),
            table(
                "By channel",
                "channel | sold in | currency | #orders | #customers | #revenue | #net revenue | #average order",
                by_channel,
                top=top,
            ),
        ),
    )


def _by_day(days: tuple[DayOrders, ...]) -> tuple[Chart, ...]:
    """Revenue of each currency, a column a day, or a month where that would be too many."""
    found: dict[str | None, dict[date, tuple[int, int]]] = defaultdict(dict)
    for each in days:
        found[each.currency][each.day] = (each.orders, each.revenue_micros)
    most = sorted(found, key=lambda currency: -sum(orders for orders, _ in found[currency].values()))
    return tuple(_columns(currency, found[currency]) for currency in most[:_MOST_CURRENCIES])


def _columns(currency: str | None, days: dict[date, tuple[int, int]]) -> Columns:
    span = (max(days) - min(days)).days
    is_daily = span <= _MOST_DAYS
    values: dict[str, tuple[int, int]] = {}
    if span <= _MOST_GAPS:
        for step in range(span + 1):
            day = min(days) + timedelta(days=step)
            values.setdefault(day.isoformat() if is_daily else month(day), (0, 0))
    for day, (count, revenue) in sorted(days.items()):
        name = day.isoformat() if is_daily else month(day)
        before = values.get(name, (0, 0))
        values[name] = (before[0] + count, before[1] + revenue)
    every = "day" if is_daily else "month"
    return Columns(
        f"Revenue by {every}, {currency_of(currency)}",
        f"A column a {every}, {len(values):,} of them, from {next(iter(values))} to {list(values)[-1]} (UTC).",
        tuple(
            Bar(name, revenue, f"{money(revenue, currency)}, {count:,} orders")
            for name, (count, revenue) in values.items()
        ),
    )


def conversion(report: Report, top: int) -> Section:
    """Sessions with an order, over all and channel by channel."""
    rows = [each for each in report.conversion if each.sessions]
    if not rows:
        why = "No session is there: sessions come from touchpoints that arrived in time."
        return Section("conversion", "Conversion", ("kpi_conversion",), empty=why)
    return Section(
        "conversion",
        "Conversion",
        ("kpi_conversion",),
        note="A session across channels counts under each of them.",
        charts=(
            Bars(
                "Conversion rate by channel",
                "Share of the sessions on a channel that have an order.",
                tuple(
                    Bar(each.channel, each.conversion_rate or 0.0, percent(each.conversion_rate))
                    for each in rows[:top]
                ),
            ),
        ),
        tables=(
            table(
                "By channel",
                "channel | #sessions | #with an order | #conversion rate",
                [
                    (
                        each.channel,
                        number(each.sessions),
                        number(each.sessions_with_order),
                        percent(each.conversion_rate),
                    )
                    for each in rows
                ],
                top=top,
            ),
        ),
    )


def carts(report: Report, top: int) -> Section:
    """Abandoned and recovered, currency by currency, and the actions on them."""
    views = ("kpi_carts", "current_actions")
    if not report.carts and not report.actions:
        why = "No cart is there: carts come from touchpoints such as Product Added and Cart Updated with their items."
        return Section("carts", "Carts and actions", views, empty=why)
    rows: list[tuple[Cell, ...]] = [
        (
            currency_of(each.currency), number(each.carts), number(each.open), number(each.purchased),
            number(each.emptied), number(each.abandoned), percent(each.abandonment_rate), number(each.recovered),
            percent(each.recovery_rate), amount(each.abandoned_value_micros), amount(each.recovered_micros),
        )
        for each in report.carts
    ]  # fmt: skip
    actions: list[tuple[Cell, ...]] = [
        (each.trigger, each.status, number(each.actions)) for each in report.actions
    ]
    return Section(
        "carts",
        "Carts and actions",
        views,
        tables=(
            table(
                "Carts",
                "currency | #carts | #open | #purchased | #emptied | #abandoned | #abandonment rate | #recovered "
                "| #recovery rate | #abandoned value | #recovered revenue",
                rows,
            ),
            table("Actions", "trigger | status | #actions", actions, top=top),
        ),
    )


def funnel(report: Report, top: int) -> Section:
    """How far sessions and people come."""
    del top
    views = ("kpi_funnel", "funnel_people")
    if not report.funnel:
        why = "Nobody viewed a product: the funnel begins with a touchpoint Product Viewed."
        return Section("funnel", "Funnel", views, empty=why)
    days = report.asked.funnel_days
    titles = {"sessions": "Sessions", "people": f"People, within {days} days"}
    found: dict[str, list[FunnelStep]] = defaultdict(list)
    for each in report.funnel:
        found[each.of].append(each)
    return Section(
        "funnel",
        "Funnel",
        views,
        figures=tuple(
            Figure(
                f"View to order, {of_whom}",
                percent(steps[-1].share_of_first),
                of(steps[-1].reached, steps[0].reached, of_whom),
                "kpi_funnel" if of_whom == "sessions" else "funnel_people",
            )
            for of_whom, steps in found.items()
        ),
        charts=tuple(
            Bars(
                titles.get(of_whom, of_whom),
                f"How many {of_whom} came to each step, one after the other.",
                tuple(
                    Bar(each.step, each.reached, f"{number(each.reached)} ({percent(each.share_of_first)})")
                    for each in steps
                ),
            )
            for of_whom, steps in found.items()
        ),
        tables=tuple(
            table(
                titles.get(of_whom, of_whom),
                "step | #reached | #of the step before | #of the first",
                [
                    (
                        each.step,
                        number(each.reached),
                        percent(each.share_of_previous),
                        percent(each.share_of_first),
                    )
                    for each in steps
                ],
            )
            for of_whom, steps in found.items()
        ),
    )
