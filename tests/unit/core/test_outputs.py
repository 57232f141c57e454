"""State as records: every field of the schema says what the state says."""

from __future__ import annotations

from schemas.codec import decode
from streams.core.actor import profile_id_of
from streams.core.identity import Belonging
from streams.core.outputs import identity_records


def test_identity_record_says_where_and_why() -> None:
    """All that a belonging carries is in its record; the profile is that of the root."""
    said = Belonging(
        "device_id:d",
        "own",
        "user_id:1",
        "refused",
        "m1",
        linked_to="user_id:2",
        linked_ms=3,
        other_profile_id="theirs",
        rule="limit user_id 1",
        decided_by="ann",
        reason="a till",
    )
    ((key, value),) = identity_records([said], 5)
    assert key == b"device_id:d"
    assert decode(value)[1] == {
        "identifier": "device_id:d",
        "profile_id": profile_id_of("user_id:1"),
        "own_profile_id": "own",
        "root": "user_id:1",
        "kind": "refused",
        "caused_by": "m1",
        "decided_at": 5,
        "linked_to": "user_id:2",
        "other_profile_id": "theirs",
        "rule": "limit user_id 1",
        "decided_by": "ann",
        "reason": "a till",
        "linked_at": 3,
    }
