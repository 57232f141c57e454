"""Gamma-Gamma: what a purchase of a customer is worth, between what they spent and what everybody does.

Each purchase varies about a mean of the customer (gamma: p), and these means vary between customers (gamma: q, v).
Fader, Hardie: The Gamma-Gamma Model of Monetary Value (2013). Owns the model and its fit; must not know when anybody
bought. Money in units of the currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, lgamma, log
from typing import Final, NamedTuple

from streams.cli.lifetime.simplex import Point, minimum

_START: Final = (0.0, 1.0, 2.0)
_BOUND: Final = 20.0


class Spent(NamedTuple):
    """How many purchases, and what they are worth on average."""

    frequency: int
    mean: float


@dataclass(frozen=True, slots=True)
class Spend:
    """The fitted model."""

    p: float
    q: float
    v: float

    def expected_of(self, spent: Spent) -> float:
        """The mean worth of a purchase of this customer (equation 5), for q above 1.

        Without a repeat purchase it is that of everybody.
        """
        x, mean = spent
        return self.p * (self.v + x * mean) / (self.p * x + self.q - 1)


def fit(spent: Sequence[Spent]) -> Spend:
    """The parameters under which what was spent is most probable; all must have bought and spent. Raises NoMinimum."""

    def surprise(point: Point) -> float:
        if max(map(abs, point)) > _BOUND:
            return inf
        return -log_likelihood(Spend(*map(exp, point)), spent) / len(spent)

    return Spend(*map(exp, minimum(surprise, _START)))


def log_likelihood(model: Spend, spent: Sequence[Spent]) -> float:
    """Logarithm of the probability of the means (equation 1a)."""
    p, q, v = model.p, model.q, model.v
    by_frequency = {x: lgamma(p * x + q) - lgamma(p * x) - lgamma(q) for x in {x for x, _ in spent}}
    total = 0.0
    for x, mean in spent:
        worth = v + x * mean
        total += by_frequency[x] - log(mean) + q * log(v / worth) + p * x * log(x * mean / worth)
    return total


__all__ = ["Spend", "Spent", "fit", "log_likelihood"]
