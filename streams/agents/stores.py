"""The stores of a worker from the settings. Must not know tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.runtime.engine import Store
from streams.runtime.store.directory import StateDirectory
from streams.runtime.store.format import STATE_FORMAT
from streams.runtime.store.memory import MemoryStore
from streams.runtime.topics import CHANGELOG
from streams.settings import Settings

__all__ = ["stores_of"]


@contextmanager
def stores_of(settings: Settings) -> Iterator[Callable[[int], Store]]:
    """Makes the store of a task; saves and closes all of them at the end. Raises StateDirectoryUnavailable."""
    state = settings.state
    if state.store == "memory":
        yield lambda partition: MemoryStore()
        return
    # 5 MB that a worker with its state in memory does not need.
    from streams.runtime.store.rocksdb import Memory, RocksDBStores

    stores = RocksDBStores(
        StateDirectory.open(Path(state.directory)),
        Memory(state.cache_bytes, state.memtable_bytes, state.buffer_bytes),
        owner=f"{settings.app.name}.{CHANGELOG}",
        state_format=STATE_FORMAT.version,
    )
    try:
        yield stores.open
    finally:
        stores.close()
