"""Models that look at the channels of a journey as a whole: Shapley values, and what is lost with one left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby

from sinks.attribution.paths import Credit, Path, summed


def shapley(paths: Iterable[Path]) -> dict[str, Credit]:
    """Shapley values of the game in which channels together are worth the orders of journeys through no others.

    That is the game of Zhao, Mahboobi and Bagheri (2018, Shapley value methods for attribution modeling in online
    advertising). Its values are exact for any number of channels: the game is a sum of one for each order, which only
    all the channels of its journey can win, so they share it equally, however often each was met. Journeys without an
    order do not matter.
    """
    paths = list(paths)
    return summed(paths, {path.channels: _equal(frozenset(path.channels)) for path in paths})


def counterfactual(paths: Iterable[Path]) -> dict[str, Credit]:
    """Each order by how much less often journeys like it convert with one channel left out.

    Journeys are alike if they meet the same channels in the same order, repeats in a row counted once. Leaving out a
    channel is compared with the journeys that went so; where there were none, nobody converts. What is not below zero
    is shared in proportion; if nobody has such a part, the last channel has the order. Unlike Markov's, the effect is
    that on journeys of this kind alone, which takes many journeys of each.
    """
    paths = list(paths)
    journeys: dict[tuple[str, ...], float] = defaultdict(float)
    conversions: dict[tuple[str, ...], float] = defaultdict(float)
    for path in paths:
        kind = without_repeats(path.channels)
        journeys[kind] += path.journeys
        conversions[kind] += path.conversions
    rates = {kind: conversions[kind] / journeys[kind] for kind in journeys if journeys[kind]}
    return summed(paths, {path.channels: _parts(without_repeats(path.channels), rates) for path in paths})


def without_repeats(channels: Iterable[str]) -> tuple[str, ...]:
    """Each run of one channel as one."""
    return tuple(channel for channel, _ in groupby(channels))


def _equal(channels: frozenset[str]) -> dict[str, float]:
    return dict.fromkeys(channels, 1 / len(channels))


def _parts(kind: tuple[str, ...], rates: Mapping[tuple[str, ...], float]) -> dict[str, float]:
    gains: dict[str, float] = defaultdict(float)
    for index, channel in enumerate(kind):
        left_out = without_repeats((*kind[:index], *kind[index + 1 :]))
        gains[channel] += max(rates.get(kind, 0.0) - rates.get(left_out, 0.0), 0.0)
    whole = sum(gains.values())
    return {channel: gain / whole for channel, gain in gains.items()} if whole else {kind[-1]: 1.0}
