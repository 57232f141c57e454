"""Workers that come and go under load: in good order, in a hurry, and in the middle of a rebalance."""

from __future__ import annotations

import random
import time
from pathlib import Path
from signal import SIGKILL

import pytest

from streams.runtime.failpoints import Point
from tests.faults.fleet import Ended, until
from tests.faults.town import town
from tests.integration.brokers import RealKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def test_one_three_one_workers_under_load(real_kafka: RealKafka, seed: int, tmp_path: Path) -> None:
    """Tasks move to newcomers and back, all stop in good order, nobody is fenced.

    Seen to fail when a rebalance does not wait for the commits in hand: workers end with exit code 1.
    """
    rnd = random.Random(seed)
    with town(real_kafka, tmp_path, seed=seed, people=80) as day:
        day.fleet.start("one")
        for name in ("two", "three"):
            day.feed(0.2)
            time.sleep(rnd.uniform(1.0, 3.0))
            day.fleet.start(name)
        day.feed(0.2)
        time.sleep(rnd.uniform(2.0, 4.0))
        for name in ("two", "three"):
            day.feed(0.1)
            time.sleep(rnd.uniform(0.0, 1.0))
            until(lambda name=name: day.fleet.is_up(name), "a worker to be there")  # type: ignore[misc]
            assert day.fleet.retire(name) == 0
        day.finish()
        assert day.fleet.ended == []
        assert day.fleet.stop() == {"one": 0}


@pytest.mark.parametrize("times", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_sigterm_in_the_middle_of_a_batch(
    times: int, real_kafka: RealKafka, seed: int, tmp_path: Path
) -> None:
    """Once, and twice by somebody impatient: exit code 0, what was in hand is committed or was never begun.

    Seen to fail (exit code 1) when `drain` does not wait for the commits in hand, and (-15) when the second signal
    meets a process that no longer handles any.
    """
    rnd = random.Random(seed)
    with town(real_kafka, tmp_path, seed=seed, people=60) as day:
        day.feed(0.9)
        for number in range(3):
            day.fleet.start(f"worker-{number}")
            until(lambda: day.lag() > 0 and day.is_moving(), "work to be in hand")
            time.sleep(rnd.uniform(0.0, 0.2))
            assert day.fleet.retire(f"worker-{number}", times=times) == 0
        day.fleet.start("last")
        day.finish()
        assert day.fleet.ended == []


def test_sigterm_while_tasks_are_taken_over(real_kafka: RealKafka, seed: int, tmp_path: Path) -> None:
    """Between fencing and restoring, and between restoring and the first poll: exit code 0, and the next one goes on.

    The same with tasks to give up is in `tests.integration.test_rebalance`. Seen to fail when a task is taken over
    without its state: what is told to the group and what state says come apart.
    """
    with town(real_kafka, tmp_path, seed=seed, people=40) as day:
        day.feed(0.5)
        for number, point in enumerate((Point.OPENED, Point.RESTORED, Point.ASSIGNED)):
            name = f"worker-{number}"
            day.fleet.start(name, [f"{point}:1:sleep=2"])
            until(lambda name=name: "failpoint" in day.fleet.said(name), f"the worker to be at {point}")  # type: ignore[misc]
            assert day.fleet.retire(name) == 0
        day.fleet.start("last")
        day.finish()


@pytest.mark.parametrize(
    "points",
    [
        pytest.param((Point.PARKED, Point.ASSIGNED)),
        pytest.param((Point.REVOKED, Point.PARKED, Point.OPENED, Point.ASSIGNED), marks=pytest.mark.slow),
    ],
)
def test_killed_during_a_rebalance(
    points: tuple[Point, ...], real_kafka: RealKafka, seed: int, tmp_path: Path
) -> None:
    """The one who was there dies while a newcomer joins, at each step of giving up and taking over.

    Seen to fail (50 people wrong, 6 records missing) when a task is taken over without its state. Without transactions
    it passes: at these steps nothing is in flight.
    """
    with town(real_kafka, tmp_path, seed=seed, people=60) as day:
        for number, point in enumerate(points):
            # The second hit: the first is its own start. A task is only opened anew by whom it is new to.
            nth = 1 if point is Point.OPENED else 2
            armed = f"{point}:{nth}:kill"
            old, new = f"old-{number}", f"new-{number}"
            day.fleet.start(old if nth == 2 else new, [armed])
            if nth == 2:
                day.feed(0.1)
                until(lambda: day.lag() == 0, "the first to work")
                day.fleet.start(new)
            else:
                day.fleet.start(old)
            day.feed(0.1)
            until(lambda number=number: len(day.fleet.ended) > number, f"the kill at {point}")  # type: ignore[misc]
            assert day.fleet.ended[-1] == Ended(old if nth == 2 else new, armed, -SIGKILL)
            until(lambda: day.lag() == 0, "the others to go on")
            day.fleet.retire(old)
            day.fleet.retire(new)
        day.fleet.start("last")
        day.finish()
