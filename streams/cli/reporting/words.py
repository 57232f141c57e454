"""Numbers in words: amounts with their currency, shares as percentages, a dash where there is nothing to say."""

from __future__ import annotations

from datetime import date
from typing import Final

NOTHING: Final = "–"

_MICROS: Final = 1_000_000


def money(micros: float | None, currency: str | None) -> str:
    """With its currency."""
    return NOTHING if micros is None else f"{amount(micros)} {currency_of(currency)}"


def amount(micros: float | None) -> str:
    """Without its currency, which stands beside it."""
    return NOTHING if micros is None else f"{micros / _MICROS:,.2f}"


def currency_of(currency: str | None) -> str:
    """Its name, or that there is none."""
    return currency or "(no currency)"


def percent(share: float | None) -> str:
    """Of a share from 0 to 1."""
    return NOTHING if share is None else f"{100 * share:,.1f} %"


def number(value: float | None, *, digits: int = 0) -> str:
    """With its thousands apart."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def month(day: date) -> str:
    """A month by any of its days."""
    return f"{day:%Y-%m}"


def named(text: str) -> str:
    """Of what may have no name."""
    return text or "(none)"


def of(part: float, whole: float, noun: str) -> str:
    """3 of 10 orders."""
    return f"{part:,} of {whole:,} {noun}"
