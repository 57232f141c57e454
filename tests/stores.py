"""What tests ask of any store of state."""

from streams.runtime.engine import Store


def all_of(store: Store) -> dict[bytes, bytes]:
    """Every key with its value."""
    found = {key: store.get(key) for key in store.keys_with(b"")}
    return {key: value for key, value in found.items() if value is not None}
