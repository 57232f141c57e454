"""The whole report in words: its key figures first, then a section a subject."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

from sinks.report.model import Report
from streams.cli.reporting import journeying, people, selling
from streams.cli.reporting.outline import Figure, Outline, Section
from streams.cli.reporting.words import NOTHING, currency_of, money, number, of, percent

_SECTIONS: Final[tuple[Callable[[Report, int], Section], ...]] = (
    selling.orders, selling.conversion, selling.carts, selling.funnel, people.repeat, people.channels, people.ropo,
    people.voices, people.cohorts, people.segments, journeying.attribution, journeying.journeys, journeying.paths,
    journeying.before_first,
)  # fmt: skip


_MONTHLY: Final = (
    "Repeat purchases, research before purchase, NPS, CSAT and resolution time are by whole months: every month that "
    "the period touches."
)


def outline_of(report: Report, *, top: int) -> Outline:
    """The report in words; tables have at most `top` rows where more would say little."""
    sections = (_summary(report), *(section(report, top) for section in _SECTIONS))
    return Outline("Throughline report", _subtitle(report), sections, report.definitions)


def _subtitle(report: Report) -> str:
    span, asked = report.span, report.asked
    if span.first is None or span.last is None:
        return "Nothing has landed in this warehouse yet."
    days = f"{_day(asked.since or span.first)} to {_day(asked.until or span.last)} (UTC)"
    whole = "all data, " if asked.since is None and asked.until is None else ""
    only = f"currencies: {', '.join(span.currencies) or 'none'}"
    if asked.currency:
        only = f"only what is in {asked.currency}, but people and sessions whatever the currency"
    return f"{whole}{days}; {only}; as of {report.computed_at:%Y-%m-%d %H:%M} UTC"


def _day(day: date) -> str:
    return day.isoformat()


def _summary(report: Report) -> Section:
    figures = (
        *_sold(report), *_converted(report), *_carts(report), *_customers(report), *_said(report),
    )  # fmt: skip
    views = tuple(dict.fromkeys(figure.view for figure in figures))
    is_part = report.asked.since is not None or report.asked.until is not None
    return Section("summary", "Key figures", views, note=_MONTHLY if is_part else "", figures=figures)


def _sold(report: Report) -> list[Figure]:
    if not report.orders:
        return [Figure("Orders", "0", "none in the period", "kpi_orders")]
    found = []
    for each in report.orders:
        name, many = currency_of(each.currency), len(report.orders) > 1
        found += [
            Figure(f"Orders, {name}" if many else "Orders", number(each.orders),
                   f"of {number(each.customers)} customers, {number(each.cancelled)} cancelled", "kpi_orders"),
            Figure(f"Revenue, {name}" if many else "Revenue", money(each.revenue_micros, each.currency),
                   f"net of refunds {money(each.net_revenue_micros, each.currency)}", "kpi_orders"),
            Figure(f"Average order value, {name}" if many else "Average order value",
                   money(each.aov_micros, each.currency), "of orders whose revenue is known", "kpi_orders"),
        ]  # fmt: skip
    return found


def _converted(report: Report) -> list[Figure]:
    whole = next((each for each in report.conversion if each.channel == "all"), None)
    if whole is None:
        return [Figure("Conversion", NOTHING, "no session in the period", "kpi_conversion")]
    detail = of(whole.sessions_with_order, whole.sessions, "sessions")
    return [Figure("Conversion", percent(whole.conversion_rate), detail, "kpi_conversion")]


def _carts(report: Report) -> list[Figure]:
    """Counts of carts and rates over all currencies; only amounts stay apart."""
    if not report.carts:
        return [Figure("Cart abandonment", NOTHING, "no cart in the period", "kpi_carts")]
    closed = sum(each.carts - each.open for each in report.carts)
    abandoned = sum(each.abandoned for each in report.carts)
    recovered = sum(each.recovered for each in report.carts)
    found = [
        Figure(
            "Cart abandonment",
            percent(abandoned / closed if closed else None),
            of(abandoned, closed, "carts that are not open any more"),
            "kpi_carts",
        ),
        Figure(
            "Cart recovery",
            percent(recovered / abandoned if abandoned else None),
            of(recovered, abandoned, "abandoned carts"),
            "kpi_carts",
        ),
    ]
    for each in report.carts:
        name = (
            f"Recovered revenue, {currency_of(each.currency)}"
            if len(report.carts) > 1
            else "Recovered revenue"
        )
        value = money(each.recovered_micros, each.currency)
        left = f"still abandoned: {money(each.abandoned_value_micros, each.currency)}"
        found.append(Figure(name, value, left, "kpi_carts"))
    return found


def _customers(report: Report) -> list[Figure]:
    found = []
    for days in (30, 90):
        name, value, detail = f"Repeat within {days} days", NOTHING, "nobody has been a customer for so long"
        if report.repeat:
            whole = report.repeat[0]
            observed = whole.observed_30_days if days == 30 else whole.observed_90_days
            repeated = whole.repeated_30_days if days == 30 else whole.repeated_90_days
            if observed:
                value = percent(repeated / observed)
                detail = of(repeated, observed, "customers known for so long")
        found.append(Figure(name, value, detail, "kpi_repeat_purchase"))
    found += _omnichannel(report)
    sales = sum(each.orders for each in report.ropo if each.sold_in == "store")
    researched = sum(each.researched for each in report.ropo if each.sold_in == "store")
    found.append(
        Figure(
            "Researched online, bought in a store",
            percent(researched / sales if sales else None),
            of(researched, sales, "sales in stores"),
            "kpi_ropo",
        )
    )
    return found


def _omnichannel(report: Report) -> list[Figure]:
    """Currency by currency: who paid in two is a customer of both."""
    view = "kpi_customers_by_channels"
    currencies = list(dict.fromkeys(each.currency for each in report.customer_groups))
    if not currencies:
        return [Figure("Omnichannel customers", NOTHING, "nobody has ordered yet", view)]
    found = []
    for currency in currencies:
        groups = {
            each.customer_group: each.customers
            for each in report.customer_groups
            if each.currency == currency
        }
        several, customers = groups.get("omnichannel", 0), sum(groups.values())
        name = "Omnichannel customers" + (f", {currency_of(currency)}" if len(currencies) > 1 else "")
        value = percent(several / customers if customers else None)
        found.append(Figure(name, value, of(several, customers, "customers, over all data"), view))
    return found


def _said(report: Report) -> list[Figure]:
    """NPS and CSAT over all surveys of their kind, and how long support takes; each only where there is any."""
    found = []
    promoters = [(each.nps, each.answers) for each in report.surveys if each.nps is not None]
    if promoters:
        answers = sum(count for _, count in promoters)
        nps = sum(score * count for score, count in promoters) / answers
        found.append(Figure("NPS", number(nps, digits=1), f"of {number(answers)} answers", "kpi_surveys"))
    satisfied = [(each.csat, each.answers) for each in report.surveys if each.csat is not None]
    if satisfied:
        answers = sum(count for _, count in satisfied)
        csat = sum(rate * count for rate, count in satisfied) / answers
        found.append(Figure("CSAT", percent(csat), f"of {number(answers)} answers", "kpi_surveys"))
    if report.tickets and report.tickets[0].mean_resolution_h is not None:
        whole = report.tickets[0]
        value = f"{number(whole.mean_resolution_h, digits=1)} h"
        detail = f"mean; {of(whole.solved, whole.tickets, 'tickets solved')}"
        found.append(Figure("Resolution time", value, detail, "kpi_tickets"))
    return found
