"""Customers in words: repeat purchases, channels, research before purchase, cohorts, segments, what they say."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from sinks.report.model import Report, Segment
from streams.cli.reporting.outline import Bar, Bars, Cell, Chart, Heat, Section, Table, table
from streams.cli.reporting.words import amount, currency_of, month, named, number, percent

_MOST_MONTHS: Final = 13
_WHOLE_MONTHS: Final = "By whole months: every month that the period touches."


def repeat(report: Report, top: int) -> Section:
    """Who ordered again, and how soon."""
    views = ("kpi_repeat_purchase",)
    if not report.repeat:
        why = "Nobody ordered for the first time in these months."
        return Section("repeat", "Repeat purchases", views, empty=why)
    rows: list[tuple[Cell, ...]] = [
        (
            "all" if each.month is None else month(each.month), number(each.customers),
            number(each.with_second_order), number(each.observed_30_days), percent(each.repeat_rate_30_days),
            number(each.observed_90_days), percent(each.repeat_rate_90_days),
        )
        for each in report.repeat
    ]  # fmt: skip
    names = "first order | #customers | #ordered again | #known 30 days | #repeat within 30 days | #known 90 days "
    return Section(
        "repeat",
        "Repeat purchases",
        views,
        note=f"{_WHOLE_MONTHS} A rate is of customers whose first order is at least 30 (90) days old.",
        tables=(table("By month of the first order", f"{names}| #repeat within 90 days", rows, top=top + 1),),
    )


def channels(report: Report, top: int) -> Section:
    """Customers of one channel beside those of several."""
    views = ("kpi_customers_by_channels",)
    if not report.customer_groups:
        return Section(
            "channels", "Omnichannel and single-channel", views, empty="No customer has ordered yet."
        )
    groups: list[tuple[Cell, ...]] = [
        (
            each.customer_group, currency_of(each.currency), number(each.customers), number(each.orders),
            number(each.orders_per_customer, digits=2), percent(each.repeat_rate), amount(each.net_revenue_micros),
            amount(each.revenue_per_customer_micros),
        )
        for each in report.customer_groups
    ]  # fmt: skip
    sets: list[tuple[Cell, ...]] = [
        (
            " + ".join(each.channels), currency_of(each.currency), number(each.customers), number(each.orders),
            amount(each.net_revenue_micros),
        )
        for each in report.channel_sets
    ]  # fmt: skip
    names = "group | currency | #customers | #orders | #orders each | #ordered again | #net revenue "
    return Section(
        "channels",
        "Omnichannel and single-channel",
        views,
        note="Over all data, whatever the period. Who buys more often has more chances to use several channels.",
        tables=(
            table("By group", f"{names}| #net revenue each", groups),
            table(
                "By channels bought through",
                "channels | currency | #customers | #orders | #net revenue",
                sets,
                top=top,
            ),
        ),
    )


def ropo(report: Report, top: int) -> Section:
    """Research on one side, purchase on the other."""
    del top
    views = ("kpi_ropo",)
    if not report.ropo:
        why = "Nothing was sold in a store or online in these months."
        return Section("ropo", "Research online, purchase offline", views, empty=why)
    names = {"store": "sold in a store, researched online", "online": "sold online, researched in a store"}
    rows: list[tuple[Cell, ...]] = [
        (
            names.get(each.sold_in, each.sold_in), currency_of(each.currency), number(each.orders),
            number(each.researched), percent(each.research_share), amount(each.net_revenue_micros),
            amount(each.researched_revenue_micros),
        )
        for each in report.ropo
    ]  # fmt: skip
    return Section(
        "ropo",
        "Research online, purchase offline",
        views,
        note=f"{_WHOLE_MONTHS} Research counts for {report.asked.ropo_days} days.",
        tables=(
            table(
                "By where it was sold",
                "sales | currency | #orders | #researched | #share | #net revenue | #of it researched",
                rows,
            ),
        ),
    )


def voices(report: Report, top: int) -> Section:
    """What customers answer, and how long support takes."""
    views = ("kpi_surveys", "kpi_tickets")
    if not report.surveys and not report.tickets:
        why = "Nobody has answered a survey with a score (channel survey), and no ticket has an id (channel support)."
        return Section("voices", "Satisfaction and support", views, empty=why)
    surveys: list[tuple[Cell, ...]] = [
        (
            named(each.kind), named(each.survey_id), named(each.question_id), number(each.answers),
            number(each.nps, digits=1), percent(each.csat), number(each.mean_score, digits=2),
        )
        for each in report.surveys
    ]  # fmt: skip
    tickets: list[tuple[Cell, ...]] = [
        (
            "all" if each.month is None else month(each.month),
            "all" if each.month is None else named(each.category or ""),
            number(each.tickets), number(each.solved), number(each.escalated),
            number(each.mean_resolution_h, digits=1), number(each.median_resolution_h, digits=1),
            number(each.p90_resolution_h, digits=1),
        )
        for each in report.tickets
    ]  # fmt: skip
    tables: list[Table] = []
    if surveys:
        names = "kind | survey | question | #answers | #NPS | #CSAT | #mean score"
        tables.append(table("Surveys", names, surveys, top=top))
    if tickets:
        names = "opened | category | #tickets | #solved | #escalated | #mean hours | #median hours | #90 % within hours"
        tables.append(table("Tickets", names, tickets, top=top + 1))
    return Section("voices", "Satisfaction and support", views, note=_WHOLE_MONTHS, tables=tuple(tables))


def cohorts(report: Report, top: int) -> Section:
    """Who orders how many months after the first order, as a heat table, and retention by month."""
    views = ("cohorts", "retention")
    if not report.cohorts:
        why = "Nobody ordered for the first time in these months."
        return Section("cohorts", "Retention", views, empty=why)
    months = min(max(len(each.active) for each in report.cohorts), _MOST_MONTHS)
    rows: list[tuple[Cell, ...]] = []
    for each in report.cohorts[-max(top, _MOST_MONTHS) :]:
        shares = each.active_share[:months]
        cells = [Heat(percent(share), share) for share in shares]
        rows.append(
            (month(each.cohort), number(each.customers), *cells, *[""] * (months - len(cells))),
        )
    names = " | ".join(("first order", "#customers", *(f"#month {at}" for at in range(months))))
    left_out = len(report.cohorts) - len(rows)
    heat = table("Share of a cohort that ordered so many months later", names, rows)
    if left_out:
        heat = Table(
            heat.title, heat.columns, heat.rows, f"{left_out:,} earlier cohorts left out; --json has them"
        )
    tables = [heat]
    if report.retention:
        retained: list[tuple[Cell, ...]] = [
            (
                month(each.month), number(each.customers), number(each.retained),
                percent(each.retention_rate), percent(each.churn_rate),
            )
            for each in reversed(report.retention)
        ]  # fmt: skip
        days = report.asked.retention_days
        names = "month | #customers before | #ordered again | #retention | #churn"
        tables.append(
            table(f"Customers of {days} days, back within {days} days", names, retained, top=top),
        )
    return Section("cohorts", "Retention", views, note=_WHOLE_MONTHS, tables=tuple(tables))


def segments(report: Report, top: int) -> Section:
    """RFM segments of customers, currency by currency."""
    del top
    views = ("rfm",)
    if not report.segments:
        return Section("segments", "RFM segments", views, empty="No customer has ordered yet.")
    found: dict[str | None, list[Segment]] = defaultdict(list)
    for each in report.segments:
        found[each.currency].append(each)
    charts: tuple[Chart, ...] = tuple(
        Bars(
            f"Customers by segment, {currency_of(currency)}",
            "How many customers are in each segment.",
            tuple(
                Bar(
                    each.segment, each.customers, f"{number(each.customers)} ({percent(each.customer_share)})"
                )
                for each in members
            ),
        )
        for currency, members in found.items()
    )
    rows: list[tuple[Cell, ...]] = [
        (
            each.segment, currency_of(each.currency), number(each.customers), percent(each.customer_share),
            amount(each.net_revenue_micros), percent(each.revenue_share),
        )
        for each in report.segments
    ]  # fmt: skip
    return Section(
        "segments",
        "RFM segments",
        views,
        note=f"As customers stood at the end of {report.scored_on} (UTC), by their scores of recency and frequency: "
        "champions have 5 and 4 to 5, the hibernating 1 to 2 of each.",
        charts=charts,
        tables=(
            table(
                "By segment",
                "segment | currency | #customers | #share | #net revenue | #share of revenue",
                rows,
            ),
        ),
    )
