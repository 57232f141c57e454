"""`throughline query`: ask the warehouse in SQL, as a table for people, as JSON or CSV for programs.

How the question travels is `sinks.clickhouse.asking`'s matter; here it is only shown.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from sinks.clickhouse.writer import Warehouse

_TABLE_ROWS: Final = 100
_HAS_FORMAT: Final = re.compile(r"\bFORMAT\s+\w+\s*(?:SETTINGS\s[^;]*)?;?\s*$", re.I)
_NUMBER: Final = re.compile(r"(?:Nullable\()?(?:U?Int|Float|Decimal)\d*")


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("query", rich_help_panel=panels.ASK)(query)


def query(
    ctx: typer.Context,
    sql: Annotated[
        str, typer.Argument(metavar="SQL", help="One statement; '-' reads it from standard input.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header line.")] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--warehouse", metavar="DIR", help="An embedded warehouse, whether it is running or not."
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", min=1, help="Rows a table on the terminal shows at most.")
    ] = _TABLE_ROWS,
) -> None:
    """Ask the warehouse. A table on a terminal, tab-separated text into a pipe, unless you choose.

    Exit code 1 if the SQL fails, 3 if no warehouse answers.

    Example: throughline query "SELECT status, count() FROM current_actions GROUP BY status"
    """
    from sinks.clickhouse.writer import Rejected, Unavailable

    if as_json and as_csv:
        raise Failure("choose one of --json and --csv", ExitCode.USAGE)
    text = (sys.stdin.read() if sql == "-" else sql).strip().rstrip(";")
    try:
        with warehouse_of(ctx, directory) as warehouse:
            if _HAS_FORMAT.search(text):
                _print_lines(warehouse, text, default_format="TabSeparated")
            elif as_json:
                _print_json(warehouse, text)
            elif as_csv:
                _print_lines(warehouse, text, default_format="CSVWithNames")
            elif sys.stdout.isatty():
                _print_table(warehouse, text, rows=rows)
            else:
                _print_lines(warehouse, text, default_format="TabSeparatedWithNames")
    except Unavailable as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    except Rejected as error:
        raise Failure(str(error)) from error


@contextmanager
def warehouse_of(ctx: typer.Context, directory: Path | None) -> Iterator[Warehouse]:
    """Where to ask: the server of the settings, or that of a directory, started for as long as it takes."""
    from sinks.clickhouse.embedded import EmbeddedWarehouse, WarehouseDidNotStart, holder_of, is_warehouse
    from sinks.clickhouse.writer import Warehouse
    from streams.cli.warehouse import memory_bytes_of

    settings = context.settings(ctx)
    at = settings.clickhouse
    if directory is None:
        yield Warehouse(at.url, at.user, at.password, at.database)
        return
    if (holder := holder_of(directory)) is not None:
        if not holder.url:
            raise Failure(f"{directory} is held by process {holder.pid}, which does not answer yet", 3)
        yield Warehouse(holder.url, at.user, at.password, at.database)
        return
    if not is_warehouse(directory):
        raise Failure(f"there is no warehouse in {directory}", ExitCode.UNAVAILABLE)
    try:
        with EmbeddedWarehouse.start(
            directory,
            user=at.user,
            password=at.password,
            database=at.database,
            memory_bytes=memory_bytes_of(settings),
        ) as opened:
            yield Warehouse(opened.url, at.user, at.password, at.database)
    except WarehouseDidNotStart as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error


def _print_lines(warehouse: Warehouse, sql: str, *, default_format: str) -> None:
    from sinks.clickhouse.asking import ask

    for line in ask(warehouse, sql, default_format=default_format):
        sys.stdout.buffer.write(line)
    sys.stdout.flush()


def _print_json(warehouse: Warehouse, sql: str) -> None:
    from sinks.clickhouse.asking import ask

    settings = {"output_format_json_quote_64bit_integers": 0}
    before = "["
    for line in ask(warehouse, sql, default_format="JSONEachRow", settings=settings):
        if line.strip():
            sys.stdout.write(before + line.decode().rstrip("\n"))
            before = ",\n"
    sys.stdout.write("]\n" if before != "[" else "[]\n")


def _print_table(warehouse: Warehouse, sql: str, *, rows: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sinks.clickhouse.asking import ask

    lines = ask(
        warehouse,
        sql,
        default_format="JSONCompactStringsEachRowWithNamesAndTypes",
        settings={"limit": rows + 1},
    )
    answer = [json.loads(line) for line in islice((line for line in lines if line.strip()), rows + 3)]
    if not answer:
        return
    names, types, *found = answer
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, kind in zip(names, types, strict=True):
        is_number = _NUMBER.match(kind) is not None
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in found[:rows]:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    console.print(table)
    if len(found) > rows:
        note = f"first {rows} rows; --rows N, --csv or --json for more"
        console.print(note, style="dim", highlight=False)
