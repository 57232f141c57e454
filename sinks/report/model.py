"""What a report holds: figures as values, each under the name its view gives it.

Amounts are micros of their currency (None: not told) and never added up over currencies; shares run from 0 to 1, and a
share of nothing is None. Must not know SQL, nor how anything is shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is asked for: days of UTC, both included (None: as far as there is data), and one currency or all.

    `lookback_days` and `half_life_days` are those of journeys and attribution; `ropo_days` of research before a
    purchase; `funnel_days` of people on their way to an order; `retention_days` of customers who come back.
    """

    since: date | None = None
    until: date | None = None
    currency: str | None = None
    lookback_days: int = 30
    half_life_days: float = 7.0
    ropo_days: int = 30
    funnel_days: int = 30
    retention_days: int = 90


@dataclass(frozen=True, slots=True)
class Span:
    """First and last day of all data, None without any, and every currency that a touchpoint tells."""

    first: date | None
    last: date | None
    currencies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders in a currency."""

    currency: str | None
    orders: int
    cancelled: int
    customers: int
    first_orders: int
    revenue_micros: int
    refunded_micros: int
    net_revenue_micros: int
    aov_micros: float | None


@dataclass(frozen=True, slots=True)
class ChannelOrders:
    """Orders of a channel in a currency."""

    channel: str
    sold_in: str
    currency: str | None
    orders: int
    customers: int
    revenue_micros: int
    net_revenue_micros: int
    aov_micros: float | None


@dataclass(frozen=True, slots=True)
class DayOrders:
    """Orders of a day in a currency."""

    day: date
    currency: str | None
    orders: int
    revenue_micros: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """Sessions on a channel, or `all`, and those of them with an order."""

    channel: str
    sessions: int
    sessions_with_order: int
    conversion_rate: float | None


@dataclass(frozen=True, slots=True)
class Carts:
    """Carts in a currency."""

    currency: str | None
    carts: int
    open: int
    purchased: int
    emptied: int
    abandoned: int
    recovered: int
    abandonment_rate: float | None
    recovery_rate: float | None
    abandoned_value_micros: int
    recovered_micros: int


@dataclass(frozen=True, slots=True)
class Actions:
    """Actions by what they are about and how they stand."""

    trigger: str
    status: str
    actions: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """Customers whose first order was in `month` (None: in any month of the period), and who of them came back."""

    month: date | None
    customers: int
    with_second_order: int
    observed_30_days: int
    repeated_30_days: int
    repeat_rate_30_days: float | None
    observed_90_days: int
    repeated_90_days: int
    repeat_rate_90_days: float | None


@dataclass(frozen=True, slots=True)
class CustomerGroup:
    """Customers who bought through one channel or through several, in a currency."""

    customer_group: str
    currency: str | None
    customers: int
    orders: int
    repeat_customers: int
    repeat_rate: float | None
    orders_per_customer: float | None
    net_revenue_micros: int
    revenue_per_customer_micros: float | None


@dataclass(frozen=True, slots=True)
class ChannelSet:
    """Customers who bought through exactly these channels, in a currency."""

    customer_group: str
    channels: tuple[str, ...]
    currency: str | None
    customers: int
    orders: int
    repeat_customers: int
    net_revenue_micros: int


@dataclass(frozen=True, slots=True)
class Ropo:
    """Sales in a store or online, and those that the same person had researched on the other side."""

    sold_in: str
    currency: str | None
    orders: int
    researched: int
    research_share: float | None
    net_revenue_micros: int
    researched_revenue_micros: int


@dataclass(frozen=True, slots=True)
class Survey:
    """Answers to a question of a survey; nps from -100 to 100, csat a share, each only for its kind."""

    kind: str
    survey_id: str
    question_id: str
    answers: int
    mean_score: float | None
    nps: float | None
    csat: float | None


@dataclass(frozen=True, slots=True)
class Tickets:
    """Support tickets by month and category; both None for all of them, which have no median here."""

    month: date | None
    category: str | None
    tickets: int
    solved: int
    escalated: int
    mean_resolution_h: float | None
    median_resolution_h: float | None
    p90_resolution_h: float | None


@dataclass(frozen=True, slots=True)
class Cohort:
    """Customers by month of their first order; `active[n]` of them ordered in the month n months later."""

    cohort: date
    customers: int
    active: tuple[int, ...]
    active_share: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Retained:
    """Customers who had ordered before a first of a month, and those who ordered again from it on."""

    month: date
    customers: int
    retained: int
    retention_rate: float | None
    churn_rate: float | None


@dataclass(frozen=True, slots=True)
class Segment:
    """Customers in a currency whose recency and frequency scores make them a segment; shares are of the currency."""

    segment: str
    currency: str | None
    customers: int
    customer_share: float | None
    net_revenue_micros: int
    revenue_share: float | None


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """How many sessions, or people, came to a step, and which share of those at the step before and at the first."""

    of: str
    step: str
    reached: int
    share_of_previous: float | None
    share_of_first: float | None


@dataclass(frozen=True, slots=True)
class ChannelCredit:
    """What a model credits a marketing channel with, in a currency."""

    model: str
    channel: str
    currency: str | None
    conversions: float
    revenue_micros: int | None


@dataclass(frozen=True, slots=True)
class ModelRun:
    """The latest run of `throughline attribution`: over all orders, whatever the period of the report."""

    computed_at: datetime
    lookback_days: int
    credits: tuple[ChannelCredit, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """From one place to the next as step `step`: how many went so, and how many of these ended with an order."""

    step: int
    source: str
    target: str
    times: int
    with_order: int


@dataclass(frozen=True, slots=True)
class Link:
    """From one place to the next at whatever step: how many times, and how many of these on ways with an order."""

    source: str
    target: str
    times: int
    with_order: int


@dataclass(frozen=True, slots=True)
class Map:
    """Where ways lead. `edges` are the most frequent ones of the first steps, `links` the most frequent of all steps.

    `ways` is how many journeys or sessions there are, `with_order` how many of them ended with an order or have one.
    """

    ways: int
    with_order: int
    edges: tuple[Edge, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How many people there are of something."""

    name: str
    persons: int


