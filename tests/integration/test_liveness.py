"""A worker says how it is, whatever it does, and ends itself when it gets nowhere. The core is a fake that counts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from schemas.codec import Reason
from streams.core.rules import RANKS
from streams.runtime import topics
from streams.runtime.changelog import Changelog
from streams.runtime.metrics import METRICS, PREFIX, Metrics, Outcome, Phase, Step
from streams.runtime.store.memory import MemoryStore
from streams.simulator.options import Options
from tests.integration.brokers import EmbeddedBrokers
from tests.integration.counting_worker import ALL_TOPICS, BLOCKING, CHANGELOG, HOLDING, PARTITIONS
from tests.integration.line import feed, line
from tests.integration.runtime_world import PATIENCE_S, WorkerProcess, World

STALL_S = 6.0


@pytest.fixture
def world(request: pytest.FixtureRequest, embedded_broker: EmbeddedBrokers) -> Iterator[World]:
    """Topics on a broker that `request` may stop."""
    broker = embedded_broker(topics=dict.fromkeys(ALL_TOPICS, PARTITIONS), group_delay_ms=100)
    found = World(broker.bootstrap, session_s=2.0)
    request.node.broker = broker
    yield found
    found.close()


class Watched:
    """A counting worker with its endpoints."""

    def __init__(self, world: World, *options: str, stall_s: float = STALL_S) -> None:
        self.port = free_port()
        self.worker: WorkerProcess = world.start_worker(
            f"--port={self.port}", f"--stall-s={stall_s}", *options
        )

    def ask(self, page: str) -> tuple[int, str]:
        """Status and body; 0 while nobody listens."""
        return ask(self.port, page)

    def becomes(self, page: str, status: int) -> dict[str, Any]:
        """What it says when it says so."""
        deadline_s = time.monotonic() + PATIENCE_S
        while (said := self.ask(page))[0] != status:
            assert time.monotonic() < deadline_s, f"{page} says {said}, not {status}"
            assert self.worker.process.poll() is None, "".join(self.worker.complaints)
            time.sleep(0.05)
        found: dict[str, Any] = json.loads(said[1])
        return found

    def says(self, page: str, what: str) -> str:
        """What it says when it says so."""
        deadline_s = time.monotonic() + PATIENCE_S
        while what not in (said := self.ask(page)[1]):
            assert time.monotonic() < deadline_s, f"{page} says {said}, not {what}"
            assert self.worker.process.poll() is None, "".join(self.worker.complaints)
            time.sleep(0.05)
        return said


def free_port() -> int:
    """One that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, page: str) -> tuple[int, str]:
    """Status and body of a page; 0 while nobody listens."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{page}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()
    except URLError:
        return 0, ""


def test_a_blocked_event_loop_is_answered_for_and_ended(world: World) -> None:
    """The endpoints say that it is not well while it hangs; then exit code 6, the reason, and where it hung.

    Seen to hang for ever with the look at the loop's own beat taken out: the lag that it last measured was 0.
    """
    watched = Watched(world)
    watched.becomes("/readyz", 200)
    world.produce([("in.a", b"same", BLOCKING)])
    assert '"live": true' in watched.says("/readyz", "the event loop has not run for")
    assert watched.worker.ended() == 6
    said = "".join(watched.worker.complaints)
    assert "no progress: the event loop has not run for" in said
    assert "counting_worker.py" in said


def test_code_that_lets_no_other_thread_run_is_ended_by_the_kernel(world: World) -> None:
    """Neither event loop nor watchdog runs any more: SIGALRM, after the stacks. Seen to hang without the timer."""
    watched = Watched(world, stall_s=2.0)
    watched.becomes("/readyz", 200)
    world.produce([("in.a", b"same", HOLDING)])
    assert watched.worker.ended() == -signal.SIGALRM
    assert "counting_worker.py" in "".join(watched.worker.complaints)


@pytest.mark.parametrize("signalled", [False, True], ids=["connections cut", "broker stopped"])
def test_a_broker_that_is_gone_is_not_waited_for_for_ever(
    signalled: bool, world: World, request: pytest.FixtureRequest
) -> None:
    """Nothing to do as far as it knows, but nobody says so: not ready, then exit code 6 and a line.

    Seen to stay up and ready when a lag of 0 counts as well without an answer to a fetch.
    """
    watched = Watched(world)
    watched.becomes("/readyz", 200)
    broker = request.node.broker
    if signalled:
        os.kill(broker.pid, signal.SIGSTOP)
    else:
        broker.down()
    try:
        assert not watched.becomes("/readyz", 503)["ready"]
        assert watched.worker.ended() == 6
        assert "no progress: " in "".join(watched.worker.complaints)
    finally:
        if signalled:
            os.kill(broker.pid, signal.SIGCONT)


@pytest.mark.slow
def test_slow_or_idle_is_not_stalled(world: World) -> None:
    """Twice as long as a stall with a backlog that moves, then as long with nothing to do: live and ready."""
    watched = Watched(world, "--batch-records=5", "--step-s=0.5", stall_s=STALL_S)
    watched.becomes("/readyz", 200)
    world.produce([("in.a", b"same", b"keep/%d" % n) for n in range(120)])
    assert held(watched, 2 * STALL_S, "/livez")
    world.wait_until_counted(120)
    assert held(watched, 2 * STALL_S, "/readyz")
    assert watched.worker.stop() == 0
    assert watched.worker.complaints == []


def held(watched: Watched, seconds: float, page: str) -> bool:
    """Whether the page said yes for so long."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        if watched.ask(page)[0] != 200:
            return False
        time.sleep(0.1)
    return True


