"""Statements are understood as far as the HTTP interface must."""

from __future__ import annotations

import pytest

from sinks.clickhouse.embedded.statement import (
    Insert,
    is_harmless_name,
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


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        (b"INSERT INTO t FORMAT Avro", b"Obj\x01", Insert(b"INSERT INTO t ", "Avro", b"Obj\x01")),
        (b"", b"INSERT INTO t (a, b) FORMAT CSV\n1,2\n", Insert(b"INSERT INTO t (a, b) ", "CSV", b"1,2\n")),
        (b"INSERT INTO t", b"(1), (2)", Insert(b"INSERT INTO t", "Values", b"(1), (2)")),
        (
            b"-- FORMAT JSON\n/* x */ insert into `FORMAT CSV\n` Format TSV",
            b"1",
            Insert(b"-- FORMAT JSON\n/* x */ insert into `FORMAT CSV\n` ", "TSV", b"1"),
        ),
    ],
)
def test_rows_of_an_insert_begin_behind_its_format(query: bytes, body: bytes, expected: Insert) -> None:
    """Wherever statement and rows stand, the rows are the bytes after the format's line, untouched."""
    assert split_insert(query, body) == expected


@pytest.mark.parametrize(
    "whole",
    [
        b"INSERT INTO t VALUES (1)",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"SELECT 'INSERT INTO t FORMAT CSV\n'",
    ],
)
def test_statements_without_rows_behind_them_stay_whole(whole: bytes) -> None:
    """VALUES in SQL, INSERT … SELECT and everything else is the engine's to read."""
    assert split_insert(b"", whole) is None


def test_binary_rows_are_not_searched_for_words() -> None:
    """Rows may hold any bytes, words of SQL included."""
    rows = b"\x00SELECT FORMAT CSV\n OUTFILE '"
    assert split_insert(b"INSERT INTO t FORMAT Avro", rows) == Insert(b"INSERT INTO t ", "Avro", rows)


def test_statement_split_over_address_and_body_is_one() -> None:
    """ClickHouse joins the parameter `query` and the body."""
    assert join(b"SELECT 1", b"FORMAT CSV") == b"SELECT 1\nFORMAT CSV"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (b"SELECT 1", "TSV"),
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 1 format CSV SETTINGS a = 1;", "CSV"),
        (b"SELECT 'FORMAT JSON' AS x", "TSV"),
    ],
)
def test_format_of_the_statement_wins_over_the_default(statement: bytes, expected: str) -> None:
    """The format at the statement's end, else the request's."""
    assert output_format(statement, default="TSV") == expected


def test_only_formats_without_beginning_and_end_are_streamed() -> None:
    """A JSON document cut in blocks would be several documents."""
    assert is_streamable(b"-- a\n(SELECT 1)", "CSV")
    assert not is_streamable(b"SELECT 1", "JSON")
    assert not is_streamable(b"SHOW TABLES", "CSV")


@pytest.mark.parametrize(
    ("formatted", "expected"),
    [
        (b"SELECT 1\nINTO OUTFILE '/etc/x'", "OUTFILE"),
        (b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", "INFILE"),
        (b"SELECT file('/etc/x')", "file"),
        (b"SELECT arrayMap(file, x), * APPLY file", "file"),
        (b"SELECT `file`('/etc/x')", "file"),
        (b"SETTINGS disk = disk(type = 'local')", "disk"),
        (b"SELECT * FROM Python (x)", "Python"),
        (b"SELECT 'INTO OUTFILE, it\\'s a file(1)' AS `outfile`, t.file", ""),
        (b"CREATE TABLE t (`file` String) ENGINE = File(CSV)", ""),
        (b"SELECT disk, python, profile FROM disks", ""),
        (b"INSERT INTO t (file, `file`) FORMAT CSV", ""),
        (b"INSERT INTO t (n) SELECT file(n)", "file"),
        (b"INSERT INTO FUNCTION file('x') FORMAT CSV", "file"),
    ],
)
def test_words_that_reach_out_are_found_outside_of_texts(formatted: bytes, expected: str) -> None:
    """Texts and declared columns may be called anything; a function also stands without its brackets."""
    assert reaches_out(formatted) == expected
    assert may_reach_out(formatted) or not expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (b"SELECT file/**/('/x')", True),
        (b"SELECT `f\\x69le`('/x')", True),
        (b'SELECT "f\\x69le"(1)', True),
        (b"SELECT profile_id, files FROM diskless", False),
        (b"SELECT 'a\\n' AS `b`", False),
        (b"INSERT INTO identities (`identifier`)", False),
    ],
)
def test_statements_that_could_reach_out_are_looked_at_closely(statement: bytes, expected: bool) -> None:
    """Comments and escapes hide no word; ordinary statements are spared the look."""
    assert may_reach_out(statement) is expected


def test_names_that_parameters_stand_for_are_looked_at() -> None:
    """A function may be named by a parameter: `arrayMap({f:Identifier}, …)`; texts take no parameters."""
    statement = b"SELECT arrayMap({f:Identifier}, x), {y:String}, '{z:Identifier}' FROM {t:Identifier}"
    assert may_reach_out(statement)
    assert names_to_come(statement) == {"f", "t"}
    assert not any(is_harmless_name(name) for name in ("file", "fi\\x6ce", "`file`"))
    assert all(is_harmless_name(name) for name in ("orders", "my file"))


def test_statements_are_told_by_their_first_word() -> None:
    """Behind whatever comments."""
    assert is_kill(b"/* x */ kill query where 1")
    assert not is_kill(b"SELECT 'KILL QUERY'")
    assert sets_session(b"-- x\nSET a = 1")
    assert not sets_session(b"SELECT 1 SETTINGS a = 1")
