"""What is told: one revision of an action, and the JSON that goes out for it.

The body is the action as its contract has it (`throughline schemas show actions`), times in ISO 8601 and UTC, amounts
in millionths of the currency. The same revision always gives the same bytes. Knows no endpoint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from schemas.catalog import Catalog
from schemas.codec import decode_as

__all__ = ["CANCELLED", "DUE", "RECOVERED", "Event", "Place", "event_of"]

DUE: Final = "due"
CANCELLED: Final = "cancelled"
RECOVERED: Final = "recovered"

_LASTS_MS: Final = 86_400_000
"""What takes a due action back is worth telling for so long after it was decided."""

Place = tuple[int, int]
"""(partition, offset) of the record."""


@dataclass(frozen=True, slots=True)
class Event:
    """One revision of an action, on its way. `until_ms`: not worth sending at or after it."""

    place: Place
    action_id: str
    revision: int
    status: str
    profile_id: str
    trigger: str
    step: int
    channels: tuple[str, ...]
    is_historical: bool
    until_ms: int
    was_declared: bool
    """An earlier life of the service may have begun to send it: its end was not recorded."""
    body: bytes = field(repr=False)

    @property
    def webhook_id(self) -> str:
        """The same for every attempt at this revision."""
        return f"{self.action_id}:{self.revision}"


def event_of(
    value: bytes | None, place: Place, *, appended_ms: int, was_declared: bool, catalog: Catalog
) -> Event:
    """The event of a record of the topic `actions`. Raises CodecError."""
    action = decode_as("actions", value, catalog)
    until_ms = action["expires_at"]
    if action["status"] != DUE:
        until_ms = max(until_ms, appended_ms + _LASTS_MS)
    return Event(
        place=place,
        action_id=action["action_id"],
        revision=action["revision"],
        status=action["status"],
        profile_id=action["profile_id"],
        trigger=action["trigger"],
        step=action["step"],
        channels=tuple(action["channels"]),
        is_historical=action["historical"],
        until_ms=until_ms,
        was_declared=was_declared,
        body=_body(action),
    )


def _body(action: dict[str, Any]) -> bytes:
    told = {name: _iso(value) if name.endswith("_at") else value for name, value in action.items()}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _iso(at_ms: int) -> str:
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
