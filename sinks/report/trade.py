"""What the shop sold and to which share of its visits: orders, conversion, carts, actions, funnel.

Totals over days are added up and rates divided anew, as the views' definitions say. Must not know customers or
journeys.
"""

from __future__ import annotations

from typing import Any, Final

from sinks.report.model import Actions, Carts, ChannelOrders, Conversion, DayOrders, FunnelStep, Orders
from sinks.report.rows import Asking, share

STEPS: Final = ("product viewed", "put into a cart", "checkout", "order")

# Of view `orders`, since neither customers nor the average order value add up over the rows of kpi_orders. Once for all
# three: to work out what is an order takes longer than to count them.
_ORDERS: Final = """
SELECT *
FROM
(
    SELECT
        arrayJoin(['all', 'channel', 'day']) AS by,
        if(by = 'channel', sold.channel, '') AS channel,
        if(by = 'channel', sold.sold_in, '') AS sold_in,
        if(by = 'day', toDate(ordered_at), toDate(0)) AS day,
        nullIf(sold.currency, '') AS currency,
        countIf(NOT is_cancelled) AS orders,
        countIf(is_cancelled) AS cancelled,
        uniqExactIf(profile_id, NOT is_cancelled) AS customers,
        countIf(is_first_order) AS first_orders,
        sumIf(ifNull(sold.revenue_micros, 0), NOT is_cancelled) AS revenue_micros,
        sumIf(sold.refunded_micros, NOT is_cancelled) AS refunded_micros,
        sum(ifNull(sold.net_revenue_micros, 0)) AS net_revenue_micros,
        revenue_micros / nullIf(countIf(NOT is_cancelled AND isNotNull(sold.revenue_micros)), 0) AS aov_micros
    FROM orders AS sold
    WHERE toDate(ordered_at) BETWEEN {since:Date} AND {until:Date}
    GROUP BY by, channel, sold_in, day, currency
)
WHERE {currency:String} IN ('', ifNull(currency, '')) AND (orders > 0 OR by = 'all')
ORDER BY by, day, orders DESC, channel, currency
"""
_CONVERSION: Final = """
SELECT
    channel,
    sum(kpi.sessions) AS sessions,
    sum(kpi.sessions_with_order) AS sessions_with_order,
    sessions_with_order / nullIf(sessions, 0) AS conversion_rate
FROM kpi_conversion AS kpi
WHERE day BETWEEN {since:Date} AND {until:Date}
GROUP BY channel
ORDER BY channel = 'all' DESC, sessions DESC, channel
"""
_CARTS: Final = """
SELECT
    currency, carts, open, purchased, emptied, abandoned, recovered,
    abandoned / nullIf(carts - open, 0), recovered / nullIf(abandoned, 0), abandoned_value_micros, recovered_micros
FROM
(
    SELECT
        nullIf(kpi.currency, '') AS currency,
        sum(kpi.carts) AS carts,
        sum(kpi.open) AS open,
        sum(kpi.purchased) AS purchased,
        sum(kpi.emptied) AS emptied,
        sum(kpi.abandoned) AS abandoned,
        sum(kpi.recovered) AS recovered,
        sum(kpi.abandoned_value_micros) AS abandoned_value_micros,
        sum(kpi.recovered_micros) AS recovered_micros
    FROM kpi_carts AS kpi
    WHERE day BETWEEN {since:Date} AND {until:Date}
    GROUP BY currency
)
WHERE {currency:String} IN ('', ifNull(currency, ''))
ORDER BY carts DESC, currency
"""
_ACTIONS: Final = """
SELECT trigger, status, count() AS actions
FROM current_actions
WHERE toDate(due_at) BETWEEN {since:Date} AND {until:Date} AND {currency:String} IN ('', ifNull(currency, ''))
GROUP BY trigger, status
ORDER BY trigger, actions DESC, status
"""
_BY_SESSION: Final = """
SELECT sum(viewed), sum(added), sum(checked_out), sum(ordered) FROM kpi_funnel
WHERE day BETWEEN {since:Date} AND {until:Date}
"""
_BY_PERSON: Final = """
SELECT countIf(reached >= 1), countIf(reached >= 2), countIf(reached >= 3), countIf(reached >= 4)
FROM funnel_people(days = {funnel_days:UInt32})
WHERE toDate(first_seen_at) BETWEEN {since:Date} AND {until:Date}
"""


def trade(ask: Asking) -> dict[str, Any]:
    """The fields of a report that this module owns, by name."""
    return {
        **_orders(ask.rows(_ORDERS)),
        "conversion": ask.all(Conversion, _CONVERSION),
        "carts": ask.all(Carts, _CARTS),
        "actions": ask.all(Actions, _ACTIONS),
        "funnel": (*_funnel("sessions", ask.one(_BY_SESSION)), *_funnel("people", ask.one(_BY_PERSON))),
    }


def _orders(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    whole, by_channel, by_day = [], [], []
    for by, channel, sold_in, day, currency, *counts in rows:
        orders, _, customers, _, revenue, _, net_revenue, average = counts
        if by == "all":
            whole.append(Orders(currency, *counts))
        elif by == "channel":
            by_channel.append(
                ChannelOrders(channel, sold_in, currency, orders, customers, revenue, net_revenue, average)
            )
        else:
            by_day.append(DayOrders(day, currency, orders, revenue))
    return {
        "orders": tuple(whole),
        "orders_by_channel": tuple(by_channel),
        "orders_by_day": tuple(by_day),
    }


def _funnel(of: str, reached: tuple[int, ...]) -> list[FunnelStep]:
    if not reached[0]:
        return []
    before = (reached[0], *reached)
    return [
        FunnelStep(of, step, count, share(count, previous), share(count, reached[0]))
        for step, count, previous in zip(STEPS, reached, before, strict=False)
    ]
