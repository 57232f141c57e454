"""The written records are read as the warehouse's views read them."""

from __future__ import annotations

import pytest

from streams.core.step import ACTIONS, IDENTITIES
from tests.simulation.landing import landed_from
from tests.unit.sinks.samples import framed


@pytest.mark.parametrize("kind", ["merged", "released", "split", "refused", "blocked", "shared"])
def test_only_what_places_an_identifier_moves_it(kind: str) -> None:
    """A refusal, a block or a shared device is no answer to whose an identifier is."""
    written = [
        (IDENTITIES, framed("identities", own_profile_id="own", profile_id="old", kind="stitched")),
        (IDENTITIES, framed("identities", own_profile_id="own", profile_id="new", kind=kind)),
        (ACTIONS, framed("actions", profile_id="own")),
    ]
    expected = "new" if kind in ("merged", "released", "split") else "old"
    assert [action.profile for action in landed_from(written, may_repeat=False).actions] == [expected]
