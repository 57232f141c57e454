"""Tasks: busy until committed, kept only if nobody else wrote, and the process ends rather than go on from a doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import pytest

from schemas.dead_letters import DeadShare
from streams.runtime import task as task_module
from streams.runtime.changelog import ChangelogTruncated, Restored
from streams.runtime.ending import ExitCode
from streams.runtime.engine import Engine, Store
from streams.runtime.metrics import Metrics
from streams.runtime.plan import Plan
from streams.runtime.store.memory import MemoryStore
from streams.runtime.task import Task, Tasks, Turn
from tests.stores import all_of
from tests.unit.runtime.fakes import FakeEffects, FakeEngine, FakeRecord, fake_record


class Ended(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def endings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ExitCode, str]]:
    """The process does not end, it raises; why is noted here."""
    noted: list[tuple[ExitCode, str]] = []

    def end_process(code: ExitCode, line: str, *, error: BaseException | None = None) -> NoReturn:
        noted.append((code, line))
        raise Ended

    monkeypatch.setattr(task_module, "end_process", end_process)
    return noted


@dataclass
class Changelogs:
    """Where changelogs end, and how often one was read."""

    ended: dict[int, int] = field(default_factory=dict)
    reads: list[int] = field(default_factory=list)
    is_truncated: bool = False
    header: list[Any] = field(default_factory=list)

    async def ends(self, partitions: list[int]) -> dict[int, int]:
        return {partition: self.ended.get(partition, 0) for partition in partitions}

    async def restore(self, stores: Mapping[int, Store], *, on_progress: Any) -> dict[int, Restored]:
        if self.is_truncated and stores:
            raise ChangelogTruncated("changelog", 0, beginning=7)
        self.reads += stores
        return {
            partition: Restored({"in": 10}, self.ended.get(partition, 0), header=self.header)
            for partition in stores
        }


@dataclass
class Commits:
    """Commits when it is let, and notes what happens."""

    changelogs: Changelogs
    go: asyncio.Event = field(default_factory=asyncio.Event)
    events: list[str] = field(default_factory=list)
    positions: list[Mapping[str, int]] = field(default_factory=list)
    changes: list[list[Any]] = field(default_factory=list)
    fails: bool = False

    async def open(self, partition: int) -> None:
        self.events.append(f"open {partition}")

    async def close(self, partition: int) -> None:
        self.events.append(f"close {partition}")

    def resume(self, partition: int, positions: Mapping[str, int]) -> None:
        raise AssertionError("not for the tasks to call")

    async def commit(self, partition: int, effects: Any, *, positions: Mapping[str, int], plan: Plan) -> int:
        await self.go.wait()
        if self.fails:
            raise OSError("broker gone")
        self.positions.append(positions)
        self.changes.append(list(effects.changes))
        self.changelogs.ended[partition] = self.changelogs.ended.get(partition, 0) + 1
        return self.changelogs.ended[partition]


class _Store(MemoryStore):
    """Tells when it is closed."""

    def __init__(self, partition: int, closed: list[int]) -> None:
        super().__init__()
        self._partition = partition
        self._closed = closed

    def close(self) -> None:
        self._closed.append(self._partition)


class House:
    """Tasks with fakes around them."""

    def __init__(self) -> None:
        self.changelogs = Changelogs()
        self.commits = Commits(self.changelogs)
        self.engines: dict[int, FakeEngine] = {}
        self.stores: dict[int, MemoryStore] = {}
        self.stopped: list[ExitCode] = []
        self.closed: list[int] = []
        self.tasks = Tasks(
            make_engine=self._make_engine,
            make_store=lambda partition: _Store(partition, self.closed),
            changelog=self.changelogs,  # type: ignore[arg-type]  # a stand-in
            commit=self.commits,
            inputs={"in"},
            dead_share=DeadShare(0.5),
            metrics=Metrics(),
            stop=lambda code, line: self.stopped.append(code),
        )

    def _make_engine(self, partition: int, store: Store) -> Engine:
        assert isinstance(store, MemoryStore)
        self.stores[partition] = store
        self.engines[partition] = FakeEngine(FakeEffects(changes=[(b"a", b"1")]))
        return self.engines[partition]

    async def started(self, *partitions: int) -> dict[int, Task]:
        """The tasks, assigned."""
        await self.tasks.assign(partitions)
        return self.tasks.held

    def turn(self, task: Task, *offsets: int) -> Turn:
        """A turn with records of the input, handed out."""
        task.hand_out(0.0, rest_s=0.0, has_heard=True)
        records = {"in": [FakeRecord("in", task.partition, offset) for offset in offsets]} if offsets else {}
        positions = {"in": offsets[-1] + 1} if offsets else {}
        return Turn(task, records, {}, tenure=task.tenure, positions=positions)


async def settle() -> None:
    """Lets everything that can happen happen."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_a_task_is_busy_until_its_commit_is_confirmed() -> None:
    """Nothing of a task is processed on top of a commit that may fail; other tasks go on meanwhile."""

    async def scenario() -> None:
        house = House()
        tasks = await house.started(0, 1)
        house.tasks.take(house.turn(tasks[0], 10, 11))
        await settle()
        assert not tasks[0].is_ready(1.0)
        assert tasks[1].is_ready(1.0)
        house.tasks.take(house.turn(tasks[1], 12))
        house.commits.go.set()
        await settle()
        assert tasks[0].is_ready(1.0)
        assert sorted(positions["in"] for positions in house.commits.positions) == [12, 13]

    asyncio.run(scenario())


