"""Running statements under the ids their clients know: `system.processes` and KILL QUERY. Pure.

chDB gives each statement an id of its own and calls every user `default`. Who asks, and under which id, travels
in the setting `log_comment`; what reads the list of statements reads it from there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sinks.clickhouse.embedded.quoting import text
from sinks.clickhouse.embedded.users import User

_LITERAL = rb"'(?:\\.|''|[^'\\])*'"
_SYSTEM_PROCESSES: Final = re.compile(
    _LITERAL
    + rb"|(?<![\w.`\"])(?:system|`system`|\"system\")\s*\.\s*(?:processes|`processes`|\"processes\")(?![\w`\"])",
    re.I | re.S,
)
_KILL: Final = re.compile(
    rb"KILL QUERY WHERE (?P<which>.*) (?P<how>SYNC|ASYNC|TEST)(?:\nFORMAT \w+)?\s*$", re.S
)
_TAG: Final = "splitByChar('\\t', Settings['log_comment'])"
PROGRESS: Final = (
    "read_rows", "read_bytes", "written_rows", "written_bytes", "total_rows_to_read", "elapsed_ns", "memory_usage",
)  # fmt: skip
"""What a row of `progress_of` holds, in the words of the HTTP interface."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A KILL QUERY: which statements, as a condition on `system.processes`, and how (SYNC, ASYNC, TEST)."""

    which: str
    how: str


def tag(user: User, query_id: str) -> str:
    """What a statement's `log_comment` has to be."""
    return f"{user.name}\t{query_id}"


def with_own_ids(statement: bytes, user: User) -> bytes:
    """The statement, in which `system.processes` has the ids and users that clients know; a reader sees its own."""
    return _SYSTEM_PROCESSES.sub(
        lambda found: found.group(0) if found.group(0).startswith(b"'") else _source(user).encode(), statement
    )


def kill_of(formatted: bytes) -> Kill | None:
    """The KILL QUERY in a statement that the engine has formatted."""
    found = _KILL.match(formatted)
    return Kill(found["which"].decode(errors="surrogateescape"), found["how"].decode()) if found else None


def victims(kill: Kill, user: User) -> str:
    """SQL for what a KILL QUERY answers."""
    status = "waiting" if kill.how == "ASYNC" else "finished"
    return f"SELECT '{status}' AS kill_status, query_id, user, query {_chosen(kill, user)}"


def victim_ids(kill: Kill, user: User) -> str:
    """SQL for the engine's ids of what is to be killed."""
    return f"SELECT DISTINCT initial_query_id {_chosen(kill, user)}"


def progress_of(user: User, query_id: str) -> str:
    """SQL for how far a statement has come: a row of whole numbers, or none if it does not run."""
    return (
        "SELECT read_rows, read_bytes, written_rows, written_bytes, total_rows_approx, toUInt64(elapsed * 1e9), "
        f"toUInt64(greatest(memory_usage, 0)) FROM system.processes WHERE {_tagged(user, query_id)}"
    )


def reading_as(user: User, query_id: str) -> str:
    """The condition on the engine's own `system.processes` for a statement, if it only reads."""
    return f"{_tagged(user, query_id)} AND query_kind IN ('Select', 'Explain', 'Show', 'Describe', 'Exists')"


def _tagged(user: User, query_id: str) -> str:
    return f"Settings['log_comment'] = {text(tag(user, query_id))}"


def _chosen(kill: Kill, user: User) -> str:
    return f"FROM {_source(user)} AS processes WHERE ({kill.which}) AND initial_query_id != queryID()"


def _source(user: User) -> str:
    own = f" AND {_TAG}[1] = {text(user.name)}" if user.is_reader else ""
    return (
        f"(SELECT * REPLACE ({_TAG}[2] AS query_id, {_TAG}[1] AS user) FROM system.processes "
        f"WHERE length({_TAG}) = 2{own})"
    )
