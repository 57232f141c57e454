"""One statement on one connection of chDB: checked, prepared, run, its traces wiped.

The embedded client would read and write local files and run several statements at once, so those are refused
before it sees them. Knows connections as chDB's, and nothing of threads or HTTP.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from sinks.clickhouse.embedded.configuration import VALUES_EXPRESSIONS
from sinks.clickhouse.embedded.failure import Refused, refusal
from sinks.clickhouse.embedded.hello import hello, is_hello
from sinks.clickhouse.embedded.processes import Kill, kill_of, tag, victim_ids, victims, with_own_ids
from sinks.clickhouse.embedded.query import ExternalTable, Head, Query
from sinks.clickhouse.embedded.quoting import name, text
from sinks.clickhouse.embedded.statement import (
    Insert,
    holds_plain_values,
    is_harmless_name,
    is_insert,
    is_kill,
    is_streamable,
    join,
    may_reach_out,
    names_to_come,
    output_format,
    reaches_out,
    sets_session,
    split_insert,
)

_APPEND_BYTES: Final = 1 << 20
_HELD_BYTES: Final = 1 << 24
_EXPRESSIONS_OFF: Final = "SET " + ", ".join(f"{key} = 0" for key in VALUES_EXPRESSIONS)
_EXPRESSIONS_ON: Final = "SET " + ", ".join(f"{key} = 1" for key in VALUES_EXPRESSIONS)


def answer(connection: Any, query: Query) -> Iterator[Head | bytes]:
    """One Head, then the rows in pieces. Raises Refused or what chDB raises."""
    insert = split_insert(query.sql, query.body.head())
    statement = insert.statement if insert else join(query.sql, query.body.whole())
    if not statement.strip():
        raise refusal(62, "Empty query.", "SYNTAX_ERROR")
    if is_hello(statement, query.protocol_version):
        yield from hello(connection)
        return
    # The engine understands an INSERT with a format only.
    whole = statement + b" FORMAT " + insert.format.encode() if insert else statement
    kill = _checked(connection, whole, query)
    output = output_format(statement, default=query.default_format)
    with _prepared(connection, query):
        if kill:
            yield from _kill(connection, kill, query, output=output)
        elif insert:
            yield _insert(connection, insert, query.body.rest())
        else:
            yield from _select(connection, statement, query, output=output)


def _checked(connection: Any, statement: bytes, query: Query) -> Kill | None:
    """Raises Refused for what nobody, or not this user, may run; the KILL QUERY that it is, if it is one."""
    kill = None
    if may_reach_out(statement) or is_kill(statement):
        formatted = _formatted(connection, statement)
        _refuse_reaching_out(formatted)
        _refuse_expressions(formatted)
        _refuse_names(formatted, query)
        kill = kill_of(formatted)
    _refuse_expressions(statement)
    is_reading = query.is_read_only or query.user.is_reader
    if b";" not in statement and not is_reading:
        return kill
    kind = connection.classify_query(statement.decode(errors="surrogateescape"))
    if kind["statement_count"] > 1:
        raise refusal(62, "Multi-statements are not allowed.", "SYNTAX_ERROR")
    if is_reading and kind["query_class"].name != "READ_ONLY" and not kill:
        _refuse_change(statement, query)
    return kill


def _formatted(connection: Any, statement: bytes) -> bytes:
    """Without comments, heredocs, needless quotes, and without the rows of VALUES."""
    asked = f"SELECT formatQuery({text(statement.decode(errors='surrogateescape'))})"
    return bytes(connection.query(asked, "TabSeparatedRaw").bytes())


def _refuse_reaching_out(formatted: bytes) -> None:
    word = reaches_out(formatted)
    if word.upper() in ("INFILE", "OUTFILE"):
        raise refusal(48, "INTO OUTFILE and FROM INFILE are not allowed here.", "NOT_IMPLEMENTED")
    if word:
        said = f"{word} reaches out of the warehouse and is not allowed here"
        if word == "file":
            said += "; a column of that name is written with its table, t.file"
        raise refusal(497, f"Not enough privileges: {said}.", "ACCESS_DENIED")


def _refuse_names(formatted: bytes, query: Query) -> None:
    for each in sorted(names_to_come(formatted)):
        value = query.parameters.get(each)
        if value is None:
            said = f"Parameter {each} stands for a name and has to come with the request, as param_{each}."
            raise refusal(456, said, "UNKNOWN_QUERY_PARAMETER")
        if not is_harmless_name(value):
            said = f"{value} is not allowed as the name that parameter {each} stands for"
            raise refusal(497, f"Not enough privileges: {said}.", "ACCESS_DENIED")


def _refuse_expressions(named: bytes) -> None:
    if any(key.encode() in named for key in VALUES_EXPRESSIONS):
        said = (
            f"Setting {VALUES_EXPRESSIONS[0]} should not be changed; the warehouse decides where it is safe."
        )
        raise refusal(452, said, "SETTING_CONSTRAINT_VIOLATION")


def _refuse_change(statement: bytes, query: Query) -> None:
    if query.user.is_reader:
        if not sets_session(statement):
            said = f"{query.user.name}: Not enough privileges. This user may only read."
            raise refusal(497, said, "ACCESS_DENIED")
    elif not (sets_session(statement) and query.session):
        said = "The request is for reading (GET, or readonly=1); use POST to change anything."
        raise refusal(164, said, "READONLY")


@contextmanager
def _prepared(connection: Any, query: Query) -> Iterator[None]:
    """The connection with the statement's settings and external tables, and without them afterwards."""
    asked = {key: value for key, value in query.settings.items() if key not in ("log_comment", "readonly")}
    _refuse_expressions(" ".join(asked).encode())
    before = _values_of(connection, asked) if query.session else {}
    _set(connection, {"log_comment": tag(query.user, query.query_id), **asked})
    try:
        for table in query.tables:
            _bring(connection, table)
        if query.settings.get("readonly") in ("1", "2") and not query.session and not query.user.is_reader:
            _set(connection, {"readonly": query.settings["readonly"]})
        yield
    finally:
        if query.session:  # a session's next statement must not inherit them
            _wipe(connection, before, query.tables)


