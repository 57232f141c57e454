"""State: what an idle profile takes in memory, and how fast a changelog is read back.

    python -m tests.bench.state [--profiles N] [--bootstrap HOST:PORT] [--json]

Memory is that of processes of their own (`tests.bench.profiles`), restores are CPU time of this process. Without a
broker of yours the embedded one is used, which keeps 5 MiB a partition: ask a real Kafka for figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.broker.embedded import EmbeddedBroker
from streams.core.rules import Rules
from streams.core.step import Step
from streams.runtime.changelog import Changelog, changelog_batches
from streams.runtime.engine import Change, Store
from streams.runtime.restoring import Progress
from streams.runtime.store.format import STATE_FORMAT, new_changelog_id
from streams.runtime.store.memory import MemoryStore
from tests.bench import profiles
from tests.bench.report import Report, Row, Section
from tests.stores import all_of, stores_in

KINDS = ("memory", "rocksdb")
BUDGETS = {"memory": 800.0, "rocksdb": 60.0}
RESTORE_BUDGET = 200_000.0
PARTITIONS = 4
EMBEDDED_ACTORS = 50_000
"""What fits into the embedded broker."""

Said = Mapping[str, Any]


def memory(people: int) -> Section:
    """Resident memory a profile: after everybody came by, and after a restart, with nobody in the core's caches."""
    rows: list[Row] = []
    for kind in KINDS:
        with tempfile.TemporaryDirectory(prefix="throughline-bench-") as scratch:
            came, again = (_said(kind, people, Path(scratch), *how) for how in ((), ("--again",)))
        rows += _memory_rows(kind, people, came, again)
    return Section(
        "Memory an idle profile of two identifiers",
        rows,
        f"{people:,} profiles in one task, one touchpoint each, its session closed and still remembered; growth of the "
        "process, by size of objects where a part is named",
    )


def _said(kind: str, people: int, directory: Path, *how: str) -> Said:
    command = [sys.executable, "-m", "tests.bench.profiles", kind, str(people), str(directory), *how]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return cast(Said, json.loads(ended.stdout))


def _memory_rows(kind: str, people: int, came: Said, again: Said) -> Iterator[Row]:
    budget = BUDGETS[kind]
    yield Row(
        f"{kind}: after a restart",
        again["rss"] / people,
        "B",
        budget,
        note=f"start {again['start_s']:.1f} s of CPU",
    )
    for part, size in again["parts"].items():
        yield Row(f"  {part}", size / people, "B")
    yield Row(f"{kind}: after they came", came["rss"] / people, "B", budget, note="with the core's caches")
    for part, size in came["parts"].items():
        yield Row(f"  {part}", size / people, "B")
    yield Row("  both actors of one in the core's cache", again["cached"], "B", note="each, not of all")
    yield Row("  keys and values alone", came["raw"] / people, "B")


def restore(people: int, bootstrap: str | None) -> Section:
    """A changelog of so many profiles into either store, and the timers of a task made from it."""
    with _broker(bootstrap) as (address, topic):
        _write(people, address, topic)
        rows = [row for kind in KINDS for row in _restore_rows(kind, address, topic)]
    return Section(
        "Restore, actors a second of CPU",
        rows,
        f"{2 * people:,} actors in {PARTITIONS} partitions; CPU of the whole process, RocksDB's threads included",
    )


@contextmanager
def _broker(bootstrap: str | None) -> Iterator[tuple[str, str]]:
    if bootstrap is None:
        with EmbeddedBroker.start({"changelog": PARTITIONS}) as broker:
            yield broker.bootstrap, "changelog"
        return
    topic = f"bench-changelog-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1, config={"cleanup.policy": "compact"})])[topic].result(
        30
    )
    try:
        yield bootstrap, topic
    finally:
        admin.delete_topics([topic])[topic].result(30)


def _write(people: int, bootstrap: str, topic: str) -> None:
    """The state of real profiles, each partition's from a task that knows its share of them."""

    async def write() -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", linger_ms=0, max_batch_size=1 << 20
        ) as producer:
            for partition in range(PARTITIONS):
                changes: list[Change] = list(_state(people // PARTITIONS).items())
                header = STATE_FORMAT.header(new_changelog_id())
                for at in range(0, len(changes), 2_000):
                    rows = [*header, *changes[at : at + 2_000]]
                    [batch] = changelog_batches(rows, {"in": at}, timestamp_ms=0, limit_bytes=1 << 20)
                    await (await producer.send_batch(batch, topic, partition=partition))
                    header = []

    asyncio.run(write())


def _state(people: int) -> dict[bytes, bytes]:
    store = MemoryStore()
    profiles.make(profiles.Task(store), people)
    return all_of(store)


def _restore_rows(kind: str, bootstrap: str, topic: str) -> Iterator[Row]:
    with (
        tempfile.TemporaryDirectory(prefix="throughline-bench-") as scratch,
        stores_in(Path(scratch), kind) as make_store,
    ):
        stores = {partition: make_store(partition) for partition in range(PARTITIONS)}
        told: list[Progress] = []
        started_s = time.process_time()
        asyncio.run(Changelog(bootstrap, topic, tell=told.append).restore(stores))
        read_s = time.process_time() - started_s
        actors = told[-1].records
        started_s = time.process_time()
        for partition, store in stores.items():
            _start(partition, store)
        start_s = time.process_time() - started_s
    yield Row(f"{kind}: from the changelog", actors / read_s, "/s", RESTORE_BUDGET)
    yield Row("  each", 1e6 * read_s / actors)
    yield Row(
        f"{kind}: with the core's start", actors / (read_s + start_s), "/s", note="timers of all actors"
    )
    yield Row("  of it the start, each", 1e6 * start_s / actors)


def _start(partition: int, store: Store) -> None:
    Step(partition, PARTITIONS, Rules(is_replay=True), store)


def sections(people: int, bootstrap: str | None) -> Iterator[Section]:
    """Both."""
    yield restore(people if bootstrap else min(people, EMBEDDED_ACTORS // 2), bootstrap)
    yield memory(people)


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.state", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--bootstrap", help="a real Kafka to restore from")
    parser.add_argument("--json", action="store_true", help="for programs")
    asked = parser.parse_args()
    report = Report(list(sections(asked.profiles, asked.bootstrap)))
    report.tell(as_json=asked.json)


if __name__ == "__main__":
    main()
