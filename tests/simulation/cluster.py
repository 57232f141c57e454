"""All tasks of a topology in one process under a seeded, hostile scheduler: batches of any size from any of a task's
partitions in any order, slow tasks, crashes between the parts of a commit, rebuilt tasks. Knows no right answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from schemas.catalog import Catalog
from streams.core.rules import Rules
from streams.core.step import INBOX, INPUTS, Dead, Effects, Step
from streams.runtime.store.memory import MemoryStore
from tests.simulation.log import Kept, Log

READ = (*INPUTS, INBOX)
MAX_TURNS = 60_000


class NeverQuiet(AssertionError):
    """The tasks go on talking without end."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances a turn. `is_atomic`: a commit is a transaction, of which nothing or all is ever seen."""

    crash: float = 0.0
    rebuild: float = 0.0
    is_atomic: bool = False


@dataclass(slots=True)
class Task:
    """One partition's step over its committed state and positions."""

    partition: int
    step: Step
    store: MemoryStore
    positions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(READ, 0))


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
        self.tasks = [self._task(partition, MemoryStore(), {}) for partition in range(partitions)]
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
        if self._rng.random() < self._faults.rebuild:
            self._rebuild(task)
        batch = self._batch(task)
        effects = task.step.process(batch, now_ms=0, caught_up={})
        if self._rng.random() < self._faults.crash:
            self._crash(task, batch, effects)
        else:
            self._commit(task, batch, effects)

    def settle(self) -> None:
        """Turns until everything is read and nobody has anything to say."""
        while self._is_busy():
            self.turn()

    def _is_busy(self) -> bool:
        return any(task.step.has_news or self._waiting(task) for task in self.tasks)

    def _waiting(self, task: Task) -> list[str]:
        return [
            topic
            for topic in READ
            if self._log.has_after(topic, task.partition, position=task.positions[topic])
        ]

    def _batch(self, task: Task) -> dict[str, Sequence[Kept]]:
        """Some of what waits, from some of the topics, in any order of topics."""
        topics = self._waiting(task)
        chosen = self._rng.sample(topics, self._rng.randint(min(1, len(topics)), len(topics)))
        if self._rng.random() < 0.3:
            chosen = topics
        batch: dict[str, Sequence[Kept]] = {}
        for topic in chosen:
            waiting = self._log.read(topic, task.partition, position=task.positions[topic])
            batch[topic] = waiting[: self._rng.choice([1, 1, 2, 5, 1000])]
        return batch

    def _commit(self, task: Task, batch: dict[str, Sequence[Kept]], effects: Effects) -> None:
        self._deliver(task, effects, share=1.0)
        self.dead += effects.dead
        task.store.apply(effects.changes)
        for topic, records in batch.items():
            task.positions[topic] = records[-1].offset + 1

    def _crash(self, task: Task, batch: dict[str, Sequence[Kept]], effects: Effects) -> None:
        """Before anything is sent, with a part or all of it sent and no state, or after the whole commit."""
        self.crashes += 1
        luck = self._rng.random()
        if luck < 0.2:
            self._commit(task, batch, effects)
        elif luck < 0.8 and not self._faults.is_atomic:
            self._deliver(task, effects, share=self._rng.choice([0.5, 1.0]))
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
        self.tasks[task.partition] = self._task(task.partition, task.store, task.positions)

    def _task(self, partition: int, store: MemoryStore, positions: dict[str, int]) -> Task:
        held = MemoryStore()
        held.apply(list(store.items()))
        step = Step(partition, self._partitions, self._rules, held, catalog=self._catalog)
        return Task(partition, step, held, positions or dict.fromkeys(READ, 0))
