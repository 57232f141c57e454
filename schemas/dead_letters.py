"""The contract of `records.dead`: a record that can never be processed, kept whole, with its story in the headers.

Knows neither who writes one nor why it could not be processed: those who met the record say that.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

__all__ = ["DEAD_LETTERS", "VERSION", "DeadShare", "Headers", "headers_of"]

DEAD_LETTERS: Final = "records.dead"
LEAST_RECORDS: Final = 100

Headers = list[tuple[str, bytes]]


def _version() -> bytes:
    try:
        return version("throughline").encode()
    except PackageNotFoundError:
        return b"unknown"


VERSION: Final = _version()


def headers_of(reason: str, detail: str, *, topic: str, partition: int, offset: int) -> Headers:
    """Why a record is a dead letter, and where it came from; the value itself stays as it was."""
    return [
        ("reason", reason.encode()),
        ("detail", detail.encode()),
        ("topic", topic.encode()),
        ("partition", b"%d" % partition),
        ("offset", b"%d" % offset),
        ("version", VERSION),
    ]


class DeadShare:
    """Says when too large a share of the records lately read are dead letters.

    Windows of at least 100 records; sooner if what is dead would be too many of 100 whatever else came. It is asked
    before anything of a batch is committed: a flood, which is mostly a schema that is missing here or a producer gone
    wrong, is left where it is, to be processed once that is mended. Whoever is started again reads the same records,
    and stops again, having committed nothing: restarts do not carry a flood over bit by bit.
    """

    def __init__(self, max_share: float) -> None:
        self._max_share = max_share
        self._records = 0
        self._dead = 0

    def is_exceeded(self, records: int, dead: int) -> bool:
        """Counts one batch; True when the window has too many with it."""
        self._records += max(records, dead)
        self._dead += dead
        exceeded = self._dead > self._max_share * max(self._records, LEAST_RECORDS)
        if self._records >= LEAST_RECORDS:
            self._records = self._dead = 0
        return exceeded
