"""The report out of the warehouse: some thirty questions to views, one after the other.

Views are read while records land, so figures of one report may differ by what landed in between. Must not know how a
report is shown.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from sinks.clickhouse.writer import Warehouse, connect, meaning_of
from sinks.report.customers import customers
from sinks.report.model import Asked, Report, Span
from sinks.report.rows import Asking
from sinks.report.trade import trade
from sinks.report.ways import ways

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

VIEWS: Final = (
    "orders", "kpi_orders", "kpi_conversion", "kpi_carts", "current_actions", "kpi_funnel", "funnel_people",
    "kpi_repeat_purchase", "kpi_customers_by_channels", "kpi_ropo", "kpi_surveys", "kpi_tickets", "cohorts",
    "retention", "rfm", "attribution", "current_attribution_models", "journey_map", "paths", "before_first",
)  # fmt: skip
"""Whose definitions a report carries."""

# What ClickHouse's type Date can say.
_FIRST_DAY: Final = date(1970, 1, 1)
_LAST_DAY: Final = date(2149, 6, 6)

_SPAN: Final = """
SELECT
    minOrNull(toDate(event_at)), maxOrNull(toDate(event_at)),
    arraySort(groupUniqArrayIf(assumeNotNull(currency), ifNull(currency, '') != ''))
FROM touchpoints_once
"""
_DEFINITIONS: Final = """
SELECT name, comment FROM system.tables
WHERE database = currentDatabase() AND name IN {views:Array(String)}
ORDER BY name
"""


class UnknownCurrency(Exception):
    """A report was asked for in a currency that no touchpoint tells; the message names those there are."""


def report_of(warehouse: Warehouse, asked: Asked, *, computed_at: datetime) -> Report:
    """The report as it is asked for. Raises Unavailable, Rejected or UnknownCurrency."""
    from clickhouse_connect.driver.exceptions import Error

    try:
        with connect(warehouse, timeout_s=600.0) as client:
            return _report_of(client, asked, computed_at)
    except (Error, OSError) as error:
        raise meaning_of(error) from error


def _report_of(client: Client, asked: Asked, computed_at: datetime) -> Report:
    span = _span_of(Asking(client, {}))
    asked = replace(asked, currency=_spelled(asked.currency, span.currencies))
    scored_on = None if span.last is None else min(span.last, asked.until or span.last)
    ask = Asking(client, parameters_of(asked, scored_on))
    fields = {**trade(ask), **customers(ask), **ways(ask)}
    definitions = dict(ask.rows(_DEFINITIONS, views=list(VIEWS)))
    return Report(
        computed_at=computed_at,
        asked=asked,
        span=span,
        scored_on=scored_on,
        definitions=definitions,
        **fields,
    )


def _spelled(currency: str | None, there: tuple[str, ...]) -> str | None:
    """A currency as the data spell it. Raises UnknownCurrency where there are others, but not this one."""
    if currency is None or not there:
        return currency
    spelled = {each.upper(): each for each in there}
    if currency.upper() not in spelled:
        raise UnknownCurrency(f"nothing is in {currency}; there is {', '.join(there)}")
    return spelled[currency.upper()]


def _span_of(ask: Asking) -> Span:
    return Span(*ask.one(_SPAN))


def parameters_of(asked: Asked, scored_on: date | None) -> dict[str, Any]:
    """What the questions are asked with; without days, everything counts."""
    return {
        "since": min(max(asked.since or _FIRST_DAY, _FIRST_DAY), _LAST_DAY),
        "until": min(max(asked.until or _LAST_DAY, _FIRST_DAY), _LAST_DAY),
        "scored_on": max(scored_on or _FIRST_DAY, _FIRST_DAY),
        "currency": asked.currency or "",
        "lookback_days": asked.lookback_days,
        "half_life_days": asked.half_life_days,
        "ropo_days": asked.ropo_days,
        "funnel_days": asked.funnel_days,
        "retention_days": asked.retention_days,
    }
