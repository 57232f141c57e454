"""Many idle people: a root with one touchpoint, in a session that is closed, and one alias. In a process of its own.

    python -m tests.bench.profiles memory|rocksdb PROFILES DIRECTORY [--again]

Makes them through the real core over the store asked for, or, `again`, starts over what the first run left behind, as a
worker does at a restart. Prints a line of JSON: what memory they take, and which part of it is whose.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from schemas.catalog import Catalog
from schemas.codec import encode_touchpoint
from streams.core.rules import Rules
from streams.core.step import INPUTS, Step
from streams.core.touchpoint import TICK_HEADER
from streams.runtime.allocator import set_up_allocator
from streams.runtime.engine import Reflected, Store
from tests.bench.stream import KafkaRecord
from tests.stores import stores_in

START_MS = 1_772_000_000_000
BATCH = 2_000
EVERY_MS = 60
"""Between two people: a million take 17 hours, so that sessions close while others begin."""
HOUR_MS = 3_600_000
MESSAGE, USER, DEVICE = "m0000000", "u0000000", "00000000-0000-4000-8000-000000000000"


def names(number: int) -> tuple[str, str, str]:
    """Message, user and device of the n-th person, always of one length."""
    at = f"{number:07d}"
    return "m" + at, "u" + at, DEVICE[:-7] + at


def touchpoints(first: int, stop: int) -> list[KafkaRecord]:
    """One of each person."""
    at_ms = START_MS + first * EVERY_MS
    fields = {
        "message_id": MESSAGE,
        "type": "track",
        "event": "Page Viewed",
        "channel": "web",
        "occurred_at": at_ms,
        "received_at": at_ms,
        "identifiers": {"user_id": USER, "anonymous_id": DEVICE},
    }
    template = encode_touchpoint(fields)
    holes = [name.encode() for name in (MESSAGE, USER, DEVICE)]
    records = []
    for number in range(first, stop):
        value = template
        for hole, name in zip(holes, names(number), strict=True):
            value = value.replace(hole, name.encode())
        records.append(KafkaRecord("touchpoints.web", 0, number, at_ms, None, value))
    return records


def ticks(at_ms: int) -> dict[str, Sequence[KafkaRecord]]:
    """One for every input."""
    headers = [(TICK_HEADER, str(at_ms).encode())]
    return {topic: [KafkaRecord(topic, 0, 1 << 40, at_ms, None, None, headers)] for topic in INPUTS}


class Task:
    """One task over one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rules = Rules(is_replay=True)
        self.step = Step(0, 1, self.rules, store, catalog=Catalog.embedded())
        self._commits = store.reflected.offset

    def take(self, batch: dict[str, Sequence[KafkaRecord]]) -> None:
        """A batch, and what clocks have to say after it."""
        while True:
            effects = self.step.process(batch, now_ms=0, caught_up={})
            self._commits += 1
            self.store.apply(effects.changes, Reflected(self._commits))
            if not self.step.has_news:
                return
            batch = {}


def make(task: Task, profiles: int) -> None:
    """Everybody comes once, one after another, and stays away until the session is closed."""
    for first in range(0, profiles, BATCH):
        task.take({"touchpoints.web": touchpoints(first, min(first + BATCH, profiles))})
        task.take(ticks(START_MS + first * EVERY_MS))
    last_ms = START_MS + profiles * EVERY_MS
    for minute in range(40):
        task.take(ticks(last_ms + minute * 60_000))


def rss_bytes() -> int:
    """What this process has in memory now."""
    with Path("/proc/self/statm").open() as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sizes(task: Task) -> Iterator[tuple[str, int]]:
    """Which part holds what, by the size of its objects: less than what the process takes, allocators round up."""
    from streams.core import actor

    step: Any = task.step
    if hasattr(task.store, "_held"):
        yield "store: keys, values, dict", deep(task.store._held)
    else:
        store: Any = task.store
        yield "store: cache of blocks and memtables", store._stores._cache.get_usage()
        yield "store: buffer", store.buffered_bytes
        readers = store._db.property_int_value("rocksdb.estimate-table-readers-mem")
        yield "store: filters and indexes", readers or 0
    yield "timers", deep(step._due._timers._near) + deep(step._due._timers._lists)
    yield "memo of identifiers", deep(step._identifiers._sets) + deep(step._identifiers._homes)
    # An entry is some objects of 90 B, and functools' own.
    yield "memo of profile ids", actor.profile_id_of.cache_info().currsize * 300


def cached_bytes(task: Task, profiles: int) -> float:
    """What the two actors of a profile take in the core's cache: the difference that reading some of them makes."""
    some = min(profiles, 20_000)
    gc.collect()
    before = rss_bytes()
    for number in range(some):
        _, user, device = names(number)
        task.step._actors.find(f"user_id:{user}")
        task.step._actors.find(f"anonymous_id:{device}")
    return (rss_bytes() - before) / some


def deep(held: Iterable[Any]) -> int:
    """Bytes of a container and what is in it, each object once."""
    seen: set[int] = set()

    def size(thing: Any) -> int:
        if id(thing) in seen or thing is None:
            return 0
        seen.add(id(thing))
        total = sys.getsizeof(thing)
        if isinstance(thing, dict):
            total += sum(size(key) + size(value) for key, value in thing.items())
        elif isinstance(thing, list | tuple | set):
            total += sum(map(size, thing))
        return total

    return size(held)


def main() -> None:
    """One kind of store, once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("memory", "rocksdb"))
    parser.add_argument("profiles", type=int)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    set_up_allocator()
    with stores_in(asked.directory / "state", asked.kind) as make_store:
        # What every worker has, whoever its people are.
        warm = Task(make_store(1))
        make(warm, 10)
        del warm
        gc.collect()
        before = rss_bytes()
        store = make_store(0)
        kept = asked.directory / "kept"
        if asked.again and asked.kind == "memory":
            restore(store, kept)
        started_s = time.process_time()
        task = Task(store)
        start_s = time.process_time() - started_s
        if not asked.again:
            make(task, asked.profiles)
        gc.collect()
        taken = rss_bytes() - before
        parts = dict(sizes(task))
        values = sum(len(key) + len(store.get(key) or b"") for key in store.keys_with(b""))
        said = {"rss": taken, "parts": parts, "raw": values, "start_s": start_s}
        if asked.again:
            said["cached"] = cached_bytes(task, asked.profiles)
        print(json.dumps(said))
        if not asked.again and asked.kind == "memory":
            keep(store, kept)


def keep(store: Store, path: Path) -> None:
    """What the changelog would have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for key in store.keys_with(b""):
            data = msgspec.msgpack.encode((key, store.get(key)))
            file.write(len(data).to_bytes(4, "big") + data)


def restore(store: Store, path: Path) -> None:
    """Reads it back in chunks, as a restore does."""
    with path.open("rb") as file:
        chunk = []
        while head := file.read(4):
            chunk.append(
                msgspec.msgpack.decode(file.read(int.from_bytes(head, "big")), type=tuple[bytes, bytes])
            )
            if len(chunk) == BATCH:
                store.apply(chunk, Reflected(1))
                chunk = []
        store.apply(chunk, Reflected(1))


if __name__ == "__main__":
    main()
