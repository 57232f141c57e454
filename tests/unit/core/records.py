"""Builders for tests of the core: touchpoints as records, a store, a task to feed them to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.codec import decode, encode, encode_touchpoint
from streams.core.rules import Rules
from streams.core.step import INBOX, INPUTS, Effects, Step

START_MS = 1_772_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class FakeRecord:
    """A consumed record."""

    value: bytes | None
    timestamp: int = START_MS
    topic: str = "touchpoints.web"
    offset: int = 0
    partition: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class FakeStore(dict[bytes, bytes]):
    """Committed state in a dict."""

    def keys_with(self, prefix: bytes) -> list[bytes]:
        """Every key that begins so."""
        return [key for key in self if key.startswith(prefix)]

    def apply(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take changes over, as a commit does."""
        for key, value in changes:
            if value is None:
                self.pop(key, None)
            else:
                self[key] = value


def touchpoint(
    message_id: str, at_ms: int = 0, *, event: str = "Page Viewed", channel: str = "web",
    arrives_ms: int | None = None, **more: Any,
) -> FakeRecord:  # fmt: skip
    """A record `at_ms` after START_MS; identifiers by type among `more`, envelope fields too."""
    kinds = ("user_id", "loyalty_id", "email", "phone", "device_id", "anonymous_id")
    identifiers = {kind: more.pop(kind) for kind in kinds if kind in more} or {"anonymous_id": "a"}
    arrives_ms = at_ms if arrives_ms is None else arrives_ms
    fields = {
        "message_id": message_id, "type": "track", "event": event, "channel": channel,
        "occurred_at": START_MS + at_ms, "received_at": START_MS + arrives_ms, "identifiers": identifiers,
    }  # fmt: skip
    return FakeRecord(encode_touchpoint(fields | more), START_MS + arrives_ms, f"touchpoints.{channel}")


def added(
    message_id: str, at_ms: int = 0, *, product: str = "p", quantity: int = 1, **more: Any
) -> FakeRecord:
    """A product put into the cart, at 10 a piece."""
    items = [{"product_id": product, "quantity": quantity, "price_micros": 10_000_000}]
    return touchpoint(message_id, at_ms, event="Product Added", items=items, **more)


def bought(message_id: str, at_ms: int = 0, **more: Any) -> FakeRecord:
    """A purchase of 10."""
    return touchpoint(message_id, at_ms, event="Order Completed", revenue_micros=10_000_000, **more)


def act(
    kind: str, who: str, at_ms: int = 0, *, into: str | None = None, act_id: str | None = None, **more: Any
) -> FakeRecord:
    """An act of `ann` about identifiers, parted by spaces, `at_ms` after START_MS."""
    fields = {
        "act_id": act_id or f"{kind} {who} {at_ms}", "act": kind, "identifiers": who.split(), "into": into,
        "acted_at": START_MS + at_ms, "by": "ann", "reason": "ticket 7",
    }  # fmt: skip
    return FakeRecord(encode("identity.control", fields | more), START_MS + at_ms, "identity.control")


class OneTask:
    """A task that holds everybody, in replay mode; every call is one committed batch."""

    def __init__(self, rules: Rules | None = None, store: FakeStore | None = None) -> None:
        self.store = FakeStore() if store is None else store
        self._rules = rules or Rules(is_replay=True)
        self._offsets: dict[str, int] = {}
        self.said: dict[str, list[dict[str, Any]]] = {}
        self.restart()

    def restart(self) -> None:
        """A new owner, with what was committed."""
        self.step = Step(0, 1, self._rules, self.store)

    def take(self, *records: FakeRecord) -> Effects:
        """Process records as one batch."""
        batch: dict[str, list[FakeRecord]] = {}
        for record in records:
            offset = self._offsets[record.topic] = self._offsets.get(record.topic, 0) + 1
            placed = FakeRecord(
                record.value, record.timestamp, record.topic, offset, headers=record.headers, key=record.key
            )
            batch.setdefault(record.topic, []).append(placed)
        return self._commit(batch)

    def tick(self, at_ms: int) -> None:
        """Say that everything up to `at_ms` after START_MS has arrived, and let all tasks hear of it."""
        header = [("clock-ms", str(START_MS + at_ms).encode())]
        self.take(*(FakeRecord(None, START_MS + at_ms, topic, headers=header) for topic in INPUTS))
        while self.step.has_news:
            self._commit({})

    def latest(self, topic: str, key: str) -> list[dict[str, Any]]:
        """The last record of each id, as a view shows them."""
        found: dict[str, dict[str, Any]] = {}
        for record in self.said.get(topic, ()):
            if record[key] not in found or record["revision"] >= found[record[key]]["revision"]:
                found[record[key]] = record
        return list(found.values())

    def actions(self) -> list[str]:
        """The status of each action."""
        return [action["status"] for action in self.latest("actions", "action_id")]

    def sessions(self) -> list[tuple[int, int, int]]:
        """(first, last, touchpoints) of each session that stands, in minutes after START_MS."""
        standing = [
            session for session in self.latest("sessions", "session_id") if not session["is_retracted"]
        ]
        return sorted(
            (
                (session["started_at"] - START_MS) // MINUTE_MS,
                (session["ended_at"] - START_MS) // MINUTE_MS,
                session["touchpoints"],
            )
            for session in standing
        )

    def _commit(self, batch: Mapping[str, Sequence[FakeRecord]]) -> Effects:
        effects = self.step.process(batch, now_ms=0, caught_up={})
        self.store.apply(effects.changes)
        for topic, records in effects.outputs.items():
            self.said.setdefault(topic, []).extend(decode(value)[1] for _, value in records)
        for key, value in effects.inbox.get(0, ()):
            # What a task says to itself in another batch.
            self.take(FakeRecord(value, topic=INBOX, key=key))
        return effects
