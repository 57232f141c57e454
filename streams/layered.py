"""A typed model read from layers: its defaults, then one TOML file, then the environment; the last one wins.

Whatever is wrong is gathered and said at once, with its source, what is allowed and what was probably meant.
Knows no setting by name: `streams.settings` says which there are.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """One table of the settings file: frozen, nothing unknown, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Source = str
"""Where a value came from: `<file>: section.key` or the name of an environment variable."""


class SettingsError(ValueError):
    """Everything that is wrong with the settings, at once: one line a problem, each with its source."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint to put behind a refused name; empty if nothing known is near it."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean {near[0]}?" if near else ""


def sections_of(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The tables of the file by name: a model of models."""
    return {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def allowed(section: type[BaseModel], key: str) -> str:
    """In words, what one field may be."""
    return _in_words(_schema(section, key))


def _schema(section: type[BaseModel], key: str, inside: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON schema of a field; of a key in one of its tables, where `inside` leads to one."""
    whole = section.model_json_schema()
    schema: dict[str, Any] = whole["properties"][key]
    if len(inside) > 1 and (table := _table(schema, whole)) is not None:
        schema = table["properties"].get(inside[1], schema)
    return schema


def _table(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any] | None:
    """What each table of a list of tables looks like."""
    reference: str = schema.get("items", {}).get("$ref", "")
    found: dict[str, Any] | None = whole.get("$defs", {}).get(reference.removeprefix("#/$defs/"))
    return found


BY_NAME = " by name"
A_LIST = "a list of "


def _in_words(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f"{schema['const']}, as yet the only one"
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if schema["type"] == "array":
        items = schema["items"]
        names = "whole numbers" if items.get("type") == "integer" else "names"
        return A_LIST + ("tables" if "$ref" in items else names)
    if schema["type"] == "object":
        values = schema.get("additionalProperties", {})
        return (" or ".join(values["enum"]) if "enum" in values else "whole numbers") + BY_NAME
    if "examples" in schema:
        return f"text like {schema['examples'][0]!r}"
    if "pattern" in schema:
        if schema["default"]:
            return f"text like {schema['default']!r}"
        return "an http(s) URL or nothing" if "http" in schema["pattern"] else "a name or nothing"
    kinds = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}
    return kinds[schema["type"]] + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    words = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    bounds = [
        f"{word} {schema[bound]:,}".removesuffix(".0") for bound, word in words.items() if bound in schema
    ]
    if schema.get("minLength"):
        bounds.append("not empty")
    return "".join(f", {bound}" for bound in bounds)


class Layers(Generic[Model]):
    """One pass over file and environment: values, where each came from, and whatever is wrong.

    `settings` is the model, `sources` has each `(section, key)` that is no default. Raises SettingsError.
    """

    def __init__(
        self,
        model: type[Model],
        toml: Path | None,
        *,
        environ: Mapping[str, str],
        prefix: str,
        not_settings: Iterable[str] = (),
    ) -> None:
        self.sources: dict[tuple[str, str], Source] = {}
        self._values: dict[str, dict[str, Any]] = {}
        self._problems: list[str] = []
        self._prefix = prefix
        self._sections = sections_of(model)
        if toml is not None:
            self._read_file(toml)
        self._read_environment({name: environ[name] for name in sorted(environ) if name not in not_settings})
        self.settings = self._validated(model)

    def _read_file(self, path: Path) -> None:
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            self._problems.append(f"{path}: cannot be read: {error.strerror}")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self._problems.append(f"{path}: is no TOML: {error}")
        else:
            for section, table in tables.items():
                self._read_table(path, section, table=table)

    def _read_table(self, path: Path, section: str, *, table: object) -> None:
        if section not in self._sections:
            hint = did_you_mean(section, self._sections) or f"; known are {', '.join(self._sections)}"
            self._problems.append(f"{path}: [{section}] is unknown{hint}")
        elif not isinstance(table, dict):
            self._problems.append(f"{path}: {section} must be a table, [{section}]")
        else:
            for key, value in table.items():
                source = f"{path}: {section}.{key}"
                if key in (known := self._sections[section].model_fields):
                    self._take(section, key, value=value, source=source)
                else:
                    hint = did_you_mean(key, known) or f"; known are {', '.join(known)}"
                    self._problems.append(f"{source}: is unknown{hint}")

    def _read_environment(self, environ: Mapping[str, str]) -> None:
        known = {
            f"{self._prefix}{section}_{key}".upper(): (section, key)
            for section, fields in self._sections.items()
            for key in fields.model_fields
        }
        for name, text in environ.items():
            if name in known:
                section, key = known[name]
                value = _unpacked(text, allowed(self._sections[section], key))
                self._take(section, key, value=value, source=name)
            elif name.startswith(self._prefix):
                self._problems.append(f"{name}: is unknown{did_you_mean(name, known)}")

    def _take(self, section: str, key: str, *, value: object, source: Source) -> None:
        self._values.setdefault(section, {})[key] = value
        self.sources[section, key] = source

    def _validated(self, model: type[Model]) -> Model:
        try:
            settings = model.model_validate(self._values)
        except ValidationError as error:
            raise SettingsError([*self._problems, *self._explained(error)]) from None
        if self._problems:
            raise SettingsError(self._problems)
        return settings

    def _explained(self, error: ValidationError) -> Iterator[str]:
        for detail in error.errors(include_url=False):
            section, key, *inside = (str(part) for part in detail["loc"])
            where = self.sources[section, key] + "".join(f".{part}" for part in inside)
            model = self._sections[section]
            if detail["type"] == "value_error":
                yield f"{where}: {detail['ctx']['error']}"
            elif detail["type"] == "missing":
                yield f"{where}: is missing"
            elif detail["type"] == "extra_forbidden":
                yield f"{where}: is unknown{_meant(model, key, inside)}"
            else:
                yield f"{where}: {_refused(_schema(model, key, inside), detail['input'])}"


def _meant(section: type[BaseModel], key: str, inside: Sequence[str]) -> str:
    whole = section.model_json_schema()
    known = (_table(whole["properties"][key], whole) or {}).get("properties", {})
    return did_you_mean(inside[-1], known) or f"; known are {', '.join(known)}"


def _refused(schema: Mapping[str, Any], value: object) -> str:
    hint = did_you_mean(str(value), schema.get("enum", ()))
    shown = "what it says" if schema.get("secret") else without_credentials(repr(value))
    return f"{shown} is not allowed{hint}; it must be {_in_words(schema)}"


def without_credentials(text: str) -> str:
    """The text with the user and password of any URL in it left out: it is going to be printed."""
    return re.sub(r"://[^@/\s]*@", "://…@", text)


def _unpacked(text: str, shape: str) -> object:
    """What a text of the environment stands for.

    A list is `a,b` or `["a","b"]`, numbers by name are `web=900,app=60` or `{"web":900}`.
    """
    if shape.startswith(A_LIST):
        listed = _from_json(text, "[")
        return [part.strip() for part in text.split(",") if part.strip()] if listed is None else listed
    if shape.endswith(BY_NAME):
        named = _from_json(text, "{")
        pairs = (part.partition("=") for part in text.split(",") if part.strip())
        return {name.strip(): number.strip() for name, _, number in pairs} if named is None else named
    return text


def _from_json(text: str, opening: str) -> object:
    if not text.lstrip().startswith(opening):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None
