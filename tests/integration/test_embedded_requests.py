"""What a request to the embedded warehouse may ask, bring along and be told: as on a server, over HTTP."""

from __future__ import annotations

import gzip
import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

from sinks.clickhouse.embedded import Credentials, EmbeddedWarehouse
from sinks.clickhouse.embedded.blocks import stored, unpacked
from sinks.clickhouse.writer import Warehouse, connect
from tests.conftest import require

pytestmark = pytest.mark.xdist_group("embedded_requests")

OWNER = Credentials("throughline", "throughline")
READER = Credentials("bea", "may only read")
MEMORY_BYTES = 400_000_000
NO_SESSION: dict[str, str] = {}
ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"


@dataclass(frozen=True, slots=True)
class Told:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> int:
        """ClickHouse's error code; 0: none."""
        return int(self.headers.get("X-ClickHouse-Exception-Code", "0"))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWarehouse]:
    directory = tmp_path_factory.mktemp("warehouse")
    with EmbeddedWarehouse.start(directory, reader=READER, memory_bytes=MEMORY_BYTES) as warehouse:
        ask(warehouse, "CREATE TABLE kept (n Int64, word String) ENGINE = MergeTree ORDER BY n")
        ask(warehouse, "INSERT INTO kept VALUES (1, 'one'), (2, upper('two'))")
        yield warehouse


def ask(
    opened: EmbeddedWarehouse,
    sql: str,
    body: bytes | Iterator[bytes] | None = None,
    *,
    user: Credentials = OWNER,
    over: http.client.HTTPConnection | None = None,
    **parameters: object,
) -> Told:
    """One request by POST: the statement in the body, or in the address with rows in the body."""
    connection = over or http.client.HTTPConnection(urlsplit(opened.url).netloc, timeout=60)
    sent = {key: str(value) for key, value in parameters.items()}
    if body is not None:
        sent["query"] = sql
    headers = {"X-ClickHouse-User": user.user, "X-ClickHouse-Key": user.password}
    try:
        connection.request(
            "POST", f"/?{urlencode(sent)}", body=sql.encode() if body is None else body, headers=headers
        )
        answer = connection.getresponse()
        return Told(answer.status, answer.headers, answer.read())
    finally:
        if over is None:
            connection.close()


def until(is_so: Callable[[], bool]) -> None:
    """Wait for it; a hang fails the test by its time limit."""
    while not is_so():
        time.sleep(0.02)


def is_running(opened: EmbeddedWarehouse, query_id: str) -> bool:
    asked = f"SELECT count() FROM system.processes WHERE query_id = '{query_id}'"
    return ask(opened, asked).body == b"1\n"


def client_of(opened: EmbeddedWarehouse, user: Credentials) -> Client:
    return connect(Warehouse(opened.url, user.user, user.password))


CHANGES = (
    "INSERT INTO kept VALUES (3, 'three')",
    "DROP TABLE kept",
    "TRUNCATE TABLE kept",
    "ALTER TABLE kept DELETE WHERE 1",
    "CREATE TABLE other (n Int8) ENGINE = Memory",
    "CREATE VIEW other AS SELECT 1",
    "CREATE TEMPORARY TABLE other (n Int8)",
    "CREATE FUNCTION other AS x -> x",
    "OPTIMIZE TABLE kept",
    "INSERT INTO FUNCTION null('n Int8') VALUES (1)",
    "SYSTEM STOP MERGES",
    "SELECT 1; DROP TABLE kept",
)


@pytest.mark.parametrize("statement", CHANGES)
def test_reader_changes_nothing(opened: EmbeddedWarehouse, statement: str) -> None:
    """Whatever it is that changes; and what was there is there. The owner's rows came through expressions too."""
    assert ask(opened, statement, user=READER).code in (497, 62)
    assert ask(opened, "SELECT * FROM kept ORDER BY n", user=READER).body == b"1\tone\n2\tTWO\n"


@pytest.mark.parametrize("statement", ["SET readonly = 0", "SELECT 1 SETTINGS readonly = 0"])
def test_reader_cannot_become_more(opened: EmbeddedWarehouse, statement: str) -> None:
    """The engine itself holds its connections to reading, in a session too. Seen to fail without readonly = 2."""
    assert ask(opened, statement, user=READER, session_id="more").code == 164
    assert ask(opened, "SET max_threads = 1", user=READER, session_id="more").status == 200
    assert ask(opened, "SELECT getSetting('readonly')", user=READER, session_id="more").body == b"2\n"
    assert ask(opened, "SELECT 1", user=READER, readonly=0).status == 200


