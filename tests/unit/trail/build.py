"""Records of `identities` for tests, one after the other."""

from __future__ import annotations

from itertools import count
from typing import Any

from streams.cli.trail.person import Record


class History:
    """Writes records a second apart; a profile of `root` is called `of <root>`."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._seconds = count()

    def say(self, kind: str, identifier: str, root: str | None = None, **changes: Any) -> Record:
        """One record; the root is the identifier itself unless another is named."""
        record: dict[str, Any] = {
            "identifier": identifier,
            "profile_id": f"of {root or identifier}",
            "own_profile_id": f"of {identifier}",
            "root": root or identifier,
            "kind": kind,
            "caused_by": "m1",
            "decided_ms": next(self._seconds) * 1000,
        }
        said = Record(**record | changes)
        self.records.append(said)
        return said
