"""One chDB directory, asked from several threads: the only module that loads chDB.

It knows connections and who uses them; what one statement does to its connection is `running`'s. Settings of a
statement live in the connection (chdb 4.4), so each statement has its own or a session's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chdb import _chdb as _untyped

from sinks.clickhouse.embedded.failure import Refused, refusal
from sinks.clickhouse.embedded.processes import PROGRESS, progress_of, reading_as
from sinks.clickhouse.embedded.query import Head, Query
from sinks.clickhouse.embedded.quoting import name
from sinks.clickhouse.embedded.running import answer
from sinks.clickhouse.embedded.sessions import SessionKey, Sessions
from sinks.clickhouse.embedded.users import User

_chdb: Any = _untyped  # its stub leaves out what is called here


class Engine:
    """An open directory. Methods may be called from any thread; `close` only when no answer is being read."""

    def __init__(self, directory: Path, config: Path, *, database: str = "throughline") -> None:
        """Raises Refused if chDB cannot open the directory. `database` (made here) is where names without one are."""
        self._database = database
        self._address = f"{directory.resolve()}?config-file={config.resolve()}"
        self._sessions = Sessions(self._connect)
        self._running: set[tuple[str, str]] = set()
        self._running_lock = threading.Lock()
        self._watching = threading.Lock()
        try:
            self._watcher = _chdb.connect(self._address)  # the engine lives as long as one connection does
        except RuntimeError as error:
            said = str(error) or "chDB cannot open it; another program may have it open"
            raise Refused(f"{directory}: {said}") from error
        # Never chDB's own database `default`: names in it are files of this machine.
        self._watcher.query(f"CREATE DATABASE IF NOT EXISTS {name(database)}", "TSV")
        self.timezone = self._watch("SELECT timezone()").strip()

    def answer(self, query: Query) -> Iterator[Head | bytes]:
        """One Head, then the rows in pieces. Raises Refused, at any point."""
        try:
            with self._registered(query), self._connection(query) as connection:
                yield from answer(connection, query)
        except RuntimeError as error:
            raise Refused(str(error)) from error

    def cancel(self, query: Query) -> None:
        """Stop a statement that reads, if the engine runs it; one that writes goes on, as on a server."""
        self._watch(f"KILL QUERY WHERE {reading_as(query.user, query.query_id)} ASYNC")

    def progress(self, query: Query) -> Mapping[str, int]:
        """How far a statement has come, in the words of the HTTP interface; empty if the engine does not run it."""
        row = self._watch(progress_of(query.user, query.query_id)).split("\n")[0].split("\t")
        return dict(zip(PROGRESS, map(int, row), strict=True)) if len(row) == len(PROGRESS) else {}

    def close(self) -> None:
        """Close the directory."""
        self._sessions.close()
        self._watcher.close()

    def _watch(self, sql: str) -> str:
        with self._watching, suppress(RuntimeError):
            return str(self._watcher.query(sql, "TSV").bytes().decode())
        return ""

    def _connect(self, user: User, database: str = "") -> Any:
        connection = _chdb.connect(self._address)
        try:
            connection.query(f"USE {name(database or self._database)}", "TSV")
            if user.is_reader:
                # Never to be undone on this connection; temporary tables and settings stay allowed.
                connection.query("SET readonly = 2", "TSV")
        except RuntimeError:
            connection.close()
            raise
        return connection

    @contextmanager
    def _registered(self, query: Query) -> Iterator[None]:
        key = (query.user.name, query.query_id)
        with self._running_lock:
            if key in self._running:
                said = f"Query with id = {query.query_id} is already running."
                raise refusal(216, said, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING")
            self._running.add(key)
        try:
            yield
        finally:
            with self._running_lock:
                self._running.discard(key)

    @contextmanager
    def _connection(self, query: Query) -> Iterator[Any]:
        if query.session is None:
            connection = self._connect(query.user, query.database)
            try:
                yield connection
            finally:
                connection.close()
        else:
            with self._session(query.session, is_over=query.ends_session) as connection:
                if query.database:
                    connection.query(f"USE {name(query.database)}", "TSV")
                yield connection

    @contextmanager
    def _session(self, key: SessionKey, *, is_over: bool) -> Iterator[Any]:
        session = self._sessions.take(key)
        try:
            yield session.connection
        finally:
            self._sessions.give_back(key, session, is_over=is_over)