def test_columns_may_be_called_anything(opened: EmbeddedWarehouse) -> None:
    """What means something elsewhere is a name here, whatever the rows come in; a SELECT says whose column it is."""
    ask(
        opened,
        "CREATE TABLE named (`file` String, `identifier` String, `disk` String) ENGINE = MergeTree ORDER BY disk",
    )
    columns = "named (`file`, identifier, disk)"
    assert ask(opened, f"INSERT INTO {columns} FORMAT JSONEachRow", b'{"file": "a"}').status == 200
    assert ask(opened, f"INSERT INTO {columns}", b"('b', 'the file', '{x}')").status == 200
    assert ask(opened, f"INSERT INTO {columns} VALUES ('c', 'd', 'e')").status == 200
    assert (
        ask(opened, "SELECT n.file, identifier FROM named AS n ORDER BY n.file").body
        == b"a\t\nb\tthe file\nc\td\n"
    )


def test_names_in_parameters_reach_no_file(opened: EmbeddedWarehouse) -> None:
    """A parameter may name a table, and no function that reads files; nor may a session remember it for later."""
    assert ask(opened, "SELECT count() FROM {t:Identifier}", user=READER, param_t="kept").body == b"2\n"
    reading = "SELECT arrayMap({f:Identifier}, ['/etc/passwd'])"
    for name in ("file", r"fi\x6ce"):
        assert ask(opened, reading, user=READER, param_f=name).code == 497
    assert ask(opened, "SET param_f = 'file'", user=READER, session_id="names").status == 200
    assert ask(opened, reading, user=READER, session_id="names").code == 456


