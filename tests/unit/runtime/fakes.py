"""Small stand-ins for what the runtime meets: records, effects, a core."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from streams.runtime.engine import Batch, Change


@dataclass(frozen=True, slots=True)
class FakeRecord:
    """A consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int = 0
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class FakeDead:
    """A dead letter."""

    record: FakeRecord
    reason: str = "unreadable"
    detail: str = "truncated"


def fake_record(topic: str, offset: int, *, value: bytes = b"v") -> FakeDead:
    """A dead letter of partition 2."""
    return FakeDead(FakeRecord(topic, 2, offset, value=value))


@dataclass(slots=True)
class FakeEffects:
    """What a step wants written."""

    outputs: dict[str, list[tuple[bytes | None, bytes]]] = field(default_factory=dict)
    inbox: dict[int, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    dead: list[FakeDead] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class FakeEngine:
    """Gives the effects it was told to, and remembers what it was asked."""

    effects: FakeEffects = field(default_factory=FakeEffects)
    has_news: bool = False
    timer_clock_ms: int = 0
    batches: list[Batch] = field(default_factory=list)
    raises: Exception | None = None
    slices: int = 1
    on_slice: Callable[[], None] = lambda: None

    def work(
        self, batch: Batch, *, now_ms: int, caught_up: Mapping[str, int]
    ) -> Generator[None, None, FakeEffects]:
        """One step, in so many slices and a last one."""
        del now_ms, caught_up
        for _ in range(self.slices):
            self.on_slice()
            yield
        if self.raises is not None:
            raise self.raises
        self.batches.append(batch)
        return self.effects
