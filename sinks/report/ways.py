"""How people come and go: attribution, journeys between marketing channels, paths of sessions, the way to an order.

Must not know orders beyond what journeys say of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sinks.report.model import BeforeFirst, ChannelCredit, Count, Edge, Link, Map, ModelRun
from sinks.report.rows import Asking

FIRST_STEPS: Final = 6
"""How many steps of a way a map has."""

_MOST_EDGES: Final = 500
_MOST_LINKS: Final = 1_000
_EVENT: Final = "Order Completed"

_ATTRIBUTION: Final = """
SELECT
    model, channel, nullIf(credits.currency, '') AS in_currency, sum(credit) AS conversions,
    toInt64(round(sum(credits.revenue_micros)))
FROM attribution_credits(lookback_days = {lookback_days:UInt16}, half_life_days = {half_life_days:Float64}) AS credits
WHERE toDate(ordered_at) BETWEEN {since:Date} AND {until:Date} AND {currency:String} IN ('', credits.currency)
GROUP BY model, channel, in_currency
ORDER BY in_currency, model, conversions DESC, channel
"""
_MODELS: Final = """
SELECT model, channel, nullIf(currency, '') AS in_currency, conversions, revenue_micros, lookback_days, computed_at
FROM current_attribution_models
WHERE {currency:String} IN ('', currency)
ORDER BY in_currency, model, conversions DESC, channel
"""
# As journey_map has it, of the journeys that ended in the period.
_JOURNEYS: Final = """
SELECT edge.1 AS step, edge.2 AS source, edge.3 AS target, count() AS times, countIf(is_converted)
FROM
(
    SELECT is_converted, channels
    FROM journeys(lookback_days = {lookback_days:UInt16})
    WHERE toDate(ends_at) BETWEEN {since:Date} AND {until:Date}
        AND (NOT is_converted OR {currency:String} IN ('', currency))
)
ARRAY JOIN arrayZip(
    range(toUInt64(0), length(channels) + 1),
    arrayConcat(['(start)'], channels),
    arrayConcat(channels, [if(is_converted, '(order)', '(none)')])
) AS edge
GROUP BY step, source, target
ORDER BY times DESC, step, source, target
"""
_PATHS: Final = """
SELECT step, from_step, to_step, sum(sessions) AS times, sum(with_order)
FROM paths
WHERE day BETWEEN {since:Date} AND {until:Date}
GROUP BY step, from_step, to_step
ORDER BY times DESC, step, from_step, to_step
"""
_CHANGES: Final = """
SELECT from_channel, to_channel, sum(sessions) AS times, sum(with_order)
FROM paths
WHERE day BETWEEN {since:Date} AND {until:Date} AND from_channel != to_channel
    AND NOT startsWith(from_step, '(') AND NOT startsWith(to_step, '(')
GROUP BY from_channel, to_channel
ORDER BY times DESC, from_channel, to_channel
LIMIT {most_links:UInt32}
"""
_BEFORE: Final = """
WITH multiIf(
    touchpoints <= 3, (touchpoints, toString(touchpoints)), touchpoints <= 5, (4, '4 to 5'),
    touchpoints <= 10, (6, '6 to 10'), touchpoints <= 20, (11, '11 to 20'), (21, 'more than 20')
) AS bucket
SELECT
    count(),
    avgOrNull(days),
    quantileExactInclusiveOrNull(0.5)(days),
    avgOrNull(touchpoints),
    quantileExactInclusiveOrNull(0.5)(touchpoints),
    sumMap([bucket], [1]),
    sumMap(channels, arrayMap(channel -> 1, channels)),
    sumMap([arrayStringConcat(arrayCompact(marketing_channels), ' → ')], [1])
FROM before_first(event = {event:String})
WHERE toDate(reached_at) BETWEEN {since:Date} AND {until:Date}
"""


def ways(ask: Asking) -> dict[str, Any]:
    """The fields of a report that this module owns, by name."""
    return {
        "attribution": ask.all(ChannelCredit, _ATTRIBUTION),
        "model_run": _model_run(ask.rows(_MODELS)),
        "journeys": map_of(ask.all(Edge, _JOURNEYS)),
        "paths": map_of(ask.all(Edge, _PATHS)),
        "channel_changes": ask.all(Link, _CHANGES, most_links=_MOST_LINKS),
        "before_first_order": _before_first(ask),
    }


def map_of(edges: Sequence[Edge]) -> Map:
    """The map of all edges, which come with the most frequent first."""
    begun = [edge for edge in edges if edge.step == 0]
    passed: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for edge in edges:
        times, with_order = passed[edge.source, edge.target]
        passed[edge.source, edge.target] = times + edge.times, with_order + edge.with_order
    links = sorted(
        (Link(*ends, *counts) for ends, counts in passed.items()),
        key=lambda link: (-link.times, link.source, link.target),
    )
    return Map(
        sum(edge.times for edge in begun),
        sum(edge.with_order for edge in begun),
        tuple(edge for edge in edges if edge.step < FIRST_STEPS)[:_MOST_EDGES],
        tuple(links[:_MOST_LINKS]),
    )


def _before_first(ask: Asking) -> BeforeFirst:
    persons, mean_days, median_days, mean, median, buckets, *counts = ask.one(_BEFORE, event=_EVENT)
    by_channel, by_way = (
        tuple(sorted(map(Count, *pair), key=lambda count: (-count.persons, count.name))) for pair in counts
    )
    return BeforeFirst(
        persons,
        mean_days,
        median_days,
        mean,
        median,
        by_touchpoints=tuple(Count(name, people) for (_, name), people in zip(*buckets, strict=True)),
        by_channel=by_channel,
        by_way=by_way[:_MOST_LINKS],
    )


def _model_run(rows: list[tuple[Any, ...]]) -> ModelRun | None:
    if not rows:
        return None
    lookback_days, computed_at = rows[0][5:]
    return ModelRun(computed_at, lookback_days, tuple(ChannelCredit(*row[:5]) for row in rows))
