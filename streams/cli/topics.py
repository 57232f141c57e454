"""`throughline topics`: make the topics, and say what is not as it must be.

Which topics there are is `streams.launch.topics`, how a broker's are compared `streams.runtime.topics`; here it is only
asked for and printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

    from streams.runtime.topics import Deviation
    from streams.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    group = typer.Typer(no_args_is_help=True, help="Topics: make them, check them.")
    group.command("create")(create_topics)
    group.command("check")(check_topics)
    app.add_typer(group, name="topics", rich_help_panel=panels.OPERATE)


def create_topics(
    ctx: typer.Context,
    *,
    should_alter: Annotated[
        bool, typer.Option("--alter", help="Set the configuration of topics that are there already, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing; exit code 1 if others are not as they must be.

    Example: throughline topics create
    """
    from streams.launch.topics import expected
    from streams.runtime.topics import BrokerUnavailable, alter, connect, create, found_on

    settings = context.settings(ctx)
    specs = expected(settings)
    try:
        admin = connect(settings.kafka.bootstrap_servers)
        found = found_on(admin, [spec.name for spec in specs])
        missing = [spec for spec in specs if spec.name not in found]
        create(admin, missing)
        altered = sorted(_alterable(_deviations(admin, settings))) if should_alter else []
        alter(admin, [spec for spec in specs if spec.name in altered])
        left = _deviations(admin, settings)
    except BrokerUnavailable as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    created = [spec.name for spec in missing]
    _print(left, as_json=as_json, done={"created": created, "altered": altered})
    if not as_json and not context.quiet(ctx):
        changed = f", {len(altered)} altered" if should_alter else ""
        typer.echo(f"{len(created)} topics created{changed}, {len(specs)} in all")
    _exit(left)


def check_topics(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List whatever is not as it must be, and what to do; exit code 1 if there is anything.

    Example: throughline topics check
    """
    from streams.launch.topics import expected
    from streams.runtime.topics import BrokerUnavailable, connect

    settings = context.settings(ctx)
    try:
        left = _deviations(connect(settings.kafka.bootstrap_servers), settings)
    except BrokerUnavailable as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    _print(left, as_json=as_json, done={})
    if not left and not as_json and not context.quiet(ctx):
        typer.echo(f"all {len(expected(settings))} topics are as they must be")
    _exit(left)


def _deviations(admin: AdminClient, settings: Settings) -> list[Deviation]:
    from streams.launch.topics import expected
    from streams.runtime.topics import deviations, found_on

    specs = expected(settings)
    return deviations(specs, found_on(admin, [spec.name for spec in specs]))


def _alterable(left: list[Deviation]) -> set[str]:
    return {deviation.topic for deviation in left if deviation.can_alter}


def _print(left: list[Deviation], *, as_json: bool, done: dict[str, list[str]]) -> None:
    import json
    from dataclasses import asdict

    if as_json:
        typer.echo(json.dumps({**done, "deviations": [asdict(deviation) for deviation in left]}))
        return
    for deviation in left:
        typer.echo(f"{deviation.topic} {deviation.what}: {deviation.remedy}")


def _exit(left: list[Deviation]) -> None:
    if left:
        raise typer.Exit(ExitCode.FAILED)
