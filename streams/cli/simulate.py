"""`throughline simulate`: a synthetic shop's records and their ground truth, into files or into Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.simulator.emit import Simulation
    from streams.simulator.verdict import Counts, Truth

_WORLD = "The world"
_ROADS = "How records travel (shares of all records, 0 to 1)"


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("simulate", rich_help_panel=panels.DATA_IN)(simulate)


def simulate(
    ctx: typer.Context,
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write touchpoints.jsonl.gz and truth.jsonl there.")
    ] = None,
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Feed the Kafka of the settings, with ticks.")
    ] = False,
    pace: Annotated[
        bool, typer.Option(help="With --kafka: never run ahead of the readers by more than a broker keeps.")
    ] = True,
    people: Annotated[int, typer.Option(min=0, help="So many people.", rich_help_panel=_WORLD)] = 3_000,
    hours: Annotated[float, typer.Option(help="So long, at most 72.", rich_help_panel=_WORLD)] = 24.0,
    seed: Annotated[int, typer.Option(help="The same seed, the same records.", rich_help_panel=_WORLD)] = 1,
    start: Annotated[
        str, typer.Option(metavar="TIME", help="When it begins, ISO 8601.", rich_help_panel=_WORLD)
    ] = "2026-03-02T06:00:00+00:00",
    bots: Annotated[int, typer.Option(min=0, help="So many crawlers too.", rich_help_panel=_WORLD)] = 0,
    shared_devices: Annotated[
        int, typer.Option(min=0, help="Devices that two people log in on.", rich_help_panel=_WORLD)
    ] = 0,
    till_delay: Annotated[
        float, typer.Option(help="Slow tills upload up to so many hours late.", rich_help_panel=_WORLD)
    ] = 5.0,
    late_share: Annotated[
        float, typer.Option(help="Arrive 5 minutes to 6 hours late.", rich_help_panel=_ROADS)
    ] = 0.01,
    out_of_order_share: Annotated[
        float, typer.Option(help="Arrive up to a minute late.", rich_help_panel=_ROADS)
    ] = 0.03,
    duplicate_share: Annotated[
        float, typer.Option(help="Arrive twice, the same bytes.", rich_help_panel=_ROADS)
    ] = 0.01,
    clock_error_share: Annotated[
        float, typer.Option(help="Claim an impossible time.", rich_help_panel=_ROADS)
    ] = 0.0005,
    misrouted_share: Annotated[
        float, typer.Option(help="Lie under a foreign key.", rich_help_panel=_ROADS)
    ] = 0.002,
    dirty_share: Annotated[
        float, typer.Option(help="Have careless identifiers.", rich_help_panel=_ROADS)
    ] = 0.003,
    as_json: Annotated[bool, typer.Option("--json", help="The counts as JSON, for programs.")] = False,
) -> None:
    """Let people shop for a day, and write down what every channel would have sent, and what it means.

    Example: throughline simulate --people 500 --seed 7 --out day7
    """
    from streams.simulator.emit import Simulation
    from streams.simulator.options import Options, OptionsError

    if (out is None) is not kafka:
        raise Failure("say where to: either --out DIR or --kafka", ExitCode.USAGE)
    try:
        options = Options(
            people=people,
            hours=hours,
            seed=seed,
            start=start,
            bots=bots,
            shared_devices=shared_devices,
            till_delay_h=till_delay,
            late_share=late_share,
            out_of_order_share=out_of_order_share,
            duplicate_share=duplicate_share,
            clock_error_share=clock_error_share,
            misrouted_share=misrouted_share,
            dirty_share=dirty_share,
        )
    except OptionsError as error:
        raise Failure(str(error), ExitCode.USAGE) from None
    with shop_clock(options.start_ms, options.end_ms, is_shown=not (as_json or context.quiet(ctx))) as heard:
        simulation = Simulation(options)
        if out is not None:
            truth = _into_files(simulation, out, heard)
        else:
            truth = _into_kafka(simulation, context.settings(ctx), heard, pace=pace)
    _report(truth.counts(), as_json=as_json)


@contextmanager
def shop_clock(start_ms: int, end_ms: int, *, is_shown: bool) -> Iterator[Callable[[int], None]]:
    """Yields what to call with every arrival time; a bar on stderr follows the simulated clock."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[clock]}"))
    bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=not is_shown)
    with bar:
        task = bar.add_task("simulating", total=end_ms - start_ms, clock="")
        records = 0

        def heard(arrival_ms: int) -> None:
            nonlocal records
            records += 1
            if records % 1_000 == 0:
                bar.update(task, completed=arrival_ms - start_ms, clock=f"{records:,} records")

        yield heard
        bar.update(task, completed=end_ms - start_ms, clock=f"{records:,} records")


def _into_files(simulation: Simulation, directory: Path, heard: Callable[[int], None]) -> Truth:
    from streams.simulator.files import write_files

    try:
        return write_files(simulation, directory, heard=heard)
    except OSError as error:
        raise Failure(f"{directory}: {error.strerror}") from error


def _into_kafka(
    simulation: Simulation, settings: Settings, heard: Callable[[int], None], *, pace: bool
) -> Truth:
    from confluent_kafka import KafkaException

    from streams.importer.feeding import DeliveryFailed, Feeder, ReaderStalled, WrongPartitions
    from streams.importer.lag import LostRecords

    kafka = settings.kafka
    try:
        with Feeder(kafka.bootstrap_servers, settings.app.name, kafka.partitions, pace=pace) as feeder:
            for channel, key, value, arrival_ms in simulation.records():
                feeder.send(channel, key, value, arrival_ms)
                heard(arrival_ms)
            feeder.finish(feeder.last_arrival_ms or 0)
    except LostRecords as error:
        raise Failure(str(error), ExitCode.FAILED) from error
    except (DeliveryFailed, ReaderStalled, WrongPartitions) as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    except KafkaException as error:
        raise Failure(f"Kafka: {error.args[0].str()}", ExitCode.UNAVAILABLE) from error
    return simulation.truth()


def _report(counts: Counts, *, as_json: bool) -> None:
    import msgspec

    if as_json:
        typer.echo(msgspec.json.encode(counts).decode())
        return
    told = (
        ("records", f"{counts.records:,}, of them {counts.duplicates:,} sent twice"),
        ("touchpoints", f"{counts.touchpoints:,}, of them {counts.late:,} too late to count in sessions"),
        ("profiles", f"{counts.profiles:,} after {counts.merges:,} merges"),
        ("sessions", f"{counts.sessions:,} with {counts.orders:,} orders"),
        ("carts", f"{counts.episodes:,}, {counts.abandoned:,} abandoned, {counts.recovered:,} recovered"),
        ("naive rule", f"{counts.naive.sent:,} mails, {counts.naive.needless:,} when the cart was settled"),
    )
    for name, text in told:
        typer.echo(f"{name:<12} {text}")
