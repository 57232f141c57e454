"""One chDB directory, asked from several threads: the only module that loads chDB.

It knows statements and rows, nothing of HTTP. Traps it steps around (chdb 4.4): settings of a statement live in
the connection, so each statement has its own or a session's; the embedded client would read and write local
files and run several statements at once, so those are refused before it sees them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chdb import _chdb as _untyped

from sinks.clickhouse.embedded.failure import Refused, refusal
from sinks.clickhouse.embedded.statement import (
    Insert,
    is_streamable,
    join,
    may_touch_files,
    output_format,
    split_insert,
    touches_files,
)

_chdb: Any = _untyped  # its stub leaves out what is called here
_SESSION_IDLE_S: Final = 600.0
_APPEND_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Query:
    """One request, decoded: the statement may stand in `sql`, in `body`, or begin in one and end in the other."""

    sql: bytes
    body: bytes = b""
    database: str = ""
    session_id: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    default_format: str = "TabSeparated"
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """What comes before the rows: their format (empty: no rows come) and the counts of the statement."""

    format: str
    summary: Mapping[str, int] = field(default_factory=dict)


class _Session:
    """A connection that several requests share, one after the other."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.lock = threading.Lock()
        self.used_s = time.monotonic()


class Engine:
    """An open directory. Methods may be called from any thread; `close` only when no answer is being read."""

    def __init__(self, directory: Path, config: Path, *, database: str = "throughline") -> None:
        """Raises Refused if chDB cannot open the directory. `database` (made here) is where names without one are."""
        self._database = database
        self._address = f"{directory.resolve()}?config-file={config.resolve()}"
        self._sessions: dict[str, _Session] = {}
        self._sessions_lock = threading.Lock()
        try:
            self._keeper = _chdb.connect(self._address)  # the engine lives as long as one connection does
        except RuntimeError as error:
            said = str(error) or "chDB cannot open it; another program may have it open"
            raise Refused(f"{directory}: {said}") from error
        # Never chDB's own database `default`: names in it are files of this machine.
        self._keeper.query(f"CREATE DATABASE IF NOT EXISTS {_name(database)}", "TSV")
        self.timezone = self._word("SELECT timezone()")
        self.version = self._word("SELECT version()")

    def answer(self, query: Query) -> Iterator[Head | bytes]:
        """One Head, then the rows in pieces. Raises Refused, at any point."""
        try:
            with self._connection(query.session_id) as connection:
                connection.query(f"USE {_name(query.database or self._database)}", "TSV")
                yield from _answer(connection, query)
        except RuntimeError as error:
            raise Refused(str(error)) from error

    def close(self) -> None:
        """Close the directory."""
        with self._sessions_lock:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()
        self._keeper.close()

    def _word(self, sql: str) -> str:
        return str(self._keeper.query(sql, "TSV").bytes().decode().strip())

    @contextmanager
    def _connection(self, session_id: str) -> Iterator[Any]:
        if session_id:
            session = self._session(session_id)
            with session.lock:
                yield session.connection
            return
        connection = _chdb.connect(self._address)
        try:
            yield connection
        finally:
            connection.close()

    def _session(self, session_id: str) -> _Session:
        now_s = time.monotonic()
        with self._sessions_lock:
            session = self._sessions.get(session_id)
            if session is None:
                session = self._sessions[session_id] = _Session(_chdb.connect(self._address))
            session.used_s = now_s
            for other_id, other in list(self._sessions.items()):
                if now_s - other.used_s > _SESSION_IDLE_S and not other.lock.locked():
                    self._sessions.pop(other_id).connection.close()
        return session


def _answer(connection: Any, query: Query) -> Iterator[Head | bytes]:
    with _settings(connection, query):
        insert = split_insert(query.sql, query.body)
        statement = insert.statement if insert else join(query.sql, query.body)
        _refuse_unsafe(connection, statement, is_read_only=query.is_read_only)
        if insert:
            yield _insert(connection, insert)
            return
        output = output_format(statement, default=query.default_format)
        # chDB takes text; bytes that are no UTF-8 can only stand in literals, which it takes as they are.
        text = statement.decode(errors="surrogateescape")
        if is_streamable(statement, output):
            yield from _stream(connection, text, output=output, parameters=query.parameters)
        else:
            yield from _whole(connection, text, output=output, parameters=query.parameters)


@contextmanager
def _settings(connection: Any, query: Query) -> Iterator[None]:
    if query.settings:
        pairs = ", ".join(f"{name} = {_text(value)}" for name, value in query.settings.items())
        connection.query(f"SET {pairs}", "TSV")
    try:
        yield
    finally:
        if query.settings and query.session_id:  # a session's next statement must not inherit them
            with suppress(RuntimeError):
                connection.query("SET " + ", ".join(f"{name} = DEFAULT" for name in query.settings), "TSV")


def _refuse_unsafe(connection: Any, statement: bytes, *, is_read_only: bool) -> None:
    if may_touch_files(statement):
        ask = "SELECT formatQuery({q:String})"
        text = statement.decode(errors="surrogateescape")
        if touches_files(connection.query(ask, "TabSeparatedRaw", params={"q": text}).bytes()):
            raise refusal(48, "INTO OUTFILE and FROM INFILE are not allowed here.", "NOT_IMPLEMENTED")
    if b";" not in statement and not is_read_only:
        return
    kind = connection.classify_query(statement.decode(errors="surrogateescape"))
    if kind["statement_count"] > 1:
        raise refusal(62, "Multi-statements are not allowed.", "SYNTAX_ERROR")
    if is_read_only and kind["query_class"] != _chdb.query_class.READ_ONLY:
        raise refusal(164, "Method GET is for reading; use POST to change anything.", "READONLY")


def _insert(connection: Any, insert: Insert) -> Head:
    running = connection.send_insert(insert.statement.decode(), insert.format)
    try:
        for at in range(0, len(insert.rows), _APPEND_BYTES):
            connection.insert_append(running, insert.rows[at : at + _APPEND_BYTES])
    except RuntimeError:
        # Appending says only that the insert broke; finishing it says why.
        try:
            connection.insert_done(running)
        finally:
            connection.insert_cancel(running)
        raise
    done = connection.insert_done(running)
    return Head("", {"written_rows": done.rows_written(), "written_bytes": done.bytes_written()})


def _stream(
    connection: Any, statement: str, *, output: str, parameters: Mapping[str, str]
) -> Iterator[Head | bytes]:
    running = connection.send_query(statement, output, params=dict(parameters))
    is_first = True
    try:
        while True:
            piece = connection.streaming_fetch_result(running)
            if piece is not None and piece.has_error():
                raise Refused(piece.error_message())
            if is_first:
                yield Head(output)
                is_first = False
            rows = piece.bytes() if piece is not None else b""
            if not rows:
                return
            yield rows
    except GeneratorExit:  # the reader went away
        connection.streaming_cancel_query(running)
        raise


def _whole(
    connection: Any, statement: str, *, output: str, parameters: Mapping[str, str]
) -> Iterator[Head | bytes]:
    result = connection.query(statement, output, params=dict(parameters))
    rows = result.bytes()
    summary = {
        "read_rows": result.storage_rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "written_rows": result.rows_written(),
    }
    yield Head(output if rows else "", summary)
    if rows:
        yield rows


def _name(identifier: str) -> str:
    return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
