"""When state on disk is used: one test a reason."""

from __future__ import annotations

import pytest

from streams.runtime.engine import Reflected
from streams.runtime.store.trust import MAX_UNSEEN_S, Found, distrust

DAY_MS = 24 * 3600 * 1000
STATE = Reflected(100, changelog_id=b"this", unseen_since_ms=DAY_MS)


@pytest.mark.parametrize(
    "found", [Found(b"this", 100, 9 * DAY_MS), Found(b"this", 101, DAY_MS + 1000 * MAX_UNSEEN_S)]
)
def test_state_is_used(found: Found) -> None:
    """The same changelog, not shorter, and what is behind it cannot have lost a tombstone yet; or nothing is."""
    assert distrust(STATE, found) == ""


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Found(b"other", 100, DAY_MS), "another changelog"),
        (Found(b"", 100, DAY_MS), "another changelog"),
        (Found(b"this", 99, DAY_MS), "reflects offset 100, but the changelog ends at 99"),
        (Found(b"this", 101, DAY_MS + 1000 * MAX_UNSEEN_S + 1000), "12.0 h old, so tombstones"),
        # A clock that was put back says nothing about how old the state is.
        (Found(b"this", 101, DAY_MS - 1000), "-0.0 h old, so tombstones"),
    ],
)
def test_state_is_not_used(found: Found, reason: str) -> None:
    """Each reason is one that a rebuild mends. Each was seen to fail with its comparison removed."""
    assert reason in distrust(STATE, found)


def test_state_that_does_not_know_its_changelog_is_not_used() -> None:
    """Two unknowns are not the same changelog."""
    assert distrust(Reflected(100), Found(b"", 100, 0))
