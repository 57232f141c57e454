"""Rows that cannot become touchpoints: counted by reason, kept whole in a JSON Lines file if one is wanted.

Must not decide what is wrong with a row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType

_SHOWN = 5


class Reason(StrEnum):
    """Why a row was rejected; bounded, so that reasons can be counted."""

    UNREADABLE = "unreadable"
    FIELDS = "wrong_number_of_fields"
    TIME = "time"
    EVENT = "unknown_event"
    CHANNEL = "unknown_channel"
    IDENTIFIER = "no_identifier"
    NUMBER = "number"
    MESSAGE_ID = "no_message_id"
    ENCODING = "encoding"
    TOO_LARGE = "too_large"


class RowRejected(Exception):
    """This row cannot become a touchpoint."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Reject:
    """One rejected row, as it stood in the file; `line` counts from 1 and includes a header."""

    file: str
    line: int
    reason: Reason
    detail: str
    row: dict[str, str] | str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}: {self.detail}"


OnReject = Callable[[Reject], None]


class TooManyRejects(RuntimeError):
    """The share of bad rows says that the mapping or the file is wrong as a whole."""


class Rejects:
    """Counts rejects and writes them to `path`; raises TooManyRejects beyond `limit`."""

    def __init__(self, path: Path | None = None, *, limit: int | None = None) -> None:
        self._path = path
        self._limit = limit
        self._file: TextIOWrapper | None = None
        self.by_reason: Counter[str] = Counter()
        self.first: list[Reject] = []

    def __enter__(self) -> Rejects:
        if self._path is not None:
            self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def count(self) -> int:
        return self.by_reason.total()

    def add(self, reject: Reject) -> None:
        self.by_reason[reject.reason.value] += 1
        if len(self.first) < _SHOWN:
            self.first.append(reject)
        if self._file is not None:
            self._file.write(_as_json(reject) + "\n")
        if self._limit is not None and self.count > self._limit:
            raise TooManyRejects(f"more than {self._limit:,} rows rejected; the last: {reject}")


def _as_json(reject: Reject) -> str:
    fields = {
        "file": reject.file,
        "line": reject.line,
        "reason": reject.reason.value,
        "detail": reject.detail,
        "row": reject.row,
    }
    return json.dumps(fields, ensure_ascii=False)
