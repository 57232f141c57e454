"""The order of a transaction, seen from the producer, and who may still write for a task."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    IllegalOperation,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
)

from streams.runtime import transactions
from streams.runtime.commit import Fenced, TaskTopics
from streams.runtime.metrics import Metrics
from streams.runtime.plan import Plan
from streams.runtime.transactions import ExactlyOnce
from tests.unit.runtime.fakes import FakeEffects, fake_record

TOPICS = TaskTopics(
    inputs=("in", "other"), outputs=("out",), inbox="inbox", changelog="changelog", dead="dead"
)
EFFECTS = FakeEffects(
    outputs={"out": [(b"k", b"v"), (b"k", b"w")]},
    inbox={0: [(b"k", b"m")], 3: [(b"k", b"n")]},
    changes=[(b"a", b"1"), (b"b", None)],
    dead=[fake_record("in", 7)],
)


@dataclass
class Broker:
    """Notes what producers ask for and what it has confirmed; refuses what it was told to."""

    refuses: str = ""
    error: Exception = field(default_factory=lambda: KafkaError("refused"))
    away: int = 0
    events: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Topics of which somebody asked where they are."""

    def note(self, event: str) -> None:
        """Something is asked for."""
        if event.startswith(self.refuses or "nothing"):
            raise self.error
        self.events.append(event)

    def told(self, partition: int, positions: Mapping[str, int]) -> None:
        """What is to be reported to the group."""
        said = ", ".join(f"{topic}={at}" for topic, at in positions.items())
        self.events.append(f"told {partition}: {said}")


@dataclass
class Producer:
    """One transactional producer."""

    name: str
    broker: Broker
    _sender: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(sender_task=None))

    async def start(self) -> None:
        if self.broker.away:
            self.broker.away -= 1
            raise KafkaConnectionError("nobody there")
        self.broker.note(f"start {self.name}")

    async def partitions_for(self, topic: str) -> set[int]:
        self.broker.asked.append(topic)
        return {0}

    async def stop(self) -> None:
        self.broker.note(f"stop {self.name}")

    async def begin_transaction(self) -> None:
        self.broker.note("begin")

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        # Bit 4 of the attributes; without it, readers would not wait for the end of the transaction.
        assert batch._build()[22] & 0x10
        self.broker.events.append(f"send {topic}[{partition}] {batch.record_count()}")
        return asyncio.ensure_future(self._confirm(topic, partition))

    async def _confirm(self, topic: str, partition: int) -> Any:
        await asyncio.sleep(0)
        self.broker.note(f"confirm {topic}[{partition}]")
        return Appended(offset=100)

    async def commit_transaction(self) -> None:
        self.broker.note("commit")


@dataclass
class Appended:
    """What a broker says of an appended batch."""

    offset: int


def step_on(broker: Broker, *, limit_bytes: int = 10_000) -> ExactlyOnce:
    """The commit step of an application named `app`."""
    return ExactlyOnce(
        lambda name: Producer(name, broker),
        TOPICS,
        group="app",
        note=broker.told,
        metrics=Metrics(),
        changelog_batch_bytes=limit_bytes,
    )


async def opened(broker: Broker, **more: int) -> ExactlyOnce:
    """The same with task 2 opened."""
    step = step_on(broker, **more)
    await step.open(2)
    return step


async def commit(
    step: ExactlyOnce, positions: Mapping[str, int] | None = None, *, effects: FakeEffects = EFFECTS
) -> int:
    """Commits for task 2."""
    return await step.commit(2, effects, positions=positions or {"in": 8}, plan=Plan([], 0, {}))


def outcomes(step: ExactlyOnce) -> dict[str, float]:
    """How many transactions ended how, by what the metrics say."""
    samples = [
        sample
        for metric in step._metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "throughline_transactions_total" and sample.value
    ]
    return {sample.labels["outcome"]: sample.value for sample in samples}


def test_a_producer_is_open_once_it_knows_where_all_topics_are() -> None:
    """Asked at its first batch, one that was stopped for long gives up by the clock before it hears of its heir."""
    broker = Broker()
    asyncio.run(opened(broker))
    assert broker.asked == ["out", "inbox", "changelog", "dead"]