@dataclass(frozen=True, slots=True)
class BeforeFirst:
    """What came before the first order of people; None where there are none."""

    persons: int
    mean_days: float | None
    median_days: float | None
    mean_touchpoints: float | None
    median_touchpoints: float | None
    by_touchpoints: tuple[Count, ...]
    by_channel: tuple[Count, ...]
    by_way: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `definitions` says what each view that was asked counts, by its name, in the view's own words.

    Segments are those of customers as they stood at the end of the day `scored_on`.
    """

    computed_at: datetime
    asked: Asked
    span: Span
    orders: tuple[Orders, ...]
    orders_by_channel: tuple[ChannelOrders, ...]
    orders_by_day: tuple[DayOrders, ...]
    conversion: tuple[Conversion, ...]
    carts: tuple[Carts, ...]
    actions: tuple[Actions, ...]
    funnel: tuple[FunnelStep, ...]
    repeat: tuple[Repeat, ...]
    customer_groups: tuple[CustomerGroup, ...]
    channel_sets: tuple[ChannelSet, ...]
    ropo: tuple[Ropo, ...]
    surveys: tuple[Survey, ...]
    tickets: tuple[Tickets, ...]
    cohorts: tuple[Cohort, ...]
    retention: tuple[Retained, ...]
    scored_on: date | None
    segments: tuple[Segment, ...]
    attribution: tuple[ChannelCredit, ...]
    model_run: ModelRun | None
    journeys: Map
    paths: Map
    channel_changes: tuple[Link, ...]
    before_first_order: BeforeFirst
    definitions: dict[str, str]


def document(report: Report) -> dict[str, Any]:
    """A report for programs: its fields by name, times in ISO 8601, ready for JSON."""
    document: dict[str, Any] = _plain(asdict(report))
    return document


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case datetime():
            return value.isoformat(timespec="milliseconds")
        case date():
            return value.isoformat()
        case _:
            return value
