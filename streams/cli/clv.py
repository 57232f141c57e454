"""`throughline clv`: what each customer is expected to order and be worth, written where analysts read it.

The models and the job are `streams.cli.lifetime`'s matter; here they are only run and shown.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli import panels
from streams.cli.errors import ExitCode, Failure, rejected

if TYPE_CHECKING:
    from streams.cli.lifetime.valuation import Customer, Valuation

_YEAR_WEEKS: Final = 52.0
_MICROS: Final = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("clv", rich_help_panel=panels.ASK)(clv)


def clv(
    ctx: typer.Context,
    *,
    until: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC) whose orders the models learn from."),
    ],
    horizon_weeks: Annotated[
        float, typer.Option("--horizon-weeks", min=0.1, max=1_000, help="How far ahead customers are valued.")
    ] = _YEAR_WEEKS,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--warehouse", metavar="DIR", help="An embedded warehouse, whether it is running or not."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, an object a currency.")] = False,
) -> None:
    """Value every customer: how probably they still are one, how much they will order, what that is worth.

    Fits BG/NBD (how often, and whether still) and Gamma-Gamma (how much) on the view customer_history, for each
    currency by itself, and writes table customer_values; the last run is what current_customer_values shows.
    An order here is a day with purchases. Values are net revenue, not discounted.

    Exit code 1 if no currency has enough customers who came back, 3 if no warehouse answers.

    Example: throughline clv --until 2024-12-31 --horizon-weeks 26

    Example: throughline clv --until 1997-09-30 --warehouse ./shop --json
    """
    from sinks.clickhouse.writer import Rejected, Unavailable
    from streams.cli.lifetime.store import customers_of, opened, write
    from streams.cli.query import warehouse_of

    day = until.date()
    try:
        with warehouse_of(ctx, directory) as warehouse, opened(warehouse) as client:
            valuations, left_out = _valued(customers_of(client, day), weeks=horizon_weeks)
            if not valuations:
                raise Failure("; ".join(left_out) or f"nobody had ordered by {day}")
            now_ms = time.time_ns() // 1_000_000
            write(client, valuations, until=day, horizon_weeks=horizon_weeks, now_ms=now_ms)
    except Unavailable as error:
        raise rejected(error, ExitCode.UNAVAILABLE) from error
    except Rejected as error:
        raise rejected(error) from error
    _show(valuations, as_json=as_json)
    for reason in left_out:
        typer.echo(f"left out: {reason}", err=True)


def _valued(
    customers: Mapping[str | None, list[Customer]], *, weeks: float
) -> tuple[dict[str | None, Valuation], list[str]]:
    """Valuations by currency, and why others have none."""
    from streams.cli.lifetime.valuation import NoMinimum, TooFew, valued

    valuations: dict[str | None, Valuation] = {}
    left_out: list[str] = []
    for currency, each in customers.items():
        try:
            valuations[currency] = valued(each, weeks=weeks)
        except (TooFew, NoMinimum) as error:
            left_out.append(f"{currency or 'orders without a currency'}: {error}")
    return valuations, left_out


def _summary(currency: str | None, valuation: Valuation) -> dict[str, Any]:
    values = valuation.values
    return {
        "currency": currency,
        "customers": len(values),
        "came_back": sum(value.customer.history.frequency > 0 for value in values),
        "alive": sum(value.alive for value in values),
        "expected_orders": sum(value.orders for value in values),
        "expected_value_micros": sum(value.value_micros for value in values),
        "model": valuation.parameters(),
    }


def _show(valuations: Mapping[str | None, Valuation], *, as_json: bool) -> None:
    found = [_summary(currency, valuation) for currency, valuation in valuations.items()]
    if as_json:
        typer.echo(json.dumps(found))
        return
    for each in found:
        model = "  ".join(f"{name} {value:.3f}" for name, value in each["model"].items())
        typer.echo(
            f"{each['currency'] or 'no currency'}: {each['customers']:,} customers, {each['came_back']:,} came back, "
            f"{each['alive']:,.0f} still are customers; {each['expected_orders']:,.0f} orders "
            f"worth {each['expected_value_micros'] / _MICROS:,.2f} to come"
        )
        typer.echo(f"     {model}")
