"""What lies within one field of a row: objects and lists, in JSON Lines or as JSON text in a column of another format.

`a.b` names the field b of the object in a, `a.0.b` that of the first element of the list in a. Must not know what a
field means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

#: Numbers with a fraction stay the text they were, so that money stays exact.
read_json = msgspec.json.Decoder(float_hook=str).decode


def decode(text: str, column: str) -> Any:
    """What the text of a column holds, None where there is none. Raises ValueError where it is no JSON."""
    if not text:
        return None
    try:
        return read_json(text)
    except (msgspec.DecodeError, UnicodeError):
        raise ValueError(f"{column} is not JSON") from None


def find(row: dict[str, Any], name: str, path: Sequence[str] | None = None) -> Any:
    """The field of that name, or else at the end of that path of names; None where there is none."""
    if name in row:
        return row[name]
    return follow(row, path or name.split("."))


def follow(found: Any, path: Iterable[str]) -> Any:
    """What lies at the end of a path of field names and places; None where it leads nowhere."""
    for step in path:
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal():
            place = int(step)
            found = found[place] if place < len(found) else None
        else:
            return None
    return found


def as_text(field: Any) -> str:
    """A field as a column would say it: nothing is the empty text, an object or a list its JSON."""
    if isinstance(field, str):
        return field
    if field is None:
        return ""
    if isinstance(field, bool):
        return "true" if field else "false"
    return msgspec.json.encode(field).decode()


class Nested:
    """The fields that somebody wants of a table whose `columns` hold text, some of it JSON.

    `names` are those of the `wanted` that are no columns but lead into one, in the order of their texts.
    """

    def __init__(self, columns: Sequence[str], wanted: Iterable[str]) -> None:
        within: dict[str, list[str]] = {}
        for name in wanted:
            column = _column_of(name, columns)
            if column is not None:
                within.setdefault(column, []).append(name)
        self.names = tuple(name for names in within.values() for name in names)
        self._paths = [
            (column, columns.index(column), [name[len(column) + 1 :].split(".") for name in names])
            for column, names in within.items()
        ]

    def texts(self, values: Sequence[str]) -> list[str]:
        """The wanted fields of a row. Raises ValueError where a column that they lie in is no JSON."""
        found: list[str] = []
        for column, place, paths in self._paths:
            held = decode(values[place], column)
            found += [as_text(follow(held, path)) for path in paths]
        return found


def _column_of(name: str, columns: Sequence[str]) -> str | None:
    """The longest column that a name leads into; None for a column, and where there is none."""
    if name in columns:
        return None
    return max((column for column in columns if name.startswith(f"{column}.")), key=len, default=None)
