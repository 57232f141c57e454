"""Which segment recency and frequency scores make, from 1 to 5 each, 5 being best. Pure.

The ten names are those in common use for the grid of the two scores; what customers spent plays no part in them.
"""

from __future__ import annotations

from typing import Final

# A row a recency score, a letter a frequency score from 1 to 5.
_GRID: Final = {5: "nppcc", 4: "fppll", 3: "ssall", 2: "hhrrx", 1: "hhrrx"}
_NAMES: Final = {
    "c": "champions", "l": "loyal", "p": "potential loyalists", "n": "new", "f": "promising",
    "a": "need attention", "s": "about to sleep", "r": "at risk", "x": "cannot lose", "h": "hibernating",
}  # fmt: skip

SEGMENTS: Final = tuple(_NAMES.values())
"""From the best to those who are gone."""


def segment_of(recency_score: int, frequency_score: int) -> str:
    """The name of the segment. Raises LookupError for scores that are none."""
    return _NAMES[_GRID[recency_score][frequency_score - 1]]
