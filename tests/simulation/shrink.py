"""A failing play made small: touchpoints, ticks, acts and faults taken away as long as some schedule still fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
    """The smallest play found that still has differences of that kind, or, as the kind `broken`, breaks off."""
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
        if kind in kinds_of(candidate):
            return candidate
    return None


def kinds_of(played: Play) -> list[str]:
    """In which ways a play fails."""
    try:
        found = play(played.world, played.setting, seed=played.seed)
    except Exception:
        return ["broken"]
    return [kind for kind, count in found.counts().items() if count]


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
    for touchpoint in {point.message_id: point for point in played.touchpoints}.values():
        for plainer in _plainer(touchpoint):
            # Its copies as well, which differ in when they came.
            points = [
                _like(plainer, p) if p.message_id == plainer.message_id else p for p in played.touchpoints
            ]
            yield replace(failing, world=replace(played, touchpoints=tuple(points)))


def _without(played: World, size: int) -> Iterator[World]:
    points, ticks, acts = played.touchpoints, played.ticks_ms, played.acts
    for at in range(0, len(points), size):
        yield replace(played, touchpoints=points[:at] + points[at + size :])
    for at in range(0, len(ticks), size):
        yield replace(played, ticks_ms=ticks[:at] + ticks[at + size :])
    for at in range(0, len(acts), size):
        yield replace(played, acts=acts[:at] + acts[at + size :])


def _like(plainer: Touchpoint, copy: Touchpoint) -> Touchpoint:
    return replace(plainer, received_ms=copy.received_ms, arrival_ms=copy.arrival_ms)


def _plainer(touchpoint: Touchpoint) -> Iterator[Touchpoint]:
    """With an identifier less, or as an event that is nothing but activity."""
    if len(touchpoint.identifiers) > 1:
        for type_ in touchpoint.identifiers:
            kept = {t: v for t, v in touchpoint.identifiers.items() if t != type_}
            yield replace(touchpoint, identifiers=kept)
    if touchpoint.event != "x":
        yield replace(touchpoint, event="x", items=(), order_id=None, revenue_micros=None)
