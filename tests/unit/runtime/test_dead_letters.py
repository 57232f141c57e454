"""Dead letters are whole, say where they come from, and stop the worker when they are too many."""

from __future__ import annotations

from streams.runtime.dead_letters import DeadShare, dead_rows
from tests.unit.runtime.fakes import fake_record


def test_a_dead_letter_is_the_record_with_its_story() -> None:
    """Key and value untouched; reason, detail, topic, partition, offset and version as headers."""
    [((key, value), headers)] = dead_rows([fake_record("touchpoints.web", 17, value=b"\x00\xff")])
    assert (key, value) == (b"k", b"\x00\xff")
    told = dict(headers)
    assert told.pop("version")
    assert told == {
        "reason": b"unreadable",
        "detail": b"truncated",
        "topic": b"touchpoints.web",
        "partition": b"2",
        "offset": b"17",
    }


def test_a_share_is_judged_over_a_hundred_records() -> None:
    """Fewer say nothing; then more than the share is too many; then it begins anew."""
    share = DeadShare(0.5)
    assert not share.is_exceeded(99, 99)
    assert share.is_exceeded(1, 0)
    assert not share.is_exceeded(100, 50)
    assert share.is_exceeded(100, 51)
    assert not share.is_exceeded(60, 60)
    assert not share.is_exceeded(140, 0)


def test_a_share_of_one_is_never_exceeded() -> None:
    """`worker.max_dead_share = 1` lets everything be dead."""
    assert not DeadShare(1.0).is_exceeded(1000, 1000)
