"""The embedded warehouse as other languages meet it: ClickHouse's own clients, unmodified, while blocks land."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from schemas.catalog import Catalog
from sinks.clickhouse.chunk import Block, ChunkWriter, Span
from sinks.clickhouse.embedded import Credentials, EmbeddedWarehouse
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.writer import Warehouse, Writer, connect
from tests.conftest import require
from tests.integration.foreign_clients import CLIENTS, ClientMissing, Program
from tests.unit.sinks.samples import framed

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("foreign_clients")]

ROWS = 500
READER = Credentials("reader", "may only read")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A migrated warehouse with a reader."""
    with EmbeddedWarehouse.start(tmp_path_factory.mktemp("warehouse"), reader=READER) as opened:
        place = Warehouse(opened.url, opened.user, opened.password)
        migrate(place)
        yield place


def block(writer: ChunkWriter, start: int) -> Block:
    """So many sessions, at offsets from `start`."""
    records = [(n, framed("sessions", session_id=f"s{n}")) for n in range(start, start + ROWS)]
    return writer.blocks(Span("sessions", 0, start, start + ROWS), records)[0]


@contextmanager
def being_written(place: Warehouse, blocks: list[int]) -> Iterator[None]:
    """Blocks land, one after the other, from before the body begins until it ends; their starts are in `blocks`."""
    is_over, has_begun = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def write() -> None:
        chunks, writer = ChunkWriter(Catalog.embedded().schema), Writer(place)
        try:
            while not is_over.is_set():
                start = ROWS * len(blocks)
                writer.insert("sessions", block(chunks, start))
                blocks.append(start)
                has_begun.set()
        except Exception as error:
            failures.append(error)
            has_begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        has_begun.wait()
        yield
    finally:
        is_over.set()
        thread.join()
    assert failures == []


def facts(program: Program, place: Warehouse) -> dict[str, list[str]]:
    """What the program has printed, by the name of the fact."""
    address = place.url if program.takes_url else place.url.removeprefix("http://")
    words = (*program.command, address, place.user, place.password, READER.user, READER.password)
    ran = subprocess.run(
        words,
        env={**os.environ, **program.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = defaultdict(list)
    for line in ran.stdout.splitlines():
        name, _, fact = line.partition(" ")
        found[name].append(fact)
    return found


@pytest.mark.timeout(1000)
@pytest.mark.parametrize("language", CLIENTS)
def test_client_reads_and_writes_while_the_sink_does(place: Warehouse, language: str) -> None:
    """It is told the truth: bound text, a long stream, whole blocks only, its own rows, and errors by their codes.

    Seen to fail with blocks stored under a wrong checksum (Go, Java).
    """
    try:
        program = CLIENTS[language]()
    except ClientMissing as missing:
        require("clients", f"{language}: {missing}")
    with connect(place) as client:
        client.command("TRUNCATE TABLE sessions")
    blocks: list[int] = []
    with being_written(place, blocks):
        found = facts(program, place)
    counts = [int(count) for count in found.pop("count")]
    assert len(counts) == 5
    assert counts == sorted(counts)
    assert all(count and count % ROWS == 0 for count in counts)
    assert found.pop("tables", ["true"]) == ["true"]
    assert dict(found) == {
        "ping": ["true"],
        "text": ["O'Hara"],
        "sum": [str(sum(range(300_000)))],
        "inserted": [str(sum(range(1_000)))],
        "refused": ["497"],
        "unknown": ["60"],
    }
    with connect(place) as client:
        landed = client.query("SELECT count(), uniqExact(_offset) FROM sessions").result_rows
    assert landed == [(ROWS * len(blocks), ROWS * len(blocks))]
