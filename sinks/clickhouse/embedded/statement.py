"""What a statement is, as far as the HTTP interface must know before the engine sees it. Pure.

ClickHouse's own grammar stays with the engine: only where an INSERT's data begin, which format was asked for,
and whether it has words that reach out of the warehouse and that no grant of the engine forbids.
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
# Read by a client, not a server; a function that reads any file, alone too, as in arrayMap(file, …); what opens
# disks, objects of this process, commands. A column called file has to be written with its table: t.file.
_REACHING = rb"(?:IN|OUT)FILE\b|(?<!\.)(?-i:file)\b|(?:disk|python|arrowstream|executable)(?=\s*\()"
_REACHING_OUT: Final = re.compile(
    rb"'(?:\\.|''|[^'\\])*'|`(?:\\.|[^`\\])*`(?!\()|\b(" + _REACHING + rb")", re.I | re.S
)
# Any of them in a statement as it was sent, where comments may stand anywhere and quoted names have escapes.
_MAY_REACH_OUT: Final = re.compile(
    rb"\b(?:(?:in|out)?file|disk|python|arrowstream|executable)\b|[`\"][^`\"]*\\", re.I
)
_IDENTIFIER: Final = re.compile(rb"\bidentifier\b", re.I)
# Names that a column list may hold: nothing is called in it.
_INSERT_COLUMNS: Final = re.compile(rb"\AINSERT INTO [^\s(]+ \([^()]*\)")
_NAME_TO_COME: Final = re.compile(rb"'(?:\\.|''|[^'\\])*'|\{\s*(\w+)\s*:\s*Identifier\s*\}", re.I | re.S)
_KILL: Final = re.compile(_GAP + rb"KILL\b", re.I | re.S)
_SUBQUERY: Final = re.compile(rb"\bSELECT\b", re.I)
_SETTING_OF_SESSION: Final = re.compile(_GAP + rb"(?:SET|USE)\b", re.I | re.S)
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
    if not is_insert(whole):
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


def is_insert(statement: bytes) -> bool:
    """Whether it is an INSERT, with or without rows behind it."""
    return _INSERT.match(statement) is not None


def is_kill(statement: bytes) -> bool:
    """Whether it is KILL QUERY, or of a mutation."""
    return _KILL.match(statement) is not None


def sets_session(statement: bytes) -> bool:
    """Whether it is SET or USE: what ends with the session and changes nothing else."""
    return _SETTING_OF_SESSION.match(statement) is not None


def may_reach_out(statement: bytes) -> bool:
    """Whether it could have one of the words of `reaches_out`, or hide a name: certainly not if false."""
    if _MAY_REACH_OUT.search(statement) is not None:
        return True
    return b"{" in statement and _IDENTIFIER.search(statement) is not None


def holds_plain_values(rows: bytes) -> bool:
    """Whether expressions in VALUES can only compute: they name nothing that reaches out and ask no tables."""
    return not may_reach_out(rows) and _SUBQUERY.search(rows) is None


def names_to_come(formatted: bytes) -> set[str]:
    """The parameters that a formatted statement takes for names, `{t:Identifier}`: of tables, or of functions."""
    return {found.group(1).decode() for found in _NAME_TO_COME.finditer(formatted) if found.group(1)}


def is_harmless_name(value: str) -> bool:
    """Whether what comes for such a parameter is no name that reaches out, nor hides one behind escapes."""
    return value != "file" and not any(sign in value for sign in '\\`"')


def reaches_out(formatted: bytes) -> str:
    """The first word that reaches out of the warehouse in a statement the engine has formatted (so: without
    comments, heredocs and needless quotes); empty if there is none."""
    for found in _REACHING_OUT.finditer(_INSERT_COLUMNS.sub(b"", formatted)):
        if found.group(1):
            return found.group(1).decode()
    return ""
