"""Dead letters are whole, say where they come from, and stop the worker when they are too many."""

from __future__ import annotations

from schemas.dead_letters import DeadShare
from streams.runtime.dead_letters import dead_rows, flood_line
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
    assert not share.is_exceeded(60, 50)
    assert not share.is_exceeded(40, 0)
    assert not share.is_exceeded(100, 50)
    assert share.is_exceeded(100, 51)
    assert not share.is_exceeded(50, 50)
    assert not share.is_exceeded(140, 0)


def test_what_can_only_become_too_many_is_too_many_at_once() -> None:
    """51 of a hundred are more than half whatever the other 49 are; and of none allowed, the first is too many."""
    share = DeadShare(0.5)
    assert not share.is_exceeded(50, 50)
    assert share.is_exceeded(1, 1)
    assert DeadShare(0.0).is_exceeded(1, 1)
    assert not DeadShare(0.0).is_exceeded(1000, 0)


def test_what_comes_through_the_inbox_counts_as_read() -> None:
    """A forwarded touchpoint that fails is a record of no input here: a few of them are no flood by themselves."""
    share = DeadShare(0.5)
    assert not share.is_exceeded(0, 40)
    assert not share.is_exceeded(60, 0)
    assert share.is_exceeded(0, 51)


def test_a_share_of_one_is_never_exceeded() -> None:
    """`worker.max_dead_share = 1` lets everything be dead."""
    assert not DeadShare(1.0).is_exceeded(1000, 1000)
    assert not DeadShare(1.0).is_exceeded(0, 1000)


def test_the_line_has_reasons_and_a_place_and_nothing_of_what_is_in_a_record() -> None:
    """The commonest reason first; somebody can go and look."""
    line = flood_line([fake_record("in", 17, value=b"secret"), fake_record("in", 18)])
    assert "(unreadable 2; the first is in[2] at offset 17)" in line
    assert "secret" not in line
