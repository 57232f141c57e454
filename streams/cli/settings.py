"""`throughline settings`: every setting with its value, its source and what it means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import context, panels

if TYPE_CHECKING:
    from streams.told import Entry

MASK = "********"


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("settings", rich_help_panel=panels.OPERATE)(print_settings)


def print_settings(
    ctx: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for programs.")] = False,
    as_toml: Annotated[
        bool, typer.Option("--toml", help="A settings file to start from: every default, explained.")
    ] = False,
) -> None:
    """Print every setting: its value, where it came from, what it means.

    Example: throughline --settings deploy/throughline.toml settings
    """
    from streams.told import entries

    if as_toml:
        typer.echo(reference(entries(None, {})), nl=False)
        return
    found = entries(context.root(ctx).settings_file, os.environ)
    if as_json:
        _print_json(found)
    else:
        _print_table(found)


def _shown(entry: Entry) -> Any:
    from streams.layered import without_credentials

    if entry.is_secret:
        return MASK
    return without_credentials(entry.value) if isinstance(entry.value, str) else entry.value


def _print_json(found: list[Entry]) -> None:
    import json

    from streams.settings import variable
    from streams.told import plain

    rows = [
        {
            "setting": f"{entry.section}.{entry.key}",
            "value": _shown(entry),
            "source": entry.source,
            "variable": variable(entry.section, entry.key),
            "allowed": entry.allowed,
            "description": entry.description,
        }
        for entry in found
    ]
    typer.echo(json.dumps(rows, indent=2, ensure_ascii=False, default=plain))


def reference(found: list[Entry]) -> str:
    """A settings file that says what the entries say, each with its meaning and what it may be."""
    lines = ["# Every setting, as it is when nothing is said. Any can come from the environment instead:"]
    lines += ["# THROUGHLINE_<SECTION>_<KEY>, which wins over this file."]
    section = ""
    for entry in found:
        if entry.section != section:
            section = entry.section
            lines += ["", f"[{section}]"]
        lines += [f"# {entry.description} ({entry.allowed})", f"{entry.key} = {_in_toml(entry.value)}"]
    return "\n".join(lines) + "\n"


def _in_toml(value: Any) -> str:
    import json

    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {number}" for name, number in value.items()) + "}"
    return json.dumps(value)  # TOML spells numbers, plain text and lists of them as JSON does


def _print_table(found: list[Entry]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = (
        Column("setting", no_wrap=True),
        *(Column(name, overflow="fold") for name in ("value", "source")),
    )
    table = Table(*columns, "meaning", box=None, pad_edge=False)
    for entry in found:
        cells = (f"{entry.section}.{entry.key}", _in_line(_shown(entry)), entry.source, entry.description)
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)


def _part(part: Any) -> str:
    import json

    from streams.told import plain

    return json.dumps(plain(part)) if hasattr(part, "model_dump") else str(part)


def _in_line(value: Any) -> str:
    """As the environment would spell it."""
    if isinstance(value, tuple):
        return ",".join(_part(part) for part in value)
    if isinstance(value, dict):
        return ",".join(f"{name}={number}" for name, number in value.items())
    return str(value)
