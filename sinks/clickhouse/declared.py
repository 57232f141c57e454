"""What a sink declares before it inserts a range: where it ends, and how it lands. Pure.

It stands in the metadata of the committed offset, where the range begins, so that whoever reads the partition next
inserts the same blocks under the same tokens, whatever ClickHouse or the schemas say by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["METADATA_BYTES", "Declared"]

METADATA_BYTES: Final = 4_000
"""A broker takes 4,096 by default (`offset.metadata.max.bytes`)."""

_PENDING: Final = "pending:"
_APART: Final = "apart"
_WITHOUT: Final = "without="


@dataclass(frozen=True, slots=True)
class Declared:
    """A range up to, but without, `end`: `without` these offsets, rising, which are dead letters.

    `is_apart`: each schema in a block of its own, since a mixed one was refused.
    """

    end: int
    without: tuple[int, ...] = ()
    is_apart: bool = False

    def text(self, start: int) -> str:
        """As metadata: `pending:<end>`, then `apart` and the first of `without` from `start` on and the steps to each
        next one, in hexadecimal, where there are any."""
        parts = [f"{_PENDING}{self.end}"]
        if self.is_apart:
            parts.append(_APART)
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
        for part in more:
            if part.startswith(_WITHOUT):
                at = start
                for step in part.removeprefix(_WITHOUT).split(","):
                    at += int(step, 16)
                    without.append(at)
            elif part != _APART:
                raise ValueError(f"offset metadata {text!r} were written by a later version of the sink")
        return cls(int(end), tuple(without), is_apart=_APART in more)