def _values_of(connection: Any, keys: Iterable[str]) -> dict[str, str]:
    names = ", ".join(text(key) for key in keys)
    if not names:
        return {}
    asked = f"SELECT name, value FROM system.settings WHERE name IN ({names})"
    return dict(
        json.loads(line) for line in connection.query(asked, "JSONCompactEachRow").bytes().splitlines()
    )


def _set(connection: Any, settings: Mapping[str, str]) -> None:
    if settings:
        connection.query("SET " + ", ".join(f"{key} = {text(each)}" for key, each in settings.items()), "TSV")


def _wipe(connection: Any, before: Mapping[str, str], tables: Iterable[ExternalTable]) -> None:
    with suppress(RuntimeError):
        connection.query(_EXPRESSIONS_OFF, "TSV")
    with suppress(RuntimeError):
        _set(connection, before)
    for table in tables:
        with suppress(RuntimeError):
            connection.query(f"DROP TEMPORARY TABLE IF EXISTS {name(table.name)}", "TSV")


def _bring(connection: Any, table: ExternalTable) -> None:
    create = f"CREATE TEMPORARY TABLE {name(table.name)} ({table.structure})"
    if connection.classify_query(create)["statement_count"] != 1:
        said = f"External table {table.name}: {table.structure!r} is no list of columns."
        raise refusal(62, said, "SYNTAX_ERROR")
    if may_reach_out(create.encode()):
        _refuse_reaching_out(_formatted(connection, create.encode()))
    connection.query(create, "TSV")
    _insert(
        connection, Insert(f"INSERT INTO {name(table.name)} ".encode(), table.format, table.rows), iter(())
    )


def _kill(connection: Any, kill: Kill, query: Query, *, output: str) -> Iterator[Head | bytes]:
    which = with_own_ids(kill.which.encode(errors="surrogateescape"), query.user)
    own = Kill(which.decode(errors="surrogateescape"), kill.how)
    shown = connection.query(victims(own, query.user), output, params=dict(query.parameters)).bytes()
    found = connection.query(victim_ids(own, query.user), "TSV", params=dict(query.parameters)).bytes()
    ids = ", ".join(text(each) for each in found.decode().split())
    if ids:
        connection.query(f"KILL QUERY WHERE query_id IN ({ids}) {kill.how}", "TSV")
    yield Head(output if shown else "")
    if shown:
        yield shown


