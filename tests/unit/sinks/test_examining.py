"""Exactly the records at fault are found, by few questions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.wire import CodecError, Reason, frame
from sinks.clickhouse.chunk import Record
from sinks.clickhouse.examining import at_fault


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["good", "broken", "refused"]), max_size=300),
    st.lists(st.integers(1, 3), min_size=300, max_size=300),
)
def test_exactly_those_at_fault_are_found(kinds: list[str], schema_ids: list[int]) -> None:
    """Broken ones are never asked about, and a question is about records of one schema."""
    records: list[Record] = [
        (7 * n, frame(schema_id, kind.encode()))
        for n, (kind, schema_id) in enumerate(zip(kinds, schema_ids, strict=False))
    ]
    asked = 0

    def check(value: bytes) -> None:
        if value.endswith(b"broken"):
            raise CodecError(Reason.UNREADABLE)

    def is_refused(some: Sequence[Record]) -> bool:
        nonlocal asked
        asked += 1
        assert len({value[:5] for _, value in some}) == 1
        assert not any(value.endswith(b"broken") for _, value in some)
        return any(value.endswith(b"refused") for _, value in some)

    found = at_fault(records, check=check, is_refused=is_refused)
    assert found == [7 * n for n, kind in enumerate(kinds) if kind != "good"]
    depth = 1 + math.ceil(math.log2(max(2, len(records))))
    assert asked <= 3 + 2 * kinds.count("refused") * depth
