"""What is played of one seed, and whether it came out right; all follows from the seed and the kind of commits."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import Pool

from tests.oracle.compare import Differences
from tests.oracle.worlds import World
from tests.simulation.cluster import Cluster, Commits
from tests.simulation.play import (
    is_beyond_comparison,
    judged,
    lost_or_repeated,
    other_setting_of,
    run,
    setting_of,
    unsettled,
    world_of,
)
from tests.simulation.same import unlike

AGAIN = 8
"""Of so many worlds one is played once more, with another partition count and another schedule."""
NARROW = {"user_id": 1, "loyalty_id": 1, "email": 2, "phone": 2, "device_id": 2, "anonymous_id": 2}
"""Limits under which the rules leave open who comes first; another one of so many worlds is also played with them."""
COMMITS = (*[Commits.ATOMIC] * 7, *[Commits.REPEATED] * 3)
"""Of ten seeds, where nothing else is said."""
CHUNK = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a seed's play has found; `is_compared` is False for a world that the rules cannot judge."""

    seed: int
    commits: Commits
    found: Differences
    is_compared: bool = True
    is_tangle: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether it may not be so."""
        return bool(self.found)

    def __str__(self) -> str:
        """The command that repeats it, and what is wrong."""
        style = " --tangles" if self.is_tangle else ""
        return f"python -m tests.simulation {self.seed} --commits {self.commits}{style}\n{self.found}"


def outcome_of(seed: int, commits: Commits | None = None, *, is_tangle: bool = False) -> Outcome:
    """The seed's world, played and judged; a broken invariant is wrong too. With the seed's own commits, or others."""
    commits = commits or COMMITS[seed % len(COMMITS)]
    world = world_of(seed, is_tangle=is_tangle)
    if is_beyond_comparison(world):
        return Outcome(seed, commits, Differences(), False, is_tangle)
    try:
        found = _found(seed, world, commits)
    except Exception:
        found = Differences()
        found.note("wrong", traceback.format_exc())
    return Outcome(seed, commits, found, is_tangle=is_tangle)


def _found(seed: int, world: World, commits: Commits) -> Differences:
    cluster = run(world, setting_of(seed, commits), seed=seed)
    found = judged(world, cluster)
    if commits == Commits.ATOMIC and seed % AGAIN == 0:
        for line in _unlike_the_second_time(seed, world, cluster):
            found.note("wrong", line)
    if commits == Commits.ATOMIC and seed % AGAIN == 1:
        for line in _wrong_where_it_is_narrow(seed, world):
            found.note("wrong", line)
    return found


def _unlike_the_second_time(seed: int, world: World, first: Cluster) -> Iterator[str]:
    """What another partition count and another schedule have changed."""
    setting = other_setting_of(seed)
    second = run(world, setting, seed=-1 - seed)
    # Without a tick before the end, nothing is decided before everything has arrived.
    for line in unlike(first.written, second.written, has_action_ids=not world.ticks_ms):
        yield f"with {len(first.tasks)} and {setting.partitions} partitions, {line}"


def _wrong_where_it_is_narrow(seed: int, world: World) -> Iterator[str]:
    """Nobody may be over a limit, nothing lost and nothing left under way, whoever belongs together."""
    narrow = replace(world, rules=replace(world.rules, limits=NARROW))
    cluster = run(narrow, setting_of(seed), seed=seed)
    for line in (*unsettled(narrow, cluster), *lost_or_repeated(narrow, cluster)):
        yield f"under narrow limits, {line}"


def outcomes_of(
    seeds: Iterable[int], commits: Commits | None, *, jobs: int, are_tangles: bool = False
) -> Iterator[Outcome]:
    """Of every seed, as they come, from so many processes."""
    play = partial(outcome_of, commits=commits, is_tangle=are_tangles)
    if jobs == 1:
        yield from map(play, seeds)
        return
    # What is loaded by now stays: the collector need not look at it again and again.
    with Pool(jobs, initializer=gc.freeze) as pool:
        yield from pool.imap_unordered(play, seeds, chunksize=CHUNK)