def test_bodies_go_through_and_are_not_held(opened: EmbeddedWarehouse) -> None:
    """Rows of 200 MB in one insert: all arrive, and the process never held half of them.

    Seen to fail with the body read whole: three times its size.
    """
    ask(opened, "CREATE TABLE passing (text String) ENGINE = Null")
    assert ask(opened, "INSERT INTO passing FORMAT CSV", b"x\n").status == 200
    before = peak_bytes(opened)
    line = b"y" * 999 + b"\n"
    rows = 200_000
    body = (line * 1000 for _ in range(rows // 1000))
    # The engine gathers a block of rows before it passes them on: here of 1 MB, and no larger one of several.
    small: dict[str, Any] = {
        "max_insert_block_size": 1_000, "min_insert_block_size_rows": 0, "min_insert_block_size_bytes": 0,
        "input_format_parallel_parsing": 0,
    }  # fmt: skip
    told = ask(opened, "INSERT INTO passing FORMAT CSV", body, **small)
    assert told.status == 200
    assert json.loads(told.headers["X-ClickHouse-Summary"])["written_rows"] == str(rows)
    assert peak_bytes(opened) - before < rows * len(line) // 2


def peak_bytes(opened: EmbeddedWarehouse) -> int:
    status = Path(f"/proc/{opened.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def test_insert_whose_body_breaks_off_leaves_nothing(opened: EmbeddedWarehouse) -> None:
    """A sender that dies before the engine has a block full has sent nothing; its id is free again."""
    ask(opened, "CREATE TABLE broken (n Int64) ENGINE = MergeTree ORDER BY n")
    query = urlencode({"query": "INSERT INTO broken FORMAT CSV", "query_id": "broken"})
    head = f"POST /?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n"
    key = f"X-ClickHouse-User: {OWNER.user}\r\nX-ClickHouse-Key: {OWNER.password}\r\n\r\n"
    place = urlsplit(opened.url)
    with socket.create_connection((place.hostname or "", place.port or 0)) as sender:
        sender.sendall((head + key).encode() + b"1\n" * 2_000_000)
        until(lambda: is_running(opened, "broken"))
    until(lambda: not is_running(opened, "broken"))
    assert ask(opened, "SELECT count() FROM broken").body == b"0\n"
    assert ask(opened, "INSERT INTO broken FORMAT CSV", b"1\n", query_id="broken").status == 200


@pytest.mark.parametrize("sql", [ENDLESS, ENDLESS + " FORMAT JSON"])
def test_query_ends_with_its_client(opened: EmbeddedWarehouse, sql: str) -> None:
    """Nobody would read the answer, streamed or whole. Seen to hang without cancelling."""
    place = urlsplit(opened.url)
    query = urlencode({"query": sql, "query_id": "gone", "user": OWNER.user, "password": OWNER.password})
    with socket.create_connection((place.hostname or "", place.port or 0)) as client:
        client.sendall(f"GET /?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        until(lambda: is_running(opened, "gone"))
    until(lambda: not is_running(opened, "gone"))


def test_kill_query_stops_a_statement_by_the_id_its_client_gave(opened: EmbeddedWarehouse) -> None:
    """From another connection, told as on a server; the reader stops none of the owner's; an id runs once."""
    told: list[Told] = []
    running = threading.Thread(target=lambda: told.append(ask(opened, ENDLESS, query_id="a'b")))
    running.start()
    where = r"query_id = 'a\'b'"
    seen = f"SELECT user, query FROM system.processes WHERE {where}"
    until(lambda: ask(opened, seen).body == f"{OWNER.user}\t{ENDLESS}\n".encode())
    assert ask(opened, seen, user=READER).body == b""
    assert ask(opened, "SELECT 1", query_id="a'b").code == 216
    assert ask(opened, "KILL QUERY WHERE 1 SYNC", user=READER).body == b""
    assert not told
    killed = ask(opened, f"KILL QUERY WHERE {where} SYNC FORMAT JSONEachRow")
    running.join()
    expected = {"kill_status": "finished", "query_id": "a'b", "user": OWNER.user, "query": ENDLESS}
    assert json.loads(killed.body) == expected
    assert told[0].code == 394


def test_reader_stops_its_own_statement(opened: EmbeddedWarehouse) -> None:
    """It may end what it has begun."""
    told: list[Told] = []
    running = threading.Thread(target=lambda: told.append(ask(opened, ENDLESS, user=READER, query_id="own")))
    running.start()
    until(lambda: b"own" in ask(opened, "KILL QUERY WHERE query_id = 'own'", user=READER).body)
    running.join()
    assert told[0].code == 394


def progress_of(told: Told) -> list[int]:
    """Rows read, as each progress header says."""
    return [int(json.loads(line)["read_rows"]) for line in told.headers.get_all("X-ClickHouse-Progress", [])]


PROGRESS: dict[str, Any] = {"send_progress_in_http_headers": 1, "http_headers_progress_interval_ms": 50}


def test_progress_comes_before_the_answer(opened: EmbeddedWarehouse) -> None:
    """More than once, never backwards; the answer behind it is whole, and so is the connection."""
    connection = http.client.HTTPConnection(urlsplit(opened.url).netloc, timeout=60)
    asked = "SELECT sum(sleepEachRow(0.1)), count() FROM numbers(10) SETTINGS max_block_size = 1"
    told = ask(opened, asked, over=connection, **PROGRESS)
    rows = progress_of(told)
    assert len(rows) > 1
    assert rows == sorted(rows)
    assert told.body == b"0\t10\n"
    again = ask(opened, "SELECT 2", over=connection)
    assert (again.body, progress_of(again)) == (b"2\n", [])
    connection.close()


def test_error_after_progress_is_an_error_to_clients(opened: EmbeddedWarehouse) -> None:
    """The status was sent before it was known, so that a header has to say it."""
    asked = "SELECT sum(sleepEachRow(0.1) + throwIf(number = 5, 'late')) FROM numbers(9) SETTINGS max_block_size = 1"
    told = ask(opened, asked, **PROGRESS)
    assert (told.status, told.code, len(progress_of(told)) > 0) == (200, 395, True)
    with client_of(opened, OWNER) as client, pytest.raises(DatabaseError, match="late"):
        client.query(asked, settings=dict(PROGRESS))


def test_error_after_the_first_rows_has_its_status_if_it_is_waited_for(opened: EmbeddedWarehouse) -> None:
    """No row comes, but the error alone."""
    asked = "SELECT throwIf(number = 500000, 'late') FROM numbers(1000000)"
    told = ask(opened, asked, wait_end_of_query=1)
    assert (told.status, told.code, told.body.startswith(b"Code: 395")) == (500, 395, True)


def test_summary_counts_what_was_done(opened: EmbeddedWarehouse) -> None:
    """Rows read, answered and written; of all of a long answer only if it is waited for, which holds it on disk."""
    asked = "SELECT number FROM numbers(5000000) FORMAT RowBinary"
    before = peak_bytes(opened)
    told = ask(opened, asked, wait_end_of_query=1)
    summary = json.loads(told.headers["X-ClickHouse-Summary"])
    assert (summary["result_rows"], len(told.body)) == ("5000000", 40_000_000)
    # chDB does not say what it read between the last block and the end.
    assert 4_000_000 < int(summary["read_rows"]) <= 5_000_000
    assert peak_bytes(opened) - before < len(told.body)
    summary = json.loads(ask(opened, asked).headers["X-ClickHouse-Summary"])
    assert 0 < int(summary["result_rows"]) < 5_000_000
    ask(opened, "CREATE TABLE counted (n Int8) ENGINE = MergeTree ORDER BY n")
    told = ask(opened, "INSERT INTO counted FORMAT CSV", b"1\n2\n")
    assert json.loads(told.headers["X-ClickHouse-Summary"])["written_rows"] == "2"


def test_external_tables_are_there_for_one_statement(opened: EmbeddedWarehouse) -> None:
    """The reader may bring them, by names or by types alone; afterwards they are nowhere."""
    with client_of(opened, READER) as client:
        brought = ExternalData(
            file_name="brought", data=b"2,zwei\n", fmt="CSV", structure="n Int64, german String"
        )
        brought.add_file(file_name="typed", data=b"2\t22\n", types=["Int64", "UInt8"])
        asked = "SELECT word, german, _2 FROM kept JOIN brought USING n JOIN typed ON n = _1"
        for session in NO_SESSION, {"session_id": "external"}:
            found = client.query(asked, external_data=brought, settings=session)
            assert found.result_rows == [("TWO", "zwei", 22)]
            with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
                client.query("SELECT * FROM brought", settings=session)
        for structure in (
            "n Int64, f String DEFAULT file('/etc/passwd')",
            "n Int64) ENGINE = Memory; DROP TABLE x; (",
        ):
            brought = ExternalData(file_name="brought", data=b"", structure=structure)
            with pytest.raises(DatabaseError, match=r"file reaches out|SYNTAX_ERROR"):
                client.query("SELECT 1", external_data=brought)


def test_sessions_keep_what_is_theirs(opened: EmbeddedWarehouse) -> None:
    """Temporary tables and settings; another user's session of that name is another one; closed is forgotten."""
    session: dict[str, Any] = {"session_id": "mine"}
    assert ask(opened, "SELECT 1", session_check=1, **session).code == 372
    ask(opened, "CREATE TEMPORARY TABLE held (n Int8)", **session)
    ask(opened, "SET max_block_size = 4321", **session)
    setting = "SELECT getSetting('max_block_size'), getSetting('async_insert')"
    assert ask(opened, setting, max_block_size=5, async_insert=0, **session).body == b"5\tfalse\n"
    assert ask(opened, setting, **session).body == b"4321\tfalse\n"
    assert ask(opened, "SELECT count() FROM held", session_check=1, **session).body == b"0\n"
    assert ask(opened, "SELECT count() FROM held", user=READER, **session).code == 60
    assert ask(opened, "SELECT 1", close_session=1, **session).status == 200
    assert ask(opened, "SELECT 1", session_check=1, **session).code == 372


def test_compressed_blocks_go_both_ways(opened: EmbeddedWarehouse) -> None:
    """What JDBC and Go clients send and ask for; an error comes as it is."""
    ask(opened, "CREATE TABLE packed (n UInt64) ENGINE = MergeTree ORDER BY n")
    rows = "".join(f"{n}\n" for n in range(100_000)).encode()
    assert ask(opened, "INSERT INTO packed FORMAT CSV", stored(rows), decompress=1).status == 200
    told = ask(opened, "SELECT n FROM packed ORDER BY n", compress=1)
    assert b"".join(unpacked([told.body])) == rows
    assert ask(opened, "SELECT nothing", compress=1).body.startswith(b"Code: 47.")


def test_statement_that_wants_too_much_memory_fails_alone(opened: EmbeddedWarehouse) -> None:
    """The cap is the warehouse's to set, and it lives on."""
    greedy = "SELECT length(groupArray(toString(number))) FROM numbers(30000000)"
    assert ask(opened, greedy).code == 241
    assert ask(opened, greedy, max_memory_usage=0).code == 452
    assert ask(opened, greedy, max_memory_usage=10 * MEMORY_BYTES).code == 452
    assert ask(opened, "SELECT getSetting('max_memory_usage')").body == f"{MEMORY_BYTES * 3 // 4}\n".encode()


def test_curl_streams_into_and_out_of_it(opened: EmbeddedWarehouse) -> None:
    """As ClickHouse's manual shows it: rows from a pipe, packed, and an answer packed."""
    curl = shutil.which("curl")
    if curl is None:
        require("clients", "there is no curl")
    ask(opened, "CREATE TABLE curled (n UInt64) ENGINE = MergeTree ORDER BY n")
    rows = "".join(f"{n}\n" for n in range(300_000)).encode()
    url = f"{opened.url}/?query=INSERT+INTO+curled+FORMAT+TSV"
    common = [curl, "-sS", "--fail-with-body", "--user", f"{OWNER.user}:{OWNER.password}"]
    packed = ["-H", "Content-Encoding: gzip", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-", url]
    subprocess.run([*common, *packed], input=gzip.compress(rows, 1), check=True, timeout=60)
    question = f"{opened.url}/?enable_http_compression=1&query=SELECT+n+FROM+curled+ORDER+BY+n"
    read = subprocess.run([*common, "--compressed", question], capture_output=True, check=True, timeout=60)
    assert read.stdout == rows
