"""`throughline attribution`: credits of marketing channels by models that no query can work out, kept and shown.

The models are `sinks.attribution`'s matter, reading and keeping `sinks.clickhouse.attributing`'s.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli import panels
from streams.cli.errors import ExitCode, Failure, rejected

if TYPE_CHECKING:
    from sinks.clickhouse.attributing import Row

_MOST_DAYS: Final = 3650


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("attribution", rich_help_panel=panels.ASK)(attribution)


def attribution(
    ctx: typer.Context,
    *,
    lookback_days: Annotated[
        int,
        typer.Option("--lookback-days", min=1, max=_MOST_DAYS, help="How many days before an order count."),
    ] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array of the rows written.")] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--warehouse", metavar="DIR", help="An embedded warehouse, whether it is running or not."
        ),
    ] = None,
) -> None:
    """Work out which marketing channel is credited with which orders, and keep it in table attribution_models.

    markov: what orders are lost with a channel removed from all journeys.
    shapley: each order in equal parts to the distinct channels of its journey.
    counterfactual: by how much less often journeys of a kind convert without it.

    View current_attribution_models shows the latest run. First, last, linear,
    position and time decay need no run: view attribution has them.
    Exit code 1 if there is no order, 3 if no warehouse answers or it is not migrated.

    Example: throughline attribution --lookback-days 30

    Example: throughline attribution --lookback-days 90 --json --warehouse ./shop
    """
    from sinks.clickhouse.attributing import attribute, now
    from sinks.clickhouse.writer import Rejected, Unavailable
    from streams.cli.query import warehouse_of

    try:
        with warehouse_of(ctx, directory) as warehouse:
            rows = attribute(warehouse, lookback_days=lookback_days, computed_at=now())
    except Unavailable as error:
        raise rejected(error, ExitCode.UNAVAILABLE) from error
    except Rejected as error:
        raise rejected(error) from error
    if not rows:
        raise Failure("no order has landed: there is nothing to credit, and nothing was written")
    if as_json:
        typer.echo(json.dumps([_as_document(row) for row in rows], indent=2))
    else:
        _print_table(rows)


def _as_document(row: Row) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(row), "computed_at": row.computed_at.isoformat(timespec="milliseconds")}


def _print_table(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model")
    table.add_column("channel", overflow="fold")
    table.add_column("orders", justify="right")
    table.add_column("revenue", justify="right")
    table.add_column("currency")
    for row in sorted(rows, key=lambda row: (row.currency, row.model, -row.conversions, row.channel)):
        revenue = f"{row.revenue_micros / 1_000_000:,.2f}"
        table.add_row(row.model, row.channel, f"{row.conversions:,.2f}", revenue, row.currency)
    Console().print(table)
