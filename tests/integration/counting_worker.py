"""A worker whose core counts: run as a process by the tests of the runtime, to be stopped and killed.

It counts the records of each key, sends every one on, forwards some to the next task through the inbox, and prints a
line of JSON for whatever a test wants to see: tasks restored, turns taken.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from streams.agents.app import Plan, build
from streams.agents.start import guarantee_of
from streams.agents.stores import stores_of
from streams.runtime.broker_traits import traits_of
from streams.runtime.commit import TaskTopics
from streams.runtime.engine import Batch, Change, Record, Store
from streams.runtime.observed import observed
from streams.runtime.task import Pace
from streams.runtime.worker import Stopping, run, set_up_logging
from streams.settings import load
from tests.stores import all_of

PARTITIONS = 4
INPUTS = ("in.a", "in.b", "in.c")
INBOX, CHANGELOG, DEAD, OUTPUT = "inbox", "changelog", "dead", "out"
ALL_TOPICS = (*INPUTS, INBOX, CHANGELOG, DEAD, OUTPUT)

BAD = b"bad"
BREAKING = b"breaking"
BLOCKING = b"blocking"
"""Blocks the event loop for ever."""
HOLDING = b"holding"
"""The same, and no other thread gets to run."""
FORWARDED = b"forward"

_FOR_EVER_S = 3600


@dataclass(slots=True)
class Dead:
    """A dead letter."""

    record: Record
    reason: str = "unreadable"
    detail: str = "said so itself"


@dataclass(slots=True)
class Effects:
    """What a turn of the counting core wants written."""

    outputs: dict[str, Sequence[tuple[bytes | None, bytes]]] = field(default_factory=dict)
    inbox: dict[int, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def topics_of(suffix: str) -> TaskTopics:
    """Topics of a run: on a shared broker every run has its own."""
    return TaskTopics(
        inputs=tuple(topic + suffix for topic in INPUTS),
        outputs=(OUTPUT + suffix,),
        inbox=INBOX + suffix,
        changelog=CHANGELOG + suffix,
        dead=DEAD + suffix,
    )


def tell(**what: Any) -> None:
    """One line of JSON."""
    print(json.dumps(what), flush=True)


class CountingEngine:
    """State: `n/<key>` -> how often; `seen/<id>` for what came through the inbox, so that repeats do not count."""

    def __init__(
        self, partition: int, store: Store, *, suffix: str, step_s: float, tells_turns: bool
    ) -> None:
        self._partition = partition
        self._suffix = suffix
        self._held = all_of(store)
        self._step_s = step_s
        self._tells_turns = tells_turns
        self.has_news = False
        self.timer_clock_ms = 0
        tell(restored=partition, counted=total(self._held))

    def work(
        self, batch: Batch, *, now_ms: int, caught_up: Mapping[str, int]
    ) -> Generator[None, None, Effects]:
        """Counts, in one slice but for the last word; a record of another partition is a broken invariant."""
        effects = Effects()
        changed: set[bytes] = set()
        sent: list[tuple[bytes | None, bytes]] = []
        for topic, records in batch.items():
            for record in records:
                assert record.partition == self._partition
                if record.value is None or record.value.startswith(BAD):
                    effects.dead.append(Dead(record))
                elif record.value.startswith(BREAKING):
                    raise RuntimeError("as it was told")
                elif record.value.startswith(BLOCKING):
                    time.sleep(_FOR_EVER_S)
                elif record.value.startswith(HOLDING):
                    ctypes.PyDLL(None).sleep(_FOR_EVER_S)
                else:
                    changed |= self._count(topic, record, effects=effects, sent=sent)
        if sent:
            effects.outputs[OUTPUT + self._suffix] = sent
        effects.changes = [(key, self._held[key]) for key in sorted(changed)]
        if self._step_s and batch:
            time.sleep(self._step_s)
        if self._tells_turns:
            ids = [(r.value or b"").decode() for records in batch.values() for r in records]
            reached = {topic.removesuffix(self._suffix): at_ms for topic, at_ms in caught_up.items()}
            tell(turn=self._partition, ids=ids, caught_up=reached, now_ms=now_ms)
        yield
        return effects

    def _count(
        self, topic: str, record: Record, *, effects: Effects, sent: list[tuple[bytes | None, bytes]]
    ) -> set[bytes]:
        value = record.value or b""
        if topic == INBOX + self._suffix:
            seen = b"seen/" + value
            if seen in self._held:
                return set()
            self._held[seen] = b"1"
            return {seen}
        sent.append((record.key, value))
        if value.startswith(FORWARDED):
            to = (self._partition + 1) % PARTITIONS
            effects.inbox.setdefault(to, []).append((record.key or b"", value))
        key = b"n/" + (record.key or b"")
        self._held[key] = b"%d" % (int(self._held.get(key, b"0")) + 1)
        return {key}


def total(state: Mapping[bytes, bytes]) -> int:
    """How many input records a state has counted."""
    return sum(int(count) for key, count in state.items() if key.startswith(b"n/"))


def main() -> int:
    """The worker process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("--suffix", default="")
    parser.add_argument("--partitions", type=int, default=PARTITIONS)
    parser.add_argument("--batch-records", type=int, default=50)
    parser.add_argument("--session-s", type=float, default=0.0)
    parser.add_argument("--step-s", type=float, default=0.0)
    parser.add_argument("--tells-turns", action="store_true")
    parser.add_argument("--guarantee", default="auto")
    parser.add_argument("--transaction-timeout-s", type=int, default=30)
    parser.add_argument("--instance-id", default="")
    parser.add_argument("--stall-s", type=float, default=120.0)
    parser.add_argument("--buffer-bytes", type=int, default=64 << 20)
    parser.add_argument("--max-dead-share", type=float, default=0.5)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", default="", help="directory of a RocksDB state; none: in memory")
    options = parser.parse_args()
    set_up_logging("WARNING")
    traits = asyncio.run(traits_of(options.bootstrap))
    if options.session_s:
        traits = replace(traits, session_s=options.session_s, heartbeat_s=options.session_s / 8)
    stopping = Stopping()
    plan = Plan(
        "counting" + options.suffix,
        options.bootstrap,
        topics=topics_of(options.suffix),
        partitions=options.partitions,
        pace=Pace(options.batch_records, 1 << 20, 0.01, options.buffer_bytes),
        traits=traits,
        guarantee=guarantee_of(options.guarantee, traits),
        transaction_timeout_s=options.transaction_timeout_s,
        instance_id=options.instance_id,
        max_dead_share=options.max_dead_share,
    )

    def make_engine(partition: int, store: Store) -> CountingEngine:
        return CountingEngine(
            partition, store, suffix=options.suffix, step_s=options.step_s, tells_turns=options.tells_turns
        )

    environ = {"THROUGHLINE_STATE_STORE": "memory"}
    if options.state:
        # Small, so that files are written all the time.
        small = {"CACHE_BYTES": "1048576", "MEMTABLE_BYTES": "1048576", "BUFFER_BYTES": "2000"}
        environ = {f"THROUGHLINE_STATE_{name}": value for name, value in small.items()}
        environ |= {"THROUGHLINE_STATE_STORE": "rocksdb", "THROUGHLINE_STATE_DIRECTORY": options.state}
    with (
        stores_of(load(None, environ)) as make_store,
        observed(options.stall_s, port=options.port, inbox=plan.topics.inbox, is_live=True) as metrics,
    ):
        app = build(plan, make_engine, metrics=metrics, stop=stopping, make_store=make_store)
        return run(app, stopping=stopping, metrics=metrics)


if __name__ == "__main__":
    sys.exit(main())
