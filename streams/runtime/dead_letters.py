"""Records that can never be processed: kept whole on `records.dead`, and counted, so that a flood stops the worker.

Knows the headers of a dead letter and nothing of why a record is one: the core says that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from streams.runtime.batches import Headers
from streams.runtime.engine import DeadLetter

__all__ = ["DeadShare", "dead_rows"]

LEAST_RECORDS = 100


def _version() -> bytes:
    try:
        return version("throughline").encode()
    except PackageNotFoundError:
        return b"unknown"


VERSION = _version()


def dead_rows(letters: Iterable[DeadLetter]) -> Iterator[tuple[tuple[bytes | None, bytes | None], Headers]]:
    """Key and value as they came, with where they came from and why they are here in the headers."""
    for letter in letters:
        record = letter.record
        yield (
            (record.key, record.value),
            [
                ("reason", letter.reason.encode()),
                ("detail", letter.detail.encode()),
                ("topic", record.topic.encode()),
                ("partition", b"%d" % record.partition),
                ("offset", b"%d" % record.offset),
                ("version", VERSION),
            ],
        )


class DeadShare:
    """Says when too large a share of the records lately read were dead letters. Windows of at least 100 records."""

    def __init__(self, max_share: float) -> None:
        self._max_share = max_share
        self._records = 0
        self._dead = 0

    def is_exceeded(self, records: int, dead: int) -> bool:
        """Counts one batch; True when the window it fills had too many."""
        self._records += records
        self._dead += dead
        if self._records < LEAST_RECORDS:
            return False
        exceeded = self._dead > self._max_share * self._records
        self._records = self._dead = 0
        return exceeded