def _insert(connection: Any, insert: Insert, more: Iterator[bytes]) -> Head:
    started_ns = time.monotonic_ns()
    if insert.format.lower() == "values":
        behind = next(more, b"")
        more = chain((behind,), more)
        # Of rows that are still to come nothing is known.
        if not behind and holds_plain_values(insert.rows):
            connection.query(_EXPRESSIONS_ON, "TSV")
    running = connection.send_insert(insert.statement.decode(errors="surrogateescape"), insert.format)
    try:
        for piece in chain((insert.rows,), more):
            for at in range(0, len(piece), _APPEND_BYTES):
                connection.insert_append(running, piece[at : at + _APPEND_BYTES])
    except RuntimeError:
        # Appending says only that the insert broke; finishing it says why.
        try:
            connection.insert_done(running)
        finally:
            connection.insert_cancel(running)
        raise
    except BaseException:  # the body broke off: what has not been written stays unwritten
        connection.insert_cancel(running)
        raise
    done = connection.insert_done(running)
    counts = {"written_rows": done.rows_written(), "written_bytes": done.bytes_written()}
    return Head("", {**counts, "elapsed_ns": time.monotonic_ns() - started_ns})


def _select(connection: Any, statement: bytes, query: Query, *, output: str) -> Iterator[Head | bytes]:
    if is_insert(statement) and holds_plain_values(statement):
        connection.query(_EXPRESSIONS_ON, "TSV")
    statement = with_own_ids(statement, query.user) if b"processes" in statement.lower() else statement
    # chDB takes text; bytes that are no UTF-8 can only stand in literals, which it takes as they are.
    sql = statement.decode(errors="surrogateescape")
    if not is_streamable(statement, output):
        yield from _whole(connection, sql, query, output=output)
    elif query.waits_for_end:
        yield from _waited(connection, sql, query, output=output)
    else:
        yield from _streamed(connection, sql, query, output=output)


def _streamed(connection: Any, sql: str, query: Query, *, output: str) -> Iterator[Head | bytes]:
    counts: Counter[str] = Counter()
    with closing(_pieces(connection, sql, query, output=output, counts=counts)) as pieces:
        first = next(pieces, b"")
        yield Head(output, counts)
        if first:
            yield first
            yield from pieces


def _waited(connection: Any, sql: str, query: Query, *, output: str) -> Iterator[Head | bytes]:
    """All of the answer before its Head, beyond some megabytes on disk: an error comes before the first row."""
    counts: Counter[str] = Counter()
    with SpooledTemporaryFile(_HELD_BYTES) as held:
        with closing(_pieces(connection, sql, query, output=output, counts=counts)) as pieces:
            for piece in pieces:
                held.write(piece)
        yield Head(output, counts)
        held.seek(0)
        while piece := held.read(_APPEND_BYTES):
            yield piece


def _pieces(
    connection: Any, sql: str, query: Query, *, output: str, counts: Counter[str]
) -> Generator[bytes, None, None]:
    """The rows, block by block; what has been read and answered so far is added to `counts`.

    What chDB reads after the last block that has rows it tells nobody.
    """
    started_ns = time.monotonic_ns()
    running = connection.send_query(sql, output, params=dict(query.parameters))
    try:
        while True:
            piece = connection.streaming_fetch_result(running)
            if piece is None:
                return
            if piece.has_error():
                raise Refused(piece.error_message())
            rows = piece.bytes()
            counts["read_rows"] += piece.storage_rows_read()
            counts["read_bytes"] += piece.storage_bytes_read()
            counts["result_rows"] += piece.rows_read()
            counts["result_bytes"] += len(rows)
            counts["elapsed_ns"] = time.monotonic_ns() - started_ns
            if not rows:
                return
            yield rows
    except GeneratorExit:  # the reader went away
        connection.streaming_cancel_query(running)
        raise


def _whole(connection: Any, sql: str, query: Query, *, output: str) -> Iterator[Head | bytes]:
    result = connection.query(sql, output, params=dict(query.parameters))
    rows = result.bytes()
    summary = {
        "read_rows": result.storage_rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "written_rows": result.rows_written(),
        "written_bytes": result.bytes_written(),
        "result_rows": result.rows_read() if rows else 0,
        "result_bytes": len(rows),
        "elapsed_ns": int(result.elapsed() * 1e9),
    }
    yield Head(output if rows else "", summary)
    if rows:
        yield rows
