"""What landing a touchpoint costs the sink, and how soon it can be read: a real Kafka before it, ClickHouse behind it.

CPU of the sink's process alone, its Kafka and HTTP clients in it; ClickHouse's own is a figure beside it. Touchpoints
are what the core makes of a simulated day, of all channels. While delays are taken, what it says of identities in that
day lands beside them, and who has moved is worked out from it, as in any sink.
"""

from __future__ import annotations

import importlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer

from schemas.catalog import Catalog
from sinks.clickhouse.chunk import ChunkWriter
from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.landing import TARGETS, Landing, LandingOptions
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.reading import ReadingOptions
from sinks.clickhouse.resolving import TOPIC as IDENTITIES
from sinks.clickhouse.resolving import Resolver
from sinks.clickhouse.writer import Warehouse, Writer, connect
from sinks.dead_letters import DeadLetters
from streams.broker.jars import ToolMissing
from tests.bench.real_kafka import installation, node
from tests.bench.report import Row, Section
from tests.bench.stream import Stream
from tests.bench.tasks import made_of
from tests.bench.whole_job import PARTITIONS

TOPIC = "touchpoints.stitched"
RATE = 20_000
_SECONDS = 15.0
_WARM_UP_S = 3.0
_LOOK_S = 0.2
"""Each look costs ClickHouse as much as some thousand rows."""
_PATIENCE_S = 300.0
_BUDGET_ROWS = 400_000.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Rows, CPU seconds of the sink and of ClickHouse."""

    rows: int
    sink_s: float
    clickhouse_s: float


def section(stream: Stream, *, rows: int) -> Section:
    """A backlog of so many rows, then delays at 20,000 rows/s; a section without rows where no Kafka can be had."""
    title = "Landing touchpoints in ClickHouse"
    made = made_of(stream, [TOPIC, IDENTITIES])
    try:
        with tempfile.TemporaryDirectory(prefix="throughline-bench-") as scratch, node(Path(scratch)) as at:
            return Section(
                title,
                _rows(at, made[TOPIC], made[IDENTITIES], rows, Path(scratch)),
                "chunks of default settings",
            )
    except ToolMissing as missing:
        return Section(title, [], str(missing))


def _rows(
    bootstrap: str, stitched: Sequence[bytes], told: Sequence[bytes], rows: int, scratch: Path
) -> list[Row]:
    with installation(bootstrap, "at_least_once"), EmbeddedWarehouse.start(scratch / "warehouse") as opened:
        warehouse = Warehouse(opened.url, opened.user, opened.password)
        migrate(warehouse)
        cost = _cost(bootstrap, warehouse, stitched, rows, clickhouse_pid=opened.pid)
    with installation(bootstrap, "at_least_once"), EmbeddedWarehouse.start(scratch / "fresh") as opened:
        warehouse = Warehouse(opened.url, opened.user, opened.password)
        migrate(warehouse)
        delays_s = sorted(_delays(bootstrap, warehouse, stitched, told))
    return [
        Row("a row, CPU of the sink", cost.sink_s / cost.rows * 1e6, budget=1e6 / _BUDGET_ROWS),
        Row("rows a second and core of the sink", cost.rows / cost.sink_s, "", note="400,000 is the bar"),
        Row("a row, CPU of ClickHouse", cost.clickhouse_s / cost.rows * 1e6),
        Row(
            "produce to visible, median", 1e3 * delays_s[len(delays_s) // 2], "ms", note=f"at {RATE:,} rows/s"
        ),
        Row("produce to visible, p99", 1e3 * delays_s[int(0.99 * len(delays_s))], "ms", 2_000.0),
    ]


def _cost(
    bootstrap: str, warehouse: Warehouse, stitched: Sequence[bytes], rows: int, *, clickhouse_pid: int
) -> Cost:
    producer = _producer(bootstrap)
    for n in range(rows):
        _produce(producer, TOPIC, stitched[n % len(stitched)], n)
    producer.flush()
    before_s = _cpu_s(clickhouse_pid)
    command = [sys.executable, "-m", "tests.bench.sink", bootstrap, warehouse.url, str(rows)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Cost(rows, float(said), _cpu_s(clickhouse_pid) - before_s)


def _delays(
    bootstrap: str, warehouse: Warehouse, stitched: Sequence[bytes], told: Sequence[bytes]
) -> list[float]:
    """For each row after a warm-up, how long from its produce until a query saw it."""
    command = [sys.executable, "-m", "tests.bench.sink", bootstrap, warehouse.url, "0"]
    sink = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        producer = _producer(bootstrap)
        produced_s: list[list[float]] = [[] for _ in range(PARTITIONS)]
        seen = [0] * PARTITIONS
        delays: list[float] = []
        done = threading.Event()

        def look() -> None:
            client = connect(warehouse)
            while not done.is_set() or any(seen[p] < len(produced_s[p]) for p in range(PARTITIONS)):
                found = client.query(
                    "SELECT _partition, count() FROM touchpoints GROUP BY _partition"
                ).result_rows
                now_s = time.monotonic()
                for partition, count in found:
                    delays.extend(now_s - at for at in produced_s[partition][seen[partition] : count])
                    seen[partition] = count
                time.sleep(_LOOK_S)

        looking = threading.Thread(target=look)
        looking.start()
        began_s, n, m = time.monotonic(), 0, 0
        while (now_s := time.monotonic()) - began_s < _SECONDS:
            while n < (now_s - began_s) * RATE:
                produced_s[n % PARTITIONS].append(now_s)
                _produce(producer, TOPIC, stitched[n % len(stitched)], n)
                n += 1
            while m * len(stitched) < n * len(told):
                _produce(producer, IDENTITIES, told[m % len(told)], m)
                m += 1
            producer.poll(0)
            time.sleep(0.002)
        producer.flush()
        done.set()
        looking.join(_PATIENCE_S)
        return delays[int(_WARM_UP_S * RATE) :]
    finally:
        sink.kill()
        sink.communicate()


def _producer(bootstrap: str) -> Producer:
    return Producer(
        {"bootstrap.servers": bootstrap, "queue.buffering.max.messages": 2_000_000, "linger.ms": 5}
    )


def _produce(producer: Producer, topic: str, value: bytes, n: int) -> None:
    while True:
        try:
            producer.produce(topic, value, partition=n % PARTITIONS)
        except BufferError:
            producer.poll(0.1)
        else:
            return


def _cpu_s(pid: int) -> float:
    """User and system time of another process, s."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Landed:
    """Stops once so many rows have landed; never for 0."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.landing: Landing | None = None

    def is_set(self) -> bool:
        """As an Event."""
        return bool(self._rows and self.landing and self.landing.landed[TOPIC] >= self._rows)


def land(bootstrap: str, url: str, rows: int) -> float:
    """Lands so many touchpoints, or for 0 what comes, identities too; the CPU seconds, less those of loading."""
    importlib.import_module("clickhouse_connect.driver.exceptions")
    warehouse = Warehouse(url, "throughline", "throughline")
    stop = _Landed(rows)
    stop.landing = Landing(
        LandingOptions(ReadingOptions(bootstrap, "bench-sink")),
        Writer(warehouse),
        chunks=ChunkWriter(Catalog.embedded().schema),
        burials=DeadLetters(bootstrap),
        targets={topic: TARGETS[topic] for topic in ([TOPIC] if rows else [TOPIC, IDENTITIES])},
        followup=None if rows else Resolver(warehouse),
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    stop.landing.run(stop)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    print(land(sys.argv[1], sys.argv[2], int(sys.argv[3])))
