"""`make bench`: what a touchpoint costs, part by part, beside the design's budget and stock Faust, in one run.

    python -m tests.bench [--quick] [--json]

Every figure is CPU time of one process, never elapsed time, and none is judged: machines differ, ratios hold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench import big_merge, core, identity, inputs, peers, real_kafka, sink, state, timers, whole_job
from tests.bench.report import Report, Section
from tests.bench.stream import shop_day


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: people, how often what is short is repeated, idle profiles, a big merge, timers, rows."""

    people: int
    stock_people: int
    repeats: int
    profiles: int
    merging: int
    others: int
    timers: int
    landed: int


FULL = Size(
    people=3_000,
    stock_people=800,
    repeats=3,
    profiles=50_000,
    merging=100_000,
    others=10_000,
    timers=5_000_000,
    landed=1_000_000,
)
"""Some 73,000 touchpoints, and 20,000 for stock Faust."""

QUICK = Size(
    people=600,
    stock_people=150,
    repeats=1,
    profiles=5_000,
    merging=5_000,
    others=8_000,
    timers=50_000,
    landed=20_000,
)


def measure(size: Size) -> Iterator[Section]:
    """Each section as it is done."""
    yield inputs.yardstick()
    stream = shop_day(size.people)
    ours = whole_job.measure(stream)
    yield whole_job.section(stream, ours)
    stock = peers.measure(shop_day(size.stock_people))
    yield peers.section(stock, ours)
    yield core.section(stream, repeats=size.repeats)
    # A difference of some hundredths, on a machine that others use as well.
    yield identity.section(size.people, repeats=2 * size.repeats)
    yield real_kafka.section(stream)
    yield sink.section(stream, rows=size.landed)
    yield big_merge.section(size.merging, size.others)
    yield from state.sections(size.profiles, None)
    yield timers.section(stream, size.timers)
    yield inputs.simulator(stream)
    yield inputs.codec()
    yield inputs.yardstick()


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small run, to see that everything works")
    parser.add_argument("--json", action="store_true", help="for programs")
    arguments = parser.parse_args()
    sections: list[Section] = []
    try:
        for section in measure(QUICK if arguments.quick else FULL):
            print(f"measured: {section.title}", file=sys.stderr)
            sections.append(section)
    finally:
        # What fails after a quarter of an hour does not take with it what was measured before.
        Report(sections).tell(as_json=arguments.json)


if __name__ == "__main__":
    main()
