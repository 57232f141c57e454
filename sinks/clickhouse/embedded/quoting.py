"""Names and texts as SQL writes them. Pure."""

from __future__ import annotations


def name(identifier: str) -> str:
    """An identifier in backquotes: a table, a database."""
    return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
