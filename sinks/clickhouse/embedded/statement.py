"""What a statement is, as far as the HTTP interface must know before the engine sees it. Pure.

ClickHouse's own grammar stays with the engine: only where an INSERT's data begin, which format was asked for,
and whether the client-side clauses that touch files are there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_GAP = rb"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_LITERAL = rb"'(?:\\.|''|[^'\\])*'|`(?:\\.|[^`\\])*`|\"(?:\\.|[^\"\\])*\""
_INSERT: Final = re.compile(_GAP + rb"INSERT\s+INTO\b", re.I | re.S)
_SELECT: Final = re.compile(_GAP + rb"\(*\s*(?:SELECT|WITH)\b", re.I | re.S)
_COMMENT = rb"--[^\n]*|/\*.*?\*/"
_INSERT_TURN: Final = re.compile(
    _LITERAL + rb"|" + _COMMENT + rb"|\b(?:SELECT|WITH|VALUES|INFILE)\b|\bFORMAT\s+(\w+)[ \t\r]*(?:\n|;|$)",
    re.I | re.S,
)
_FILE_CLAUSE: Final = re.compile(_LITERAL + rb"|\b(INFILE|OUTFILE)\b", re.I | re.S)
_OUTPUT_FORMAT: Final = re.compile(rb"\bFORMAT\s+(\w+)\s*(?:SETTINGS\s[^;]*)?;?\s*$", re.I)
_STATEMENT_MAX: Final = 1 << 20

# Formats whose blocks can be sent as they come; the rest (JSON, Parquet, …) has a beginning and an end.
_BLOCKWISE: Final = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT that carries its rows behind it."""

    statement: bytes
    format: str
    rows: bytes


def join(query: bytes, body: bytes) -> bytes:
    """The statement of a request that has it in the address, in the body, or partly in both."""
    return query + b"\n" + body if query and body else query or body


def split_insert(query: bytes, body: bytes) -> Insert | None:
    """The INSERT of a request and the rows behind it; None for everything else, VALUES in SQL included."""
    whole = join(query, body)
    if not _INSERT.match(whole):
        return None
    for turn in _INSERT_TURN.finditer(whole, 0, min(len(whole), _STATEMENT_MAX)):
        if turn.group(1):
            return Insert(whole[: turn.start()], turn.group(1).decode(), whole[turn.end() :])
        if turn.group(0)[:1] not in b"'`\"-/":
            return None
    return Insert(query, "Values", body) if query and body else None


def output_format(statement: bytes, *, default: str) -> str:
    """The format the answer comes in."""
    found = _OUTPUT_FORMAT.search(statement[-_STATEMENT_MAX:])
    return found.group(1).decode() if found else default


def is_streamable(statement: bytes, output: str) -> bool:
    """Whether the answer can be passed on block by block."""
    return output in _BLOCKWISE and _SELECT.match(statement) is not None


def may_touch_files(statement: bytes) -> bool:
    """Whether it could hold INTO OUTFILE or FROM INFILE: certainly not if this is false."""
    return re.search(rb"(?:in|out)file", statement, re.I) is not None


def touches_files(formatted: bytes) -> bool:
    """Whether a statement the engine has formatted (so: without comments) has INTO OUTFILE or FROM INFILE."""
    return any(found.group(1) for found in _FILE_CLAUSE.finditer(formatted))
