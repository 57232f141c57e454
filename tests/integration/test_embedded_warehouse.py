"""The embedded warehouse as its clients meet it: ordinary HTTP clients of ClickHouse, over real processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from clickhouse_connect.driver.client import Client

from schemas.catalog import Catalog
from sinks.clickhouse.asking import ask
from sinks.clickhouse.chunk import Block, ChunkWriter, Span
from sinks.clickhouse.embedded import Credentials, EmbeddedWarehouse, WarehouseDidNotStart, holder_of
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.writer import Rejected, Unavailable, Warehouse, Writer, connect
from tests.unit.sinks.samples import framed

pytestmark = pytest.mark.xdist_group("embedded_warehouse")

CATALOG = Catalog.embedded()


def address(running: EmbeddedWarehouse) -> Warehouse:
    return Warehouse(running.url, running.user, running.password)


def block(rows: int, *, start: int = 0) -> Block:
    """So many sessions, at offsets from `start`."""
    records = [(n, framed("sessions", session_id=f"s{n}")) for n in range(start, start + rows)]
    span = Span("sessions", 0, start, start + rows)
    return ChunkWriter(CATALOG.schema).blocks(span, records)[0]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWarehouse]:
    with EmbeddedWarehouse.start(tmp_path_factory.mktemp("warehouse")) as warehouse:
        migrate(address(warehouse))
        yield warehouse


@pytest.fixture
def client(running: EmbeddedWarehouse) -> Iterator[Client]:
    with connect(address(running)) as client:
        yield client


def fetched(url: str, parameters: dict[str, str], body: bytes | None = None) -> str:
    """By urllib alone, as any program would."""
    with urlopen(Request(f"{url}/?{urlencode(parameters)}", data=body), timeout=30) as answer:
        return str(answer.read().decode())


USER = {"user": "throughline", "password": "throughline"}


def test_any_http_client_can_ask(running: EmbeddedWarehouse) -> None:
    """Statement in the address or in the body, parameters bound, format chosen."""
    assert fetched(running.url, {**USER, "query": "SELECT 1 + 1"}) == "2\n"
    bound = {**USER, "param_who": "O'Hara", "default_format": "JSONEachRow"}
    assert fetched(running.url, bound, b"SELECT {who:String} AS who") == '{"who":"O\'Hara"}\n'


def test_clickhouse_connect_reads_types_and_binds_parameters(client: Client) -> None:
    """The usual Python client, unmodified."""
    found = client.query("SELECT number, [toString(number)] FROM numbers({n:UInt8})", parameters={"n": 2})
    assert found.result_rows == [(0, ["0"]), (1, ["1"])]


@pytest.mark.parametrize("accepted", ["gzip", "zstd", "identity"])
def test_large_answers_come_whole_however_compressed(running: EmbeddedWarehouse, accepted: str) -> None:
    """Answers are streamed block by block; none is lost, doubled or out of order."""
    with connect(address(running)) as client:
        client.compression = None if accepted == "identity" else accepted
        rows = client.query("SELECT number FROM numbers(300000)").result_columns[0]
    assert list(rows) == list(range(300_000))


@pytest.mark.parametrize(
    "parameters", [{}, {"user": "throughline", "password": "x"}, {"user": "default", "password": ""}]
)
def test_without_the_password_nothing_is_answered(
    running: EmbeddedWarehouse, parameters: dict[str, str]
) -> None:
    """403 with ClickHouse's code, and not a row."""
    with pytest.raises(HTTPError) as refused:
        fetched(running.url, {**parameters, "query": "SELECT 1"})
    with refused.value as answer:
        assert (answer.code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516")


COMMAND = "PRIMARY KEY k SOURCE(EXECUTABLE(COMMAND 'touch PLACE' FORMAT 'TSV')) LAYOUT(FLAT()) LIFETIME(0)"
# Reads a file where texts may hold expressions; put together, so that no word in it is seen.
HIDDEN = "format(Values, 'x String', concat('(fi', 'le(''/etc/passwd''))'))"
REFUSED = {
    "SELECT * FROM file('/etc/passwd', 'LineAsString')": 497,
    "SELECT file('/etc/passwd')": 497,
    "SELECT file/**/('/etc/passwd')": 497,
    "SELECT `f\\x69le`('/etc/passwd')": 497,
    "SELECT arrayMap(file, ['/etc/passwd'])": 497,
    "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')": 497,
    "CREATE FUNCTION f AS x -> file(x)": 497,
    "CREATE VIEW f AS SELECT file('/etc/passwd')": 497,
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')": 497,
    "SELECT * FROM remote('127.0.0.1', 'a', 'b')": 497,
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/x', NOSIGN, 'TSV', 'a Int8')": 497,
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')": 497,
    "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')": 497,
    "SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'e Int8')": 497,
    "SELECT * FROM redis('127.0.0.1:1', 'a', 'a Int8, b Int8')": 497,
    "SELECT * FROM sqlite('/tmp/a.db', 't')": 497,
    "SELECT * FROM icebergLocal('/tmp')": 497,
    "SELECT * FROM executable('x', 'TSV', 'a Int8')": 497,
    "SELECT * FROM Python(secret)": 497,
    "INSERT INTO FUNCTION file('PLACE', 'CSV', 'x Int8') VALUES (1)": 497,
    "INSERT INTO FUNCTION url('http://127.0.0.1:1/', 'CSV', 'x Int8') VALUES (1)": 497,
    "SELECT * FROM `/etc/passwd`": 60,
    "SELECT * FROM default.`/etc/passwd`": 497,
    "CREATE TABLE f (x Int8) ENGINE = File(CSV)": 497,
    "CREATE TABLE f (x Int8) ENGINE = Kafka('a', 'b', 'c', 'CSV')": 497,
    "CREATE TABLE f (x Int8) ENGINE = MergeTree ORDER BY x SETTINGS disk = disk(type = local, path = 'PLACE')": 497,
    "CREATE DATABASE fs ENGINE = Filesystem('/etc')": 497,
    f"CREATE DICTIONARY f (k UInt64, v UInt64) {COMMAND}": 497,
    "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '/etc/passwd'": 452,
    "INSERT INTO f SETTINGS input_format_record_errors_file_path = 'PLACE' VALUES (1)": 452,
    f"SELECT * FROM {HIDDEN}": 344,
    f"SELECT * FROM {HIDDEN} SETTINGS input_format_values_interpret_expressions = 1": 452,
    "SYSTEM SHUTDOWN": 497,
    "SELECT 1 INTO/**/OUTFILE 'PLACE' FORMAT CSV": 48,
    "SELECT $a$ ' $a$ INTO OUTFILE 'PLACE'": 48,
    "INSERT INTO sessions FROM INFILE '/etc/passwd' FORMAT CSV": 48,
    "SELECT 1; SELECT 2": 62,
}


@pytest.mark.parametrize("statement", REFUSED)
def test_a_query_touches_nothing_but_the_warehouse(
    running: EmbeddedWarehouse, tmp_path: Path, statement: str
) -> None:
    """No file, address, command, foreign engine, shutdown or second statement; and the warehouse lives on."""
    out = tmp_path / "out"
    with pytest.raises(HTTPError) as refused:
        fetched(running.url, USER, statement.replace("PLACE", str(out)).encode())
    with refused.value as answer:
        assert answer.headers["X-ClickHouse-Exception-Code"] == str(REFUSED[statement])
    assert not out.exists()
    assert fetched(running.url, {**USER, "query": "SELECT 1"}) == "1\n"


def test_get_only_reads(running: EmbeddedWarehouse) -> None:
    """As on a server: a link that is followed changes nothing."""
    with pytest.raises(HTTPError) as refused:
        fetched(running.url, {**USER, "query": "CREATE TABLE got (x Int8) ENGINE = Memory"})
    with refused.value as answer:
        assert answer.headers["X-ClickHouse-Exception-Code"] == "164"


def test_settings_of_a_statement_end_with_it(running: EmbeddedWarehouse) -> None:
    """Even where a session's connection is used again."""
    asked = "SELECT getSetting('max_block_size')"
    session = {**USER, "session_id": "one", "query": asked}
    usual = fetched(running.url, session)
    assert fetched(running.url, {**session, "max_block_size": "1234"}) == "1234\n"
    assert fetched(running.url, session) == usual


def test_error_after_the_first_rows_is_an_error(running: EmbeddedWarehouse) -> None:
    """What was sent cannot be taken back, but the answer never looks complete."""
    asked = (
        "SELECT throwIf(number = 5000000, 'enough') FROM numbers(10000000) SETTINGS max_block_size = 65536"
    )
    with pytest.raises(Rejected, match="enough"):
        sum(len(line) for line in ask(address(running), asked, default_format="TSV"))


def test_nobody_there_is_told_from_wrong_sql(running: EmbeddedWarehouse) -> None:
    """One may be tried again, the other not."""
    with pytest.raises(Rejected, match="UNKNOWN_TABLE"):
        list(ask(address(running), "SELECT * FROM nothing", default_format="TSV"))
    with pytest.raises(Unavailable, match="no ClickHouse answers"):
        list(ask(Warehouse("http://127.0.0.1:9", "a", "b"), "SELECT 1", default_format="TSV"))
    with pytest.raises(Unavailable, match="refuses user"):
        list(ask(Warehouse(running.url, "throughline", "no"), "SELECT 1", default_format="TSV"))


def test_repeated_block_lands_once(running: EmbeddedWarehouse, client: Client) -> None:
    """The token decides, whoever repeats it; other rows have another token."""
    client.command("TRUNCATE TABLE sessions")
    for landed in (block(10), block(10), block(5, start=10), block(10)):
        Writer(address(running)).insert("sessions", landed)
    assert client.query("SELECT count(), uniqExact(session_id) FROM sessions").result_rows == [(15, 15)]


def test_inserts_at_once_do_not_mix(running: EmbeddedWarehouse, client: Client) -> None:
    """Each request has its own connection: tokens and rows of one never reach another."""
    client.command("TRUNCATE TABLE sessions")
    failures: list[Exception] = []

    def land(n: int) -> None:
        writer = Writer(address(running))
        try:
            for _ in range(2):
                writer.insert("sessions", block(50, start=1000 * n))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=land, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert client.query("SELECT count(), uniqExact(_offset) FROM sessions").result_rows == [(400, 400)]


def test_second_process_on_a_directory_is_told_who_has_it(running: EmbeddedWarehouse, tmp_path: Path) -> None:
    """One clear line, and the first one is not disturbed."""
    with EmbeddedWarehouse.start(tmp_path) as first:
        with pytest.raises(
            WarehouseDidNotStart, match=f"held by process {first.pid} since 20.* and answers at {first.url}"
        ):
            EmbeddedWarehouse.start(tmp_path)
        assert fetched(first.url, {**USER, "query": "SELECT 1"}) == "1\n"
    assert holder_of(tmp_path) is None


def test_taken_port_is_said(running: EmbeddedWarehouse, tmp_path: Path) -> None:
    """Not a traceback."""
    port = int(running.url.rpartition(":")[2])
    with pytest.raises(WarehouseDidNotStart, match=f"{port}.*in use"):
        EmbeddedWarehouse.start(tmp_path, port)


def test_two_users_of_one_name_are_said(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(WarehouseDidNotStart, match=r"^the reader needs a name of its own, not 'ann'$"):
        EmbeddedWarehouse.start(tmp_path, user="ann", reader=Credentials("ann", "x"))


def test_warehouse_ends_with_its_parent(tmp_path: Path) -> None:
    """Even with one that was killed: nobody else would ever stop it, and it would hold the directory."""
    script = (
        "import sys; from pathlib import Path; from sinks.clickhouse.embedded import EmbeddedWarehouse;"
        f"print(EmbeddedWarehouse.start(Path({str(tmp_path)!r})).pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.kill()
    deadline_s = time.monotonic() + 20
    while holder_of(tmp_path) is not None:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_killed_in_mid_insert_then_repeated_is_exact(tmp_path: Path, seed: int) -> None:
    """SIGKILL at random moments, reopen, the same token again: every row once."""
    chance, rows = random.Random(seed), 5_000
    for n in range(5):
        landed = block(rows, start=n * rows)
        running = EmbeddedWarehouse.start(tmp_path)
        if n == 0:
            migrate(address(running))
        killer = threading.Timer(chance.uniform(0.0, 0.25), os.kill, (running.pid, signal.SIGKILL))
        killer.start()
        try:
            Writer(address(running)).insert("sessions", landed)
        except Unavailable:
            pass
        finally:
            killer.join()
            running.stop()
        with EmbeddedWarehouse.start(tmp_path) as again:
            Writer(address(again)).insert("sessions", landed)
            with connect(address(again)) as client:
                counted = client.query("SELECT count(), uniqExact(_offset) FROM sessions").result_rows
        assert counted == [((n + 1) * rows, (n + 1) * rows)]


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, seed: int) -> None:
    """SIGKILL while several write: after reopening each acknowledged row is there once; all sent again, all is once."""
    chance, rows, count = random.Random(seed), 200, 12
    for cycle in range(2):
        running = EmbeddedWarehouse.start(tmp_path)
        if cycle == 0:
            migrate(address(running))
        acknowledged: list[int] = []
        starts = [(cycle * count + n) * rows for n in range(count)]
        writers = [
            threading.Thread(target=land, args=(running, starts[n::3], rows, acknowledged)) for n in range(3)
        ]
        for writer in writers:
            writer.start()
        enough = chance.randrange(1, count // 2)
        while len(acknowledged) < enough:
            time.sleep(0.001)
        os.kill(running.pid, signal.SIGKILL)
        for writer in writers:
            writer.join()
        running.stop()
        assert 0 < len(acknowledged) < count
        with EmbeddedWarehouse.start(tmp_path) as again, connect(address(again)) as client:
            found = offsets(client)
            assert len(found) == len(set(found))
            assert {start + n for start in acknowledged for n in range(rows)} <= set(found)
            every = range(0, (cycle + 1) * count * rows, rows)
            land(again, every, rows, acknowledged)
            assert sorted(offsets(client)) == list(range(len(every) * rows))


def land(running: EmbeddedWarehouse, starts: Iterable[int], rows: int, acknowledged: list[int]) -> None:
    """One block after the other, until nobody answers."""
    writer = Writer(address(running))
    for start in starts:
        try:
            writer.insert("sessions", block(rows, start=start))
        except Unavailable:
            return
        acknowledged.append(start)


def offsets(client: Client) -> list[int]:
    """Of every row there is."""
    return list(client.query("SELECT _offset FROM sessions").result_columns[0])
