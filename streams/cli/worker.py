"""`throughline worker`: one worker process, from the settings."""

from __future__ import annotations

import typer

from streams.cli import context, panels
from streams.cli.errors import Failure


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("worker", rich_help_panel=panels.RUN)(run_worker)


def run_worker(ctx: typer.Context) -> None:
    """Process touchpoints: stitch, sessionize, act. SIGTERM and SIGINT stop it in good order.

    Exit codes: 0 stopped as asked · 1 broken · 2 wrong settings, or a state directory that another worker has ·
    3 the broker no longer has what the worker needs · 4 too many dead letters.

    Example: throughline --settings deploy/throughline.toml worker
    """
    from streams.agents.start import start_worker
    from streams.runtime.store.directory import StateDirectoryUnavailable

    try:
        code = start_worker(context.settings(ctx))
    except StateDirectoryUnavailable as error:
        raise Failure(str(error), 2) from error
    raise typer.Exit(code)
