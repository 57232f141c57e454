"""`throughline import`: history from files into Kafka, with the clock it had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from streams.importer.importing import Progress, Summary
    from streams.importer.mapping import Mapping

_SHOWN = 5


class Order(StrEnum):
    """In which order touchpoints are written."""

    EVENT = "event"
    ARRIVAL = "arrival"
    FILE = "file"


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("import", rich_help_panel=panels.DATA_IN)(import_history)


def import_history(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…", exists=True, dir_okay=False, help="CSV, JSON Lines or Parquet; gzip too."
        ),
    ],
    *,
    mapping: Annotated[
        Path,
        typer.Option(
            "--mapping", "-m", metavar="M.toml", exists=True, dir_okay=False, help="Which column is what."
        ),
    ],
    order: Annotated[
        Order,
        typer.Option(
            help="event: by the time it happened, with clock ticks; arrival: by the time it was received; "
            "file: as it stands, one tick at the end, nothing counts as late."
        ),
    ] = Order.EVENT,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Read the first N rows only.")] = None,
    rejects: Annotated[
        Path | None, typer.Option(metavar="F", help="Write rejected rows there, as JSON Lines.")
    ] = None,
    max_rejects: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Give up beyond N rejected rows.")
    ] = None,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing: print the first touchpoints as JSON.")
    ] = False,
    pace: Annotated[
        bool,
        typer.Option(
            help="Keep to the pace of worker and sink, as the embedded broker needs; without it, nobody need run."
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON, for programs.")] = False,
) -> None:
    """Write the history in FILE… to Kafka as touchpoints, in the order in which it happened.

    Example: throughline import events-*.csv.gz --mapping shop.toml --rejects bad.jsonl
    """
    with failures():
        mapped = _mapping(mapping)
        if is_dry_run:
            _show(files, mapped, order=order, limit=limit or _SHOWN)
            return
        is_shown = not (context.quiet(ctx) or as_json)
        with progress_bar() if is_shown else nullcontext() as progress:
            summary = _write(
                ctx, files, mapped, order=order, limit=limit, pace=pace, progress=progress,
                rejects=rejects, max_rejects=max_rejects,
            )  # fmt: skip
    typer.echo(json.dumps(_as_dict(summary), indent=2, ensure_ascii=False) if as_json else _as_text(summary))
    if summary.read and not summary.written:
        raise Failure("no row became a touchpoint", ExitCode.FAILED)


def _mapping(path: Path) -> Mapping:
    from streams.importer.mapping import load

    return load(path)


def _show(files: list[Path], mapping: Mapping, *, order: Order, limit: int) -> None:
    from streams.importer.importing import touchpoints

    def say(reject: object) -> None:
        typer.echo(f"rejected: {reject}", err=True)

    for touchpoint in touchpoints(files, mapping, order.value, say, limit=limit):
        typer.echo(json.dumps(touchpoint, indent=2, ensure_ascii=False))


def _write(
    ctx: typer.Context,
    files: list[Path],
    mapping: Mapping,
    *,
    order: Order,
    limit: int | None,
    pace: bool,
    progress: Progress | None,
    rejects: Path | None,
    max_rejects: int | None,
) -> Summary:
    from streams.agents.rules import rules_of
    from streams.importer.feeding import Feeder
    from streams.importer.importing import import_files
    from streams.importer.rejects import Rejects

    settings = context.settings(ctx)
    kafka = settings.kafka
    with Feeder(kafka.bootstrap_servers, settings.app.name, kafka.partitions, pace=pace) as feeder:
        return import_files(
            files,
            mapping,
            feeder,
            order=order.value,
            rejects=Rejects(rejects, limit=max_rejects),
            progress=progress,
            limit=limit,
            rules=rules_of(settings),
        )


@contextmanager
def failures() -> Iterator[None]:
    """What can go wrong outside the program, as one line and an exit code."""
    from confluent_kafka import KafkaException

    from streams.importer.feeding import DeliveryFailed, ReaderStalled, WrongPartitions
    from streams.importer.lag import LostRecords
    from streams.importer.mapping import MappingError
    from streams.importer.reading import Unreadable
    from streams.importer.rejects import TooManyRejects

    try:
        yield
    except (MappingError, Unreadable) as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    except (TooManyRejects, LostRecords) as error:
        raise Failure(str(error), ExitCode.FAILED) from error
    except (DeliveryFailed, ReaderStalled, WrongPartitions) as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    except KafkaException as error:
        raise Failure(f"Kafka: {error.args[0].str()}", ExitCode.UNAVAILABLE) from error


@contextmanager
def progress_bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading")

        def report(phase: str, done: int, total: int) -> None:
            bar.update(task, description=phase, completed=done, total=total)

        yield report


def _as_dict(summary: Summary) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(summary)


def _as_text(summary: Summary) -> str:
    from datetime import UTC, datetime

    lines = [
        f"{summary.read:,} rows read, {summary.written:,} touchpoints written, "
        f"{summary.rejected:,} rows rejected, {summary.skipped:,} skipped"
    ]
    if summary.first_ms is not None and summary.last_ms is not None:
        first, last = (
            datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds")
            for moment_ms in (summary.first_ms, summary.last_ms)
        )
        lines.append(f"from {first} to {last}")
    width = max((len(event) for event in summary.by_event), default=0)
    lines += [f"  {event:<{width}}  {count:>12,}" for event, count in summary.by_event.items()]
    lines += [f"  rejected for {reason}: {count:,}" for reason, count in summary.rejected_by_reason.items()]
    lines += [f"  {reject}" for reject in summary.first_rejects]
    return "\n".join(lines)
