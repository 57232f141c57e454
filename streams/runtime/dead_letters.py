"""Records that can never be processed: kept whole on `records.dead`, unless they are a flood, which stops the worker.

Knows the headers of a dead letter and nothing of why a record is one: the core says that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from streams.runtime.batches import Headers
from streams.runtime.engine import DeadLetter

__all__ = ["VERSION", "DeadShare", "dead_rows", "flood_line"]

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
    """Says when too large a share of the records lately read are dead letters.

    Windows of at least 100 records; sooner if what is dead would be too many of 100 whatever else came. It is asked
    before a batch is committed: a flood, which is mostly a schema that is missing here or a producer gone wrong, is
    left where it is, to be processed once that is mended. A worker that is started again reads the same records, and
    stops again, having written nothing: restarts do not carry a flood over bit by bit.
    """

    def __init__(self, max_share: float) -> None:
        self._max_share = max_share
        self._records = 0
        self._dead = 0

    def is_exceeded(self, records: int, dead: int) -> bool:
        """Counts one batch; True when the window has too many with it.

        `records` are those of the inputs; a dead letter may also have come through the inbox, where clocks would
        thin it out.
        """
        self._records += max(records, dead)
        self._dead += dead
        exceeded = self._dead > self._max_share * max(self._records, LEAST_RECORDS)
        if self._records >= LEAST_RECORDS:
            self._records = self._dead = 0
        return exceeded


def flood_line(letters: Collection[DeadLetter]) -> str:
    """What to tell people of a batch with too many: reasons, and where the first one lies. Never what is in it."""
    reasons = ", ".join(
        f"{reason} {number}" for reason, number in Counter(letter.reason for letter in letters).most_common()
    )
    first = next(iter(letters)).record
    return (
        f"too many of the records lately read are dead letters ({reasons}; the first is {first.topic}"
        f"[{first.partition}] at offset {first.offset}); stopping before they are taken off the inputs. Mend the "
        "producer or the schema, or let them pass: worker.max_dead_share"
    )
