"""`throughline explain clock`: where the timers stand, and who holds them.

What the clocks say together is `streams.cli.trail.clocks`' matter; here it is only asked for and printed.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli import context
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from streams.cli.trail.clocks import ClockOf, Clocks

_MOST_TOPICS: Final = 3


def explain_clock(
    ctx: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, times in epoch ms.")] = False,
) -> None:
    """Show up to when everything that had arrived is processed, everywhere: no later timer fires.

    Read from what each task has committed, whether a worker is running or not. A task that is down, behind, or
    reads a topic that is silent for lack of ticks, holds the timers of all. Times are UTC.
    Exit code 3 if no Kafka answers.

    --json has held_since_ms, held_by and tasks, each with task, is_known (false: it
    has never committed), timer_ms, heard_from, inputs_ms and waiting (topics).

    Example: throughline explain clock
    """
    from streams.cli.trail.clocks import clocks_of
    from streams.launch.clocks import ClocksUnavailable, read_clocks
    from streams.runtime.topics import BrokerUnavailable

    settings = context.settings(ctx)
    try:
        states = read_clocks(settings.kafka.bootstrap_servers, settings.kafka.partitions)
    except (BrokerUnavailable, ClocksUnavailable) as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    clocks = clocks_of(states, settings.kafka.partitions)
    if as_json:
        typer.echo(json.dumps(asdict(clocks)))
        return
    _print(clocks, now_ms=time.time_ns() // 1_000_000 if settings.worker.clock == "live" else None)


def _print(clocks: Clocks, *, now_ms: int | None) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"[bold]timers stand at {_time(clocks.held_since_ms)}[/]{_behind(clocks.held_since_ms, now_ms)}",
        soft_wrap=True,
    )
    console.print(f"held by {_holder(clocks.held_by)}", soft_wrap=True)
    table = Table("task", "own inputs read up to", "timers stand at", "heard least from")
    for each in clocks.tasks:
        heard_from = "" if each.heard_from is None else f"task {each.heard_from}"
        table.add_row(str(each.task), _time(each.inputs_ms), _time(each.timer_ms), heard_from)
    console.print(table)


def _holder(held_by: ClockOf) -> str:
    """The task, and what of its inputs is read least far."""
    if not held_by.is_known:
        return f"task {held_by.task}, which has never committed: no worker has had it"
    topics = ", ".join(held_by.waiting[:_MOST_TOPICS])
    more = len(held_by.waiting) - _MOST_TOPICS
    of = topics if more <= 0 else f"{topics} and {more} more topics"
    return f"task {held_by.task}: of {of} it has read up to {_time(held_by.inputs_ms)}"


def _behind(at_ms: int | None, now_ms: int | None) -> str:
    return "" if at_ms is None or now_ms is None else f", {max(0, now_ms - at_ms) / 1_000:,.1f} s ago"


def _time(at_ms: int | None) -> str:
    return (
        "never"
        if at_ms is None
        else datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(" ", "milliseconds")
    )
