"""The Markov model: a channel is credited by what would be lost without it.

Journeys are read as a chain of order 1, from channel to channel, that ends with an order or without one (Anderl et
al., 2016, Mapping the customer journey). Removing a channel ends all who come to it; the share of orders this loses is
its removal effect, and orders are credited in proportion to the effects. Solved exactly, by one inverse of the chain,
in plain Python: 100 channels are a million multiplications.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sinks.attribution.paths import Credit, Path, channels_of, scaled, totals

Matrix = list[list[float]]


@dataclass(frozen=True, slots=True)
class Chain:
    """Where a journey goes on from each channel, and what it brings where it ends.

    `starts[i]`: share of journeys that begin with channel i. `moves[i][k]`: chance to go from i to k. `converts[i]`,
    `earns[i]`: orders and revenue that a stay in i ends with, on average.
    """

    channels: tuple[str, ...]
    starts: list[float]
    moves: Matrix
    converts: list[float]
    earns: list[float]


def markov(paths: Iterable[Path]) -> dict[str, Credit]:
    """Credits by removal effect, scaled to all orders and to all revenue."""
    paths = list(paths)
    chain, total = chain_of(paths), totals(paths)
    conversions = scaled(chain.channels, losses(chain, chain.converts), total.conversions)
    revenue = scaled(chain.channels, losses(chain, chain.earns), total.revenue)
    return {channel: Credit(conversions[channel], revenue[channel]) for channel in chain.channels}


def chain_of(paths: Sequence[Path]) -> Chain:
    """The chain that counted journeys make, each move as likely as it was frequent."""
    channels = channels_of(paths)
    place = {channel: index for index, channel in enumerate(channels)}
    starts, ends = [0.0] * len(channels), [0.0] * len(channels)
    converts, earns = [0.0] * len(channels), [0.0] * len(channels)
    moves = [[0.0] * len(channels) for _ in channels]
    for path in paths:
        steps = [place[channel] for channel in path.channels]
        starts[steps[0]] += path.journeys
        for before, after in pairwise(steps):
            moves[before][after] += path.journeys
        ends[steps[-1]] += path.journeys
        converts[steps[-1]] += path.conversions
        earns[steps[-1]] += path.revenue
    left = [sum(row) + ended for row, ended in zip(moves, ends, strict=True)]
    return Chain(
        channels,
        _shares(starts, [sum(starts)] * len(starts)),
        [_shares(row, [whole] * len(row)) for row, whole in zip(moves, left, strict=True)],
        _shares(converts, left),
        _shares(earns, left),
    )


def losses(chain: Chain, rewards: Sequence[float]) -> list[float]:
    """What a journey brings less, on average, without each channel: all that is brought after coming to it.

    With the fundamental matrix N of the chain, a journey comes to channel j at all with the chance (starts N)[j] /
    N[j][j], and brings (N rewards)[j] from there on (Kemeny and Snell, 1960, Finite Markov Chains, ch. 3).
    """
    fundamental = inverse(
        [
            [float(row == column) - chance for column, chance in enumerate(moves)]
            for row, moves in enumerate(chain.moves)
        ]
    )
    size = range(len(chain.channels))
    visits = [sum(chain.starts[i] * fundamental[i][j] for i in size) for j in size]
    brings = [sum(fundamental[j][i] * rewards[i] for i in size) for j in size]
    return [visits[j] / fundamental[j][j] * brings[j] for j in size]


def inverse(matrix: Matrix) -> Matrix:
    """By Gauss and Jordan. Raises ZeroDivisionError if there is none."""
    size = len(matrix)
    rows = [[*row, *(float(i == k) for k in range(size))] for i, row in enumerate(matrix)]
    for at in range(size):
        # The largest pivot keeps rounding errors small.
        best = max(range(at, size), key=lambda index: abs(rows[index][at]))
        rows[at], rows[best] = rows[best], rows[at]
        pivot = rows[at][at]
        rows[at] = [value / pivot for value in rows[at]]
        for index, row in enumerate(rows):
            if index != at and row[at]:
                factor = row[at]
                rows[index] = [value - factor * other for value, other in zip(row, rows[at], strict=True)]
    return [row[size:] for row in rows]


def _shares(parts: Sequence[float], wholes: Sequence[float]) -> list[float]:
    return [part / whole if whole else 0.0 for part, whole in zip(parts, wholes, strict=True)]
