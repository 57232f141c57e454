"""What every store must do, and what a store on disk does when its files are not what they were."""

from __future__ import annotations

import logging
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.runtime.engine import Change, Reflected, Store
from streams.runtime.store.directory import StateDirectory, StateDirectoryUnavailable
from streams.runtime.store.memory import MemoryStore
from streams.runtime.store.rocksdb import Memory, RocksDBStore, RocksDBStores, StoreBroken
from tests.stores import all_of

SMALL = Memory(cache_bytes=1 << 20, memtable_bytes=1 << 20, buffer_bytes=1500)
KINDS = ("memory", "rocksdb", "rocksdb, unbuffered")


@contextmanager
def rocksdb(
    path: Path, *, memory: Memory = SMALL, owner: str = "app", state_format: int = 1
) -> Iterator[RocksDBStores]:
    """The stores of a worker; closed in good order at the end."""
    stores = RocksDBStores(StateDirectory.open(path), memory, owner=owner, state_format=state_format)
    try:
        yield stores
    finally:
        stores.close()


@contextmanager
def a_store(kind: str) -> Iterator[Store]:
    """A new store of either kind."""
    if kind == "memory":
        yield MemoryStore()
        return
    memory = Memory(1 << 20, 1 << 20, 0 if kind.endswith("unbuffered") else 1500)
    with tempfile.TemporaryDirectory() as path, rocksdb(Path(path), memory=memory) as stores:
        yield stores.open(0)


keys = st.binary(max_size=3).filter(lambda key: not key.startswith(b"\0\0"))
batches = st.lists(st.lists(st.tuples(keys, st.none() | st.binary(max_size=300)), max_size=40), max_size=5)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(batches=batches, bulk=st.booleans())
def test_a_store_holds_the_last_value_of_each_key(kind: str, batches: list[list[Change]], bulk: bool) -> None:
    """Changes count in their order; None removes; nothing else is there. Catches a buffer that is not looked into."""
    expected = dict[bytes, bytes]()
    with a_store(kind) as store:
        if bulk:
            store.prepare(10**6)
        for number, batch in enumerate(batches, 1):
            store.apply(batch, Reflected(number))
            for key, value in batch:
                expected.pop(key, None)
                expected |= {} if value is None else {key: value}
        if bulk:
            store.settle()
        assert {key: store.get(key) for key in expected} == expected
        assert all_of(store) == expected
        assert store.get(b"never") is None
        assert store.reflected.offset == len(batches)
        store.reset()
        assert (all_of(store), store.reflected) == ({}, Reflected())


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_without_a_word_on_what_is_reflected_changes_nothing_there(kind: str) -> None:
    """Only the runtime knows how far a changelog goes."""
    with a_store(kind) as store:
        store.apply([(b"a", b"1")], Reflected(7))
        store.apply([(b"a", b"2")])
        assert (store.get(b"a"), store.reflected.offset) == (b"2", 7)


def rows(number: int, *, seed: int = 0) -> list[Change]:
    """Changes of some size, the same for the same seed."""
    rnd = random.Random(seed)
    return [(b"key%d" % rnd.randrange(10**6), rnd.randbytes(200)) for _ in range(number)]


REFLECTED = Reflected(41, {"in": 5}, b"plan", log_format=1, changelog_id=b"id", unseen_since_ms=9)


def test_what_was_closed_is_found_again(tmp_path: Path) -> None:
    """State and all that is reflected survive a clean stop. Catches a close that does not write the buffer."""
    with rocksdb(tmp_path) as stores:
        stores.open(3).apply(rows(50), REFLECTED)
        stores.open(3 + 1).apply([(b"other", b"1")], Reflected(1))
    with rocksdb(tmp_path) as stores:
        again = stores.open(3)
        assert all_of(again) == dict(rows(50))
        assert again.reflected == REFLECTED


def test_a_commit_that_changed_nothing_is_reflected_too(tmp_path: Path) -> None:
    """Positions move without state. Catches a write that looks at the buffer alone."""
    with rocksdb(tmp_path) as stores:
        store = stores.open(0)
        store.apply([(b"a", b"1")], Reflected(1))
        store.write()
        store.apply([], Reflected(2))
    with rocksdb(tmp_path) as stores:
        assert stores.open(0).reflected == Reflected(2)


def test_a_database_is_opened_as_it_was_asked_for(tmp_path: Path) -> None:
    """Whatever it was opened with before: seen to fail where RocksDB's own note of its options is followed, which has
    a cache for each database, and after a restore neither compaction nor sorted memtables."""
    with rocksdb(tmp_path) as stores:
        store = stores.open(0)
        store.prepare(10**6)
        store.apply(rows(5000), Reflected(1))
        store.settle()
        store.apply(rows(5000, seed=1), Reflected(2))
    with rocksdb(tmp_path, memory=Memory(3 << 20, 1 << 20, 1500)) as stores:
        store = stores.open(0)
        for key, _ in rows(5000):
            store.get(key)
        assert store._db.property_int_value("rocksdb.block-cache-capacity") == 3 << 20
        newest = max(tmp_path.glob("app-0/OPTIONS-*"), key=lambda path: path.name)
        written = newest.read_text()
        assert "disable_auto_compactions=false" in written
        assert "memtable_factory=SkipListFactory" in written


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_state_and_mark_belong_together(tmp_path: Path, seed: int) -> None:
    """After SIGKILL a store is exactly some prefix of its commits, the one its mark names, and often not an old one.

    Seen to fail with the mark written in a batch of its own, before the state or after it.
    """
    rnd = random.Random(seed)
    last = 0
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.runtime.committing_process", str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        commits = rnd.randrange(1, 400)
        for _ in range(commits):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        with rocksdb(tmp_path) as stores:
            store = stores.open(0)
            at = store.reflected.offset
            assert all_of(store) == state_after(at)
            assert at >= last
            last = at
    assert last > 0


