"""`throughline query`, `warehouse` and `sink` as they are typed."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sinks.clickhouse.embedded import EmbeddedWarehouse, holder_of
from streams.cli.app import build
from tests.integration.brokers import EmbeddedBrokers
from tests.integration.landed import Feed

pytestmark = pytest.mark.xdist_group("query")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warehouse")


@pytest.fixture(scope="module")
def opened(directory: Path) -> Iterator[EmbeddedWarehouse]:
    with EmbeddedWarehouse.start(directory) as warehouse:
        yield warehouse


def run(opened: EmbeddedWarehouse | None, *words: str) -> Result:
    environment = {} if opened is None else {"THROUGHLINE_CLICKHOUSE_URL": opened.url}
    return CliRunner().invoke(build(), words, env=environment)


def test_answers_for_programs_are_json_csv_and_tabs(opened: EmbeddedWarehouse) -> None:
    """Each parses as what it says it is; the format of the SQL itself wins."""
    sql = "SELECT number AS n, if(number = 1, NULL, 'a,b') AS t FROM numbers(2)"
    as_json = json.loads(run(opened, "query", "--json", sql).stdout)
    assert as_json == [{"n": 0, "t": "a,b"}, {"n": 1, "t": None}]
    assert json.loads(run(opened, "query", "--json", "SELECT 1 WHERE 0").stdout) == []
    rows = list(csv.reader(io.StringIO(run(opened, "query", "--csv", sql).stdout)))
    assert rows == [["n", "t"], ["0", "a,b"], ["1", "\\N"]]
    assert run(opened, "query", sql).stdout == "n\tt\n0\ta,b\n1\t\\N\n"
    assert run(opened, "query", "--json", sql + " FORMAT Values").stdout == "(0,'a,b'),(1,NULL)"


def test_table_on_a_terminal_says_when_it_is_cut(opened: EmbeddedWarehouse) -> None:
    """The first rows, and how to see more."""
    ours, theirs = pty.openpty()
    sql = "SELECT number AS n FROM numbers(5)"
    command = [sys.executable, "-m", "streams.cli", "query", sql, "--rows", "3"]
    environment = {**os.environ, "THROUGHLINE_CLICKHOUSE_URL": opened.url, "NO_COLOR": "1", "TERM": "dumb"}
    subprocess.run(command, stdout=theirs, env=environment, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    lines = [line.strip() for line in shown.splitlines()]
    assert lines == ["n", "0", "1", "2", "first 3 rows; --rows N, --csv or --json for more"]


def test_wrong_sql_is_one_line_and_exit_code_1(opened: EmbeddedWarehouse) -> None:
    """ClickHouse's own words, without a traceback and without a list of its grammar."""
    found = run(opened, "query", "SELECT FROM WHERE")
    assert found.exit_code == 1
    assert found.stderr.startswith("throughline: Code: 62.")
    assert len(found.stderr) < 300


@pytest.mark.parametrize("words", [["query", "SELECT 1"], ["warehouse", "migrate"], ["warehouse", "status"]])
def test_nobody_there_is_exit_code_3(words: list[str]) -> None:
    """One line that says where was asked."""
    found = CliRunner().invoke(build(), words, env={"THROUGHLINE_CLICKHOUSE_URL": "http://127.0.0.1:9"})
    assert found.exit_code == 3
    assert "127.0.0.1" in found.stderr


def test_directory_is_asked_whether_it_is_served_or_not(tmp_path: Path) -> None:
    """By the server that has it, else by one that lives as long as the question."""
    asked = ("query", "--warehouse", str(tmp_path), "SELECT count() FROM kept")
    with EmbeddedWarehouse.start(tmp_path):
        made = "CREATE TABLE kept ENGINE = MergeTree ORDER BY n AS SELECT number AS n FROM numbers(3)"
        assert run(None, "query", "--warehouse", str(tmp_path), made).exit_code == 0
        assert run(None, *asked).stdout == "count()\n3\n"
    assert run(None, *asked).stdout == "count()\n3\n"
    assert holder_of(tmp_path) is None


def test_question_makes_no_warehouse(tmp_path: Path) -> None:
    """A wrong directory stays as it was."""
    found = run(None, "query", "--warehouse", str(tmp_path), "SELECT 1")
    assert (found.exit_code, list(tmp_path.iterdir())) == (3, [])


def test_status_tells_what_migrate_will_do(opened: EmbeddedWarehouse) -> None:
    """Exit code 1 while something is missing."""
    before = run(opened, "warehouse", "status")
    assert (before.exit_code, "001 touchpoints" in before.stdout) == (1, True)
    assert run(opened, "warehouse", "migrate").exit_code == 0
    after = run(opened, "warehouse", "status", "--json")
    assert after.exit_code == 0
    assert all(each["is_applied"] for each in json.loads(after.stdout))


def test_serve_and_sink_run_until_sigterm(embedded_broker: EmbeddedBrokers, tmp_path: Path) -> None:
    """The two parts as processes, from settings alone: tables are made, records land, both end with 0."""
    broker = embedded_broker(2, group_delay_ms=100)
    feed = Feed(broker.bootstrap)
    feed.write(30)
    command = [sys.executable, "-m", "streams.cli"]
    serve = subprocess.Popen(
        [*command, "warehouse", "serve", str(tmp_path), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert serve.stdout is not None
    environment = {
        **os.environ,
        "THROUGHLINE_CLICKHOUSE_URL": serve.stdout.readline().strip(),
        "THROUGHLINE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
    }
    sink = subprocess.Popen([*command, "sink"], env=environment, stdout=subprocess.PIPE, text=True)
    asked = ("query", "--warehouse", str(tmp_path), "SELECT count() FROM touchpoints")
    deadline_s = time.monotonic() + 60
    while run(None, *asked).stdout != "count()\n30\n":
        assert time.monotonic() < deadline_s
        time.sleep(0.2)
    sink.send_signal(signal.SIGTERM)
    said, _ = sink.communicate(timeout=30)
    serve.send_signal(signal.SIGTERM)
    serve.communicate(timeout=30)
    assert (sink.returncode, serve.returncode) == (0, 0)
    assert "30 touchpoints.stitched" in said
