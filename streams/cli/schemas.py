"""`throughline schemas`: check the contracts, show one, publish all, snapshot a release.

What is compatible, and how a registry is spoken to, lives in the package `schemas`; here it is only printed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    group = typer.Typer(no_args_is_help=True, help="Contracts: check them, show one, publish them.")
    group.command("check")(check_schemas)
    group.command("show")(show_schema)
    group.command("register")(register_schemas)
    group.command("snapshot")(snapshot_release)
    app.add_typer(group, name="schemas", rich_help_panel=panels.OPERATE)


def check_schemas(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """May these schemas follow every released version? One line a violation; exit code 1 if there is one.

    Example: throughline schemas check
    """
    import json

    from schemas import evolution
    from schemas.catalog import Catalog, releases

    violations = evolution.check(Catalog.embedded())
    if as_json:
        typer.echo(json.dumps({"violations": violations, "against": list(releases())}, indent=2))
    else:
        for violation in violations:
            typer.echo(violation)
    if violations:
        raise typer.Exit(ExitCode.FAILED)
    if not as_json and not context.quiet(ctx):
        count = len(Catalog.embedded().subjects())
        typer.echo(f"{count} schemas may follow {', '.join(releases()) or 'nothing released yet'}")


def show_schema(subject: Annotated[str, typer.Argument(help="A subject or a schema id.")]) -> None:
    """Print the full Avro schema of a subject, as JSON.

    Example: throughline schemas show touchpoints.web
    """
    import json

    from schemas.catalog import Catalog
    from schemas.wire import CodecError

    catalog = Catalog.embedded()
    try:
        schema_id = int(subject) if subject.isdecimal() else catalog.id_of(subject)
        schema = catalog.schema(schema_id)
    except (KeyError, CodecError):
        known = ", ".join(catalog.subjects())
        raise Failure(f"no schema {subject!r}; there are: {known}", ExitCode.USAGE) from None
    typer.echo(json.dumps(schema, indent=2, ensure_ascii=False))


def register_schemas(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(help="The registry; the setting registry.url if not given.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Publish every schema to a Confluent-compatible registry and print the ids it gave.

    Example: throughline schemas register http://localhost:8081
    """
    import json

    from schemas.catalog import Catalog
    from schemas.registry import RegistryRefused, RegistryUnavailable, publish

    address = url or context.settings(ctx).registry.url
    if not address:
        raise Failure("no registry: give its URL or set registry.url", ExitCode.USAGE)
    ids: dict[str, int] = {}
    try:
        for subject, schema_id in publish(address, Catalog.embedded()):
            ids[subject] = schema_id
            if not as_json:
                typer.echo(f"{schema_id}\t{subject}")
    except RegistryRefused as error:
        raise Failure(f"the registry refused {error}") from error
    except RegistryUnavailable as error:
        raise Failure(f"no registry at {error}", ExitCode.UNAVAILABLE) from error
    if as_json:
        typer.echo(json.dumps(ids, indent=2))


def snapshot_release(
    version: Annotated[str, typer.Argument(help="The version being released, as in 0.2.0.")],
    *,
    directory: Annotated[Path, typer.Option(help="Where snapshots are kept.")] = Path("schemas/released"),
) -> None:
    """Keep the schemas of a release, for all later checks. A snapshot is never rewritten.

    Example: throughline schemas snapshot 0.2.0
    """
    from schemas import evolution
    from schemas.catalog import Catalog

    file = directory / f"{version}.json"
    if not all(part.isdecimal() for part in version.split(".")):
        raise Failure(f"not a version of numbers and dots: {version}", ExitCode.USAGE)
    if file.exists():
        raise Failure(f"{version} is released already: {file}", ExitCode.USAGE)
    if not directory.is_dir():
        raise Failure(f"no directory {directory}", ExitCode.USAGE)
    file.write_text(evolution.as_text(evolution.snapshot(Catalog.embedded())), "utf-8")
    typer.echo(str(file))
