"""Where a mapping's values stand in a row: columns, constants and templates as functions of the row.

The hot path calls them for every row, so that what can be decided once is decided here.
"""

from __future__ import annotations

from collections.abc import Callable

from streams.importer.mapping import Value, template_parts

Texts = list[str]
Getter = Callable[[Texts], str]


def text_of(value: Value, index: dict[str, int]) -> Getter:
    """A function from a row to the text that a mapping's value means; empty where it is missing."""
    default = value.default or ""
    if value.constant is not None:
        constant = value.constant
        return lambda _: constant
    if value.template is not None:
        return _template(value.template, index, default=default)
    get = column_of(value.column, index)
    names = value.names
    if names and value.default is not None:
        return lambda values: names.get(get(values), default)
    if names:
        return lambda values: names.get(text := get(values), text)
    if default:
        return lambda values: get(values) or default
    return get


def text_or_none(value: Value | None, index: dict[str, int]) -> Getter | None:
    """The same where the mapping may say nothing."""
    return None if value is None else text_of(value, index)


def column_of(column: str | None, index: dict[str, int]) -> Getter:
    """A function from a row to the text of a column; empty where the table has no such column."""
    place = index.get(column or "")
    if place is None:
        return lambda _: ""
    return lambda values: values[place]


def _template(template: str, index: dict[str, int], *, default: str) -> Getter:
    parts = [
        (text, column_of(column, index) if column else None) for text, column in template_parts(template)
    ]

    def fill(values: Texts) -> str:
        filled: list[str] = []
        for text, get in parts:
            column = get(values) if get else None
            if column == "":
                return default
            filled.append(text + (column or ""))
        return "".join(filled)

    return fill
