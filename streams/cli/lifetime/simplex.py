"""The least value of a function of a few variables, without derivatives: Nelder and Mead's downhill simplex.

Owns the search alone; must not know what is fitted. Nelder, Mead: A simplex method for function minimization,
The Computer Journal 7 (1965), with their coefficients: reflect 1, expand 2, contract and shrink 1/2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

Point = tuple[float, ...]
Objective = Callable[[Point], float]
_Corner = tuple[float, Point]

_EDGE: Final = 0.5
_MOST_STEPS: Final = 2_000


class NoMinimum(Exception):
    """The search did not come to rest: the data do not say what the answer is."""


def minimum(of: Objective, start: Sequence[float], *, tolerance: float = 1e-7) -> Point:
    """Where `of` is least, to `tolerance` in each variable, searched from `start`. Raises NoMinimum.

    The search starts anew from where it came to rest, until that leads no lower: a simplex can collapse on a slope.
    """
    best = (of(tuple(start)), tuple(start))
    while True:
        found = _descend(of, best[1], tolerance)
        if best[0] - found[0] <= tolerance * (abs(found[0]) + tolerance):
            return found[1]
        best = found


def _descend(of: Objective, start: Point, tolerance: float) -> _Corner:
    """Walk one simplex down to a point."""
    corners = [(of(point), point) for point in _around(start)]
    for _ in range(_MOST_STEPS):
        corners.sort()
        if _width(corners) <= tolerance:
            return corners[0]
        _step(of, corners)
    raise NoMinimum(f"no rest after {_MOST_STEPS} steps, last at {corners[0][1]}")


def _around(start: Point) -> list[Point]:
    """A simplex at `start`, an edge along each variable."""
    return [start] + [
        tuple(value + _EDGE * (place == moved) for place, value in enumerate(start))
        for moved in range(len(start))
    ]


def _width(corners: Sequence[_Corner]) -> float:
    best = corners[0][1]
    return max(abs(value - at) for _, point in corners[1:] for value, at in zip(point, best, strict=True))


def _step(of: Objective, corners: list[_Corner]) -> None:
    """Replace the worst corner, or draw all in towards the best. Corners are sorted, the best first."""
    others = [point for _, point in corners[:-1]]
    centre = tuple(sum(values) / len(others) for values in zip(*others, strict=True))
    worst = corners[-1]

    def at(factor: float) -> _Corner:
        point = tuple(c + factor * (c - w) for c, w in zip(centre, worst[1], strict=True))
        return of(point), point

    reflected = at(1.0)
    if reflected[0] < corners[0][0]:
        corners[-1] = min(reflected, at(2.0))
    elif reflected[0] < corners[-2][0]:
        corners[-1] = reflected
    else:
        contracted = at(0.5) if reflected[0] < worst[0] else at(-0.5)
        if contracted[0] < min(reflected[0], worst[0]):
            corners[-1] = contracted
        else:
            best = corners[0][1]
            drawn = [tuple((b + v) / 2 for b, v in zip(best, point, strict=True)) for _, point in corners[1:]]
            corners[1:] = [(of(point), point) for point in drawn]


__all__ = ["NoMinimum", "Objective", "Point", "minimum"]
