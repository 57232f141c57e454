"""The root of the command line: global options, groups of help, and how a failure is shown.

Knows its commands by module name only. Modules are imported for their help texts, so whatever is heavy is
imported inside a command's function.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from streams.cli import context
from streams.cli.errors import ExitCode, Failure

# One module a command, in the order of the help; each has `register(app)`.
COMMANDS = (
    "demo",
    "run",
    "worker",
    "health",
    "sink",
    "webhook",
    "kafka",
    "importing",
    "simulate",
    "query",
    "clv",
    "explain",
    "attribution",
    "report",
    "identity",
    "topics",
    "warehouse",
    "schemas",
    "settings",
)

EPILOG = (
    "Exit codes: 0 done · 1 a check or comparison failed · 2 wrong usage or settings · "
    "3 something needed is not available (broker, warehouse, Java); a command says if it has more."
)


class Root(TyperGroup):
    """Shows a failure as one clear line and exits with its code; `--debug` lets the traceback through."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Usage errors are shown by Typer itself."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            failure = _as_failure(error)
            if failure is None or context.root(ctx).is_debug:
                raise
            typer.echo(f"throughline: {failure.message}", err=True)
            raise typer.Exit(failure.exit_code) from None


def _as_failure(error: Exception) -> Failure | None:
    if isinstance(error, Failure):
        return error
    # By name: importing streams.settings for a class nobody raised would cost every --help its time.
    if type(error).__name__ == "SettingsError":
        return Failure("settings: " + str(error).replace("\n", "\n  "), ExitCode.USAGE)
    return None


def _version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"throughline {version('throughline')}")
        raise typer.Exit


def _options(
    ctx: typer.Context,
    *,
    settings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="THROUGHLINE_SETTINGS",
            help="Settings file (TOML); see deploy/throughline.toml.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Results only: no progress, no advice.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of failures.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One customer, many channels, one line through them."""
    del version
    ctx.obj = context.Root(settings_file=settings, is_quiet=quiet, is_debug=debug)


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        cls=Root,
        name="throughline",
        epilog=EPILOG,
        rich_markup_mode="rich",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in COMMANDS:
        importlib.import_module(f"streams.cli.{name}").register(app)
    return app


def main() -> None:
    """The console script."""
    build()()
