"""The attribution job: journeys out of the warehouse, credits by model into it.

The models are those of `sinks.attribution`; here they are only fed and kept.

Delivery: a run writes all its rows in one insert, which lands as a whole or not at all. A run again adds another one;
`current_attribution_models` shows the latest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sinks.attribution.markov import markov
from sinks.attribution.paths import Credit, Path
from sinks.attribution.sets import counterfactual, shapley
from sinks.clickhouse.writer import Warehouse, connect, meaning_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Model = Callable[[Sequence[Path]], dict[str, Credit]]

MODELS: Final[dict[str, Model]] = {"markov": markov, "shapley": shapley, "counterfactual": counterfactual}

_JOURNEYS: Final = """
SELECT channels, is_converted, currency, count() AS journeys, ifNull(sum(journey.revenue_micros), 0)
FROM journeys(lookback_days = {lookback_days:UInt16}) AS journey
GROUP BY channels, is_converted, currency
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of table attribution_models."""

    computed_at: datetime
    model: str
    channel: str
    currency: str
    conversions: float
    revenue_micros: int
    lookback_days: int


def attribute(warehouse: Warehouse, *, lookback_days: int, computed_at: datetime) -> list[Row]:
    """Work out every model over the journeys of today and keep it; the rows written, none if nobody has ordered.

    Raises Unavailable or Rejected; then nothing was written.
    """
    from clickhouse_connect.driver.exceptions import Error

    try:
        with connect(warehouse, timeout_s=3600.0) as client:
            rows = [
                Row(
                    computed_at,
                    model,
                    channel,
                    currency,
                    credit.conversions,
                    round(credit.revenue),
                    lookback_days,
                )
                for currency, paths in paths_by_currency(_journeys(client, lookback_days)).items()
                for model, credits_of in MODELS.items()
                for channel, credit in credits_of(paths).items()
            ]
            if rows:
                names = [field.name for field in fields(Row)]
                client.insert("attribution_models", [astuple(row) for row in rows], column_names=names)
    except (Error, OSError) as error:
        raise meaning_of(error) from error
    return rows


def paths_by_currency(journeys: Sequence[Sequence[Any]]) -> dict[str, list[Path]]:
    """Currency to all journeys, of which those are conversions that ended with an order in that currency.

    Each of `journeys` is (channels, is_converted, currency, how many, their revenue in micros). So the credits of all
    currencies together are all orders, and no amount is added to one in another currency.
    """
    counts: dict[tuple[str, ...], float] = defaultdict(float)
    orders: dict[str, dict[tuple[str, ...], tuple[float, float]]] = defaultdict(dict)
    for channels, is_converted, currency, count, revenue in journeys:
        counts[tuple(channels)] += count
        if is_converted:
            orders[currency][tuple(channels)] = (count, revenue)
    return {
        currency: [Path(each, count, *ordered.get(each, (0.0, 0.0))) for each, count in counts.items()]
        for currency, ordered in sorted(orders.items())
    }


def now() -> datetime:
    """The moment of a run, to the millisecond that the table keeps."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _journeys(client: Client, lookback_days: int) -> Sequence[Sequence[Any]]:
    return client.query(_JOURNEYS, parameters={"lookback_days": lookback_days}).result_rows
