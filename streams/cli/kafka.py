"""`throughline kafka`: a real one-node Kafka on this machine, from Maven jars; no Docker.

How a node lives is `streams.broker.local`; here it is only asked for and printed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from streams.broker.local import Node

Directory = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="The node's folder, which keeps its data; default: throughline/kafka in the user's data folder.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    group = typer.Typer(
        no_args_is_help=True, help="A real one-node Kafka from Maven jars: start, stop, look."
    )
    group.command("start")(start_kafka)
    group.command("stop")(stop_kafka)
    group.command("status")(print_status)
    app.add_typer(group, name="kafka", rich_help_panel=panels.OPERATE)


def start_kafka(
    ctx: typer.Context,
    *,
    directory: Directory = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where it listens; 0: any free port.")] = 9092,
    heap_mb: Annotated[int, typer.Option(min=256, help="Java heap of the node, in MiB.")] = 512,
    as_json: AsJson = False,
) -> None:
    """Start Kafka and wait until it answers; it stays up, and what is in it stays from start to start.

    Needs Java 17 or newer; Maven too, the first time. KAFKA_OPTS are more options of the Java machine.

    Example: throughline kafka start --port 9092
    """
    from streams.broker.jars import ToolMissing
    from streams.broker.local import NodeFailed, start

    try:
        node = start(_folder(directory), port=port, environ=os.environ, heap_mb=heap_mb)
    except (ToolMissing, NodeFailed) as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    _print(node, _folder(directory), as_json=as_json)
    if not as_json and not context.quiet(ctx):
        typer.echo("next: throughline topics create")


def stop_kafka(*, directory: Directory = None, as_json: AsJson = False) -> None:
    """Stop Kafka; its data stays. Fine if it does not run.

    Example: throughline kafka stop
    """
    from streams.broker.local import NodeFailed, stop

    try:
        node = stop(_folder(directory))
    except NodeFailed as error:
        raise Failure(str(error)) from error
    if as_json:
        _print(None, _folder(directory), as_json=True)
    elif node is None:
        typer.echo(f"no Kafka runs on {_folder(directory)}")
    else:
        typer.echo(f"Kafka (process {node.pid}) stopped; its data stays in {node.directory}")


def print_status(*, directory: Directory = None, as_json: AsJson = False) -> None:
    """Say whether Kafka runs, and where; exit code 1 if it does not.

    Example: throughline kafka status --json
    """
    from streams.broker.local import status

    node = status(_folder(directory))
    _print(node, _folder(directory), as_json=as_json)
    if node is None:
        raise typer.Exit(ExitCode.FAILED)


def _folder(directory: Path | None) -> Path:
    from streams.broker.local import default_directory

    return directory or default_directory(os.environ)


def _print(node: Node | None, folder: Path, *, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    if as_json:
        found = {**asdict(node), "bootstrap_servers": node.bootstrap} if node else {"directory": str(folder)}
        typer.echo(json.dumps({"running": node is not None, **found}))
    elif node is None:
        typer.echo(f"no Kafka runs on {folder}")
    else:
        typer.echo(f"Kafka {node.version} on {node.bootstrap} (process {node.pid}, data in {node.directory})")
