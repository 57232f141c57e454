"""Changelogs read back into stores: all of it, or what is behind the state on disk, and nothing that is not so.

Whatever the disk holds, what a task starts from is what the changelog says: the model is a dict.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.runtime import changelog as changelog_module
from streams.runtime.changelog import ChangelogTruncated, Restored
from streams.runtime.engine import Change, Reflected, Store
from streams.runtime.plan import Plan
from streams.runtime.store import trust
from streams.runtime.store.directory import StateDirectory
from streams.runtime.store.format import STATE_FORMAT, StateFormat, StateTooNew
from streams.runtime.store.memory import MemoryStore
from streams.runtime.store.rocksdb import Memory, RocksDBStore, RocksDBStores
from tests.integration.brokers import EmbeddedBrokers
from tests.integration.changelog_log import PARTITIONS, Commit, Log

NEXT = STATE_FORMAT.version + 1
SMALL = Memory(cache_bytes=1 << 20, memtable_bytes=1 << 20, buffer_bytes=1500)


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, fresh_topics: Callable[[str], str]) -> Log:
    """An empty changelog on a broker of either kind."""
    if request.param == "embedded":
        start: EmbeddedBrokers = request.getfixturevalue("embedded_broker")
        return Log(start(topics={"changelog": PARTITIONS}).bootstrap, "changelog", is_real=False)
    found = Log(request.getfixturevalue("real_kafka").bootstrap, fresh_topics("changelog"), is_real=True)
    found.create()
    return found


@contextmanager
def on_disk(path: Path, *, state_format: int = STATE_FORMAT.version) -> Iterator[dict[int, RocksDBStore]]:
    """The stores of all tasks in a worker that is stopped in good order at the end."""
    stores = RocksDBStores(StateDirectory.open(path), SMALL, owner="app", state_format=state_format)
    try:
        yield {partition: stores.open(partition) for partition in range(PARTITIONS)}
    finally:
        stores.close()


def commits(number: int, rnd: random.Random) -> list[Commit]:
    """Writes and removals of a few hundred keys, the same key often more than once in a commit."""

    def change() -> Change:
        key = b"k%d" % rnd.randrange(300)
        return key, None if rnd.random() < 0.2 else rnd.randbytes(rnd.randrange(200))

    return [
        (rnd.randrange(PARTITIONS), [change() for _ in range(rnd.randrange(1, 30))]) for _ in range(number)
    ]


def begin(log: Log, path: Path, rnd: random.Random) -> None:
    """A first worker has worked for a while and was stopped in good order."""
    with on_disk(path) as stores:
        restored, _ = log.restore(stores)
        log.append(*commits(60, rnd), stores={p: (stores[p], restored[p]) for p in stores})


def test_memory_is_what_was_committed(log: Log, seed: int) -> None:
    """The last value of every key, nothing of what was removed. Catches tombstones that are lost within a chunk."""
    log.append(*commits(100, random.Random(seed)))
    stores: dict[int, Store] = {partition: MemoryStore() for partition in range(PARTITIONS)}
    restored, records = log.restore(stores)
    log.assert_restored(stores, restored)
    assert records == log.records


@pytest.mark.parametrize("found", [None, 2116169907])
def test_a_commit_of_several_batches_counts_whole(
    log: Log, tmp_path: Path, seed: int, found: int | None
) -> None:
    """Commits of one batch and of many, and some that came to no end: those are nothing, now and later.

    Seen to fail when what is there of a commit counted at once, and when the rest of one was taken for the next one's;
    by the seed, on a real Kafka, also when a whole commit right before it went along with what counts for nothing.
    """
    rnd = random.Random(found or seed)
    log.limit_bytes = 1_000
    for _ in range(4):
        with on_disk(tmp_path) as stores:
            restored, _ = log.restore(stores)
            log.assert_restored(stores, restored)
            log.append(*commits(12, rnd), stores={p: (stores[p], restored[p]) for p in stores})
        [lost] = [changes for _, changes in commits(1, rnd)]
        partition = rnd.randrange(PARTITIONS)
        log.abandon(
            partition, [*lost, *((b"k%d" % n, bytes(150)) for n in range(12))], parts=rnd.randrange(1, 4)
        )
        memory: dict[int, Store] = {partition: MemoryStore() for partition in range(PARTITIONS)}
        log.assert_restored(memory, log.restore(memory)[0])
        if rnd.random() < 0.5:
            log.append((partition, [(b"k1", b"small")]))
        log.append(*commits(3, rnd))


@pytest.mark.parametrize("log", [pytest.param("real", marks=pytest.mark.kafka)], indirect=True)
def test_what_was_aborted_never_was(log: Log, seed: int) -> None:
    """Committed and aborted transactions in any order. Seen to fail without the list of aborted ones."""
    rnd = random.Random(seed)
    log.transact(*((p, changes, rnd.random() < 0.6) for p, changes in commits(60, rnd)))
    stores: dict[int, Store] = {partition: MemoryStore() for partition in range(PARTITIONS)}
    restored, _ = log.restore(stores)
    log.assert_restored(stores, restored)


def test_a_restart_reads_the_tail_only(log: Log, tmp_path: Path, seed: int) -> None:
    """Nothing if nobody wrote; otherwise what is behind the state on disk. Catches an offset that is not kept."""
    rnd = random.Random(seed)
    begin(log, tmp_path, rnd)
    with on_disk(tmp_path) as stores:
        restored, records = log.restore(stores)
        log.assert_restored(stores, restored)
        assert records == 0
    more = commits(10, rnd)
    log.append(*more)
    with on_disk(tmp_path) as stores:
        restored, records = log.restore(stores)
        log.assert_restored(stores, restored)
        # Of each commit its changes, the end of its plan, and its positions.
        assert records == sum(len(changes) + 2 for _, changes in more)


def test_an_old_copy_of_the_directory_is_caught_up(log: Log, tmp_path: Path, seed: int) -> None:
    """An old copy is state as it once was: what came after is read again, and it is right."""
    rnd = random.Random(seed)
    begin(log, tmp_path / "state", rnd)
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    with on_disk(tmp_path / "state") as stores:
        restored, _ = log.restore(stores)
        log.append(*commits(40, rnd), stores={p: (stores[p], restored[p]) for p in stores})
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "copy").rename(tmp_path / "state")
    with on_disk(tmp_path / "state") as stores:
        restored, records = log.restore(stores)
        log.assert_restored(stores, restored)
        assert records > 0


def test_a_crash_image_is_caught_up(log: Log, tmp_path: Path, seed: int) -> None:
    """The directory as it lies there in the middle of work, as SIGKILL leaves it: never ahead, never mixed."""
    rnd = random.Random(seed)
    with on_disk(tmp_path / "state") as stores:
        restored, _ = log.restore(stores)
        for _ in range(3):
            log.append(*commits(30, rnd), stores={p: (stores[p], restored[p]) for p in stores})
            restored = {p: begun(found) for p, found in restored.items()}
            shutil.copytree(tmp_path / "state", tmp_path / "image")
            with on_disk(tmp_path / "image") as images:
                found, _ = log.restore(images)
                log.assert_restored(images, found)
            shutil.rmtree(tmp_path / "image")


def begun(restored: Restored) -> Restored:
    """What an owner knows once its first commit is done."""
    return Restored(restored.positions, restored.end, reflected=restored.reflected)


class Dying:
    """A store whose process dies after some chunks of a restore."""

    def __init__(self, store: RocksDBStore, chunks: int) -> None:
        self._store = store
        self._left = chunks
        self.reflected = store.reflected

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def apply(self, changes: Iterable[Change], reflected: Reflected | None = None) -> None:
        """Until the last chunk, which is written to the disk."""
        self._store.apply(changes, reflected)
        self._left -= 1
        if not self._left:
            self._store.settle()
            raise KeyboardInterrupt


@pytest.mark.parametrize("chunks", [1, 2, 5])
def test_an_interrupted_restore_is_continued(
    log: Log, tmp_path: Path, seed: int, chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies while it restores leaves a part of the changelog on disk, and says which: the rest is read.

    Seen to fail with a mark that names the end of the restore from the beginning.
    """
    monkeypatch.setattr(changelog_module, "_PARTITION_FETCH_BYTES", 4_000)
    log.append(*((0, changes) for _, changes in commits(100, random.Random(seed))))
    with on_disk(tmp_path) as stores:
        dying: Any = Dying(stores[0], chunks)
        with pytest.raises(KeyboardInterrupt):
            log.restore({0: dying})
    with on_disk(tmp_path) as stores:
        restored, records = log.restore(stores)
        log.assert_restored(stores, restored)
        assert (records < log.records) == (chunks > 1)


