"""`throughline sink`: land the output topics in ClickHouse.

Only puts settings and parts together; the loop is `sinks.clickhouse.landing`.
"""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sinks.clickhouse.writer import Warehouse


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("sink", rich_help_panel=panels.RUN)(sink)


def sink(
    ctx: typer.Context,
    *,
    is_migrating: Annotated[
        bool, typer.Option("--migrate/--no-migrate", help="Bring tables and views up to date first.")
    ] = True,
) -> None:
    """Land sessions, carts, actions, identities, deliveries and stitched touchpoints in ClickHouse, exactly once.

    Runs until SIGTERM or Ctrl-C, then lands what it has in hand.

    Example: throughline sink
    """
    from sinks.clickhouse.migrating import ChangedMigration
    from sinks.clickhouse.writer import Rejected, Warehouse
    from sinks.dead_letters import CannotBury

    settings = context.settings(ctx)
    logging.basicConfig(
        level=settings.worker.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    at = settings.clickhouse
    warehouse = Warehouse(at.url, at.user, at.password, at.database)
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    try:
        if is_migrating:
            _migrate(warehouse, stop)
        landed = _land(ctx, warehouse, stop)
    except (Rejected, ChangedMigration) as error:
        raise Failure(f"ClickHouse refuses: {error}") from error
    except CannotBury as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    if not context.quiet(ctx):
        typer.echo(
            "landed " + (", ".join(f"{rows:,} {table}" for table, rows in landed.items()) or "nothing")
        )


def _migrate(warehouse: Warehouse, stop: threading.Event) -> None:
    """As soon as ClickHouse answers."""
    from sinks.clickhouse.migrating import migrate
    from sinks.clickhouse.writer import Unavailable

    is_first = True
    while not stop.is_set():
        try:
            migrate(warehouse)
        except Unavailable as error:
            if is_first:
                logging.getLogger(__name__).warning("ClickHouse is unavailable, waiting for it: %s", error)
            is_first = False
            stop.wait(1.0)
        else:
            return


def _land(ctx: typer.Context, warehouse: Warehouse, stop: threading.Event) -> Mapping[str, int]:
    from confluent_kafka import KafkaException

    from schemas.catalog import Catalog
    from sinks.clickhouse.chunk import ChunkWriter
    from sinks.clickhouse.fetching import CannotRead
    from sinks.clickhouse.landing import Landing, LandingOptions
    from sinks.clickhouse.reading import ReadingOptions
    from sinks.clickhouse.resolving import Resolver
    from sinks.clickhouse.writer import Writer
    from sinks.dead_letters import DeadLetters

    settings = context.settings(ctx)
    bootstrap_servers = settings.kafka.bootstrap_servers
    options = LandingOptions(
        ReadingOptions(bootstrap_servers, f"{settings.app.name}-sink"),
        chunk_rows=settings.sink.chunk_rows,
        chunk_s=settings.sink.chunk_s,
        max_dead_share=settings.sink.max_dead_share,
    )
    chunks, burials = ChunkWriter(Catalog.embedded().schema), DeadLetters(bootstrap_servers)
    landing = Landing(
        options, Writer(warehouse), chunks=chunks, burials=burials, followup=Resolver(warehouse)
    )
    try:
        landing.run(stop)
    except (CannotRead, KafkaException) as error:
        raise Failure(f"Kafka: {error}", ExitCode.UNAVAILABLE) from error
    return landing.landed
