"""`throughline demo`: a simulated shop day on this machine, carts abandoned and rescued before one's eyes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.progress import Progress

    from streams.cli.embedded import Running
    from streams.simulator.emit import Simulation
    from streams.simulator.naive import Mails

_QUERIES = (
    (
        "Which channels meet in one session?",
        "SELECT arrayStringConcat(channels, ' + ') AS path, count() AS sessions, "
        "round(avg(touchpoints), 1) AS touchpoints_each\nFROM current_sessions WHERE length(channels) > 1\n"
        "GROUP BY path ORDER BY sessions DESC LIMIT 5",
    ),
    (
        "What became of the carts that were left?",
        "SELECT status, count() AS actions, round(sum(value_micros) / 1e6, 2) AS value\n"
        "FROM current_actions GROUP BY status ORDER BY status",
    ),
    (
        "Where were carts bought that were filled on the web or in the app?",
        "SELECT bought.channel AS bought_in, count() AS carts, round(sum(bought.revenue_micros) / 1e6, 2) AS revenue\n"
        "FROM current_carts AS cart INNER JOIN current_touchpoints AS bought ON bought.message_id = cart.settled_by\n"
        "WHERE cart.status = 'purchased' GROUP BY bought_in ORDER BY carts DESC",
    ),
)
_SAYINGS = {
    "due": "[yellow]abandoned[/]  {value:>9} left in the cart, action {action} is due",
    "cancelled": "[green]cancelled[/]  {value:>9} was settled or in use after all: action {action} is withdrawn",
    "recovered": "[bold green]rescued[/]    {value:>9} bought after all, {recovered} of revenue",
}
_SHOWN_PER_SECOND = 4


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("demo", rich_help_panel=panels.TRY)(demo)


def demo(
    ctx: typer.Context,
    *,
    seed: Annotated[int, typer.Option(help="Another seed, another day.")] = 1,
    people: Annotated[int, typer.Option(min=1, help="So many customers.")] = 3_000,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    seconds: Annotated[
        float, typer.Option(min=0, help="How long the day takes at least; 0: as fast as it goes.")
    ] = 35.0,
) -> None:
    """A shop day in about a minute: everything embedded, compared with its ground truth at the end.

    Example: throughline demo --seed 7
    """
    from rich.console import Console

    from streams.cli.embedded import embedded_line
    from streams.simulator.emit import Simulation
    from streams.simulator.options import Options

    console = Console(quiet=context.quiet(ctx), highlight=False)
    options = Options(people=people, seed=seed)
    simulation = Simulation(options)
    console.print(
        f"[bold]Throughline[/]: a shop day, seed {seed}: {people:,} people, 15 channels, {workers} workers"
    )
    console.print("starting broker, workers, sink and warehouse …", style="dim")
    with embedded_line(context.settings(ctx), None, workers=workers) as running:
        day = _Day(running, console, seconds)
        day.live(
            simulation, options.start_ms, options.end_ms, partitions=context.settings(ctx).kafka.partitions
        )
        is_right = _summarise(running, simulation, day, console=console)
    if not is_right:
        raise Failure("the day is not what the simulation knows to be true", ExitCode.FAILED)


@dataclass(slots=True)
class _Day:
    """The day as it runs: feeding, and saying aloud what is decided."""

    running: Running
    console: Console
    at_least_s: float
    records: int = 0
    seconds: float = 0.0
    said: dict[str, int] = field(default_factory=dict)
    _shown_s: float = 0.0

    def live(self, simulation: Simulation, start_ms: int, end_ms: int, *, partitions: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        from streams.cli.importing import failures
        from streams.launch.watch import Watch

        line = self.running.line
        columns = (TextColumn("{task.fields[clock]}"), BarColumn(), TextColumn("{task.fields[rate]}"))
        watch = Watch(line.bootstrap, "throughline", partitions)
        started_s = time.monotonic()
        try:
            with failures(), Progress(*columns, TimeElapsedColumn(), console=self.console) as bar:
                task = bar.add_task("day", total=end_ms - start_ms, clock="", rate="")
                feeder = line.feeder()
                try:
                    for record in simulation.records():
                        feeder.send(record.channel, record.key, record.value, record.arrival_ms)
                        self.records += 1
                        if self.records % 100 == 0:
                            line.check()
                            share = (record.arrival_ms - start_ms) / (end_ms - start_ms)
                            passed_s = time.monotonic() - started_s
                            # As slow as asked, so that what is decided is not overtaken by what happens hours later.
                            time.sleep(max(0.0, share * self.at_least_s - passed_s))
                            bar.update(
                                task, completed=record.arrival_ms - start_ms,
                                clock=_time(record.arrival_ms),
                                rate=f"{self.records / max(passed_s, 0.001):,.0f} touchpoints/s",
                            )  # fmt: skip
                            self._say(watch, bar)
                    feeder.finish(end_ms)
                finally:
                    feeder.close()
                line.wait_until_landed()
                self._say(watch, bar)
                bar.update(task, completed=end_ms - start_ms, clock="landed")
        finally:
            watch.close()
        self.seconds = time.monotonic() - started_s

    def _say(self, watch: Any, bar: Progress) -> None:
        """Show some of what was decided; there is more than an eye can follow."""
        for action in watch.arrived():
            status = action["status"]
            self.said[status] = self.said.get(status, 0) + 1
            now_s = time.monotonic()
            if self.said[status] == 1 or now_s - self._shown_s > 1 / _SHOWN_PER_SECOND:
                self._shown_s = now_s
                bar.console.print(f"[dim]{_time(action['due_at'])}[/]  " + _saying(action))


def _saying(action: dict[str, Any]) -> str:
    return _SAYINGS[action["status"]].format(
        value=_money(action["value_micros"], action["currency"]),
        action=action["action_id"][:8],
        recovered=_money(action["recovered_micros"] or 0, action["currency"]),
    )


def _money(micros: int, currency: str | None) -> str:
    return f"{micros / 1e6:,.2f} {currency or ''}".rstrip()


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%a %H:%M")


def _summarise(running: Running, simulation: Simulation, day: _Day, *, console: Console) -> bool:
    from rich.table import Table

    from streams.launch.landed import landed
    from streams.simulator.compare import compare

    found, truth = landed(running.query), simulation.truth()
    known, comparison = truth.counts(), compare(truth, running.query)
    table = Table("", "landed", "ground truth", title="The day", title_justify="left")
    rows = (
        ("touchpoints, each once", found.touchpoints, known.touchpoints),
        ("people", found.profiles, known.profiles),
        ("sessions across channels", found.sessions, known.sessions),
        ("carts", found.carts, known.episodes),
        (
            "carts abandoned",
            sum(n for status, n in found.actions.items() if status != "cancelled"),
            known.abandoned,
        ),
        ("… of these bought after all", found.actions.get("recovered", 0), known.recovered),
    )
    for name, here, there in rows:
        table.add_row(name, f"{here:,}", f"{there:,}")
    table.add_row("profiles that became part of another", f"{found.merges:,}", f"about {known.merges:,}")
    table.add_row("actions withdrawn when more became known", f"{found.actions.get('cancelled', 0):,}", "")
    table.add_row("carts bought in a shop or another channel", f"{found.bought_elsewhere:,}", "")
    console.print(table)
    console.print(
        f"{day.records:,} records in {day.seconds:.1f} s, {day.records / day.seconds:,.0f} a second on this machine, "
        "simulation, broker and warehouse included"
    )
    console.print(_needless(known.naive, found.actions))
    console.print(("[bold green]✓[/] " if comparison.is_equal else "[bold red]✗[/] ") + comparison.summary())
    _ask(running, console)
    return comparison.is_equal


def _needless(naive: Mails, actions: Mapping[str, int]) -> str:
    """How many mails the usual tool would have sent for nothing, and how many actions were due for nothing here."""
    decided, withdrawn = sum(actions.values()), actions.get("cancelled", 0)
    return (
        f"{withdrawn:,} of {decided:,} actions ({withdrawn / max(decided, 1):.1%}) were withdrawn, when a record "
        "arrived late that told of a cart settled or in use before it was due.\n"
        f"A tool that knows one channel and goes by its own clock would have sent {naive.sent:,} mails, "
        f"{naive.needless:,} ({naive.needless / max(naive.sent, 1):.0%}) of them about a cart that had been bought or "
        "emptied by then"
    )


def _ask(running: Running, console: Console) -> None:
    """The example queries, with their answers."""
    from rich.table import Table

    for question, sql in _QUERIES:
        console.print(f"\n[bold]{question}[/]")
        console.print(sql, style="dim", markup=False)
        names, rows = running.ask(sql)
        table = Table(*names)
        for row in rows:
            table.add_row(*(f"{cell:,}" if isinstance(cell, int | float) else str(cell) for cell in row))
        console.print(table)
