"""Settings as they are told: to people, one by one, and to processes that are to go by them. Decides no value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from streams.layered import Source, allowed, sections_of
from streams.settings import Settings, layers, variable

__all__ = ["Entry", "as_environment", "entries", "plain"]

_DEFAULTS = Settings()


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting as it stands, for people: `throughline settings` prints these."""

    section: str
    key: str
    value: Any
    source: Source
    allowed: str
    description: str
    is_secret: bool


def entries(toml: Path | None, environ: Mapping[str, str]) -> list[Entry]:
    """Every setting with value, source and description, in the order of the file. Raises as `load` does."""
    read = layers(toml, environ)
    return [
        Entry(
            section=section,
            key=key,
            value=getattr(getattr(read.settings, section), key),
            source=read.sources.get((section, key), "default"),
            allowed=allowed(model, key),
            description=field.description or "",
            is_secret=isinstance(field.json_schema_extra, dict) and "secret" in field.json_schema_extra,
        )
        for section, model in sections_of(Settings).items()
        for key, field in model.model_fields.items()
    ]


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that say what is no default: for processes that are to go by the same settings."""
    return {
        variable(section, key): _spelled(value)
        for section, model in sections_of(Settings).items()
        for key in model.model_fields
        if (value := getattr(getattr(settings, section), key)) != getattr(getattr(_DEFAULTS, section), key)
    }


def plain(value: Any) -> Any:
    """What JSON has no word for: a table in a list of tables, as what it says."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"no setting is a {type(value).__name__}")


def _spelled(value: Any) -> str:
    if isinstance(value, (tuple, Mapping)):
        return json.dumps(value, default=plain) if value else ""
    return str(value)
