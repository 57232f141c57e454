"""All tasks of a topology in one process under a seeded, hostile scheduler: batches of any size from any of a task's
partitions in any order, slow tasks, crashes between the parts of a commit, rebuilt tasks. Knows no right answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from schemas.catalog import Catalog
from streams.core.rules import Rules
from streams.core.step import INBOX, INPUTS, Dead, Effects, Step
from streams.runtime.store.memory import MemoryStore
from tests.simulation.log import Kept, Log
from tests.stores import all_of

READ = (*INPUTS, INBOX)
MAX_TURNS = 60_000


class NeverQuiet(AssertionError):
    """The tasks go on talking without end."""


class Commits(StrEnum):
    """What a crash within a commit leaves behind."""

    ATOMIC = "atomic"
    """Nothing or all: a transaction."""
    REPEATED = "repeated"
    """Outputs without state; the next owner processes the very same batch again."""
    LOOSE = "loose"
    """Outputs without state; the next owner may cut its batches in another way. What the runtime's plan prevents."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances a turn, and what a commit is."""

    crash: float = 0.0
    rebuild: float = 0.0
    commits: Commits = Commits.ATOMIC


@dataclass(slots=True)
class Task:
    """One partition's step over its committed state and positions."""

    partition: int
    step: Step
    store: MemoryStore
    sources: dict[str, Sequence[Kept]]
    positions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(READ, 0))
    unfinished: dict[str, Sequence[Kept]] | None = None

    def waiting(self) -> list[str]:
        """Topics with something to read."""
        positions = self.positions
        return [topic for topic, kept in self.sources.items() if len(kept) > positions[topic]]

    def is_busy(self) -> bool:
        """Something to read or to say."""
        return self.step.has_news or bool(self.waiting())


class Cluster:
    """`partitions` tasks over one log; `written` is every record put out, in the order it was."""

    def __init__(self, log: Log, partitions: int, rules: Rules, *, rng: Random, faults: Faults) -> None:
        self._log = log
        self._partitions = partitions
        self._rules = rules
        self._rng = rng
        self._faults = faults
        self._catalog = Catalog.embedded()
        self._slowness = [rng.random() ** 3 for _ in range(partitions)]
        self.tasks = [self._task(partition, MemoryStore()) for partition in range(partitions)]
        self.written: list[tuple[str, bytes]] = []
        self.dead: list[Dead] = []
        self.crashes = 0
        self._turns = 0

    def turn(self) -> None:
        """One turn of one task, and whatever befalls it."""
        self._turns += 1
        if self._turns > MAX_TURNS:
            raise NeverQuiet(f"no end after {MAX_TURNS} turns")
        task = self._rng.choice(self.tasks)
        if self._rng.random() < self._slowness[task.partition] * 0.95:
            return
        if not task.is_busy() and self._rng.random() < 0.9:
            return
        if self._rng.random() < self._faults.rebuild:
            task = self._rebuild(task)
        batch = self._batch(task) if task.unfinished is None else task.unfinished
        effects = task.step.process(batch, now_ms=0, caught_up={})
        if self._rng.random() < self._faults.crash:
            self._crash(task, batch, effects)
        else:
            self._commit(task, batch, effects)

    def settle(self) -> None:
        """Turns until everything is read and nobody has anything to say."""
        while self.is_busy():
            self.turn()

    def is_busy(self) -> bool:
        """Whether any task is."""
        return any(task.is_busy() for task in self.tasks)

    def _batch(self, task: Task) -> dict[str, Sequence[Kept]]:
        """Some of what waits, from some of the topics, in any order of topics."""
        topics = task.waiting()
        chosen = self._rng.sample(topics, self._rng.randint(min(1, len(topics)), len(topics)))
        if self._rng.random() < 0.3:
            chosen = topics
        batch: dict[str, Sequence[Kept]] = {}
        for topic in chosen:
            start = task.positions[topic]
            batch[topic] = task.sources[topic][start : start + self._rng.choice([1, 1, 2, 5, 1000])]
        return batch

    def _commit(self, task: Task, batch: dict[str, Sequence[Kept]], effects: Effects) -> None:
        self._deliver(task, effects, share=1.0)
        self.dead += effects.dead
        task.store.apply(effects.changes)
        for topic, records in batch.items():
            task.positions[topic] = records[-1].offset + 1
        task.unfinished = None

    def _crash(self, task: Task, batch: dict[str, Sequence[Kept]], effects: Effects) -> None:
        """Before anything is sent, with a part or all of it sent and no state, or after the whole commit."""
        self.crashes += 1
        luck = self._rng.random()
        if luck < 0.2:
            self._commit(task, batch, effects)
        elif luck < 0.8 and self._faults.commits != Commits.ATOMIC:
            self._deliver(task, effects, share=self._rng.choice([0.5, 1.0]))
            if self._faults.commits == Commits.REPEATED:
                task.unfinished = batch
        self._rebuild(task)

    def _deliver(self, task: Task, effects: Effects, *, share: float) -> None:
        """Record batches to output and inbox partitions; each arrives whole, or is lost in a crash."""
        for topic, rows in effects.outputs.items():
            if self._rng.random() < share:
                self.written += [(topic, value) for _, value in rows]
        for partition, messages in effects.inbox.items():
            if self._rng.random() < share:
                for key, value in messages:
                    self._log.append(INBOX, partition, key=key, value=value)

    def _rebuild(self, task: Task) -> Task:
        """Another worker takes the task over: committed state and positions are all it has."""
        rebuilt = self._task(task.partition, task.store)
        rebuilt.positions, rebuilt.unfinished = task.positions, task.unfinished
        self.tasks[task.partition] = rebuilt
        return rebuilt

    def _task(self, partition: int, store: MemoryStore) -> Task:
        held = MemoryStore()
        held.apply(all_of(store).items())
        step = Step(partition, self._partitions, self._rules, held, catalog=self._catalog)
        sources = {topic: self._log.partition(topic, partition) for topic in READ}
        return Task(partition, step, held, sources)
