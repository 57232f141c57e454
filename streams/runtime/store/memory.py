"""State of one task in a dict. Dies with the process: the changelog rebuilds it. Must not know what keys mean."""

from __future__ import annotations

from collections.abc import Iterable

from streams.runtime.engine import Change, Reflected

__all__ = ["MemoryStore"]

_NOTHING = Reflected()


class MemoryStore:
    """Bytes to bytes, in memory. A key or value costs its length and some 40 B, an entry 40 to 60 B more."""

    __slots__ = ("_held", "reflected")

    def __init__(self) -> None:
        self._held: dict[bytes, bytes] = {}
        self.reflected = _NOTHING

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: bytes) -> bytes | None:
        """The value under a key, or None."""
        return self._held.get(key)

    def keys_with(self, prefix: bytes) -> Iterable[bytes]:
        """Every key that begins so, in no promised order."""
        return [key for key in self._held if key.startswith(prefix)]

    def apply(self, changes: Iterable[Change], reflected: Reflected | None = None) -> None:
        """Takes the changes in their order; a value of None removes the key."""
        held = self._held
        for key, value in changes:
            if value is None:
                held.pop(key, None)
            else:
                held[key] = value
        if reflected is not None:
            self.reflected = reflected

    def prepare(self, records: int) -> None:
        """Nothing to do."""

    def settle(self) -> None:
        """Nothing to do."""

    def reset(self) -> None:
        """Forgets everything."""
        self._held.clear()
        self.reflected = _NOTHING

    def close(self) -> None:
        """Nothing is held outside."""
