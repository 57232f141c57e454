"""A simulation in files: the records as JSON Lines, gzipped, in arrival order, and the ground truth beside them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from streams.simulator.emit import Simulation
from streams.simulator.encoding import as_record
from streams.simulator.recorder import Entry
from streams.simulator.verdict import Truth

RECORDS = "touchpoints.jsonl.gz"
TRUTH = "truth.jsonl"

Heard = Callable[[int], None]
"""Is told the arrival time of every record, epoch milliseconds."""


def write_files(simulation: Simulation, directory: Path, *, heard: Heard) -> Truth:
    """Write both files, replacing what is there; the same options give the same bytes. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    # No name and no time of writing in the header: equal runs give equal files.
    with (directory / RECORDS).open("wb") as raw, gzip.GzipFile("", "wb", 3, raw, mtime=0) as file:
        _write_records(simulation, cast("BinaryIO", file), heard)
    truth = simulation.truth()
    truth.write(directory / TRUTH)
    return truth


def _write_records(simulation: Simulation, file: BinaryIO, heard: Heard) -> None:
    encode = msgspec.json.Encoder().encode
    for entry in simulation.entries():
        file.write(encode(_line(entry)) + b"\n")
        heard(entry.arrival_ms)


def _line(entry: Entry) -> dict[str, object]:
    """The record's fields, after when it arrived and under which key."""
    return {"arrival_ms": entry.arrival_ms, "key": entry.key.decode(), **as_record(entry.touchpoint)}