def test_a_plan_is_known_until_it_is_carried_out(log: Log, tmp_path: Path, seed: int) -> None:
    """Also by the third owner, who finds nothing behind the state on disk. Catches a mark that does not keep it."""
    plan = Plan([("in", 3, 7)], 11, {})
    begin(log, tmp_path, random.Random(seed))
    log.plan(0, plan)
    for _ in range(2):
        with on_disk(tmp_path) as stores:
            restored, _ = log.restore(stores)
            assert [restored[p].plan for p in sorted(restored)] == [plan, None, None]
    log.append((0, [(b"k", b"v")]))
    with on_disk(tmp_path) as stores:
        restored, _ = log.restore(stores)
        assert restored[0].plan is None
        log.assert_restored(stores, restored)


@pytest.mark.parametrize("log", [pytest.param("real", marks=pytest.mark.kafka)], indirect=True)
@pytest.mark.parametrize("is_longer", [True, False])
def test_a_topic_that_was_made_anew_is_another_changelog(
    log: Log, tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture, is_longer: bool
) -> None:
    """Same name, other content, longer or shorter: rebuilt, and it says why. Seen to fail without the header's id."""
    rnd = random.Random(seed)
    begin(log, tmp_path, rnd)
    log.delete()
    log.create()
    if is_longer:
        log.append(*commits(100, rnd))
    with on_disk(tmp_path) as stores:
        restored, _ = log.restore(stores)
        log.assert_restored(stores, restored)
    assert caplog.text.count("it comes from another changelog") == PARTITIONS


