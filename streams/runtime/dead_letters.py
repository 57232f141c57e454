"""Records that can never be processed: kept whole on `records.dead`, unless they are a flood, which stops the worker.

What a dead letter is, is the contract's (`schemas.dead_letters`); why a record is one, the core's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from schemas.dead_letters import headers_of
from streams.runtime.batches import Headers
from streams.runtime.engine import DeadLetter

__all__ = ["dead_rows", "flood_line"]


def dead_rows(letters: Iterable[DeadLetter]) -> Iterator[tuple[tuple[bytes | None, bytes | None], Headers]]:
    """Key and value as they came, with where they came from and why they are here in the headers."""
    for letter in letters:
        record = letter.record
        headers = headers_of(
            letter.reason,
            letter.detail,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        yield (record.key, record.value), headers


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
