"""What every command may ask of the root: the settings, and whether to be quiet.

Settings are read when a command first asks, so that help and usage errors never depend on them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from streams.settings import Settings


@dataclass(slots=True)
class Root:
    """The options that stand before the command."""

    settings_file: Path | None = None
    is_quiet: bool = False
    is_debug: bool = False
    loaded: Settings | None = field(default=None, repr=False)


def root(ctx: typer.Context) -> Root:
    """The options that stand before the command; the defaults where a command runs without the root."""
    found = ctx.find_root().ensure_object(Root)
    if not isinstance(found, Root):
        raise TypeError(f"the root context holds a {type(found).__name__}, not a Root")
    return found


def settings(ctx: typer.Context) -> Settings:
    """The settings of this call, read once. Raises SettingsError, which the root shows."""
    from streams.settings import load

    options = root(ctx)
    if options.loaded is None:
        options.loaded = load(options.settings_file, os.environ)
    return options.loaded


def quiet(ctx: typer.Context) -> bool:
    """Whether to print results only: no progress, no advice."""
    return root(ctx).is_quiet
