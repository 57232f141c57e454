"""Customers out of the view `customer_history`, values into the table `customer_values`.

Delivery: a run is one insert, so it is there as a whole or, where the warehouse fails, not at all; a run of more than a
million customers lands in parts and is whole when the command has ended. Runs add to each other, the last one counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from streams.cli.lifetime.purchases import History
from streams.cli.lifetime.valuation import Customer, Valuation

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from sinks.clickhouse.writer import Warehouse

_ASKED: Final = """
SELECT profile_id, currency, frequency, recency_weeks, age_weeks, monetary_micros
FROM customer_history(until = {until:Date})
ORDER BY profile_id, currency
"""
_COLUMNS: Final = (
    "profile_id", "currency", "computed_at", "until", "horizon_weeks", "frequency", "recency_weeks", "age_weeks",
    "monetary_micros", "alive", "expected_orders", "expected_order_micros", "expected_value_micros", "model",
)  # fmt: skip


@contextmanager
def opened(warehouse: Warehouse) -> Iterator[Client]:
    """The warehouse, asked and told. Raises Unavailable or Rejected, from within too."""
    from clickhouse_connect.driver.exceptions import Error

    from sinks.clickhouse.writer import Rejected, connect

    with connect(warehouse, timeout_s=600) as client:
        try:
            yield client
        except Error as error:
            raise Rejected(str(error).split("(for url")[0].strip()) from error


def customers_of(client: Client, until: date) -> dict[str | None, list[Customer]]:
    """By currency, as they stood at the end of the day."""
    found: dict[str | None, list[Customer]] = defaultdict(list)
    for profile_id, currency, frequency, recency, age, monetary in client.query(
        _ASKED, parameters={"until": until}
    ).result_rows:
        found[currency].append(Customer(profile_id, History(frequency, recency, age), monetary))
    return dict(found)


def write(
    client: Client,
    valuations: Mapping[str | None, Valuation],
    *,
    until: date,
    horizon_weeks: float,
    now_ms: int,
) -> None:
    """One run: the values of every currency."""
    computed_at = datetime.fromtimestamp(now_ms / 1_000, UTC)
    rows = [
        (
            value.customer.profile_id, currency, computed_at, until, horizon_weeks, *value.customer.history,
            value.customer.monetary_micros, value.alive, value.orders, value.order_micros, value.value_micros,
            parameters,
        )
        for currency, valuation in valuations.items()
        for parameters in [valuation.parameters()]
        for value in valuation.values
    ]  # fmt: skip
    client.insert("customer_values", rows, column_names=list(_COLUMNS))
