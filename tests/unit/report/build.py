"""Reports for tests: one of nothing, and one with a row or two of everything."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from sinks.report.gathering import VIEWS
from sinks.report.model import (
    Actions,
    Asked,
    BeforeFirst,
    Carts,
    ChannelCredit,
    ChannelOrders,
    ChannelSet,
    Cohort,
    Conversion,
    Count,
    CustomerGroup,
    DayOrders,
    Edge,
    FunnelStep,
    Link,
    Map,
    ModelRun,
    Orders,
    Repeat,
    Report,
    Retained,
    Ropo,
    Segment,
    Span,
    Survey,
    Tickets,
)

EURO: Final = 1_000_000
DAY: Final = date(2026, 3, 2)
MONTH: Final = date(2026, 3, 1)
NOW: Final = datetime(2026, 3, 9, 10, 30, tzinfo=UTC)

_NOWHERE: Final = Map(0, 0, (), ())
_NOBODY: Final = BeforeFirst(0, None, None, None, None, (), (), ())

EMPTY: Final = Report(
    computed_at=NOW,
    asked=Asked(),
    span=Span(None, None, ()),
    orders=(),
    orders_by_channel=(),
    orders_by_day=(),
    conversion=(),
    carts=(),
    actions=(),
    funnel=(),
    repeat=(),
    customer_groups=(),
    channel_sets=(),
    ropo=(),
    surveys=(),
    tickets=(),
    cohorts=(),
    retention=(),
    scored_on=None,
    segments=(),
    attribution=(),
    model_run=None,
    journeys=_NOWHERE,
    paths=_NOWHERE,
    channel_changes=(),
    before_first_order=_NOBODY,
    definitions={view: f"What {view} counts." for view in VIEWS},
)
"""Of a warehouse in which nothing has landed."""


def sold(currency: str | None, *, orders: int = 3, euros: int = 60) -> dict[str, Any]:
    """What a report says of these sales in a currency."""
    micros = euros * EURO
    return {
        "orders": (Orders(currency, orders, 1, 2, 2, micros, EURO, micros - EURO, micros / orders),),
        "orders_by_channel": (
            ChannelOrders("web", "online", currency, orders, 2, micros, micros - EURO, micros / orders),
        ),
        "orders_by_day": (DayOrders(DAY, currency, orders, micros),),
        "carts": (Carts(currency, 9, 1, 3, 1, 4, 2, 0.5, 0.5, 2 * EURO, 7 * EURO),),
        "customer_groups": (
            CustomerGroup("omnichannel", currency, 1, 2, 1, 1.0, 2.0, 9 * EURO, 9.0 * EURO),
            CustomerGroup("single-channel", currency, 1, 1, 0, 0.0, 1.0, EURO, 1.0 * EURO),
        ),
        "channel_sets": (ChannelSet("omnichannel", ("pos", "web"), currency, 1, 2, 1, 9 * EURO),),
        "ropo": (Ropo("store", currency, 4, 1, 0.25, 8 * EURO, 2 * EURO),),
        "segments": (Segment("champions", currency, 2, 1.0, 10 * EURO, 1.0),),
        "attribution": (
            ChannelCredit("first", "email", currency, 2.0, 40 * EURO),
            ChannelCredit("first", "direct", currency, 1.0, 20 * EURO),
            ChannelCredit("last", "direct", currency, 3.0, None),
        ),
    }


def full(*currencies: str | None, **changes: Any) -> Report:
    """A report with something of everything, in each of the currencies (EUR where none is named)."""
    told = currencies or ("EUR",)
    sales: dict[str, Any] = {}
    for currency in told:
        for name, rows in sold(currency).items():
            sales[name] = (*sales.get(name, ()), *rows)
    run = ModelRun(NOW, 30, (ChannelCredit("markov", "email", told[0], 1.5, 30 * EURO),))
    edges = (
        Edge(0, "(start)", "email", 5, 2),
        Edge(1, "email", "(order)", 2, 2),
        Edge(1, "email", "(none)", 3, 0),
    )
    links = tuple(Link(edge.source, edge.target, edge.times, edge.with_order) for edge in edges)
    report = replace(
        EMPTY,
        span=Span(DAY, date(2026, 3, 8), tuple(currency for currency in told if currency)),
        conversion=(Conversion("all", 10, 3, 0.3), Conversion("web", 8, 2, 0.25)),
        actions=(Actions("abandoned_cart", "due", 4),),
        funnel=(FunnelStep("sessions", "product viewed", 8, 1.0, 1.0), FunnelStep("sessions", "order", 2, 0.25, 0.25)),
        repeat=(Repeat(None, 5, 2, 4, 1, 0.25, 0, 0, None), Repeat(MONTH, 5, 2, 4, 1, 0.25, 0, 0, None)),
        surveys=(Survey("nps", "s", "q", 4, 8.5, 25.0, None), Survey("csat", "s", "r", 2, 4.5, None, 0.5)),
        tickets=(
            Tickets(None, None, 3, 2, 1, 5.0, None, None),
            Tickets(MONTH, "delivery", 3, 2, 1, 5.0, 4.0, 6.0),
        ),
        cohorts=(Cohort(MONTH, 5, (5, 2), (1.0, 0.4)),),
        retention=(Retained(MONTH, 4, 1, 0.25, 0.75),),
        scored_on=date(2026, 3, 8),
        model_run=run,
        journeys=Map(5, 2, edges, links),
        paths=Map(5, 2, (Edge(0, "(start)", "web:Product Viewed", 5, 2),), (Link("(start)", "web:Page Viewed", 5, 2),)),
        channel_changes=(Link("web", "pos", 3, 1),),
        before_first_order=BeforeFirst(
            2, 1.5, 1.0, 4.0, 3.5, (Count("3", 2),), (Count("web", 2),), (Count("", 1), Count("email → direct", 1))
        ),
        **sales,
    )  # fmt: skip
    return replace(report, **changes)


def with_text(value: Any, text: str) -> Any:
    """The same, but with `text` wherever it says a word of its own; names of definitions stay."""
    match value:
        case str():
            return text
        case tuple():
            return tuple(with_text(each, text) for each in value)
        case dict():
            return dict.fromkeys(value, text)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return replace(
                value, **{one.name: with_text(getattr(value, one.name), text) for one in fields(value)}
            )
        case _:
            return value
