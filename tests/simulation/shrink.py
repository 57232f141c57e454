"""A failing play made small: touchpoints, ticks and faults taken away as long as some schedule still fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.oracle.compare import Differences
from tests.oracle.touchpoints import Touchpoint
from tests.oracle.worlds import World
from tests.simulation.cluster import Faults
from tests.simulation.play import Setting, play

SCHEDULES = 25
CALM = Faults()


@dataclass(frozen=True, slots=True)
class Play:
    """A world, how it is played, and under which schedule."""

    world: World
    setting: Setting
    seed: int


def shrink(failing: Play, *, kind: str) -> Play:
    """The smallest play found that still has differences of that kind."""
    improved = True
    while improved:
        improved = False
        for smaller in _smaller(failing):
            found = _failing(smaller, kind)
            if found is not None:
                failing, improved = found, True
                break
    return failing


def _failing(smaller: Play, kind: str) -> Play | None:
    """The play under the first of some schedules that fails in the same way."""
    for seed in (smaller.seed, *range(SCHEDULES)):
        candidate = replace(smaller, seed=seed)
        if _has(play(candidate.world, candidate.setting, seed=seed), kind):
            return candidate
    return None


def _has(found: Differences, kind: str) -> bool:
    return found.counts()[kind] > 0


def _smaller(failing: Play) -> Iterator[Play]:
    setting, played = failing.setting, failing.world
    if setting.faults != CALM:
        yield replace(failing, setting=replace(setting, faults=CALM))
    if setting.strays:
        yield replace(failing, setting=replace(setting, strays=0.0))
    for partitions in range(1, setting.partitions):
        yield replace(failing, setting=replace(setting, partitions=partitions))
    for size in (8, 4, 2, 1):
        yield from (replace(failing, world=w) for w in _without(played, size))
    for n, touchpoint in enumerate(played.touchpoints):
        for plainer in _plainer(touchpoint):
            points = (*played.touchpoints[:n], plainer, *played.touchpoints[n + 1 :])
            yield replace(failing, world=replace(played, touchpoints=points))


def _without(played: World, size: int) -> Iterator[World]:
    points, ticks = played.touchpoints, played.ticks_ms
    for at in range(0, len(points), size):
        yield replace(played, touchpoints=points[:at] + points[at + size :])
    for at in range(0, len(ticks), size):
        yield replace(played, ticks_ms=ticks[:at] + ticks[at + size :])


def _plainer(touchpoint: Touchpoint) -> Iterator[Touchpoint]:
    """With an identifier less, or as an event that is nothing but activity."""
    if len(touchpoint.identifiers) > 1:
        for type_ in touchpoint.identifiers:
            kept = {t: v for t, v in touchpoint.identifiers.items() if t != type_}
            yield replace(touchpoint, identifiers=kept)
    if touchpoint.event != "x":
        yield replace(touchpoint, event="x", items=(), order_id=None, revenue_micros=None)
