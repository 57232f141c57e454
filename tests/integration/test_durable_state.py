"""A worker whose state lies on disk, and what may happen to the disk between two of its lives.

Same law as without a disk: what is counted is counted once, whatever is killed or damaged and whenever.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.brokers import EmbeddedBrokers
from tests.integration.counting_worker import ALL_TOPICS, PARTITIONS
from tests.integration.damage import as_it_was, deleted, replaced_by_an_old_copy, truncated
from tests.integration.runtime_world import WorkerProcess, World, inputs


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest, fresh_topics: Callable[[str], str]) -> Iterator[World]:
    """Topics on a broker of either kind."""
    if request.param == "embedded":
        start: EmbeddedBrokers = request.getfixturevalue("embedded_broker")
        broker = start(topics=dict.fromkeys(ALL_TOPICS, PARTITIONS), group_delay_ms=100)
        found = World(broker.bootstrap, session_s=2.0)
    else:
        found = World(request.getfixturevalue("real_kafka").bootstrap, suffix=fresh_topics(""), session_s=6.0)
        found.create_topics()
    yield found
    found.close()


def start(world: World, state: Path) -> WorkerProcess:
    """A worker with its state in the directory."""
    worker = world.start_worker("--batch-records", "20", "--step-s", "0.004", "--state", str(state))
    worker.restored(PARTITIONS)
    return worker


@pytest.mark.parametrize(
    "befalls",
    [
        pytest.param(as_it_was, marks=pytest.mark.slow),
        deleted,
        pytest.param(truncated, marks=pytest.mark.slow),
        pytest.param(replaced_by_an_old_copy, marks=pytest.mark.slow),
    ],
)
def test_killed_and_damaged_state_counts_once(
    world: World, seed: int, tmp_path: Path, befalls: Callable[[Path, random.Random], None]
) -> None:
    """SIGKILL, then the disk: the next life goes on from the right state, or rebuilds it. It never gives up.

    Seen to fail with a mark that names offsets ahead of the state, and with damaged files that are used.
    """
    rnd = random.Random(seed)
    state = tmp_path / "state"
    records = inputs(3000, rnd)
    world.produce(records)
    for _ in range(4):
        worker = start(world, state)
        time.sleep(rnd.uniform(0.1, 0.6))
        worker.kill()
        world.assert_consistent()
        befalls(state, rnd)
    last = start(world, state)
    world.assert_all_once(records)
    assert last.stop() == 0


def test_a_clean_stop_leaves_nothing_to_read(world: World, seed: int, tmp_path: Path) -> None:
    """What was counted is found on disk by the next life; the changelog agrees. Catches stores that nobody closes."""
    records = inputs(1000, random.Random(seed))
    world.produce(records)
    first = start(world, tmp_path)
    world.assert_all_once(records)
    assert first.stop() == 0
    second = world.start_worker("--state", str(tmp_path))
    assert sum(second.restored(PARTITIONS).values()) == len(records)
    assert second.stop() == 0
    assert second.complaints == []


def test_a_state_directory_has_one_worker(world: World, tmp_path: Path) -> None:
    """The second ends with a line that says who has it, before it joins the group."""
    first = start(world, tmp_path)
    second = world.start_worker("--state", str(tmp_path))
    assert second.ended() == 1
    assert f"in use by process {first.process.pid} on " in "".join(second.complaints)
