"""What comes before the pipeline: the simulator with its encoding, and the main paths of the codec."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench import bench_codec
from tests.bench.report import Row, Section
from tests.bench.stream import Stream

_CODEC_ROUNDS = 10
_ADDITIONS = 200_000


def simulator(stream: Stream) -> Section:
    """Living through a shop day and encoding it, ground truth included."""
    return Section(
        "The simulator, encoding included",
        [
            Row("touchpoints a second of CPU", 1e6 / stream.cpu_us, "/s", 20_000.0),
            Row("CPU a touchpoint", stream.cpu_us),
        ],
    )


def codec() -> Section:
    """The paths that every touchpoint takes; all of them: python -m tests.bench.bench_codec."""
    return Section(
        "The codec, beside fastavro", list(_codec_rows()), "the rest: python -m tests.bench.bench_codec"
    )


def yardstick() -> Section:
    """How fast this machine is at this moment: figures of two runs compare only as far as this does."""
    return Section(
        "The machine, at this moment",
        [Row("a plain loop, one addition", addition_ns(), "ns")],
    )


def _codec_rows() -> Iterator[Row]:
    for paths in (bench_codec.reading(), bench_codec.stitching(), bench_codec.writing()):
        cost_us = bench_codec.measure(paths, rounds=_CODEC_ROUNDS)
        for path in paths:
            share = cost_us[path.name] / cost_us[path.against] if path.against else 0.0
            yield Row(path.name, cost_us[path.name], note=f"{share:.2f} of fastavro" if share else "")


def addition_ns() -> float:
    """What a step of a plain loop takes, at its fastest."""
    least_ns = float("inf")
    for _ in range(5):
        total, started_ns = 0, time.process_time_ns()
        for number in range(_ADDITIONS):
            total += number
        least_ns = min(least_ns, (time.process_time_ns() - started_ns) / _ADDITIONS)
    return least_ns
