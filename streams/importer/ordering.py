"""Sort more than fits into memory by time: sorted runs on disk, merged while they are read.

Knows payloads as bytes only. Stable: what has the same time keeps its order.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from struct import Struct

Timed = tuple[int, bytes]

_HEAD = Struct("<qI")
_RUN_BYTES = 128 * 1024 * 1024
#: What a payload costs in memory besides its bytes: a tuple, two objects' heads, a place in a list.
_HELD_BYTES = 160
_BUFFER_BYTES = 256 * 1024
#: More open files than this are merged into one first.
_MAX_RUNS = 128

_time = itemgetter(0)


def in_time_order(
    items: Iterable[Timed],
    *,
    run_bytes: int = _RUN_BYTES,
    max_runs: int = _MAX_RUNS,
    directory: Path | None = None,
) -> Iterator[Timed]:
    """`sorted(items, key=time)`, with about `run_bytes` in memory and the rest in files under `directory`."""
    with tempfile.TemporaryDirectory(prefix="throughline-sort-", dir=directory) as place:
        runs: list[Path] = []
        held: list[Timed] = []
        size = 0
        for item in items:
            held.append(item)
            size += len(item[1]) + _HELD_BYTES
            if size >= run_bytes:
                held.sort(key=_time)
                runs.append(_write(held, Path(place) / f"run-{len(runs)}"))
                held, size = [], 0
                if len(runs) >= max_runs:
                    runs = [_merge_into_one(runs, Path(place))]
        held.sort(key=_time)
        # The newest items come last, so that ties keep their order.
        yield from heapq.merge(*(_read(run) for run in runs), held, key=_time) if runs else held


def _merge_into_one(runs: list[Path], place: Path) -> Path:
    merged = _write(heapq.merge(*(_read(run) for run in runs), key=_time), place / "merged")
    for run in runs:
        run.unlink()
    return merged.rename(place / "run-0")


def _write(items: Iterable[Timed], path: Path) -> Path:
    pack = _HEAD.pack
    with path.open("wb", buffering=_BUFFER_BYTES) as file:
        for moment, payload in items:
            file.write(pack(moment, len(payload)))
            file.write(payload)
    return path


def _read(path: Path) -> Iterator[Timed]:
    unpack, width = _HEAD.unpack, _HEAD.size
    with path.open("rb", buffering=_BUFFER_BYTES) as file:
        while head := file.read(width):
            moment, length = unpack(head)
            yield moment, file.read(length)
