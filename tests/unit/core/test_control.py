"""Records of the control topic: what is an act, and what goes to the dead letters instead."""

from __future__ import annotations

import pytest

from schemas.catalog import Catalog
from schemas.codec import CodecError, Reason, encode
from streams.core.control import MOST_NAMED, Control
from streams.core.rules import Rules
from tests.unit.core.records import START_MS, FakeRecord, OneTask, act, touchpoint

CONTROL = Control(Catalog.embedded(), Rules())


def test_an_act_is_read_in_the_form_of_state() -> None:
    """Identifiers are written as those of touchpoints are, in one order; an act is never ahead of its record."""
    record = act("merge", "email:B@x.y email:a@x.Y email:b@x.y", into=" User_id: 7", acted_at=START_MS + 9)
    read = CONTROL.read(record.value, START_MS + 5)
    assert (read.kind, read.identifiers, read.into) == ("merge", ("email:a@x.y", "email:b@x.y"), "user_id:7")
    assert (read.acted_ms, read.by, read.reason) == (START_MS + 5, "ann", "ticket 7")
    assert read.digest < 0


@pytest.mark.parametrize(
    ("record", "reason", "said"),
    [
        (act("burn", "email:a@b.c"), Reason.WRONG_TYPE, "act is none of merge, alias"),
        (act("split", ""), Reason.WRONG_TYPE, "0 identifiers"),
        (
            act("split", " ".join(f"email:{n}@b.c" for n in range(MOST_NAMED + 1)), act_id="1"),
            Reason.WRONG_TYPE,
            "101 identifiers",
        ),
        (act("merge", "email:a@b.c"), Reason.WRONG_TYPE, "merge and alias have into"),
        (act("split", "email:a@b.c", into="user_id:7"), Reason.WRONG_TYPE, "merge and alias have into"),
        (
            act("alias", "email:a@b.c", into="email:A@b.c"),
            Reason.WRONG_TYPE,
            "into is one of the identifiers",
        ),
        (act("block", "colour:red"), Reason.NO_IDENTIFIER, "'colour:red' is no identifier"),
        (act("block", "email:null"), Reason.NO_IDENTIFIER, "'null' identifies nobody"),
        (act("block", "email:a@b.c", by=""), Reason.WRONG_TYPE, "act_id or by is empty"),
        (act("block", "email:a@b.c", reason="x" * 513), Reason.WRONG_TYPE, "longer than 512"),
        (act("block", "email:a@b.c", acted_at=1 << 60), Reason.WRONG_TYPE, "a time outside"),
        (touchpoint("m1"), Reason.WRONG_TYPE, "a record of touchpoints.web"),
        (FakeRecord(b"\0\0\0\1\x91\7"), Reason.UNREADABLE, ""),
        (FakeRecord(None), Reason.UNREADABLE, "null value"),
        (FakeRecord(b"\0\0\0\0\7body"), Reason.UNKNOWN_SCHEMA, "schema id 7"),
    ],
)
def test_what_is_no_act_says_why(record: FakeRecord, reason: Reason, said: str) -> None:
    """Each wrong record has a reason, as those of touchpoints have."""
    with pytest.raises(CodecError) as refused:
        CONTROL.read(record.value, START_MS)
    assert (refused.value.reason, said in refused.value.detail) == (reason, True)


def test_a_record_that_is_too_large_is_not_read() -> None:
    """The bound on records holds for acts."""
    value = encode(
        "identity.control", {"act_id": "1", "act": "x", "identifiers": [], "acted_at": 0, "by": "ann"}
    )
    with pytest.raises(CodecError) as refused:
        Control(Catalog.embedded(), Rules(max_record_bytes=10)).read(value, START_MS)
    assert refused.value.reason == Reason.TOO_LARGE


def test_a_wrong_act_is_a_dead_letter_and_its_neighbours_go_on() -> None:
    """Whole, with its reason; an act beside it and a touchpoint are taken."""
    wrong = act("burn", "email:a@b.c")
    effects = OneTask().take(wrong, act("block", "email:a@b.c"), touchpoint("m1"))
    assert [(dead.record.value, dead.reason) for dead in effects.dead] == [(wrong.value, Reason.WRONG_TYPE)]
    assert (effects.counts["acts"], effects.counts["touchpoints"]) == (1, 1)


def test_a_tick_on_the_control_topic_is_a_tick() -> None:
    """Replay's ticks come on every input: without one here no clock would get on."""
    task = OneTask()
    task.tick(1_000)
    assert task.step.timer_clock_ms == START_MS + 1_000
