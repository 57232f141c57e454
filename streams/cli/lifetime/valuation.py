"""From what customers bought to what they are expected to: both models fitted, every customer valued.

Owns the rules for whom a model is fitted on and what is said of whom; must not know SQL or the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from streams.cli.lifetime import purchases, spend
from streams.cli.lifetime.purchases import History, Purchases
from streams.cli.lifetime.simplex import NoMinimum
from streams.cli.lifetime.spend import Spend, Spent

_FEWEST: Final = 10
_MICROS: Final = 1_000_000


class Customer(NamedTuple):
    """What somebody bought: `monetary_micros` is the mean worth of the repeat days, 0 without any."""

    profile_id: str
    history: History
    monetary_micros: float


class Value(NamedTuple):
    """What is expected of a customer within the horizon; an order stands for a day with purchases."""

    customer: Customer
    alive: float
    orders: float
    order_micros: float

    @property
    def value_micros(self) -> float:
        """Orders and their worth, not discounted."""
        return self.orders * self.order_micros


class TooFew(Exception):
    """There are no customers to learn from."""


@dataclass(frozen=True, slots=True)
class Valuation:
    """Both models, and every customer by them."""

    purchases: Purchases
    spend: Spend
    values: list[Value]

    def parameters(self) -> dict[str, float]:
        """By the names the papers give them."""
        counts, worth = self.purchases, self.spend
        return {
            "r": counts.r, "alpha": counts.alpha, "a": counts.a, "b": counts.b,
            "p": worth.p, "q": worth.q, "v": worth.v,
        }  # fmt: skip


def valued(customers: Sequence[Customer], *, weeks: float) -> Valuation:
    """Fit both models on customers of one currency and value each of them, `weeks` ahead.

    What a purchase is worth is learnt from those who came back and spent something. Raises TooFew or NoMinimum.
    """
    repeated = [
        Spent(each.history.frequency, each.monetary_micros / _MICROS)
        for each in customers
        if each.history.frequency and each.monetary_micros > 0
    ]
    if len(repeated) < _FEWEST:
        raise TooFew(
            f"{len(repeated)} customers came back and spent something; it takes {_FEWEST} to learn from"
        )
    counts = purchases.fit(each.history for each in customers)
    worth = spend.fit(repeated)
    if worth.q <= 1:
        raise NoMinimum(f"the worth of purchases varies without bounds (q = {worth.q:.3f}): it has no mean")

    @cache
    def orders(history: History) -> float:
        return counts.expected_of(history, weeks)

    def value(each: Customer) -> Value:
        spent = Spent(each.history.frequency, max(each.monetary_micros, 0.0) / _MICROS)
        order_micros = worth.expected_of(spent) * _MICROS
        return Value(each, counts.alive(each.history), orders(each.history), order_micros)

    return Valuation(counts, worth, [value(each) for each in customers])


__all__ = ["Customer", "NoMinimum", "TooFew", "Valuation", "Value", "valued"]
