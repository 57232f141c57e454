"""`python -m tests.simulation SEED`: plays one seed and tells everything; with COUNT, that many, and how it goes."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from tests.oracle.acts import Act
from tests.oracle.touchpoints import Touchpoint
from tests.oracle.worlds import START_MS, Tick
from tests.simulation.cluster import Commits
from tests.simulation.play import setting_of, world_of
from tests.simulation.seeds import Outcome, outcome_of, outcomes_of
from tests.simulation.shrink import Play, shrink

TELL_EVERY_S = 10.0


def main() -> None:
    """Exit code 1 if any seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--commits", type=Commits, choices=list(Commits), help="instead of each seed's own")
    parser.add_argument(
        "--tangles", action="store_true", help="worlds that are all identity, and soon played"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--shrink", metavar="KIND", help="make the failure small; KIND as in false_actions")
    given = parser.parse_args()
    if given.count == 1:
        is_right = play_one(given.seed, given.commits, is_tangle=given.tangles, shrunk_to=given.shrink)
    else:
        seeds = range(given.seed, given.seed + given.count)
        is_right = play_many(seeds, given.commits, are_tangles=given.tangles, jobs=given.jobs)
    raise SystemExit(0 if is_right else 1)


def play_one(seed: int, commits: Commits | None, *, is_tangle: bool, shrunk_to: str | None) -> bool:
    """Tells how it is played, or the smallest play found that fails alike, and what is wrong."""
    outcome = outcome_of(seed, commits, is_tangle=is_tangle)
    case = Play(world_of(seed, is_tangle=is_tangle), setting_of(seed, outcome.commits), seed)
    if shrunk_to:
        case = shrink(case, kind=shrunk_to)
    print(*told(case), sep="\n")
    print(outcome if outcome.is_compared else f"seed {seed} is not compared: the rules cannot judge it")
    return not outcome.is_wrong


def play_many(seeds: range, commits: Commits | None, *, are_tangles: bool, jobs: int) -> bool:
    """Tells each failure as it comes, how far it is now and then, and a summary in one line."""
    progress = Progress(len(seeds))
    for outcome in outcomes_of(seeds, commits, jobs=jobs, are_tangles=are_tangles):
        progress.add(outcome)
    print(f"seeds {seeds.start} to {seeds.stop - 1}, {commits or 'commits of their own'}: {progress}")
    return progress.failed == 0


class Progress:
    """Counts outcomes and prints them: failures in full, the others as a line now and then."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._began_s = self._told_s = time.monotonic()
        self._done = 0
        self._apart = 0
        self.failed = 0

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self._done += 1
        self._apart += not outcome.is_compared
        if outcome.is_wrong:
            self.failed += 1
            print(outcome, flush=True)
        now_s = time.monotonic()
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            print(self, flush=True)

    def __str__(self) -> str:
        """How far it is."""
        rate = self._done / max(time.monotonic() - self._began_s, 0.001)
        return (
            f"{self._done} of {self._count} played, {self.failed} failed, "
            f"{self._apart} not compared (the rules cannot judge them), {rate:.1f} seeds/s"
        )


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
    what = f"{point.type} {point.event} [{items}] {point.currency} {point.campaign}"
    return f"{point.message_id} {what} {point.channel} {times} {dict(point.identifiers)}"


def minutes(at_ms: int) -> str:
    """Minutes, with milliseconds behind where there are any."""
    whole, rest_ms = divmod(at_ms - START_MS, 60_000)
    return f"{whole}+{rest_ms}ms" if rest_ms else str(whole)


if __name__ == "__main__":
    main()
