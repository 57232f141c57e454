"""Statements are known by their clients' ids, wherever `system.processes` is asked."""

from __future__ import annotations

import pytest

from sinks.clickhouse.embedded.processes import Kill, kill_of, tag, victim_ids, with_own_ids
from sinks.clickhouse.embedded.users import User

OWNER, READER = User("ann"), User("b'ea", is_reader=True)


@pytest.mark.parametrize(
    "table", [b"system.processes", b"`system`.`processes`", b'"system" . processes', b"SYSTEM.Processes"]
)
def test_list_of_statements_is_read_with_clients_ids(table: bytes) -> None:
    """However the table is written; an alias behind it stays one."""
    seen = with_own_ids(b"SELECT p.query_id FROM " + table + b" AS p", OWNER)
    assert seen.startswith(b"SELECT p.query_id FROM (SELECT * REPLACE (")
    assert seen.endswith(b") AS p")


@pytest.mark.parametrize(
    "statement",
    [
        b"SELECT 'system.processes'",
        b"SELECT * FROM my_system.processes",
        b"SELECT * FROM system.processes_old",
    ],
)
def test_what_only_looks_like_the_list_stays(statement: bytes) -> None:
    """Texts and other tables are not touched."""
    assert with_own_ids(statement, OWNER) == statement


def test_reader_sees_and_stops_its_own() -> None:
    """The condition is in front of whatever it asks; a quote in its name ends nothing."""
    own = r"splitByChar('\t', Settings['log_comment'])[1] = 'b\'ea'"
    assert own in with_own_ids(b"SELECT * FROM system.processes", READER).decode()
    assert own in victim_ids(Kill("1 OR 1", "SYNC"), READER)
    assert "WHERE (1 OR 1) AND" in victim_ids(Kill("1 OR 1", "SYNC"), OWNER)
    assert own not in victim_ids(Kill("1", "SYNC"), OWNER)


@pytest.mark.parametrize(
    ("formatted", "expected"),
    [
        (b"KILL QUERY WHERE query_id = 'a' SYNC\nFORMAT TSV", Kill("query_id = 'a'", "SYNC")),
        (b"KILL QUERY WHERE user = 'x ASYNC' ASYNC", Kill("user = 'x ASYNC'", "ASYNC")),
        (b"KILL MUTATION WHERE 1 ASYNC", None),
        (b"SELECT 'KILL QUERY WHERE 1 SYNC'", None),
    ],
)
def test_kill_query_is_understood_as_the_engine_writes_it(formatted: bytes, expected: Kill | None) -> None:
    """Condition and way; mutations are the engine's own matter."""
    assert kill_of(formatted) == expected


def test_tag_tells_user_and_id() -> None:
    """Apart by what no user name has."""
    assert tag(OWNER, "q 1") == "ann\tq 1"
