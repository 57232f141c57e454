"""`throughline report`: how the shop does, on the terminal, as one HTML file, or as JSON.

What a report holds is `sinks.report`'s matter, how it reads `streams.cli.reporting`'s; here it is asked for and handed
out.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure, rejected

if TYPE_CHECKING:
    from sinks.report.model import Asked, Report

_DAY: Final = ["%Y-%m-%d"]
_TOP: Final = 10
_MOST_DAYS: Final = 3650
# A table that is read in a pipe is not cut to the 80 columns of a terminal that is not there.
_PIPE_COLUMNS: Final = 160


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("report", rich_help_panel=panels.ASK)(report)


def report(
    ctx: typer.Context,
    *,
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=_DAY, help="First day (UTC). Without: from the first of the data on."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--to", formats=_DAY, help="Last day (UTC), included. Without: to the last of the data."
        ),
    ] = None,
    currency: Annotated[
        str | None,
        typer.Option("--currency", metavar="CODE", help="Only what is in this currency, such as EUR."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, max=1_000, help="Rows of a table at most.")] = _TOP,
    lookback_days: Annotated[
        int,
        typer.Option(
            "--lookback-days", min=1, max=_MOST_DAYS, help="How many days before an order journeys begin."
        ),
    ] = 30,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one HTML file with charts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--warehouse", metavar="DIR", help="An embedded warehouse, whether it is running or not."
        ),
    ] = None,
) -> None:
    """Report how the shop does: key figures, customers, attribution, journeys.

    Without --from and --to it is over all data. Repeat purchases, research before
    purchase, surveys, tickets and cohorts are by whole months; customers by the
    channels they buy through are over all data, whatever the period. Amounts of
    different currencies are never added up; --currency leaves counts of people
    and sessions as they are.

    --html writes a file that needs no network and says of each figure what it
    counts; --json has every figure by the name its view gives it, in micros
    (millionths) of the currency, shares from 0 to 1.
    Exit code 2 if the period or the currency cannot be, 3 if no warehouse answers
    or it is not migrated.

    Example: throughline report --warehouse ./shop

    Example: throughline report --from 2026-10-01 --to 2026-10-31 --currency EUR --html october.html

    Example: throughline report --json | jq '.orders[] | {currency, orders, revenue_micros}'
    """
    from sinks.report.model import Asked

    first, last = since.date() if since else None, until.date() if until else None
    if first and last and first > last:
        raise Failure(f"the period ends before it begins: --from {first}, --to {last}", ExitCode.USAGE)
    code = currency.strip() or None if currency else None
    asked = Asked(since=first, until=last, currency=code, lookback_days=lookback_days)
    if html is not None and not html.parent.is_dir():
        raise Failure(f"there is no directory {html.parent} to write {html.name} to", ExitCode.USAGE)
    _hand_out(_asked_of(ctx, directory, asked), html=html, as_json=as_json, top=top)


def _asked_of(ctx: typer.Context, directory: Path | None, asked: Asked) -> Report:
    from sinks.clickhouse.attributing import now
    from sinks.clickhouse.writer import Rejected, Unavailable
    from sinks.report.gathering import UnknownCurrency, report_of
    from streams.cli.query import warehouse_of

    try:
        with warehouse_of(ctx, directory) as warehouse, _waiting(ctx):
            return report_of(warehouse, asked, computed_at=now())
    except UnknownCurrency as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    except Unavailable as error:
        raise rejected(error, ExitCode.UNAVAILABLE) from error
    except Rejected as error:
        raise rejected(error) from error


@contextmanager
def _waiting(ctx: typer.Context) -> Iterator[None]:
    """Say on a terminal that something is done: views are worked out when they are asked."""
    from rich.console import Console

    console = Console(stderr=True)
    if context.quiet(ctx) or not console.is_terminal:
        yield
        return
    with console.status("asking the warehouse"):
        yield


def _hand_out(found: Report, *, html: Path | None, as_json: bool, top: int) -> None:
    from sinks.report.model import document
    from streams.cli.reporting.summary import outline_of

    if html is not None:
        from streams.cli.reporting.page import page

        write_whole(html, page(outline_of(found, top=top)))
        typer.echo(f"written: {html}", err=as_json)
    if as_json:
        typer.echo(json.dumps(document(found), ensure_ascii=False, indent=2, allow_nan=False))
    elif html is None:
        from rich.console import Console

        from streams.cli.reporting.terminal import show

        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_PIPE_COLUMNS)
        show(outline_of(found, top=top), console)


def write_whole(path: Path, text: str) -> None:
    """The file is there as a whole or, whatever fails, as it was before. Raises Failure."""
    scratch: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        scratch = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        mode = 0o666 & ~_umask()
        scratch.chmod(mode)
        scratch.replace(path)
    except OSError as error:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
        raise Failure(f"cannot write {path}: {error.strerror or error}") from error


def _umask() -> int:
    """What a new file of this process is kept from; there is no way to read it without setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