def test_state_older_than_tombstones_is_not_used(
    log: Log, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Tombstones behind it may have been compacted away, and what they removed would live. Only if there is a tail."""
    begin(log, tmp_path, random.Random(seed))
    monkeypatch.setattr(trust, "MAX_UNSEEN_S", -1)
    with on_disk(tmp_path) as stores:
        log.restore(stores)
        assert caplog.text == ""
    log.append((1, [(b"k", b"v")]))
    with on_disk(tmp_path) as stores:
        restored, _ = log.restore(stores)
        log.assert_restored(stores, restored)
    assert caplog.text.count("tombstones behind it may be gone") == 1


def test_values_are_migrated_forward(log: Log, tmp_path: Path, seed: int) -> None:
    """Values before the header of a format are turned into that format, those behind it are in it already.

    In memory, from disk, and from the tail; seen to fail without migration, and with a mark that does not say which
    format comes next.
    """

    def newer(key: bytes, value: bytes) -> bytes | None:
        return None if key == b"k0" else b"new " + value

    second = StateFormat(NEXT, {**STATE_FORMAT.migrations, STATE_FORMAT.version: newer})
    rnd = random.Random(seed)
    begin(log, tmp_path, rnd)
    for partition in range(PARTITIONS):
        log.append((partition, [(b"k0", b"dropped"), (b"old", b"value")]))
    for state in log.state.values():
        state.update({key: b"new " + value for key, value in state.items()})
        del state[b"k0"]
    for number in range(3):
        memory: dict[int, Store] = {partition: MemoryStore() for partition in range(PARTITIONS)}
        log.assert_restored(memory, log.restore(memory, state_format=second)[0])
        with on_disk(tmp_path, state_format=NEXT) as stores:
            restored, _ = log.restore(stores, state_format=second)
            log.assert_restored(stores, restored)
            assert [bool(found.header) for found in restored.values()] == [number == 0] * PARTITIONS
            written: list[Commit] = [(p, [(b"k1", b"written as new")]) for p in stores]
            log.append(*written, stores={p: (stores[p], restored[p]) for p in stores})
        # By an owner of the same version elsewhere.
        elsewhere: list[Commit] = [(p, [(b"k2", b"new elsewhere")]) for p in range(PARTITIONS)]
        log.append(*elsewhere)


def test_state_of_a_newer_program_is_refused(log: Log, tmp_path: Path, seed: int) -> None:
    """By one clear error; nothing of it is guessed."""
    second = StateFormat(NEXT, {**STATE_FORMAT.migrations, STATE_FORMAT.version: lambda key, value: value})
    stores: dict[int, Store] = {partition: MemoryStore() for partition in range(PARTITIONS)}
    restored, _ = log.restore(stores, state_format=second)
    log.append(*commits(5, random.Random(seed)), stores={p: (stores[p], restored[p]) for p in stores})
    with pytest.raises(
        StateTooNew,
        match=rf"changelog.*\[\d\] holds state of format {NEXT}, this program knows formats up to {NEXT - 1}",
    ):
        log.restore({partition: MemoryStore() for partition in range(PARTITIONS)})
    with on_disk(tmp_path) as disk, pytest.raises(StateTooNew):
        log.restore(disk)


@pytest.mark.parametrize("log", ["embedded"], indirect=True)
def test_a_changelog_without_its_beginning_is_refused(log: Log, tmp_path: Path) -> None:
    """Even where there is state on disk: whether that belongs to it can no longer be told."""
    begin(log, tmp_path, random.Random(0))
    large: list[Commit] = [(0, [(b"k", bytes(500_000))]) for _ in range(30)]
    log.append(*large)
    with on_disk(tmp_path) as stores, pytest.raises(ChangelogTruncated):
        log.restore(stores)