def test_the_commit_follows_all_batches_and_the_report_follows_the_commit() -> None:
    """A transaction commits even if a batch failed: everything is awaited before."""

    async def scenario() -> tuple[Broker, int]:
        broker = Broker()
        end = await commit(await opened(broker), {"in": 8, "inbox": 3})
        return broker, end

    broker, end = asyncio.run(scenario())
    first, second, *batches, last, told = broker.events
    assert (first, second) == ("start app-2", "begin")
    # Two changes, the end of a plan, the positions.
    sent = {"out[2] 2", "dead[2] 1", "inbox[0] 1", "inbox[3] 1", "changelog[2] 4"}
    assert {event.removeprefix("send ") for event in batches if event.startswith("send")} == sent
    confirmed = {"out[2]", "dead[2]", "inbox[0]", "inbox[3]", "changelog[2]"}
    assert {event.removeprefix("confirm ") for event in batches if event.startswith("confirm")} == confirmed
    assert (last, told) == ("commit", "told 2: in=8, inbox=3")
    # Four records, and the marker behind them.
    assert end == 105


@pytest.mark.parametrize("topic", ["out", "dead", "inbox[3]", "changelog"])
def test_nothing_is_committed_if_a_batch_was_refused(topic: str) -> None:
    """Whichever it is; found out by committing without waiting for the acknowledgements."""

    async def scenario() -> Broker:
        broker = Broker(refuses=f"confirm {topic}", error=MessageSizeTooLargeError())
        with pytest.raises(MessageSizeTooLargeError):
            await commit(await opened(broker))
        return broker

    events = asyncio.run(scenario()).events
    assert [event for event in events if event.startswith(("commit", "told"))] == []


@pytest.mark.parametrize("step", ["begin", "confirm changelog", "commit"])
def test_a_fenced_owner_says_so(step: str) -> None:
    """Wherever the broker says so first: one line that tells whose the task is now, and what to do; and counted so."""

    async def scenario() -> ExactlyOnce:
        fenced = await opened(Broker(refuses=step, error=ProducerFenced()))
        with pytest.raises(Fenced, match="task 2: fenced by the broker"):
            await commit(fenced)
        return fenced

    assert outcomes(asyncio.run(scenario())) == {"fenced": 1.0}


def test_a_fenced_owner_says_so_whatever_comes_of_it_first() -> None:
    """The broker tells aiokafka's sender; a batch sent just then is only told that there is no transaction."""

    async def refused() -> None:
        raise ProducerFenced

    async def scenario() -> None:
        broker = Broker(refuses="confirm out", error=IllegalOperation())
        sender = asyncio.ensure_future(refused())
        await asyncio.wait([sender])
        step = ExactlyOnce(
            lambda name: Producer(name, broker, SimpleNamespace(sender_task=sender)),
            TOPICS,
            group="app",
            note=broker.told,
            metrics=Metrics(),
            changelog_batch_bytes=10_000,
        )
        await step.open(2)
        with pytest.raises(Fenced, match="task 2: fenced by the broker"):
            await commit(step)

    asyncio.run(scenario())


def test_another_failure_is_not_taken_for_fencing() -> None:
    """It is told and counted as what it is; what was committed before, as committed."""

    async def scenario() -> ExactlyOnce:
        broker = Broker()
        step = await opened(broker)
        await commit(step)
        broker.refuses = "commit"
        with pytest.raises(KafkaError, match="refused"):
            await commit(step)
        return step

    assert outcomes(asyncio.run(scenario())) == {"committed": 1.0, "aborted": 1.0}


def test_a_task_is_opened_when_there_is_a_broker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Until then it is waited for, and said so; what was started in vain is stopped."""
    monkeypatch.setattr(transactions, "_RETRY_S", 0.0)

    async def scenario() -> Broker:
        broker = Broker(away=2)
        await opened(broker)
        return broker

    assert asyncio.run(scenario()).events == ["stop app-2", "stop app-2", "start app-2"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_closing_lets_go_even_of_a_producer_that_fails() -> None:
    """A fenced producer cannot be stopped in good order, and nothing of it is wanted any more."""

    async def scenario() -> None:
        step = await opened(Broker(refuses="stop", error=ProducerFenced()))
        await step.close(2)
        await step.close(2)
        with pytest.raises(KeyError):
            await commit(step)

    asyncio.run(scenario())


def test_changes_need_not_fit_into_one_batch() -> None:
    """They are one transaction: as many changelog batches as it takes, the positions in the last."""

    async def scenario() -> Broker:
        broker = Broker()
        changes = [(b"key-%d" % n, bytes(300)) for n in range(5)]
        await commit(await opened(broker, limit_bytes=1_000), effects=FakeEffects(changes=list(changes)))
        return broker

    sent = [event for event in asyncio.run(scenario()).events if event.startswith("send")]
    assert sent == [f"send changelog[2] {count}" for count in (2, 2, 3)]
