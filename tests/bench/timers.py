"""Timers by the million in one task: memory each, and what it costs to arm, to move and to fire one.

    python -m tests.bench.timers [--timers N] [--json]

Memory and costs are those of processes of their own (`tests.bench.armed`). What an actor does when its timer fires is
not in them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator

import msgspec

from streams.core.actors import Change
from streams.core.effects import Effects
from streams.core.timers import PREFIX
from tests.bench import inputs
from tests.bench.armed import Cost, Found
from tests.bench.report import Report, Row, Section
from tests.bench.stream import Stream, shop_day
from tests.bench.tasks import Tasks, rounds_of

TIMERS = 5_000_000
BYTES_BUDGET = 120.0
ARM_BUDGET_US = 1.0
_ROCKSDB_SHARE = 10
"""One of so many is enough with RocksDB, whose memory does not grow with them."""


def section(stream: Stream, timers: int = TIMERS) -> Section:
    """Over either store; and how many entries the stream leads to, as people move their timers in it."""
    fewer = timers // _ROCKSDB_SHARE
    shop, scattered = _measured("memory", "shop", timers), _measured("memory", "scattered", timers)
    on_disk = _measured("rocksdb", "shop", fewer)
    rows = [
        *_memory_rows("in memory", shop, timers),
        *_arm_rows("arm", shop.arm, "many of a batch in few lists"),
        *_move_rows(shop),
        Row(
            "entries a touchpoint, shop day",
            _entries(stream) / len(stream.records),
            "",
            note="arm and move, as they come",
        ),
        *_fire_rows(shop.fire),
        Row("start over them", 1e3 * shop.start_s, "ms"),
        *_memory_rows("scattered over 72 h", scattered, timers),
        *_arm_rows("arm, scattered over 72 h", scattered.arm, "worst: a list anew for each"),
        *_memory_rows(f"rocksdb, {fewer:,}", on_disk, fewer, budget=None),
        *_arm_rows("rocksdb: arm", on_disk.arm, "its threads included"),
        Row("rocksdb: fire", _us(on_disk.fire, _all_s(on_disk.fire))),
    ]
    yardsticks = ", ".join(f"{each.addition_ns:.0f}" for each in (shop, scattered, on_disk))
    return Section(
        f"Timers, {timers:,} armed in one task",
        rows,
        "batches of 2,000, called from interpreted code; half wait for a session's end in 30 min, half to be forgotten "
        f"after 72 h, three of four have an identifier of 49 B; an addition in a plain loop took {yardsticks} ns",
    )


def _measured(kind: str, spread: str, timers: int) -> Found:
    with tempfile.TemporaryDirectory(prefix="throughline-bench-") as scratch:
        command = [sys.executable, "-m", "tests.bench.armed", kind, spread, str(timers), scratch]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return msgspec.json.decode(ended.stdout, type=Found)


def _memory_rows(
    name: str, found: Found, timers: int, *, budget: float | None = BYTES_BUDGET
) -> Iterator[Row]:
    yield Row(f"{name}: a timer", found.rss / timers, "B", budget, note="growth of the process")
    yield Row("  lists and their keys", found.lists / timers, "B")
    yield Row("  identifiers alone", found.identifiers / timers, "B")


def _arm_rows(name: str, arm: Cost, note: str) -> Iterator[Row]:
    yield Row(name, _us(arm, _all_s(arm)), budget=ARM_BUDGET_US, note=note)
    yield Row("  set", _us(arm, arm.set_s))
    yield Row("  write the lists", _us(arm, arm.lists_s))
    yield Row("  apply to the store", _us(arm, arm.apply_s))
    yield Row("  to the changelog", arm.bytes / arm.timers, "B")


def _move_rows(found: Found) -> Iterator[Row]:
    yield Row("move to later", _us(found.later, _all_s(found.later)), note="its entry is early enough")
    yield Row("move to earlier", _us(found.earlier, _all_s(found.earlier)), note="an entry more")


def _fire_rows(fire: Cost) -> Iterator[Row]:
    yield Row("fire", _us(fire, _all_s(fire)), note="comes up twice")
    yield Row("  come up: span, then due", _us(fire, fire.due_s))
    yield Row("  set within its span", _us(fire, fire.set_s))
    yield Row("  write and remove lists", _us(fire, fire.lists_s))
    yield Row("  apply to the store", _us(fire, fire.apply_s))
    yield Row("  the longest batch", 1e3 * fire.longest_s, "ms", note=f"of {fire.most:,} timers")


def _all_s(cost: Cost) -> float:
    return cost.due_s + cost.set_s + cost.lists_s + cost.apply_s


def _us(cost: Cost, spent_s: float) -> float:
    return 1e6 * spent_s / cost.timers


def _entries(stream: Stream) -> int:
    """How many entries a day in one task adds to the lists: touchpoints, moves and what is set anew when due."""
    total, held = 0, dict[bytes, int]()

    def see(_: int, effects: Effects) -> None:
        nonlocal total
        total += added(effects.changes, held)

    Tasks(1).run(rounds_of(stream, 1), see=see)
    return total


def added(changes: Iterable[Change], held: dict[bytes, int]) -> int:
    """How many entries these changes add to lists of timers; `held` has how many each list has, and is kept up."""
    total = 0
    for key, value in changes:
        if not key.startswith(PREFIX):
            continue
        if value is None:
            held.pop(key, None)
            continue
        entries = value.count(b"\0") + 1
        total += entries - held.get(key, 0)
        held[key] = entries
    return total


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.timers", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--timers", type=int, default=TIMERS)
    parser.add_argument("--json", action="store_true", help="for programs")
    asked = parser.parse_args()
    report = Report([inputs.yardstick(), section(shop_day(3_000), asked.timers), inputs.yardstick()])
    report.tell(as_json=asked.json)


if __name__ == "__main__":
    main()