def test_a_store_reflects_what_is_confirmed() -> None:
    """State, and how far it goes, only after the commit; the changelog's header begins the first one, and is no state.

    Catches changes applied before their confirmation, and a header that is written twice or not at all.
    """

    async def scenario() -> None:
        house = House()
        house.changelogs.header = [(b"header", b"id")]
        [task] = (await house.started(0)).values()
        store = house.stores[0]
        for number in (1, 2):
            house.engines[0].effects = FakeEffects(changes=[(b"a", b"%d" % number)])
            house.commits.go.clear()
            house.tasks.take(house.turn(task, 10 + number))
            await settle()
            assert store.reflected.offset == number - 1
            house.commits.go.set()
            await settle()
            assert all_of(store) == {b"a": b"%d" % number}
            assert (store.reflected.offset, store.reflected.positions) == (number, {"in": 11 + number})
        assert house.commits.changes == [[(b"header", b"id"), (b"a", b"1")], [(b"a", b"2")]]

    asyncio.run(scenario())


def test_nothing_read_and_nothing_to_write_is_no_commit() -> None:
    """An idle turn costs no round trip; one that read something is committed even if nothing came of it."""

    async def scenario() -> None:
        house = House()
        tasks = await house.started(0)
        house.engines[0].effects = FakeEffects()
        house.commits.go.set()
        house.tasks.take(house.turn(tasks[0]))
        await settle()
        assert (house.commits.positions, tasks[0].is_ready(1.0)) == ([], True)
        house.tasks.take(house.turn(tasks[0], 10))
        await settle()
        assert house.commits.positions == [{"in": 11}]

    asyncio.run(scenario())


def test_a_failed_commit_ends_the_process(endings: list[tuple[ExitCode, str]]) -> None:
    """Memory is ahead of what was confirmed: never retried from there."""

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        house = House()
        tasks = await house.started(0)
        house.commits.fails = True
        house.commits.go.set()
        house.tasks.take(house.turn(tasks[0], 10))
        await settle()
        assert not tasks[0].is_ready(1.0)

    asyncio.run(scenario())
    assert endings == [(ExitCode.BROKEN, "task 0: the commit failed; ending")]


def test_a_step_that_raises_ends_the_process(endings: list[tuple[ExitCode, str]]) -> None:
    """A broken invariant: nothing is committed after it."""

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        house = House()
        tasks = await house.started(0)
        house.engines[0].raises = AssertionError("a broken invariant")
        house.commits.go.set()
        house.tasks.take(house.turn(tasks[0], 10))
        await settle()
        assert house.commits.positions == []

    asyncio.run(scenario())
    assert endings[0] == (ExitCode.BROKEN, "task 0: processing a batch failed")


def test_a_rebalance_waits_for_commits_and_forgets_turns() -> None:
    """Commits in hand are finished before a task is given up; a turn of an earlier tenure comes to nothing."""

    async def scenario() -> None:
        house = House()
        tasks = await house.started(0, 1)
        late = house.turn(tasks[1], 10)
        house.tasks.take(house.turn(tasks[0], 10))
        parking = asyncio.ensure_future(house.tasks.park_all())
        await settle()
        assert not parking.done()
        house.commits.go.set()
        await parking
        house.tasks.take(late)
        await settle()
        assert (house.engines[1].batches, house.commits.positions) == ([], [{"in": 11}])

    asyncio.run(scenario())