def state_after(commits: int) -> dict[bytes, bytes]:
    """What `committing_process` holds after so many commits."""
    held: dict[bytes, bytes] = {}
    for number in range(1, commits + 1):
        for key, value in commit(number):
            if value is None:
                held.pop(key, None)
            else:
                held[key] = value
    return held


def commit(number: int) -> list[Change]:
    """The changes of the n-th commit: some keys written, some removed, one counter."""
    rnd = random.Random(number)
    changes: list[Change] = [(b"k%d" % rnd.randrange(500), rnd.randbytes(300)) for _ in range(20)]
    changes += [(b"k%d" % rnd.randrange(500), None) for _ in range(5)]
    return [*changes, (b"count", b"%d" % number)]


# -- a directory that is not what it was


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """A bit in every 500 bytes, but not where a reader of the file begins, and not where the mark lies."""
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) * 2 // 3, 500):
        data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [truncate, empty, flip, Path.unlink])
@pytest.mark.parametrize("pattern", ["*.sst", "MANIFEST-*", "CURRENT"])
def test_a_damaged_file_is_met_once(
    tmp_path: Path, damage: Callable[[Path], None], pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At once or at the first look a damage is found, and the next start has an empty store, not the same damage again.

    Never half of the state: seen to fail with Rdict.items(), which ends at a damaged block as if it were the last, and
    without the note that the folder is not to be trusted.
    """
    with rocksdb(tmp_path) as stores:
        stores.open(0).apply(rows(5000), REFLECTED)
    [folder] = [path for path in tmp_path.iterdir() if path.is_dir()]
    for path in folder.glob(pattern):
        damage(path)
    state = dict(rows(5000))
    with rocksdb(tmp_path) as stores:
        try:
            store = stores.open(0)
            found = all_of(store)
        except StoreBroken:
            found = None
        assert found is None or (found, store.reflected) in [({}, Reflected()), (state, REFLECTED)]
    if found is None:
        with rocksdb(tmp_path) as stores:
            assert stores.open(0).reflected == Reflected()
            assert all_of(stores.open(1)) == {}
        assert "found damaged" in caplog.text


def test_a_damaged_block_is_met_by_a_look_up_too(tmp_path: Path) -> None:
    """An AssertionError, which the core does not take for a bad record; and the next start begins anew."""
    with rocksdb(tmp_path) as stores:
        stores.open(0).apply(rows(5000), REFLECTED)
    [path] = tmp_path.glob("*/*.sst")
    flip(path)
    with rocksdb(tmp_path) as stores:
        store = stores.open(0)
        with pytest.raises(AssertionError, match="the next start rebuilds it"):
            [store.get(key) for key, _ in rows(5000)]
    with rocksdb(tmp_path) as stores:
        assert stores.open(0).reflected == Reflected()


def test_a_directory_that_was_deleted_is_an_empty_store(tmp_path: Path) -> None:
    """Nothing is missed, all is rebuilt."""
    with rocksdb(tmp_path) as stores:
        stores.open(0).apply(rows(50), REFLECTED)
    shutil.rmtree(tmp_path)
    with rocksdb(tmp_path) as stores:
        assert stores.open(0).reflected == Reflected()


@pytest.mark.parametrize(("owner", "state_format"), [("another", 1), ("app", 2)])
def test_state_of_others_is_not_used(
    tmp_path: Path, owner: str, state_format: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Another installation's, another task's, or in another format. Catches a mark that is not compared."""
    with rocksdb(tmp_path) as stores:
        stores.open(0).apply(rows(50), REFLECTED)
    (tmp_path / "app-0").rename(tmp_path / f"{owner}-1")
    with rocksdb(tmp_path, owner=owner, state_format=state_format) as stores:
        store = stores.open(1)
        assert (all_of(store), store.reflected) == ({}, Reflected())
    assert "it is of app/0 in format 1" in caplog.text


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    """The second is told who has it; when the first is gone, however it went, it is free."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.runtime.committing_process", str(tmp_path)],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    with pytest.raises(StateDirectoryUnavailable, match=f"in use by process {child.pid} on .* since 20"):
        StateDirectory.open(tmp_path)
    child.kill()
    child.wait()
    child.stdout.close()
    StateDirectory.open(tmp_path).close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """One clear error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateDirectoryUnavailable, match=r"state directory .*file/state cannot be used"):
        StateDirectory.open(tmp_path / "file" / "state")


def test_buffers_together_stay_below_their_limit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However many tasks there are; the fullest is written first. Catches a limit that counts one store alone."""
    caplog.set_level(logging.INFO)
    with rocksdb(tmp_path, memory=Memory(1 << 20, 1 << 20, 50_000)) as stores:
        held: list[RocksDBStore] = [stores.open(partition) for partition in range(8)]
        for number in range(400):
            store = held[number % 8]
            store.apply(rows(1 + number % 8, seed=number), Reflected(number))
            assert sum(store.buffered_bytes for store in held) <= 50_000
