"""Output records for tests of the sink: one of each schema by hand, any by strategy."""

from __future__ import annotations

import io
from typing import Any, Final

import fastavro
from hypothesis import strategies as st

from schemas.catalog import CHANNELS, Catalog
from schemas.wire import frame
from tests.unit.schemas.records import touchpoint, values_of

CATALOG: Final = Catalog.embedded()
STITCHED: Final = tuple(f"touchpoints.stitched.{channel}" for channel in CHANNELS)
OUTPUTS: Final = (*STITCHED, "sessions", "carts", "actions", "identities", "deliveries")
AT_MS: Final = 1_700_000_000_000

_SAMPLES: Final[dict[str, dict[str, Any]]] = {
    "sessions": {
        "session_id": "s1", "profile_id": "p1", "revision": 1, "started_at": AT_MS, "ended_at": AT_MS + 60_000,
        "touchpoints": 2, "channels": ["web", "app"], "orders": 0, "revenue_micros": 0, "is_final": False,
        "is_retracted": False, "retracted_into": None, "revenue": {"EUR": 5, "": 1}, "is_bounce": False,
        "is_engaged": True, "path": ["web:page", "app:Product Viewed"], "is_path_cut": False,
        "events": {"page": 1, "Product Viewed": 1}, "first_campaign": None, "last_campaign": None,
    },
    "carts": {
        "episode_id": "e1", "profile_id": "p1", "revision": 1, "status": "open", "cart_id": None,
        "opened_at": AT_MS, "updated_at": AT_MS, "items": [], "value_micros": 0, "currency": "EUR",
        "settled_by": None, "retracted_into": None,
    },
    "actions": {
        "action_id": "a1", "profile_id": "p1", "revision": 1, "trigger": "abandoned_cart", "step": 1,
        "status": "due", "due_at": AT_MS, "decided_at": AT_MS, "expires_at": AT_MS, "opened_at": AT_MS,
        "opened_by": "m1", "cart_id": None, "items": [], "value_micros": 0, "currency": None, "identifiers": {},
        "channels": ["email"], "reason": "because", "caused_by": ["m1"], "historical": False, "variant": None,
        "recovered_micros": None,
    },
    "identities": {
        "identifier": "user_id:1", "profile_id": "p1", "own_profile_id": "p1", "root": "user_id:1",
        "kind": "created", "caused_by": "m1", "decided_at": AT_MS, "linked_to": None, "other_profile_id": None,
        "rule": "", "decided_by": None, "reason": None, "linked_at": None,
    },
    "deliveries": {
        "endpoint": "crm", "action_id": "a1", "revision": 1, "profile_id": "p1", "trigger": "abandoned_cart",
        "step": 1, "status": "due", "outcome": "delivered", "reason": "", "attempt": 1, "attempted_at": AT_MS,
        "latency_ms": 12, "response_status": 200, "retry_at": None, "is_sent": True, "idempotency_key": "a1",
    },
}  # fmt: skip


def framed(subject: str, **changes: Any) -> bytes:
    """A record of any output, changed as told, as it is on the wire; a touchpoint arrives when it was received."""
    schema_id = CATALOG.id_of(subject)
    sample = _SAMPLES.get(subject) or {
        **touchpoint(channel=subject.rpartition(".")[2]),
        "profile_id": "p1", "session_id": "s1", "stitched_at": changes.get("received_at", AT_MS), "is_late": False,
        "identified_by": "",
    }  # fmt: skip
    return _encoded(schema_id, {**sample, **changes})


def records() -> st.SearchStrategy[bytes]:
    """Any record of any output, as it is on the wire."""
    return st.sampled_from(OUTPUTS).flatmap(_records_of)


def _records_of(subject: str) -> st.SearchStrategy[bytes]:
    schema_id = CATALOG.id_of(subject)
    return values_of(CATALOG.schema(schema_id)).map(lambda record: _encoded(schema_id, record))


def _encoded(schema_id: int, record: Any) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, CATALOG.schema(schema_id), record)
    return frame(schema_id, body.getvalue())
