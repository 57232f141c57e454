"""What clients send is understood, and what cannot be done is refused."""

from __future__ import annotations

import pytest

from sinks.clickhouse.embedded.body import Body
from sinks.clickhouse.embedded.failure import Refused
from sinks.clickhouse.embedded.query import ExternalTable, Query
from sinks.clickhouse.embedded.request import Wishes, query_of, wishes_of
from sinks.clickhouse.embedded.sessions import SessionKey
from sinks.clickhouse.embedded.users import User

ANN = User("ann")


def asked(
    parameters: dict[str, str], files: dict[str, bytes] | None = None, *, is_get: bool = False
) -> Query:
    """The query of a request with these parameters and no body."""
    return query_of(parameters, Body(), headers={}, user=ANN, query_id="q", is_get=is_get, files=files)


def test_parameters_are_the_interfaces_the_statements_or_settings() -> None:
    """What is not known and not `param_…` is a setting of the engine."""
    sent = {"query": "SELECT {x:Int8}", "param_x": "1", "max_threads": "2", "database": "d", "compress": "1"}
    query = asked(sent, is_get=True)
    assert (query.sql, query.database, query.session) == (b"SELECT {x:Int8}", "d", None)
    assert query.settings == {"max_threads": "2"}
    assert query.parameters == {"x": "1"}
    assert query.is_read_only


def test_session_is_its_users_and_keeps_its_time() -> None:
    """Name, whether it must be there, how long it waits, and whether it ends with this request."""
    sent = {"session_id": "s", "session_check": "1", "session_timeout": "5", "close_session": "1"}
    query = asked(sent)
    assert query.session == SessionKey(ANN, "s", must_exist=True, idle_s=5)
    assert query.ends_session


def test_external_tables_come_with_columns_and_a_format() -> None:
    """Columns by name and type, or types alone; what describes a table is no setting."""
    sent = {
        "t_structure": "a Int8",
        "t_format": "CSV",
        "u_types": "Int8,Tuple(Int8, String)",
        "max_threads": "1",
    }
    query = asked(sent, {"t": b"1\n", "u": b""})
    assert query.tables == (
        ExternalTable("t", "a Int8", "CSV", b"1\n"),
        ExternalTable("u", "_1 Int8, _2 Tuple(Int8, String)", "TabSeparated", b""),
    )
    assert query.settings == {"max_threads": "1"}


@pytest.mark.parametrize(
    "sent",
    [
        {"max_threads = 1, readonly": "0"},
        {"a b": "1"},
        {"session_id": "s", "session_timeout": "4000"},
        {"session_id": "s", "session_timeout": "soon"},
        {"client_protocol_version": "-1"},
    ],
)
def test_what_cannot_be_done_is_refused(sent: dict[str, str]) -> None:
    """A setting's name cannot smuggle another one; a number is one."""
    with pytest.raises(Refused):
        asked(sent)


@pytest.mark.parametrize("sent", [{}, {"t_structure": "a Int8", "t_format": "CSV SETTINGS x = 1"}])
def test_external_table_without_columns_or_with_two_formats_is_refused(sent: dict[str, str]) -> None:
    """The message says which table; a format is one word."""
    with pytest.raises(Refused, match=r"External table t|Unknown format"):
        asked(sent, {"t": b""})


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, Wishes()),
        ({"compress": "1"}, Wishes(in_blocks=True)),
        ({"enable_http_compression": "1"}, Wishes(accepted="gzip")),
        ({"send_progress_in_http_headers": "1"}, Wishes(progress_ms=100)),
        (
            {"send_progress_in_http_headers": "1", "http_headers_progress_interval_ms": "0"},
            Wishes(progress_ms=1),
        ),
    ],
)
def test_answers_come_as_wished(sent: dict[str, str], expected: Wishes) -> None:
    """Compressed only if asked for in both places; progress at an interval that is one."""
    assert wishes_of(sent, headers={"Accept-Encoding": "gzip"}) == expected
