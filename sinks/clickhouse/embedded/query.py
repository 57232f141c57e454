"""One request in the engine's terms, and the beginning of its answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sinks.clickhouse.embedded.body import Body
from sinks.clickhouse.embedded.sessions import SessionKey
from sinks.clickhouse.embedded.users import User


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """A table that a request brings along: its columns as in CREATE TABLE, its rows in a format."""

    name: str
    structure: str
    format: str
    rows: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """One request, decoded: the statement may stand in `sql`, in `body`, or begin in one and end in the other."""

    user: User
    query_id: str
    sql: bytes
    body: Body = field(default_factory=Body)
    database: str = ""
    session: SessionKey | None = None
    ends_session: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[ExternalTable, ...] = ()
    default_format: str = "TabSeparated"
    is_read_only: bool = False
    waits_for_end: bool = False
    protocol_version: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """What comes before the rows: their format (empty: no rows come) and the counts of the statement."""

    format: str
    summary: Mapping[str, int] = field(default_factory=dict)
