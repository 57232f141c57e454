"""Ways in words: attribution, the map of journeys, the paths of sessions, what came before the first order."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from sinks.report.model import ChannelCredit, Count, Link, Map, Report
from streams.cli.reporting.outline import (
    Bar,
    Bars,
    Cell,
    Chart,
    Figure,
    Flow,
    Heat,
    Section,
    Stack,
    Stream,
    Table,
    table,
)
from streams.cli.reporting.words import amount, currency_of, named, number, of, percent

_MODELS: Final = ("first", "last", "last_non_direct", "linear", "position", "time_decay")


def attribution(report: Report, top: int) -> Section:
    """What each model credits each marketing channel with, models beside each other."""
    views = ("attribution", "current_attribution_models")
    if not report.attribution and report.model_run is None:
        why = "No order is there that a channel could be credited with."
        return Section("attribution", "Attribution", views, empty=why)
    asked = report.asked
    charts: list[Chart] = []
    tables: list[Table] = []
    for currency, credits in _by_currency(report.attribution).items():
        charts.append(_stack(currency, credits, top))
        tables += _credit_tables(currency, credits, top)
    note = (
        f"Journeys look back {asked.lookback_days} days; with time_decay a touchpoint counts half for each "
        f"{asked.half_life_days:g} days that it is earlier. Each model adds up to all orders."
    )
    if report.model_run is None:
        note += " Markov, Shapley and counterfactual stand here once throughline attribution has run."
    else:
        run = report.model_run
        note += (
            f" Markov, Shapley and counterfactual are of the run of {run.computed_at:%Y-%m-%d %H:%M} UTC, over all "
            f"orders whatever the period, looking back {run.lookback_days} days."
        )
        for currency, credits in _by_currency(run.credits).items():
            tables += _credit_tables(currency, credits, top)
    return Section("attribution", "Attribution", views, note=note, charts=tuple(charts), tables=tuple(tables))


def _by_currency(credits: tuple[ChannelCredit, ...]) -> dict[str | None, list[ChannelCredit]]:
    found: dict[str | None, list[ChannelCredit]] = defaultdict(list)
    for each in credits:
        found[each.currency].append(each)
    return found


def _models_of(credits: list[ChannelCredit]) -> list[str]:
    told = {each.model for each in credits}
    return [model for model in _MODELS if model in told] + sorted(told.difference(_MODELS))


def _channels_of(credits: list[ChannelCredit]) -> list[str]:
    """Those with most orders over all models first."""
    orders: dict[str, float] = defaultdict(float)
    for each in credits:
        orders[each.channel] += each.conversions
    return sorted(orders, key=lambda channel: (-orders[channel], channel))


def _credit_tables(currency: str | None, credits: list[ChannelCredit], top: int) -> list[Table]:
    """Orders, then revenue: a row a channel, a column a model."""
    models = _models_of(credits)
    cells = {(each.channel, each.model): each for each in credits}
    most = max((each.conversions for each in credits), default=0.0) or 1.0
    orders: list[tuple[Cell, ...]] = []
    revenue: list[tuple[Cell, ...]] = []
    for channel in _channels_of(credits):
        found = [cells.get((channel, model)) for model in models]
        counts = [each.conversions if each else 0.0 for each in found]
        orders.append((channel, *(Heat(number(count, digits=1), max(0.0, count) / most) for count in counts)))
        revenue.append((channel, *(amount(each.revenue_micros if each else 0) for each in found)))
    names = " | ".join(("channel", *(f"#{model}" for model in models)))
    return [
        table(f"Orders credited, {currency_of(currency)}", names, orders, top=top),
        table(f"Revenue credited, {currency_of(currency)}", names, revenue, top=top),
    ]


def _stack(currency: str | None, credits: list[ChannelCredit], top: int) -> Stack:
    cells = {(each.channel, each.model): each.conversions for each in credits}
    channels = _channels_of(credits)
    kept, rest = channels[: min(top, 7)], channels[min(top, 7) :]
    bars = []
    for model in _models_of(credits):
        parts = [(channel, cells.get((channel, model), 0.0)) for channel in kept]
        if rest:
            parts.append(("all others", sum(cells.get((channel, model), 0.0) for channel in rest)))
        bars.append((model, tuple(Bar(name, value, f"{value:,.1f} orders") for name, value in parts)))
    return Stack(
        f"Orders by model and channel, {currency_of(currency)}",
        "A bar a model, cut into the orders that it credits each marketing channel with.",
        tuple(bars),
    )


def journeys(report: Report, top: int) -> Section:
    """The map of journeys between marketing channels."""
    views = ("journey_map",)
    if not report.journeys.ways:
        why = "No journey is there: a journey needs somebody who came by a campaign, a click or a visit, or an order."
        return Section("journeys", "Journey map", views, empty=why)
    ended = of(report.journeys.with_order, report.journeys.ways, "journeys")
    return Section(
        "journeys",
        "Journey map",
        views,
        note=f"Journeys that ended in the period, looking back {report.asked.lookback_days} days: (order) is their "
        "order, (none) that there is none so far.",
        figures=(Figure("Journeys that end with an order", _rate(report.journeys), ended, "journey_map"),),
        charts=(
            _flow(
                report.journeys,
                "How journeys go",
                "journeys",
                "Marketing channels in the order people came by them; a band is as wide as journeys are many.",
            ),
        ),
        tables=(_links(report.journeys.links, "From channel to channel", "passed", top),),
    )


def paths(report: Report, top: int) -> Section:
    """The paths of sessions over our own channels, step by step."""
    views = ("paths",)
    if not report.paths.ways:
        why = (
            "No session has a path yet: it is told once nothing on time can change the session any more, that is "
            "when later touchpoints have arrived on every channel."
        )
        return Section("paths", "Paths of sessions", views, empty=why)
    tables = [_links(report.paths.links, "From step to step", "passed", top)]
    if report.channel_changes:
        title = "Changes of channel within a session"
        tables.append(_links(report.channel_changes, title, "changed", top))
    with_order = of(report.paths.with_order, report.paths.ways, "sessions")
    return Section(
        "paths",
        "Paths of sessions",
        views,
        note="A step is a channel and an event; one that comes again at once is one.",
        figures=(Figure("Sessions with an order", _rate(report.paths), with_order, "paths"),),
        charts=(
            _flow(
                report.paths,
                "How sessions go",
                "sessions",
                "The first steps of sessions; a band is as wide as sessions are many.",
            ),
        ),
        tables=tuple(tables),
    )


def _rate(way: Map) -> str:
    return percent(way.with_order / way.ways if way.ways else None)


def _flow(way: Map, title: str, noun: str, description: str) -> Flow:
    streams = tuple(Stream(edge.step, edge.source, edge.target, edge.times) for edge in way.edges)
    return Flow(title, description, noun, streams)


def _links(links: tuple[Link, ...], title: str, verb: str, top: int) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            link.source,
            link.target,
            number(link.times),
            number(link.with_order),
            percent(link.with_order / link.times if link.times else None),
        )
        for link in links
    ]
    return table(title, f"from | to | #times {verb} | #with an order | #share", rows, top=top)


def before_first(report: Report, top: int) -> Section:
    """What came before the first order of people."""
    views = ("before_first",)
    before = report.before_first_order
    if not before.persons:
        why = "Nobody ordered for the first time in the period."
        return Section("before_first", "Before the first order", views, empty=why)

    def shares(counts: tuple[Count, ...]) -> list[tuple[Cell, ...]]:
        return [
            (named(each.name), number(each.persons), percent(each.persons / before.persons))
            for each in counts
        ]

    return Section(
        "before_first",
        "Before the first order",
        views,
        figures=(
            Figure("People with a first order", number(before.persons), "in the period", "before_first"),
            Figure(
                "Touchpoints before it",
                number(before.median_touchpoints, digits=1),
                f"median; mean {number(before.mean_touchpoints, digits=1)}",
                "before_first",
            ),
            Figure(
                "Days before it",
                number(before.median_days, digits=2),
                f"median; mean {number(before.mean_days, digits=2)}",
                "before_first",
            ),
        ),
        charts=(
            Bars(
                "People by touchpoints before their first order",
                "How many people had so many touchpoints before their first order.",
                tuple(
                    Bar(each.name, each.persons, f"{number(each.persons)} people")
                    for each in before.by_touchpoints
                ),
            ),
        ),
        tables=(
            table("Touchpoints before", "touchpoints | #people | #share", shares(before.by_touchpoints)),
            table("Channels before", "channel | #people | #share", shares(before.by_channel), top=top),
            table(
                "Marketing channels before, in order",
                "way | #people | #share",
                shares(before.by_way),
                top=top,
            ),
        ),
    )
