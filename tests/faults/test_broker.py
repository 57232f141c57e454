"""The broker dies, stands still, or cannot be heard any more: workers recover, by themselves or started again.

Each test has a broker of its own: the other tests share one.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest

from streams.broker import local
from streams.broker.local import Node
from tests.conftest import require
from tests.faults.fleet import until
from tests.faults.proxy import Proxy
from tests.faults.town import town
from tests.integration.brokers import RealKafka, start_node

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture
def node(real_kafka: RealKafka, tmp_path: Path) -> Iterator[Node]:
    """A node that may be hurt; where there are no jars there is none, and `real_kafka` says so."""
    if real_kafka.origin != "node":
        require("kafka", f"the {real_kafka.origin} broker is not ours to hurt")
    directory = tmp_path / "node"
    yield start_node(directory)
    local.stop(directory)


def as_kafka(node: Node) -> RealKafka:
    """The node as tests know brokers."""
    return RealKafka(node.bootstrap, node.pid, "node")


def test_the_broker_is_killed_and_comes_back(node: Node, seed: int, tmp_path: Path) -> None:
    """SIGKILL under load, twice, and a restart on the same folder: transactions under way are finished or given up.

    Several nets: it passes without transactions, with failed commits that only free their task, and with a failed fetch
    that is never repeated, since a worker that does not get on is ended and started again. Seen to fail (nothing goes
    on) when a failed fetch is not repeated and nobody ends the worker.
    """
    rnd = random.Random(seed)
    with town(as_kafka(node), tmp_path, seed=seed, people=60) as day:
        for name in ("one", "two"):
            day.fleet.start(name, WORKER_INSTANCE_ID=name)
        day.feed(0.1)
        until(lambda: day.lag() == 0, "the workers to work")
        for _ in range(2):
            day.feed(0.4)
            time.sleep(rnd.uniform(0.1, 1.0))
            running = local.status(Path(node.directory))
            assert running is not None
            os.kill(running.pid, SIGKILL)
            time.sleep(rnd.uniform(0.5, 3.0))
            start_node(Path(node.directory), port=node.port)
            started_s = time.monotonic()
            until(lambda: day.lag() == 0, "the workers to go on")
            print(f"caught up {time.monotonic() - started_s:.1f} s after the broker was back")
        day.finish()
        print(f"ends of workers meanwhile: {[(end.worker, end.code) for end in day.fleet.ended]}")


@pytest.mark.parametrize("still_s", [4.0, pytest.param(20.0, marks=pytest.mark.slow)])
def test_the_broker_stands_still(still_s: float, node: Node, seed: int, tmp_path: Path) -> None:
    """SIGSTOP for less and for more than a session and a transaction take; its clock jumps when it goes on.

    Several nets: after four seconds aiokafka repeats what was not answered. Seen to fail (nothing goes on) when fetches
    give up after a second, are not repeated, and nobody ends the worker; and, after twenty, when the broker has given
    transactions up and a failed commit only frees its task (touchpoints are said twice).
    """
    with town(as_kafka(node), tmp_path, seed=seed, people=60, WORKER_TRANSACTION_TIMEOUT_S="8") as day:
        for name in ("one", "two"):
            day.fleet.start(name)
        day.feed(0.1)
        until(lambda: day.lag() == 0, "the workers to work")
        day.feed(0.5)
        time.sleep(random.Random(seed).uniform(0.1, 0.5))
        os.kill(node.pid, SIGSTOP)
        time.sleep(still_s)
        os.kill(node.pid, SIGCONT)
        day.finish()
        print(f"ends of workers meanwhile: {[(end.worker, end.code) for end in day.fleet.ended]}")


def test_connections_that_swallow_everything(
    real_kafka: RealKafka, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-open: neither side hears of it. Requests are repeated over new connections; tasks move if it takes long.

    Two nets: it passes with requests that wait ten minutes for their answer, and with a failed fetch that is never
    repeated, for the tasks move. Seen to fail (nothing goes on) when requests and the group wait ten minutes and nobody
    ends the worker.
    """
    del real_kafka
    behind = local._free_port()
    with Proxy(behind) as proxy:
        stock = local.node_properties

        def with_a_second_listener(template: str, *, directory: Path, port: int, controller_port: int) -> str:
            listeners = f"PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{behind}"
            advertised = f"PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxy.port}"
            return (
                stock(template, directory=directory, port=port, controller_port=controller_port)
                + f"listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}\n"
                + f"advertised.listeners={advertised}\n"
                + "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
                + "inter.broker.listener.name=PLAINTEXT\n"
            )

        monkeypatch.setattr(local, "node_properties", with_a_second_listener)
        node = start_node(tmp_path / "node")
        try:
            with town(as_kafka(node), tmp_path, seed=seed, people=60) as day:
                day.fleet.start("near")
                day.fleet.start("far", KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{proxy.port}")
                day.feed(0.2)
                until(lambda: day.lag() == 0, "both to work")
                for _ in range(2):
                    day.feed(0.3)
                    time.sleep(random.Random(seed).uniform(0.1, 0.5))
                    print(f"{proxy.go_deaf()} connections went deaf")
                    deaf_s = time.monotonic()
                    until(lambda: day.lag() == 0, "the work to go on")
                    print(f"caught up {time.monotonic() - deaf_s:.1f} s after")
                day.finish()
                print(f"ends of workers meanwhile: {[(end.worker, end.code) for end in day.fleet.ended]}")
        finally:
            local.stop(tmp_path / "node")
