"""`throughline worker`: one worker process, from the settings."""

from __future__ import annotations

import typer

from streams.cli import context, panels


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("worker", rich_help_panel=panels.RUN)(run_worker)


def run_worker(ctx: typer.Context) -> None:
    """Process touchpoints: stitch, sessionize, act. SIGTERM and SIGINT stop it in good order.

    Exit codes: 0 stopped as asked · 1 broken · 3 the broker no longer has what the worker needs ·
    4 too many dead letters.

    Example: throughline --settings deploy/throughline.toml worker
    """
    from streams.agents.start import start_worker

    raise typer.Exit(start_worker(context.settings(ctx)))
