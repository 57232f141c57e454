"""`python -m tests.simulation SEED`: plays one seed again and tells everything; with COUNT, that many seeds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from tests.oracle.acts import Act
from tests.oracle.touchpoints import Touchpoint
from tests.oracle.worlds import START_MS, Tick
from tests.simulation.cluster import Commits
from tests.simulation.play import play, setting_of, world_of
from tests.simulation.shrink import Play, shrink


def main() -> None:
    """Exit code 1 if any seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--commits", type=Commits, choices=list(Commits), default=Commits.ATOMIC)
    parser.add_argument("--shrink", metavar="KIND", help="make the failure small; KIND as in false_actions")
    given = parser.parse_args()
    failed = 0
    for seed in range(given.seed, given.seed + given.count):
        case = Play(world_of(seed), setting_of(seed, given.commits), seed)
        if given.shrink:
            case = shrink(case, kind=given.shrink)
        found = play(case.world, case.setting, seed=case.seed)
        failed += bool(found)
        if given.count == 1:
            print(*told(case), sep="\n")
        if found or given.count == 1:
            print(f"seed {seed}: {found}")
    print(f"{given.count} seeds, {failed} failed")
    raise SystemExit(1 if failed else 0)


def told(case: Play) -> Iterator[str]:
    """The setting and every record in the order it is fed, times in minutes since the worlds' start."""
    yield f"{case.setting}, schedule {case.seed}, gaps {dict(case.world.rules.gaps_ms)}"
    for record in case.world.records():
        if isinstance(record, Tick):
            yield f"    tick {minutes(record.clock_ms)}"
        else:
            yield acted(record) if isinstance(record, Act) else line(record)


def acted(act: Act) -> str:
    """One act."""
    times = f"at {minutes(act.acted_ms)} arrived {minutes(act.arrival_ms)}"
    return f"{act.act_id} {act.kind} {times} {' '.join(act.identifiers)} into {act.into}"


def line(point: Touchpoint) -> str:
    """One touchpoint."""
    items = " ".join(f"{item.quantity}{item.product_id}@{item.price_micros}" for item in point.items)
    times = f"at {minutes(point.occurred_ms)} received {minutes(point.received_ms)} arrived {minutes(point.arrival_ms)}"
    return f"{point.message_id} {point.event} [{items}] {point.channel} {times} {dict(point.identifiers)}"


def minutes(at_ms: int) -> str:
    """Minutes, with milliseconds behind where there are any."""
    whole, rest_ms = divmod(at_ms - START_MS, 60_000)
    return f"{whole}+{rest_ms}ms" if rest_ms else str(whole)


if __name__ == "__main__":
    main()
