"""Failpoints do nothing unless armed, and then what they were told, once, at the hit they were told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streams.runtime.failpoints import VARIABLE, Point, armed_by, hit


def run_armed(text: str) -> subprocess.CompletedProcess[str]:
    """A process that passes the same point three times."""
    program = (
        "from streams.runtime.failpoints import Point, hit\n"
        "for turn in range(3):\n"
        "    hit(Point.SENT)\n"
        "    print(turn, flush=True)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], env={VARIABLE: text}, capture_output=True, text=True, check=False
    )


def test_unarmed_nothing_happens() -> None:
    """Every worker passes these points with every batch."""
    for point in Point:
        hit(point)
    assert run_armed("").stdout.split() == ["0", "1", "2"]


def test_it_kills_at_the_hit_it_was_told() -> None:
    """Not before, and another point's arming does not matter."""
    ended = run_armed(f"{Point.SENT}:2:kill,{Point.BEGUN}:1:kill")
    assert (ended.returncode, ended.stdout.split()) == (-9, ["0"])


def test_it_raises() -> None:
    """As if a client of Kafka had."""
    ended = run_armed(f"{Point.SENT}:3:raise")
    assert (ended.returncode, ended.stdout.split()) == (1, ["0", "1"])
    assert "FailpointRaised: commit.sent" in ended.stderr


@pytest.mark.parametrize("text", ["commit.nowhere:1:kill", "commit.sent:1:jump", "commit.sent:kill"])
def test_what_cannot_be_armed_is_refused(text: str) -> None:
    """A test that thinks it kills and does not would prove nothing."""
    with pytest.raises(ValueError):  # noqa: PT011  # three different wrongs
        armed_by(text)
