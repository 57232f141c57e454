"""`throughline health`: ask the worker on this machine how it is. For people, and for container health checks."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

_ANSWER_S = 5.0


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("health", rich_help_panel=panels.OPERATE)(ask_health)


def ask_health(
    ctx: typer.Context,
    *,
    is_about_life: Annotated[
        bool, typer.Option("--live", help="Ask whether it is stalled, not whether it is ready.")
    ] = False,
) -> None:
    """Ask the worker of these settings whether it is ready: tasks assigned, restored, and getting on.

    Prints what it says, as JSON. Exit codes: 0 yes · 1 no · 3 nobody answers on worker.metrics_port.

    Example: throughline health
    """
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, build_opener

    port = context.settings(ctx).worker.metrics_port
    if not port:
        raise Failure("worker.metrics_port is 0: the worker has no endpoints to ask", ExitCode.USAGE)
    url = f"http://127.0.0.1:{port}/{'livez' if is_about_life else 'readyz'}"
    try:
        # Never by way of a proxy that the environment names.
        with build_opener(ProxyHandler({})).open(url, timeout=_ANSWER_S) as answer:
            said, is_well = answer.read(), True
    except HTTPError as refusal:
        with refusal:
            said, is_well = refusal.read(), False
    except OSError as error:
        raise Failure(f"nobody answers at {url}: {error}", ExitCode.UNAVAILABLE) from error
    typer.echo(said.decode().strip())
    if not is_well:
        raise typer.Exit(ExitCode.FAILED)
