"""State of one task in a RocksDB database of its own, behind a write-back buffer. Must not know what keys mean.

Why one database a task: offset and state of a task are one batch in one write-ahead-log-free database, so neither an
unclean stop nor a damaged file of one task can touch another; opening costs 4 to 7 ms, 0.4 MB and no thread (measured),
and memory is shared by all. Nothing is logged or synced at a commit: the changelog is the log, and what was not yet
flushed when a process dies is read from there again.

Delivery: holds confirmed commits only. After any stop it is exactly the changelog up to the offset in its mark, or is
found damaged and says so once: the process ends, and the next opens an empty database.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    MemtableFactory,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from streams.runtime.engine import Change, Reflected
from streams.runtime.store.directory import StateDirectory

__all__ = ["Memory", "RocksDBStore", "RocksDBStores", "StoreBroken"]

log = logging.getLogger(__name__)

_MARK = b"\x00\x00mark"
_ABSENT: Any = object()
_NOTHING = Reflected()
_ENTRY_BYTES = 150
"""What an entry of the buffer takes besides its value, roughly."""
_BLOCK_BYTES = 4096
_BLOOM_BITS = 10
_OPEN_FILES = 128
_BULK_FROM_RECORDS = 50_000
_BULK_BYTES = 16 << 20
_UNLOGGED = WriteOptions()
_UNLOGGED.disable_wal = True  # type: ignore[method-assign,assignment]  # a property; its stub is wrong
_FLUSH_EVERY_S = 600.0
"""A quiet task fills no memtable, but what it saved must not become too old to be trusted."""


class StoreBroken(AssertionError):
    """What lies on disk cannot be read; the next start rebuilds it.

    An AssertionError, so that the core lets it through: no record is to blame.
    """


class _Mark(msgspec.Struct, frozen=True):
    """Who wrote the database, and what it reflects; written in the same batch as the state."""

    owner: str
    state_format: int
    reflected: Reflected


@dataclass(frozen=True, slots=True)
class Memory:
    """What all databases of a worker together may take, in bytes."""

    cache_bytes: int
    """Blocks that were read, and memtables."""
    memtable_bytes: int
    """Part of the cache: what was written and is in no file yet."""
    buffer_bytes: int
    """Changes that no database has seen yet."""


class RocksDBStores:
    """The stores of a worker, which share their memory. Holds the state directory."""

    def __init__(self, directory: StateDirectory, memory: Memory, *, owner: str, state_format: int) -> None:
        """`owner` names installation and changelog: state of another is never used."""
        self.directory = directory
        self.owner = owner
        self.state_format = state_format
        self._memory = memory
        self._cache = Cache(memory.cache_bytes)
        self._memtables = WriteBufferManager.new_write_buffer_manager_with_cache(
            memory.memtable_bytes, False, self._cache
        )
        self._open: list[RocksDBStore] = []

    def open(self, partition: int) -> RocksDBStore:
        """The store of a task, with what is on disk of it."""
        store = RocksDBStore(self, partition)
        self._open.append(store)
        return store

    def close(self) -> None:
        """Saves and closes what is still open, and lets go of the directory."""
        for store in list(self._open):
            store.close()
        self.directory.close()

    def closed(self, store: RocksDBStore) -> None:
        """The store takes no memory any more."""
        if store in self._open:
            self._open.remove(store)

    def make_room(self) -> None:
        """If the buffers together are too full, the fullest is written."""
        if sum([store.buffered_bytes for store in self._open]) > self._memory.buffer_bytes:
            max(self._open, key=lambda store: store.buffered_bytes).write()

    def options(self, *, is_bulk: bool) -> Options:
        """How a database is opened; in bulk for many writes and no reads."""
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(self._blocks())
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_open_files(_OPEN_FILES)
        options.set_keep_log_file_num(1)
        options.set_stats_dump_period_sec(0)
        if is_bulk:
            # 1.6 us a record in place of 4.7: memtables are sorted when full, and files compacted once, afterwards.
            options.set_memtable_factory(MemtableFactory.vector())
            options.set_allow_concurrent_memtable_write(False)
            options.set_write_buffer_size(_BULK_BYTES)
            options.set_disable_auto_compactions(True)
            options.set_level_zero_slowdown_writes_trigger(1 << 20)
            options.set_level_zero_stop_writes_trigger(1 << 20)
        else:
            options.set_write_buffer_manager(self._memtables)
            options.set_write_buffer_size(self._memory.memtable_bytes)
        return options

    def _blocks(self) -> BlockBasedOptions:
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        blocks.set_block_size(_BLOCK_BYTES)
        # Most look-ups are for what is not there: a new identifier, a cart. They cost 0.4 us, a hit 3 to 11 us.
        blocks.set_bloom_filter(_BLOOM_BITS, False)
        # Filters and indexes stand beside the cache, some 5 B a profile. Within it they push each other out: 500 us.
        blocks.set_cache_index_and_filter_blocks(False)
        blocks.set_format_version(5)
        return blocks


class RocksDBStore:
    """The store of one task. Raises StoreBroken wherever its files turn out to be damaged."""

    __slots__ = ("_buffer", "_db", "_flushed_s", "_get", "_is_bulk", "_is_open", "_name", "_owner", "_saved",
                 "_stores", "buffered_bytes", "reflected")  # fmt: skip

    def __init__(self, stores: RocksDBStores, partition: int) -> None:
        self._stores = stores
        self._name = f"{stores.owner}-{partition}"
        self._owner = f"{stores.owner}/{partition}"
        self._buffer: dict[bytes, bytes | None] = {}
        self.buffered_bytes = 0
        self.reflected = self._saved = _NOTHING
        self._is_open = True
        self._is_bulk = False
        self._flushed_s = time.monotonic()
        self._db: Any = None
        self._find()

    def _find(self) -> None:
        """Opens what is there, and leaves nothing of it that is not sound and ours."""
        directory = self._stores.directory
        reason = "its files were found damaged" if directory.is_distrusted(self._name) else ""
        try:
            if not reason:
                self._open(is_bulk=False)
                reason = self._take_mark()
        except Exception as error:  # rocksdict has no finer class
            reason = f"it cannot be read: {error}"
        if reason:
            log.warning("the state %s on disk is not used, the changelog is: %s", self._name, reason)
            self._start_anew()

    def _take_mark(self) -> str:
        """Remembers what the database reflects; or says why it is not used."""
        found = self._db.get(_MARK)
        if found is None:
            return ""
        mark = msgspec.msgpack.decode(found, type=_Mark)
        if (mark.owner, mark.state_format) != (self._owner, self._stores.state_format):
            return f"it is of {mark.owner} in format {mark.state_format}"
        self.reflected = self._saved = mark.reflected
        return ""

    def get(self, key: bytes) -> bytes | None:
        """The value under a key, or None."""
        buffered = self._buffer.get(key, _ABSENT)
        if buffered is not _ABSENT:
            return cast(bytes | None, buffered)
        try:
            return cast(bytes | None, self._get(key))
        except Exception as error:
            raise self._broken(error) from error

    def keys_with(self, prefix: bytes) -> Iterator[bytes]:
        """Every key that begins so, in the order of keys."""
        self.write()
        try:
            # Not Rdict.items(): that ends at a damaged block as if it were the last.
            at = self._db.iter()
            at.seek(prefix)
            while at.valid() and (key := at.key()).startswith(prefix):
                if key != _MARK:
                    yield key
                at.next()
            at.status()
        except Exception as error:
            raise self._broken(error) from error

    def apply(self, changes: Iterable[Change], reflected: Reflected | None = None) -> None:
        """Takes the changes in their order; a value of None removes the key."""
        buffer, size = self._buffer, 0
        for key, value in changes:
            buffer[key] = value
            size += _ENTRY_BYTES if value is None else _ENTRY_BYTES + len(value)
        self.buffered_bytes += size
        if reflected is not None:
            self.reflected = reflected
        if self._is_bulk:
            self.write()
        else:
            self._stores.make_room()
            if time.monotonic() - self._flushed_s > _FLUSH_EVERY_S:
                self._flush(wait=False)

    def write(self) -> None:
        """Hands the buffer to the database: state and mark in one batch, so that they cannot come apart."""
        if not self._buffer and self.reflected is self._saved:
            return
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in self._buffer.items():
            if value is None:
                delete(key)
            else:
                put(key, value)
        put(_MARK, msgspec.msgpack.encode(_Mark(self._owner, self._stores.state_format, self.reflected)))
        try:
            self._db.write(batch, _UNLOGGED)
        except Exception as error:
            raise self._broken(error) from error
        self._buffer = {}
        self.buffered_bytes = 0
        self._saved = self.reflected

    def prepare(self, records: int) -> None:
        """Many records are written some three times as fast to a database that is not read meanwhile."""
        if records >= _BULK_FROM_RECORDS:
            self._flush(wait=True)
            self._reopen(is_bulk=True)

    def settle(self) -> None:
        """Back to everyday work."""
        self._flush(wait=True)
        if self._is_bulk:
            self._reopen(is_bulk=False)

    def reset(self) -> None:
        """Forgets everything."""
        self._buffer = {}
        self.buffered_bytes = 0
        self.reflected = self._saved = _NOTHING
        self._start_anew()

    def _start_anew(self) -> None:
        if self._db is not None:
            self._db.close()
        self._stores.directory.remove(self._name)
        self._open(is_bulk=False)

    def close(self) -> None:
        """Saves everything. A second time does nothing."""
        if self._is_open:
            self._stores.closed(self)
            self._flush(wait=True)
            self._is_open = False
            self._db.close()

    def _flush(self, *, wait: bool) -> None:
        """Into files: what is only in memory dies with the process."""
        self.write()
        try:
            self._db.flush(wait)
        except Exception as error:
            raise self._broken(error) from error
        self._flushed_s = time.monotonic()

    def _reopen(self, *, is_bulk: bool) -> None:
        self._db.close()
        self._open(is_bulk=is_bulk)

    def _open(self, *, is_bulk: bool) -> None:
        path = str(self._stores.directory.folder(self._name))
        options = self._stores.options(is_bulk=is_bulk)
        # By name: or else a database that exists is opened as it was the last time, with a cache of its own.
        self._db = Rdict(path, options, column_families={"default": options})
        self._get = self._db.get
        self._is_bulk = is_bulk

    def _broken(self, error: Exception) -> StoreBroken:
        self._stores.directory.distrust(self._name)
        self._stores.closed(self)
        self._is_open = False
        self._db.close()
        return StoreBroken(f"the state {self._name} on disk is damaged, the next start rebuilds it: {error}")
