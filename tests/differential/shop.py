"""Every scenario at once, and what has landed of it on a line of either kind."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.differential.finals import Finals, finals
from tests.differential.lines import Line, embedded, play
from tests.differential.scenarios import (
    START_MS,
    Told,
    a_day,
    a_shuffled_day,
    lagging_app,
    late_tills,
    merges_around_a_purchase,
    unread_purchases,
    wrong_clocks,
)
from tests.differential.small_worlds import small_worlds
from tests.differential.stream import Scenario, Stream
from tests.integration.line import Query
from tests.oracle.compare import Landed, answer, differences, read_landed
from tests.oracle.rules import HOUR_MS

__all__ = [
    "NAMES",
    "PEOPLE",
    "TICKS_MS",
    "WORLDS",
    "Played",
    "all_at_once",
    "assert_right",
    "first_world",
    "played",
    "played_on",
]

PEOPLE = 60
WORLDS = 120
WORKERS_FROM_MS = START_MS + 4 * HOUR_MS
PAUSES_MS = tuple(START_MS + hour * HOUR_MS for hour in (4, 8, 32))
"""The first worker has read what waited for it; carts of the opening hour are due; a day later tills have uploaded."""
TICKS_MS = range(START_MS, START_MS + 80 * HOUR_MS, 2 * HOUR_MS)
NAMES = (
    *("a day", "shuffled", "the app lags", "the worker was down", "merges", "late tills", "wrong clocks"),
    "small worlds",
)


@dataclass(frozen=True, slots=True)
class Played:
    """A stream and what has landed of it.

    `told` is how the action on a cart was told to stand, one after the other, `ids` the ids under which that was said.
    """

    stream: Stream
    landed: Landed
    finals: Finals
    told: Told
    ids: dict[str, set[str]]
    is_real: bool

    def scenario(self, name: str) -> Scenario:
        """By its name."""
        [found] = [scenario for scenario in self.stream.scenarios if scenario.name == name]
        return found


def first_world(seed: int) -> int:
    """Where the small worlds of a run begin."""
    return 1_000 * (seed % 1_000_000)


def all_at_once(seed: int, *, is_real: bool = False) -> Stream:
    """Every scenario, in the same hours."""
    return Stream(
        scenarios=(
            a_day(seed, PEOPLE),
            a_shuffled_day(seed + 1, PEOPLE, mark="1"),
            lagging_app(seed + 2, PEOPLE, mark="2"),
            unread_purchases(),
            merges_around_a_purchase()[0],
            late_tills()[0],
            wrong_clocks(is_real=is_real)[0],
            small_worlds(first_world(seed), WORLDS),
        ),
        ticks_ms=TICKS_MS,
        pauses_ms=PAUSES_MS,
        workers_from_ms=WORKERS_FROM_MS,
    )


def played(stream: Stream, directory: Path, *, partitions: int = 4, workers: int = 1) -> Played:
    """Through a new embedded installation."""
    with embedded(directory, partitions=partitions) as line:
        return played_on(line, stream, workers=workers, is_real=False)


def played_on(line: Line, stream: Stream, *, workers: int, is_real: bool) -> Played:
    """Through this one."""
    play(line, stream, workers=workers)
    told, ids = _told_in(line.query)
    return Played(stream, read_landed(line.query), finals(line.query), told, ids, is_real)


def assert_right(run: Played) -> None:
    """Missing, duplicate, wrong, false and missed are all 0."""
    found = differences(answer(run.stream.touchpoints()), run.landed)
    assert not found, str(found)


def _told_in(query: Query) -> tuple[Told, dict[str, set[str]]]:
    """What was said of the action on each cart, repeats left out, and its ids."""
    told: Told = defaultdict(list)
    ids = defaultdict(set)
    rows = query("SELECT opened_by, action_id, toString(status) FROM actions ORDER BY revision")
    for opened_by, action_id, status in rows:
        ids[opened_by].add(action_id)
        if told[opened_by][-1:] != [status]:
            told[opened_by].append(status)
    return dict(told), dict(ids)
