"""BG/NBD: how often customers buy while they are customers, and whether they still are.

Each buys at random at a rate of their own (gamma: r, alpha) and may be lost after each purchase with a chance of their
own (beta: a, b). Fader, Hardie, Lee: "Counting Your Customers" the Easy Way, Marketing Science 24 (2005). Owns the
model and its fit; must not know money or where histories come from. Times in weeks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, inf, lgamma, log, log1p
from typing import Final, NamedTuple

from streams.cli.lifetime.simplex import Point, minimum

_START: Final = (0.0, 0.0, 0.0, 0.0)
_SMALLEST: Final = 1e-13
_BOUND: Final = 20.0


class History(NamedTuple):
    """Repeat purchases on days of their own, when the last of them was, and how long the first is ago."""

    frequency: int
    recency_weeks: float
    age_weeks: float


@dataclass(frozen=True, slots=True)
class Purchases:
    """The fitted model."""

    r: float
    alpha: float
    a: float
    b: float

    def expected(self, weeks: float) -> float:
        """Purchases of somebody new within `weeks`, their first not counted (equation 9)."""
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        kept = exp(r * log(alpha / (alpha + weeks))) * hypergeometric(
            r, b, a + b - 1, weeks / (alpha + weeks)
        )
        return (a + b - 1) / (a - 1) * (1 - kept)

    def expected_of(self, history: History, weeks: float) -> float:
        """Purchases of a customer in the `weeks` to come (equation 10)."""
        x, _, age = history
        r, alpha, a, b = self.r + x, self.alpha + age, self.a, self.b + x
        kept = exp(r * log(alpha / (alpha + weeks))) * hypergeometric(
            r, b, a + b - 1, weeks / (alpha + weeks)
        )
        return (a + b - 1) / (a - 1) * (1 - kept) * self.alive(history)

    def alive(self, history: History) -> float:
        """Probability that the customer still is one; 1 without a repeat purchase: nobody goes before it."""
        x, recency, age = history
        if x == 0:
            return 1.0
        lost = log(self.a / (self.b + x - 1)) + (self.r + x) * log(
            (self.alpha + age) / (self.alpha + recency)
        )
        return 1 / (1 + exp(lost)) if lost < 700 else 0.0


def fit(histories: Iterable[History]) -> Purchases:
    """The parameters under which the histories are most probable. Raises NoMinimum.

    Equal histories are worked out once; the search takes some hundred passes over those that differ.
    """
    counted = Counter(histories)
    customers = counted.total()

    def surprise(point: Point) -> float:
        # Parameters are positive, so their logarithms are searched; far out there is nothing but overflow.
        if max(map(abs, point)) > _BOUND:
            return inf
        return -log_likelihood(Purchases(*map(exp, point)), counted) / customers

    return Purchases(*map(exp, minimum(surprise, _START)))


def log_likelihood(model: Purchases, counted: Mapping[History, int]) -> float:
    """Logarithm of the probability of the histories, each as often as told (equation 7)."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    by_frequency = {
        x: lgamma(r + x) - lgamma(r) + r * log(alpha)
        + lgamma(a + b) + lgamma(b + x) - lgamma(b) - lgamma(a + b + x)
        for x in {history.frequency for history in counted}
    }  # fmt: skip
    total = 0.0
    for (x, recency, age), count in counted.items():
        term = by_frequency[x] - (r + x) * log(alpha + age)
        if x:
            term += _log1p_exp(log(a / (b + x - 1)) + (r + x) * log((alpha + age) / (alpha + recency)))
        total += count * term
    return total


def _log1p_exp(value: float) -> float:
    return log1p(exp(value)) if value < 30 else value


def hypergeometric(a: float, b: float, c: float, z: float) -> float:
    """Gauss's 2F1 by its series, for 0 <= z < 1 and positive terms."""
    term = total = 1.0
    n = 0
    while abs(term) > _SMALLEST * abs(total) or n < 4:
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
        n += 1
    return total


__all__ = ["History", "Purchases", "fit", "hypergeometric", "log_likelihood"]
