"""All tasks of a topology in one process under a seeded, hostile scheduler: batches of any size from any of a task's
partitions in any order, slow tasks, crashes between the parts of a commit, rebuilt tasks. Knows no right answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from streams.core.identifier import Identifiers
from streams.core.rules import Rules
from streams.core.step import INBOX, Dead, Effects, Step
from streams.runtime.store.memory import MemoryStore
from tests.simulation.log import Kept, Log

MAX_TURNS = 60_000
MOST = 1_000
SIZES = (1, 1, 2, 5, MOST)
OUT_OF_TURN = 0.05
"""The chance that a task comes next whether it has something to do or not."""


class NeverQuiet(AssertionError):
    """The tasks go on talking without end."""


class Commits(StrEnum):
    """What a crash within a commit leaves behind."""

    ATOMIC = "atomic"
    """Nothing or all: a transaction."""
    REPEATED = "repeated"
    """Outputs without state; the next owner processes the very same batch again."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances a turn, and what a commit is."""

    crash: float = 0.0
    rebuild: float = 0.0
    commits: Commits = Commits.ATOMIC


@dataclass(slots=True)
class Task:
    """One partition's step over its committed state.

    `speed` is how often it has its turn, next to others; `greed` how often it then takes all there is.
    """

    partition: int
    step: Step
    store: MemoryStore
    speed: float
    greed: float
    unfinished: dict[str, Sequence[Kept]] | None = None


class Cluster:
    """`partitions` tasks over one log; `written` is every record put out, in the order it was."""

    def __init__(self, log: Log, partitions: int, rules: Rules, *, rng: Random, faults: Faults) -> None:
        self._log = log
        self._partitions = partitions
        self._rules = rules
        self._rng = rng
        self._faults = faults
        self._identifiers = Identifiers(rules, partitions)
        self.tasks = [self._new_task(partition) for partition in range(partitions)]
        self.written: list[tuple[str, bytes]] = []
        self.dead: list[Dead] = []
        self.crashes = 0
        self._turns = 0

    @property
    def stores(self) -> list[MemoryStore]:
        """The committed state of every task."""
        return [task.store for task in self.tasks]

    @property
    def may_repeat(self) -> bool:
        """Whether a crash may have left the same output twice."""
        return self._faults.commits != Commits.ATOMIC

    def turn(self) -> bool:
        """One turn of one task, and whatever befalls it; False if none has anything to do."""
        task = self._next()
        if task is None:
            return False
        self._turns += 1
        if self._turns > MAX_TURNS:
            raise NeverQuiet(f"no end after {MAX_TURNS} turns")
        if self._rng.random() < self._faults.rebuild:
            self._rebuild(task)
        batch = self._batch(task) if task.unfinished is None else task.unfinished
        effects = task.step.process(batch, now_ms=0, caught_up={})
        if self._rng.random() < self._faults.crash:
            self._crash(task, batch, effects)
        else:
            self._commit(task, batch, effects)
        return True

    def settle(self) -> None:
        """Turns until everything is read and nobody has anything to say."""
        while self.turn():
            pass

    def _next(self) -> Task | None:
        """Mostly one that has something to read or to say, the quick ones more often."""
        unread, luck = self._log.unread, self._rng.random
        tasks = [task for task in self.tasks if unread(task.partition) or task.step.has_news]
        if not tasks:
            return None
        if luck() < OUT_OF_TURN:
            tasks = self.tasks
        return max(tasks, key=lambda task: task.speed * luck())

    def _batch(self, task: Task) -> dict[str, Sequence[Kept]]:
        """All that waits, or some of it from some of the topics, in any order of topics."""
        unread, luck = self._log.unread(task.partition), self._rng.random
        if not unread or luck() <= task.greed:
            return {topic: kept.read(MOST) for topic, kept in unread.items()}
        topics = sorted(unread, key=lambda topic: luck())
        sizes = self._rng.choices(SIZES, k=self._rng.randint(1, len(topics)))
        return {topic: unread[topic].read(most) for topic, most in zip(topics, sizes, strict=False)}

    def _commit(self, task: Task, batch: dict[str, Sequence[Kept]], effects: Effects) -> None:
        self._deliver(task, effects, share=1.0)
        self.dead += effects.dead
        task.store.apply(effects.changes)
        for records in batch.values():
            self._log.commit(records[-1])
        task.unfinished = None

    def _crash(self, task: Task, batch: dict[str, Sequence[Kept]], effects: Effects) -> None:
        """Before anything is sent, with a part or all of it sent and no state, or after the whole commit."""
        self.crashes += 1
        luck = self._rng.random()
        if luck < 0.2:
            self._commit(task, batch, effects)
        elif luck < 0.8 and self._faults.commits != Commits.ATOMIC:
            self._deliver(task, effects, share=self._rng.choice([0.5, 1.0]))
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

    def _rebuild(self, task: Task) -> None:
        """Another worker takes the task over: committed state and positions are all it has."""
        task.step = self._step(task.partition, task.store)

    def _new_task(self, partition: int) -> Task:
        store = MemoryStore()
        return Task(
            partition,
            self._step(partition, store),
            store,
            speed=1 - 0.95 * self._rng.random() ** 3,
            greed=self._rng.choice([0.1, 0.5, 0.9]),
        )

    def _step(self, partition: int, store: MemoryStore) -> Step:
        return Step(partition, self._partitions, self._rules, store, identifiers=self._identifiers)