def test_a_rebalance_waits_for_turns_that_are_taken_meanwhile() -> None:
    """A turn may be on its way to the agent when the first commits are waited for.

    Seen to fail with a drain that looks at what is under way once: the task was parked with its commit in flight.
    """

    async def scenario() -> None:
        house = House()
        tasks = dict(await house.started(0, 1))
        late = house.turn(tasks[1], 10)
        house.tasks.take(house.turn(tasks[0], 10))
        parking = asyncio.ensure_future(house.tasks.park_all())
        await settle()
        house.tasks.take(late)
        await asyncio.sleep(0)
        house.commits.go.set()
        await parking
        assert sorted(positions["in"] for positions in house.commits.positions) == [11, 11]
        assert not tasks[1].is_working

    asyncio.run(scenario())


def test_a_long_step_holds_up_no_commit_and_no_other_step_cuts_in() -> None:
    """Between its slices the loop goes round; steps follow each other.

    Seen to fail without the pauses (the first task is then free only when the long step is through), and without the
    lock (the steps come in turns).
    """

    async def scenario() -> None:
        house = House()
        tasks = dict(await house.started(0, 1, 2))
        order: list[str] = []
        house.engines[1].slices = house.engines[2].slices = 50
        for partition in (1, 2):
            house.engines[partition].on_slice = partial(order.append, f"slice {partition}")
        house.tasks.on_free = lambda: order.append("free")
        house.commits.go.set()
        for partition in (0, 1, 2):
            house.tasks.take(house.turn(tasks[partition], 10))
        await house.tasks.drain()
        assert order.index("free") < 20
        steps = [each for each in order if each != "free"]
        assert steps == ["slice 1"] * 50 + ["slice 2"] * 50

    asyncio.run(scenario())


def test_a_task_that_comes_back_unchanged_is_not_restored() -> None:
    """Nobody appended to its changelog since, so memory is what a restore would give. Otherwise it is restored."""

    async def scenario() -> None:
        house = House()
        before = dict(await house.started(0, 1, 2))
        house.commits.go.set()
        house.tasks.take(house.turn(before[0], 10))
        await house.tasks.park_all()
        house.changelogs.ended[1] = 5
        house.changelogs.reads.clear()
        after = await house.started(0, 1, 3)
        assert after[0] is before[0]
        assert after[0].is_ready(1.0)
        assert after[1] is not before[1]
        assert house.changelogs.reads == [1, 3]
        assert house.commits.events[-4:] == ["close 1", "close 2", "open 1", "open 3"]
        assert house.closed == [1, 2]

    asyncio.run(scenario())


def test_a_truncated_changelog_ends_the_process(endings: list[tuple[ExitCode, str]]) -> None:
    """State that cannot be rebuilt is never guessed."""

    async def scenario() -> None:
        house = House()
        house.changelogs.is_truncated = True
        await house.started(0)

    with pytest.raises(Ended):
        asyncio.run(scenario())
    [(code, line)] = endings
    assert code is ExitCode.LOST
    assert "use a real Kafka" in line


def test_too_many_dead_letters_stop_before_their_commit() -> None:
    """The worker is stopped, nothing of the batch is committed, and a task that has seen it is restored if it returns.

    Other tasks finish what they have in hand.
    """

    async def scenario() -> None:
        house = House()
        tasks = dict(await house.started(0, 1))
        house.commits.go.set()
        house.engines[0].effects = FakeEffects(dead=[fake_record("in", n) for n in range(60)])
        house.tasks.take(house.turn(tasks[1], 10))
        house.tasks.take(house.turn(tasks[0], *range(100)))
        await settle()
        assert house.stopped == [ExitCode.TOO_MANY_DEAD]
        assert house.commits.positions == [{"in": 11}]
        await house.tasks.park_all()
        house.changelogs.reads.clear()
        again = await house.started(0, 1)
        assert house.changelogs.reads == [0]
        assert (again[0] is tasks[0], again[1] is tasks[1]) == (False, True)

    asyncio.run(scenario())


def test_a_task_rests_after_a_batch_that_was_not_full() -> None:
    """Commits cost: the next small batch waits to fill; a turn is due every 0.2 s, with news every 0.1 s."""

    async def scenario() -> None:
        house = House()
        [task] = (await house.started(0)).values()
        task.hand_out(100.0, rest_s=0.02, has_heard=True)
        task.end_tenure()
        assert (task.is_ready(100.01), task.is_ready(100.02)) == (False, True)
        assert task.ready_in_s(100.01) == pytest.approx(0.01)
        assert (task.is_due(100.19), task.is_due(100.2)) == (False, True)
        assert task.due_in_s(100.15) == pytest.approx(0.05)
        house.engines[0].has_news = True
        assert (task.is_due(100.09), task.is_due(100.1)) == (False, True)
        assert task.due_in_s(100.09) == pytest.approx(0.01)
        assert task.due_in_s(100.1) == 0.0

    asyncio.run(scenario())
