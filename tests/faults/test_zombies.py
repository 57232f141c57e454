"""Workers that the group has given up and that come back: fenced, and what they write is not seen."""

from __future__ import annotations

import random
from pathlib import Path
from signal import SIGCONT, SIGKILL

import pytest

from streams.runtime.ending import ExitCode
from streams.runtime.failpoints import Point
from streams.runtime.topics import CHANGELOG
from tests.faults.fleet import Ended, until
from tests.faults.judge import committed_records
from tests.faults.town import Town, town
from tests.integration.brokers import RealKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.mark.parametrize(
    "point",
    [
        Point.PACKED,
        Point.SENT,
        pytest.param(Point.SENDING, marks=pytest.mark.slow),
    ],
)
def test_a_zombie_is_fenced_and_its_writes_are_not_seen(
    point: Point, real_kafka: RealKafka, seed: int, tmp_path: Path
) -> None:
    """SIGSTOP within a commit until the session is over and another has the tasks; then SIGCONT.

    Seen to fail at `commit.packed` with transactional ids of each process' own: the zombie commits what is the heir's.
    At the others its transaction then blocks the heir until it times out, which is fenced as well.
    """
    with town(real_kafka, tmp_path, seed=seed, people=40) as day:
        day.feed(0.4)
        armed = f"{point}:{random.Random(seed).randint(2, 4)}:stop"
        day.fleet.start("zombie", [armed])
        until(lambda: is_stopped(day, "zombie"), "the worker to stop itself")
        day.fleet.start("heir")
        until(lambda: day.lag() == 0, "the heir to have read everything")
        day.feed(0.3)
        until(lambda: day.lag() == 0, "the heir to go on")
        day.fleet.signal("zombie", SIGCONT)
        until(lambda: bool(day.fleet.ended), "the zombie to end")
        assert day.fleet.ended == [Ended("zombie", armed, ExitCode.FENCED)]
        assert "fenced by the broker" in day.fleet.said("zombie")
        day.finish()
        if point is Point.SENT:
            assert count(day, "read_uncommitted") > count(day, "read_committed")
        assert set(day.fleet.stop().values()) == {0}


def test_a_zombie_that_wakes_while_its_heir_restores(
    real_kafka: RealKafka, seed: int, tmp_path: Path
) -> None:
    """It is fenced before the heir reads the first record, so that what the heir has read stays the last word.

    Two nets: with a task restored first and fenced then, the zombie does commit in between, but it joins the group as
    well, and in that rebalance the heir sees that somebody has written, and restores once more. It passes with either,
    and was seen to fail (said twice on the wire) with neither.
    """
    with town(real_kafka, tmp_path, seed=seed, people=40) as day:
        day.feed(0.4)
        armed = f"{Point.PACKED}:{random.Random(seed).randint(2, 4)}:stop"
        day.fleet.start("zombie", [armed])
        until(lambda: is_stopped(day, "zombie"), "the worker to stop itself")
        day.fleet.start("heir", [f"{Point.RESTORED}:1:sleep=3"])
        until(lambda: f"failpoint {Point.RESTORED}" in day.fleet.said("heir"), "the heir to have read")
        day.fleet.signal("zombie", SIGCONT)
        until(lambda: bool(day.fleet.ended), "the zombie to end")
        assert day.fleet.ended == [Ended("zombie", armed, ExitCode.FENCED)]
        day.finish()


def is_stopped(day: Town, name: str) -> bool:
    """Whether the process is stopped by SIGSTOP."""
    status = Path(f"/proc/{day.fleet.pid(name)}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


def count(day: Town, isolation: str) -> int:
    """Records a reader of that isolation level finds in the changelog, which every commit writes to."""
    return sum(1 for _ in committed_records(day.line.bootstrap, CHANGELOG, isolation=isolation))


def test_a_worker_that_slept_over_its_session_alone_goes_on(
    real_kafka: RealKafka, seed: int, tmp_path: Path
) -> None:
    """Nobody has taken its tasks: it joins again, and nothing is lost, whatever of its state it keeps.

    Seen to fail when a task is restored without its state: what is told to the group and what state says come apart.
    """
    with town(real_kafka, tmp_path, seed=seed, people=40) as day:
        day.feed(0.4)
        day.fleet.start("one", [f"{Point.COMMITTED}:3:sleep=9"])
        day.feed(0.3)
        until(lambda: day.lag() == 0, "the worker to go on")
        day.finish()
        assert SIGKILL not in {-end.code for end in day.fleet.ended}
        assert day.fleet.stop() == {"one": 0}
