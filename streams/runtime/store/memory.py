"""State of one task in a dict. Dies with the process: the changelog rebuilds it. Must not know what keys mean."""

from __future__ import annotations

from collections.abc import Iterable

from streams.runtime.engine import Change

__all__ = ["MemoryStore"]


class MemoryStore:
    """Bytes to bytes, in memory."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: bytes) -> bytes | None:
        """The value under a key, or None."""
        return self._held.get(key)

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """Every key with its value, in no promised order."""
        return self._held.items()

    def apply(self, changes: Iterable[Change]) -> None:
        """Takes the changes in their order; a value of None removes the key."""
        held = self._held
        for key, value in changes:
            if value is None:
                held.pop(key, None)
            else:
                held[key] = value
