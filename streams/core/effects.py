"""What a batch does, as values: nothing here does anything. Owns these shapes; must not know who carries them out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.codec import Reason
from streams.core.actors import Change
from streams.core.outputs import Output
from streams.core.touchpoint import Record


@dataclass(frozen=True, slots=True)
class Dead:
    """A record that can never be processed, and why."""

    record: Record
    reason: Reason
    detail: str


@dataclass(slots=True)
class Effects:
    """What a batch does: records by output topic (to the task's own partition), messages by inbox partition, state.

    `counts` are touchpoints, forwarded, duplicates, late, excess (of a profile with too many), clamped, messages,
    fired, held, actions and acts of this batch, and `blocked:<type>`, identifiers that identify nobody.
    """

    outputs: dict[str, Sequence[Output]] = field(default_factory=dict)
    inbox: dict[int, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
