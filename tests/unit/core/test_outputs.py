"""State as records: every field of the schema says what the state says."""

from __future__ import annotations

from schemas.codec import decode
from streams.core.actor import Actor, profile_id_of
from streams.core.belongings import Belonging
from streams.core.messages import Cause
from streams.core.outputs import identity_records


def test_identity_record_says_where_and_why() -> None:
    """All that a belonging carries is in its record; the profile is that of the root."""
    actor = Actor("user_id:2", "user_id:2", None)
    said = Belonging(
        actor,
        "theirs",
        "user_id:1",
        "refused",
        Cause("m1", 3, 7, "user_id:2", by="ann", reason="a till"),
        identifier="device_id:d",
        other_profile_id="others",
        rule="limit user_id 1",
    )
    ((key, value),) = identity_records([said], 5)
    assert key == b"device_id:d"
    assert decode(value)[1] == {
        "identifier": "device_id:d",
        "profile_id": "theirs",
        "own_profile_id": profile_id_of("user_id:2", 0),
        "root": "user_id:1",
        "kind": "refused",
        "caused_by": "m1",
        "decided_at": 5,
        "linked_to": "user_id:2",
        "other_profile_id": "others",
        "rule": "limit user_id 1",
        "decided_by": "ann",
        "reason": "a till",
        "linked_at": 3,
    }
