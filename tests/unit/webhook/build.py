"""Builders for tests of the webhook sink: events, endpoints, records of actions."""

from __future__ import annotations

from typing import Any

from schemas.catalog import Catalog
from schemas.codec import encode
from sinks.webhook.endpoint import Endpoint
from sinks.webhook.event import Event
from tests.unit.sinks.samples import AT_MS

CATALOG = Catalog.embedded()
SECRET = "a secret of the tests, long enough"
HOUR_MS = 3_600_000


def event(action_id: str = "a1", revision: int = 1, status: str = "due", **changes: Any) -> Event:
    """A live action's revision, good for an hour, at the offset that its revision names."""
    fields: dict[str, Any] = {
        "place": (0, revision), "profile_id": "p1", "trigger": "abandoned_cart", "step": 1,
        "channels": ("email", "push"), "is_historical": False, "until_ms": AT_MS + HOUR_MS, "was_declared": False,
        "body": b"{}",
    }  # fmt: skip
    return Event(action_id=action_id, revision=revision, status=status, **{**fields, **changes})


def endpoint(name: str = "crm", url: str = "http://127.0.0.1:1/", **changes: Any) -> Endpoint:
    """Without a limit of rate, and quick to try again."""
    fields: dict[str, Any] = {
        "keys": (SECRET.encode(),), "rate_per_s": 0.0, "first_backoff_s": 0.1, "most_backoff_s": 0.2
    }  # fmt: skip
    return Endpoint(name, url, **{**fields, **changes})


def action(action_id: str = "a1", revision: int = 1, status: str = "due", **changes: Any) -> bytes:
    """A record of the topic `actions`, good for ever unless `expires_at` says otherwise."""
    fields: dict[str, Any] = {
        "profile_id": "p1", "trigger": "abandoned_cart", "step": 1, "due_at": AT_MS, "decided_at": AT_MS,
        "expires_at": 4_000_000_000_000, "opened_at": AT_MS, "opened_by": "m1", "items": [], "value_micros": 5_000_000,
        "currency": "EUR", "identifiers": {"email": "ann@example.org"}, "channels": ["email", "push"],
        "reason": "because", "caused_by": ["m1"], "historical": False,
    }  # fmt: skip
    whole = {"action_id": action_id, "revision": revision, "status": status, **fields, **changes}
    return encode("actions", whole)
