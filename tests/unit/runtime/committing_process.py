"""Commits to a store on disk without end, a line after each, until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

from streams.runtime.engine import Reflected
from streams.runtime.store.directory import StateDirectory
from streams.runtime.store.rocksdb import Memory, RocksDBStores
from tests.unit.runtime.test_store import commit


def main() -> None:
    """From where the store is on; memory is small, so that files are written all the time."""
    memory = Memory(cache_bytes=1 << 20, memtable_bytes=1 << 16, buffer_bytes=20_000)
    stores = RocksDBStores(StateDirectory.open(Path(sys.argv[1])), memory, owner="app", state_format=1)
    store = stores.open(0)
    number = store.reflected.offset
    while True:
        number += 1
        store.apply(commit(number), Reflected(number))
        print(number, flush=True)


if __name__ == "__main__":
    main()
