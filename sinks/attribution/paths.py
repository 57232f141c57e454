"""Counted journeys, and credits: what every model takes and gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Path:
    """Journeys through the same channels in the same order, at least one channel.

    `conversions` of the `journeys` ended with an order; together these brought `revenue`.
    """

    channels: tuple[str, ...]
    journeys: float
    conversions: float
    revenue: float


@dataclass(frozen=True, slots=True)
class Credit:
    """What a channel is credited with."""

    conversions: float
    revenue: float


def totals(paths: Iterable[Path]) -> Credit:
    """All there is to be credited."""
    paths = list(paths)
    return Credit(sum(path.conversions for path in paths), sum(path.revenue for path in paths))


def channels_of(paths: Iterable[Path]) -> tuple[str, ...]:
    """Every channel once, sorted."""
    return tuple(sorted({channel for path in paths for channel in path.channels}))


def summed(
    paths: Iterable[Path], parts_of: Mapping[tuple[str, ...], Mapping[str, float]]
) -> dict[str, Credit]:
    """The credits where each path's orders are shared out by `parts_of` its channels, which add up to 1."""
    conversions: dict[str, float] = {}
    revenue: dict[str, float] = {}
    for path in paths:
        for channel in path.channels:
            conversions.setdefault(channel, 0.0)
            revenue.setdefault(channel, 0.0)
        if path.conversions:
            for channel, part in parts_of[path.channels].items():
                conversions[channel] += part * path.conversions
                revenue[channel] += part * path.revenue
    return {channel: Credit(conversions[channel], revenue[channel]) for channel in sorted(conversions)}


def scaled(channels: Sequence[str], weights: Sequence[float], total: float) -> dict[str, float]:
    """`total` shared out by weight; nothing for anybody where no weight is above zero."""
    whole = sum(weights)
    return {
        channel: total * weight / whole if whole else 0.0
        for channel, weight in zip(channels, weights, strict=True)
    }
