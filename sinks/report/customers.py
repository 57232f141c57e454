"""Who the customers are, whether they come back, and what they say: repeat, channels, cohorts, segments, surveys.

What the views tell by month is asked for every month the period touches, whole. Must not know journeys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sinks.report.model import (
    ChannelSet,
    Cohort,
    CustomerGroup,
    Repeat,
    Retained,
    Ropo,
    Segment,
    Survey,
    Tickets,
)
from sinks.report.rows import Asking, share
from sinks.report.segments import SEGMENTS, segment_of

_IN_MONTHS: Final = "month BETWEEN toStartOfMonth({since:Date}) AND {until:Date}"

_REPEAT: Final = f"""
SELECT
    month, customers, with_second_order, observed_30_days, repeated_30_days, repeat_rate_30_days,
    observed_90_days, repeated_90_days, repeat_rate_90_days
FROM kpi_repeat_purchase
WHERE {_IN_MONTHS}
ORDER BY month
"""
_SETS: Final = """
SELECT
    customer_group, channels, nullIf(kpi.currency, '') AS in_currency, customers, orders, repeat_customers,
    net_revenue_micros
FROM kpi_customers_by_channels AS kpi
WHERE {currency:String} IN ('', ifNull(kpi.currency, ''))
ORDER BY customers DESC, channels, in_currency
"""
_ROPO: Final = """
SELECT
    sold_in, currency, orders, researched, researched / nullIf(orders, 0), net_revenue_micros, researched_revenue_micros
FROM
(
    SELECT
        sold_in,
        nullIf(kpi.currency, '') AS currency,
        sum(kpi.orders) AS orders,
        sum(kpi.researched) AS researched,
        sum(kpi.net_revenue_micros) AS net_revenue_micros,
        sum(kpi.researched_revenue_micros) AS researched_revenue_micros
    FROM kpi_ropo(days = {ropo_days:UInt32}) AS kpi
    WHERE month BETWEEN toStartOfMonth({since:Date}) AND {until:Date}
    GROUP BY sold_in, currency
)
WHERE {currency:String} IN ('', ifNull(currency, ''))
ORDER BY sold_in DESC, currency
"""
# A mean of a month weighs as much as it has answers, so that the figure is that of all of them.
_SURVEYS: Final = f"""
SELECT
    kind, survey_id, question_id, sum(kpi.answers) AS answers, sum(mean_score * kpi.answers) / answers,
    sum(nps * kpi.answers) / answers, sum(csat * kpi.answers) / answers
FROM kpi_surveys AS kpi
WHERE {_IN_MONTHS}
GROUP BY kind, survey_id, question_id
ORDER BY answers DESC, kind, survey_id, question_id
"""
_TICKETS: Final = f"""
SELECT month, category, tickets, solved, escalated, mean_resolution_h, median_resolution_h, p90_resolution_h
FROM kpi_tickets
WHERE {_IN_MONTHS}
ORDER BY month, tickets DESC, category
"""
_COHORTS: Final = """
SELECT cohort, customers, groupArray(active), groupArray(active_share)
FROM
(
    SELECT cohort, customers, active, active_share FROM cohorts
    WHERE cohort BETWEEN toStartOfMonth({since:Date}) AND {until:Date} AND addMonths(cohort, month) <= {until:Date}
    ORDER BY cohort, month
)
GROUP BY cohort, customers
ORDER BY cohort
"""
_RETENTION: Final = f"""
SELECT month, customers, retained, retention_rate, churn_rate
FROM retention(days = {{retention_days:UInt32}})
WHERE {_IN_MONTHS}
ORDER BY month
"""
_SCORES: Final = """
SELECT nullIf(currency, '') AS in_currency, recency_score, frequency_score, count(), sum(monetary_micros)
FROM rfm(until = {scored_on:Date})
WHERE {currency:String} IN ('', ifNull(currency, ''))
GROUP BY in_currency, recency_score, frequency_score
"""


def customers(ask: Asking) -> dict[str, Any]:
    """The fields of a report that this module owns, by name."""
    sets = ask.all(ChannelSet, _SETS)
    return {
        "repeat": _with_all(ask.all(Repeat, _REPEAT)),
        "customer_groups": groups(sets),
        "channel_sets": sets,
        "ropo": ask.all(Ropo, _ROPO),
        "surveys": ask.all(Survey, _SURVEYS),
        "tickets": _with_total(ask.all(Tickets, _TICKETS)),
        "cohorts": ask.all(Cohort, _COHORTS),
        "retention": ask.all(Retained, _RETENTION),
        "segments": segments(ask.rows(_SCORES)),
    }


def groups(sets: Sequence[ChannelSet]) -> tuple[CustomerGroup, ...]:
    """Those who bought through several channels beside those who did through one, currency by currency."""
    found: dict[tuple[str | None, str], list[ChannelSet]] = defaultdict(list)
    for each in sets:
        found[each.currency, each.customer_group].append(each)
    return tuple(
        CustomerGroup(
            group,
            currency,
            people := sum(each.customers for each in members),
            orders := sum(each.orders for each in members),
            back := sum(each.repeat_customers for each in members),
            share(back, people),
            share(orders, people),
            revenue := sum(each.net_revenue_micros for each in members),
            share(revenue, people),
        )
        for (currency, group), members in sorted(
            found.items(), key=lambda item: (item[0][0] or "", item[0][1])
        )
    )


def segments(scores: list[tuple[Any, ...]]) -> tuple[Segment, ...]:
    """The best segment first; each of `scores` is (currency, recency, frequency, customers, their revenue)."""
    counts: dict[tuple[str | None, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    totals: dict[str | None, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for currency, recency, frequency, people, revenue in scores:
        name = segment_of(recency, frequency)
        counts[currency, name] = _added(counts[currency, name], people, revenue)
        totals[currency] = _added(totals[currency], people, revenue)
    return tuple(
        Segment(
            name,
            currency,
            people := counts[currency, name][0],
            share(people, totals[currency][0]),
            revenue := counts[currency, name][1],
            share(revenue, totals[currency][1]),
        )
        for currency in sorted(totals, key=lambda each: (each is None, each))
        for name in SEGMENTS
        if (currency, name) in counts
    )


def _added(pair: tuple[int, int], first: int, second: int) -> tuple[int, int]:
    return pair[0] + first, pair[1] + second


def _with_all(months: tuple[Repeat, ...]) -> tuple[Repeat, ...]:
    """All months together first."""
    if not months:
        return ()
    in_30 = sum(each.observed_30_days for each in months)
    in_90 = sum(each.observed_90_days for each in months)
    back_in_30 = sum(each.repeated_30_days for each in months)
    back_in_90 = sum(each.repeated_90_days for each in months)
    whole = Repeat(
        None,
        sum(each.customers for each in months),
        sum(each.with_second_order for each in months),
        in_30,
        back_in_30,
        share(back_in_30, in_30),
        in_90,
        back_in_90,
        share(back_in_90, in_90),
    )
    return (whole, *months)


def _with_total(rows: tuple[Tickets, ...]) -> tuple[Tickets, ...]:
    """All tickets together first: their mean is that of the solved ones."""
    if not rows:
        return ()
    solved = sum(each.solved for each in rows)
    hours = sum(each.mean_resolution_h * each.solved for each in rows if each.mean_resolution_h is not None)
    whole = Tickets(
        None,
        None,
        sum(each.tickets for each in rows),
        solved,
        sum(each.escalated for each in rows),
        share(hours, solved),
        None,
        None,
    )
    return (whole, *rows)