def test_ready_is_said_when_tasks_are_there_and_unsaid_while_they_move(world: World) -> None:
    """Starting, running, and every task told by its number; a second worker takes half of them."""
    first = Watched(world)
    assert first.becomes("/livez", 200)["live"]
    said = first.becomes("/readyz", 200)
    assert (said["state"], said["tasks"].keys()) == ("running", {str(p) for p in range(PARTITIONS)})
    second = Watched(world)
    assert len(second.becomes("/readyz", 200)["tasks"]) == PARTITIONS // 2
    assert len(first.becomes("/readyz", 200)["tasks"]) == PARTITIONS // 2


def test_a_restore_tells_how_far_it_is(world: World) -> None:
    """Shares rise to 1, and all records are told: what keeps a long restore from being taken for a stall."""
    world.produce([(CHANGELOG, b"n/k%d" % n, b"1" * 1000) for n in range(4000)])
    told: list[tuple[Mapping[int, float], int]] = []
    stores = {partition: MemoryStore() for partition in range(PARTITIONS)}
    changelog = Changelog(world.bootstrap, CHANGELOG)
    asyncio.run(changelog.restore(stores, on_progress=lambda shares, records: told.append((shares, records))))
    assert sum(records for _, records in told) == 4000
    for partition in range(PARTITIONS):
        shares = [share for shared, _ in told for at, share in shared.items() if at == partition]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


@pytest.mark.timeout(240)
def test_no_label_names_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Every label value of a real run, poison included, is one of a few that are known beforehand.

    Seen to fail with the record's key as a label of dead letters.
    """
    port = free_port()
    monkeypatch.setenv("THROUGHLINE_WORKER_METRICS_PORT", str(port))
    with line(tmp_path) as running:
        producer = Producer({"bootstrap.servers": running.line.bootstrap})
        for channel in ("web", "pos"):
            producer.produce(f"touchpoints.{channel}", b"\0rubbish", b"email:somebody@example.com")
        assert producer.flush(30) == 0
        feed(running, Options(people=100, seed=seed % 1_000_000, bots=1, dirty_share=0.1))
        status, text = ask(port, "/metrics")
    assert status == 200
    known: dict[str, Callable[[str], bool]] = {
        "topic": {*topics.INPUTS, topics.INBOX}.__contains__,
        "partition": {str(p) for p in range(4)}.__contains__,
        "reason": set(Reason).__contains__,
        "type": RANKS.__contains__,
        "kind": lambda kind: kind.isidentifier() and len(kind) < 30,
        "step": set(Step).__contains__,
        "phase": set(Phase).__contains__,
        "outcome": set(Outcome).__contains__,
        "le": lambda bound: float(bound) > 0,
        "version": lambda version: version[0].isdigit(),
    }
    seen = set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            seen.add(family.name.removeprefix(PREFIX))
            for label, value in sample.labels.items():
                assert known[label](value), sample
    assert {metric.name for metric in METRICS} - seen == {
        "counts",
        "restore_share",
        "clock_delay_seconds",
    }
    assert {"touchpoints", "touchpoints_forwarded", "dead_letters", "timers_fired"} <= seen


def test_the_list_of_labels_that_are_known_is_whole() -> None:
    """A label that is added must be thought of above: these are all."""
    labels = {label for metric in METRICS for label in metric.labels}
    assert labels == {"topic", "partition", "reason", "kind", "step", "phase", "outcome", "version", "type"}
    assert Metrics().registry is not None
