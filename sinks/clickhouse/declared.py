"""What a sink declares before it inserts a range: where it ends, and how it lands. Pure.

It stands in the metadata of the committed offset, where the range begins, so that whoever reads the partition next
inserts the same blocks under the same tokens, whatever ClickHouse or the schemas say by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["METADATA_BYTES", "MOST_TOGETHER", "Declared", "Range"]

METADATA_BYTES: Final = 4_000
"""A broker takes 4,096 by default (`offset.metadata.max.bytes`)."""
MOST_TOGETHER: Final = 100
"""Ranges that may land together: so many fit into the metadata."""

_PENDING: Final = "pending:"
_APART: Final = "apart"
_TOGETHER: Final = "together="
_WITHOUT: Final = "without="

Range = tuple[int, int, int]
"""(partition, start, end), without the end."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A range up to, but without, `end`: `without` these offsets, rising, which are dead letters.

    `is_apart`: each schema in a block of its own, since a mixed one was refused. `together`: in one block with ranges
    of other partitions of its topic, this one among them, in the order of the block; nothing is left out of those.
    """

    end: int
    without: tuple[int, ...] = ()
    is_apart: bool = False
    together: tuple[Range, ...] = ()

    def text(self, start: int) -> str:
        """As metadata: `pending:<end>`, then `apart`, the ranges of `together` as partition:start+length, and the first
        of `without` from `start` on and the steps to each next one, in hexadecimal, where there are any."""
        parts = [f"{_PENDING}{self.end}"]
        if self.is_apart:
            parts.append(_APART)
        if self.together:
            ranges = (f"{partition:x}:{begin:x}+{end - begin:x}" for partition, begin, end in self.together)
            parts.append(_TOGETHER + ",".join(ranges))
        if self.without:
            befores = (start, *self.without)
            steps = [offset - before for before, offset in zip(befores, self.without, strict=False)]
            parts.append(_WITHOUT + ",".join(f"{step:x}" for step in steps))
        return ";".join(parts)

    @classmethod
    def parse(cls, text: str | None, start: int) -> Declared | None:
        """What metadata says; None if they declare nothing. Raises ValueError for what no sink has written."""
        if not text or not text.startswith(_PENDING):
            return None
        end, *more = text.removeprefix(_PENDING).split(";")
        without: list[int] = []
        together: tuple[Range, ...] = ()
        for part in more:
            if part.startswith(_WITHOUT):
                at = start
                for step in part.removeprefix(_WITHOUT).split(","):
                    at += int(step, 16)
                    without.append(at)
            elif part.startswith(_TOGETHER):
                together = tuple(map(_range, part.removeprefix(_TOGETHER).split(",")))
            elif part != _APART:
                raise ValueError(f"offset metadata {text!r} were written by a later version of the sink")
        return cls(int(end), tuple(without), is_apart=_APART in more, together=together)


def _range(text: str) -> Range:
    partition, _, place = text.partition(":")
    start, _, length = place.partition("+")
    return int(partition, 16), int(start, 16), int(start, 16) + int(length, 16)
