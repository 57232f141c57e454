"""`throughline run`: the whole line once, embedded, to the last record; prints what landed, and stops."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from streams.cli.embedded import Running
    from streams.importer.importing import Progress
    from streams.settings import Settings
    from streams.simulator.options import Options

_FROM_FILES = "From files"
_SIMULATED = "Simulated"


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("run", rich_help_panel=panels.TRY)(run)


def run(
    ctx: typer.Context,
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE…]", exists=True, dir_okay=False, help="More files to import."),
    ] = None,
    *,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--import",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            rich_help_panel=_FROM_FILES,
            help="CSV, JSON Lines or Parquet, gzip too; may be repeated.",
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping",
            "-m",
            metavar="M.toml",
            exists=True,
            dir_okay=False,
            rich_help_panel=_FROM_FILES,
            help="Which column is what.",
        ),
    ] = None,
    order: Annotated[
        str, typer.Option(metavar="event|arrival|file", rich_help_panel=_FROM_FILES, help="As in `import`.")
    ] = "event",
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", rich_help_panel=_FROM_FILES, help="Read N rows only.")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(metavar="F", rich_help_panel=_FROM_FILES, help="Write rejected rows there.")
    ] = None,
    is_simulated: Annotated[
        bool, typer.Option("--simulate", rich_help_panel=_SIMULATED, help="A synthetic shop day instead.")
    ] = False,
    people: Annotated[int, typer.Option(min=0, rich_help_panel=_SIMULATED, help="So many people.")] = 3_000,
    hours: Annotated[float, typer.Option(rich_help_panel=_SIMULATED, help="So long, at most 72.")] = 24.0,
    seed: Annotated[int, typer.Option(rich_help_panel=_SIMULATED, help="Same seed, same records.")] = 1,
    bots: Annotated[int, typer.Option(min=0, rich_help_panel=_SIMULATED, help="So many crawlers.")] = 0,
    shared_devices: Annotated[
        int, typer.Option(min=0, rich_help_panel=_SIMULATED, help="Devices that two people log in on.")
    ] = 0,
    warehouse: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", file_okay=False, help="Land there; without it, what landed is only counted."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="What landed as JSON, for programs.")] = False,
) -> None:
    """Import files or simulate a shop day, process to the last record, land, stop.

    Example: throughline run --import events.csv.gz --mapping shop.toml --warehouse ./shop

    Example: throughline run --simulate --people 500 --seed 7 --warehouse ./day7
    """
    from streams.simulator.options import Options, OptionsError

    inputs = [*(files or ()), *(more or ())]
    if bool(inputs) is is_simulated:
        raise Failure("say what to run: either --import FILE --mapping M.toml or --simulate", ExitCode.USAGE)
    if inputs and mapping is None:
        raise Failure("--import needs --mapping M.toml, which says which column is what", ExitCode.USAGE)
    if order not in ("event", "arrival", "file"):
        raise Failure(f"--order is event, arrival or file, not {order!r}", ExitCode.USAGE)
    try:
        options = Options(people=people, hours=hours, seed=seed, bots=bots, shared_devices=shared_devices)
    except OptionsError as error:
        raise Failure(str(error), ExitCode.USAGE) from None
    settings = context.settings(ctx)
    is_shown = not (as_json or context.quiet(ctx))
    started_s = time.monotonic()
    with _opened(settings, warehouse, workers=workers) as running:
        if inputs:
            assert mapping is not None
            said = _import(
                settings, running, inputs, mapping,
                order=order, limit=limit, rejects=rejects, is_shown=is_shown,
            )  # fmt: skip
        else:
            said = _simulate(running, options, is_shown=is_shown)
        said |= _what_landed(running)
    said["workers"] = [
        {"cpu_s": round(part.cost.cpu_s, 2), "peak_rss_bytes": part.cost.peak_rss_bytes}
        for part in running.line.workers
        if part.cost
    ]
    said["seconds"] = round(time.monotonic() - started_s, 1)
    typer.echo(json.dumps(said, indent=2, ensure_ascii=False) if as_json else _as_text(said))
    comparison = said.get("comparison")
    if comparison and not comparison["equal"]:
        raise Failure("what landed is not what the simulation knows to be true", ExitCode.FAILED)


def _opened(settings: Settings, warehouse: Path | None, *, workers: int) -> Any:
    from streams.cli.embedded import embedded_line

    return embedded_line(settings, warehouse, workers=workers)


def _import(
    settings: Settings,
    running: Running,
    files: list[Path],
    mapping: Path,
    *,
    order: str,
    limit: int | None,
    rejects: Path | None,
    is_shown: bool,
) -> dict[str, Any]:
    from streams.agents.rules import rules_of
    from streams.cli.importing import failures, progress_bar
    from streams.importer.importing import import_files

    progress: Progress | None
    with failures(), progress_bar() if is_shown else nullcontext() as progress:
        feeder = running.line.feeder()
        try:
            summary = import_files(
                files, mapping, feeder, order=order, rejects=rejects,  # type: ignore[arg-type] # checked by the caller
                progress=progress, limit=limit, rules=rules_of(settings),
            )  # fmt: skip
        finally:
            feeder.close()
    running.line.wait_until_landed()
    if summary.read and not summary.written:
        raise Failure(f"no row became a touchpoint: {'; '.join(summary.first_rejects)}", ExitCode.FAILED)
    return {"import": asdict(summary)}


def _simulate(running: Running, options: Options, *, is_shown: bool) -> dict[str, Any]:
    import msgspec

    from streams.cli.importing import failures
    from streams.cli.simulate import shop_clock
    from streams.simulator.compare import compare
    from streams.simulator.emit import Simulation

    simulation = Simulation(options)
    with failures(), shop_clock(options.start_ms, options.end_ms, is_shown=is_shown) as heard:
        feeder = running.line.feeder()
        try:
            for record in simulation.records():
                feeder.send(record.channel, record.key, record.value, record.arrival_ms)
                heard(record.arrival_ms)
            feeder.finish(options.end_ms)
        finally:
            feeder.close()
    running.line.wait_until_landed()
    truth = simulation.truth()
    comparison = compare(truth, running.query)
    return {"simulated": msgspec.to_builtins(truth.counts()), "comparison": comparison.to_json()}


def _what_landed(running: Running) -> dict[str, Any]:
    from streams.launch.landed import landed

    return {"landed": landed(running.query).to_json()}


def _as_text(said: dict[str, Any]) -> str:
    found = said["landed"]
    actions = ", ".join(f"{count:,} {status}" for status, count in sorted(found["actions"].items())) or "none"
    lines = []
    if "import" in said:
        summary = said["import"]
        lines.append(
            f"read       {summary['read']:,} rows, {summary['written']:,} written, "
            f"{summary['rejected']:,} rejected, {summary['skipped']:,} skipped"
        )
        lines += [f"             {reject}" for reject in summary["first_rejects"]]
    lines += [
        f"landed     {found['touchpoints']:,} touchpoints, each once ({found['rows']:,} rows)",
        f"people     {found['profiles']:,} profiles, {found['merges']:,} merges",
        f"sessions   {found['sessions']:,}, {found['open_sessions']:,} not final",
        f"carts      {found['carts']:,}; actions: {actions}",
    ]
    if "comparison" in said:
        lines.append("against what the simulation knows: " + _verdict(said["comparison"]))
    for number, worker in enumerate(said["workers"], 1):
        lines.append(
            f"worker {number}   {worker['cpu_s']:.1f} s of CPU, at most {worker['peak_rss_bytes'] / 2**20:,.0f} MiB"
        )
    return "\n".join([*lines, f"{said['seconds']:.1f} s in all"])


def _verdict(comparison: dict[str, Any]) -> str:
    lines = [
        f"missing {comparison['missing']}, duplicate {comparison['duplicate']}, wrong {comparison['wrong']}, "
        f"false actions {comparison['false_actions']}, missed actions {comparison['missed_actions']}"
    ]
    for difference, count in comparison["found"].items():
        lines.append(f"  {count:,} × {difference}")
        lines += [f"    {example}" for example in comparison["examples"].get(difference, ())]
    return "\n".join(lines)
