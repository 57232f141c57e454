"""`throughline worker`: one worker process, from the settings."""

from __future__ import annotations

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("worker", rich_help_panel=panels.RUN)(run_worker)


def run_worker(ctx: typer.Context) -> None:
    """Process touchpoints: stitch, sessionize, act. SIGTERM and SIGINT stop it in good order.

    Exit codes: 0 stopped as asked · 1 broken · 2 settings, topics and broker do not fit, or another worker has the
    state directory · 3 the broker does not answer, or no longer has what the worker needs · 4 too many dead letters ·
    5 fenced: its tasks are another worker's by now, start it again · 6 no progress (or ended by SIGALRM, if it could
    not even say so).

    Example: throughline --settings deploy/throughline.toml worker
    """
    from streams.agents.start import NoTransactions, start_worker
    from streams.runtime.health import CannotServe
    from streams.runtime.store.directory import StateDirectoryUnavailable
    from streams.runtime.topics import BrokerUnavailable, UnfitTopics

    try:
        raise typer.Exit(start_worker(context.settings(ctx)))
    except (NoTransactions, UnfitTopics, StateDirectoryUnavailable) as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    except (BrokerUnavailable, CannotServe) as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
