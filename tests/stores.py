"""What tests ask of any store of state, and stores as a worker has them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.agents.stores import stores_of
from streams.runtime.engine import Store
from streams.settings import PREFIX, load


def all_of(store: Store) -> dict[bytes, bytes]:
    """Every key with its value."""
    found = {key: store.get(key) for key in store.keys_with(b"")}
    return {key: value for key, value in found.items() if value is not None}


@contextmanager
def stores_in(directory: Path, kind: str) -> Iterator[Callable[[int], Store]]:
    """Makes stores of a kind (`state.store`) by partition, as a worker with this state directory does."""
    settings = load(None, {f"{PREFIX}STATE_STORE": kind, f"{PREFIX}STATE_DIRECTORY": str(directory)})
    with stores_of(settings) as make_store:
        yield make_store
