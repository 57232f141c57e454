"""What the runtime asks of the core: the state of one task, a pure step over it, and a store beneath it.

Only shapes: the core fills them (`streams.core.step`), tests fill them with small fakes. Nothing here may do I/O.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from streams.core.touchpoint import Record

__all__ = [
    "Batch",
    "Change",
    "DeadLetter",
    "Effects",
    "Engine",
    "EngineFactory",
    "Record",
    "Reflected",
    "Store",
]

Change = tuple[bytes, bytes | None]
"""A key and its new value; None removes the key (a tombstone)."""


Batch = Mapping[str, Sequence[Record]]
"""What a task reads in one turn: topic -> records in the order of their offsets."""


class DeadLetter(Protocol):
    """A record that can never be processed, and why."""

    @property
    def record(self) -> Record: ...
    @property
    def reason(self) -> str: ...
    @property
    def detail(self) -> str: ...


class Effects(Protocol):
    """What one step wants written. The runtime writes all of it, or ends the process."""

    @property
    def outputs(self) -> Mapping[str, Sequence[tuple[bytes | None, bytes]]]:
        """Topic -> (key, value), all for the task's own partition."""
        ...

    @property
    def inbox(self) -> Mapping[int, Sequence[tuple[bytes, bytes]]]:
        """Partition of the inbox topic -> (key, value), in the order they have to arrive in."""
        ...

    @property
    def changes(self) -> list[Change]:
        """What changed in the store; goes to the changelog."""
        ...

    @property
    def dead(self) -> Sequence[DeadLetter]: ...

    @property
    def counts(self) -> Mapping[str, int]:
        """What happened, for metrics: a small fixed set of names, some with a label after a colon."""
        ...


class Reflected(msgspec.Struct, frozen=True):
    """How much of a changelog a store holds: everything before `offset`, and what that says besides state.

    `positions` and `plan` are the runtime's own records as of there, `log_format` the state format that records from
    there on are written in, `changelog_id` which changelog it is (empty: not known), and `unseen_since_ms` a moment
    before which nothing was appended behind `offset`: tombstones are kept for a time only.
    """

    offset: int = 0
    positions: dict[str, int] = {}
    plan: bytes | None = None
    log_format: int = 1
    changelog_id: bytes = b""
    unseen_since_ms: int = 0


class Store(Protocol):
    """State of one task by key. The core only reads it; only the runtime applies changes, after their commit.

    Keys that begin with two NULs are the store's own. What a store keeps beyond the process holds confirmed commits
    only, and always belongs together with its `reflected`.
    """

    @property
    def reflected(self) -> Reflected:
        """What it holds, as of the last `apply` that said so."""
        ...

    def get(self, key: bytes) -> bytes | None: ...
    def keys_with(self, prefix: bytes) -> Iterable[bytes]: ...

    def apply(self, changes: Iterable[Change], reflected: Reflected | None = None) -> None:
        """Takes the changes in their order, a value of None removes the key; together with what is then reflected."""
        ...

    def prepare(self, records: int) -> None:
        """So many records of a changelog are about to be applied, and nothing is read until `settle`."""
        ...

    def settle(self) -> None:
        """They have been."""
        ...

    def reset(self) -> None:
        """Forgets everything."""
        ...

    def close(self) -> None:
        """Lets go of what it holds outside of this process's memory, all of it saved. Nothing may be called after."""
        ...


class Engine(Protocol):
    """The state of one task. `work` changes only its own cache: the same input gives the same effects."""

    def work(
        self, batch: Batch, *, now_ms: int, caught_up: Mapping[str, int]
    ) -> Generator[None, None, Effects]:
        """In slices of a ms or two, between which anything may happen but to this engine."""
        ...

    @property
    def has_news(self) -> bool:
        """True when a turn without records would send something."""
        ...

    @property
    def timer_clock_ms(self) -> int:
        """What timers are measured by, epoch-ms; for metrics."""
        ...


class EngineFactory(Protocol):
    """Makes the engine of a task from what its store holds."""

    def __call__(self, partition: int, store: Store) -> Engine: ...
