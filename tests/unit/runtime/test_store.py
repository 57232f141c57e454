"""What every store must do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.store.memory import MemoryStore

changes = st.lists(st.tuples(st.binary(max_size=2), st.none() | st.binary(max_size=3)), max_size=40)


@given(st.lists(changes, max_size=5))
def test_a_store_holds_the_last_value_of_each_key(batches: list[list[tuple[bytes, bytes | None]]]) -> None:
    """Changes count in their order; None removes; nothing else is there."""
    store, expected = MemoryStore(), dict[bytes, bytes]()
    for batch in batches:
        store.apply(batch)
        for key, value in batch:
            expected.pop(key, None)
            expected |= {} if value is None else {key: value}
    assert dict(store.items()) == expected
    assert {key: store.get(key) for key in expected} == expected
    assert store.get(b"never") is None
    assert len(store) == len(expected)
