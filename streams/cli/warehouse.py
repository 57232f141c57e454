"""`throughline warehouse`: the embedded ClickHouse, and the tables and views in whichever one is set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from sinks.clickhouse.embedded.users import Credentials
    from sinks.clickhouse.writer import Warehouse
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    group = typer.Typer(
        no_args_is_help=True, help="ClickHouse: serve an embedded one, migrate, see its state."
    )
    group.command("serve")(serve)
    group.command("migrate")(migrate)
    group.command("status")(status)
    app.add_typer(group, name="warehouse", rich_help_panel=panels.OPERATE)


def serve(
    ctx: typer.Context,
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Made if it is not there; else setting warehouse.directory."),
    ] = None,
    *,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0: any free one; else setting warehouse.port.")
    ] = None,
) -> None:
    """Serve an embedded ClickHouse from a directory, on this machine only, until Ctrl-C.

    Any ClickHouse client over HTTP can use it, with the user and password of the settings; with a
    warehouse.reader_password there is a second user, who may only read.

    Example: throughline warehouse serve ./warehouse --port 8123
    """
    from sinks.clickhouse.embedded.directory import DirectoryTaken
    from sinks.clickhouse.embedded.failure import Refused
    from sinks.clickhouse.embedded.serving import serve as serve_until_stopped
    from sinks.clickhouse.embedded.users import Credentials, Users

    settings = context.settings(ctx)
    chosen = directory or (Path(settings.warehouse.directory) if settings.warehouse.directory else None)
    if chosen is None:
        raise Failure("name a directory, or set warehouse.directory", ExitCode.USAGE)

    owner = Credentials(settings.clickhouse.user, settings.clickhouse.password)
    reader = reader_of(settings)
    try:
        users = Users(owner, reader)
    except ValueError as error:
        raise Failure(f"warehouse.reader: {error}", ExitCode.USAGE) from error
    named = f"user {owner.user}" + (f", reader {reader.user}" if reader else "")

    def ready(url: str) -> None:
        typer.echo(url)
        if not context.quiet(ctx):
            typer.echo(f"ClickHouse over {chosen}, {named}; Ctrl-C ends it", err=True)

    try:
        serve_until_stopped(
            chosen,
            users,
            port=settings.warehouse.port if port is None else port,
            database=settings.clickhouse.database,
            memory_bytes=memory_bytes_of(settings),
            on_ready=ready,
        )
    except (DirectoryTaken, Refused, OSError) as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error


def reader_of(settings: Settings) -> Credentials | None:
    """The user of an embedded warehouse who may only read, if it has one."""
    from sinks.clickhouse.embedded.users import Credentials

    at = settings.warehouse
    return Credentials(at.reader, at.reader_password) if at.reader_password else None


def memory_bytes_of(settings: Settings) -> int | None:
    """What an embedded warehouse may use; None: as much as it finds right."""
    return settings.warehouse.memory_mb * 1_000_000 or None


def migrate(ctx: typer.Context) -> None:
    """Bring tables, views and how long rows are kept up to date. Safe to repeat.

    Rows are kept as long as settings warehouse.touchpoints_days, sessions_days, carts_days, actions_days and
    deliveries_days say, for ever where they are 0; older ones are deleted for good.

    Example: throughline warehouse migrate

    Example: THROUGHLINE_WAREHOUSE_TOUCHPOINTS_DAYS=400 throughline warehouse migrate
    """
    from sinks.clickhouse import migrating
    from sinks.clickhouse.writer import Rejected, Unavailable

    try:
        applied = migrating.migrate(_warehouse(ctx), keep_days=_keep_days(ctx))
    except Unavailable as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    except (Rejected, migrating.ChangedMigration) as error:
        raise Failure(str(error)) from error
    if not context.quiet(ctx):
        typer.echo(f"applied {', '.join(applied)}" if applied else "up to date; views made anew")


def status(
    ctx: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")] = False,
) -> None:
    """Which migrations the database has, and how long it keeps rows; exit code 1 if a migration is missing.

    Example: throughline warehouse status
    """
    import json
    from dataclasses import asdict

    from sinks.clickhouse import migrating
    from sinks.clickhouse.writer import Rejected, Unavailable

    try:
        found = migrating.status(_warehouse(ctx))
        kept = migrating.kept(_warehouse(ctx))
    except Unavailable as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    except (Rejected, migrating.ChangedMigration) as error:
        raise Failure(str(error)) from error
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=2))
    else:
        for each in found:
            typer.echo(f"{each.number:03d} {each.name:24} {'applied' if each.is_applied else 'missing'}")
        for table, days in sorted(kept.items()):
            typer.echo(f"{table:28} kept {f'{days} days' if days else 'for ever'}")
    if not all(each.is_applied for each in found):
        raise typer.Exit(ExitCode.FAILED)


def _keep_days(ctx: typer.Context) -> dict[str, int]:
    """Table to days, as the settings say."""
    from sinks.clickhouse.retention import MOMENTS

    told = context.settings(ctx).warehouse
    return {table: getattr(told, f"{table}_days") for table in MOMENTS}


def _warehouse(ctx: typer.Context) -> Warehouse:
    from sinks.clickhouse.writer import Warehouse

    at = context.settings(ctx).clickhouse
    return Warehouse(at.url, at.user, at.password, at.database)
