"""The tree on the screen: what one asked for is always on it, and what is cut is said."""

from __future__ import annotations

import io

from rich.console import Console

from streams.cli.trail.person import Seen, Touchpoint, person_of
from streams.cli.trail.shown import WIDEST, tree_of
from tests.unit.trail.build import History

SEEN = Seen(1, 0, 60_000)


def shown(
    history: History, *, asked: str = "user:1", root: str = "user:1", most: int | None = 50
) -> list[str]:
    """The lines as they are printed into a pipe."""
    person = person_of(f"of {root}", history.records)
    touchpoints = {"m1": Touchpoint("m1", "track", "Order Completed", "pos", 1_000)}
    out = io.StringIO()
    tree = tree_of(person, asked, seen=SEEN, touchpoints=touchpoints, most=most)
    Console(file=out, highlight=False, width=WIDEST).print(tree)
    return out.getvalue().splitlines()


def test_tree_says_how_and_why() -> None:
    """Person, identifiers below what they came through, then what did not join and why."""
    history = History()
    history.say("created", "user:1")
    history.say("created", "email:e")
    history.say("merged", "email:e", "user:1", linked_to="user:1", rule="seen together")
    history.say(
        "refused", "device:d", "user:2", other_profile_id="of user:1", linked_to="email:e", rule="limit user 1",
        decided_by="ann", reason="a till", caused_by="m2",
    )  # fmt: skip
    order = "touchpoint Order Completed (pos, 1970-01-01 00:00:01, message m1)"
    assert shown(history) == [
        "profile of user:1  2 identifiers (1 email, 1 user), "
        "1 touchpoint from 1970-01-01 00:00:00 to 1970-01-01 00:01:00",
        f"├── user:1  created 1970-01-01 00:00:00, {order}",
        f"│   └── email:e  merged 1970-01-01 00:00:02, brought in profile of email:e, rule: seen together, {order}",
        "└── refused, left, blocked or shared",
        "    └── device:d  refused 1970-01-01 00:00:03, belongs to profile of user:2, other side: profile of user:1, "
        "seen with email:e, rule: limit user 1, by ann, because: a till, act m2",
    ]


def large(size: int) -> History:
    """A chain of devices behind a user, and as many refusals."""
    history, before = History(), "user:1"
    history.say("created", "user:1")
    for n in range(size):
        history.say("stitched", f"device:{n}", "user:1", linked_to=before)
        history.say(
            "refused", f"device:{n}", "user:1", caused_by=f"refusal {n}", other_profile_id="of user:2"
        )
        before = f"device:{n}"
    return history


def test_large_person_is_cut_and_says_so() -> None:
    """The first identifiers and the last decisions; the rest is counted."""
    lines = shown(large(100), most=5)
    assert len(lines) == 1 + 5 + 1 + 1 + 1 + 5
    assert sum("stitched" in line for line in lines) == 4
    assert "└── device:3" in lines[5]
    assert lines[6] == "├── … and 96 more identifiers; --all shows them"
    assert lines[8] == "    ├── … 95 earlier ones; --all shows them"
    assert "refusal 99" in lines[-1]


def test_what_was_asked_for_is_shown_with_the_way_to_it() -> None:
    """Beyond the cut as well."""
    lines = shown(large(20), asked="device:8", most=5)
    assert [line.split("device:")[1].split()[0] for line in lines if "stitched" in line] == list("012345678")


def test_all_of_a_deep_person_stays_on_the_screen() -> None:
    """Far from the root lines move no further to the right; there each names what it came through."""
    lines = [line for line in shown(large(60), most=None) if "stitched" in line]
    assert len(lines) == 60
    assert max(line.index("device:") for line in lines) < 50
    assert "through device:58" in lines[-1]
    assert "through" not in lines[0]


def test_identifier_cannot_command_the_terminal() -> None:
    """Whoever types an identifier into a shop's form must not reach the operator's screen with it."""
    history = History()
    history.say("created", "user:1\x1b[2J[red]")
    (line,) = (line for line in shown(history, root="user:1\x1b[2J[red]") if "created" in line)
    assert "user:1\\x1b[2J[red]  created" in line


def test_nobody_is_said_to_be_nobody() -> None:
    """A blocked value: no tree, and why."""
    history = History()
    told = history.say("blocked", "email:info", rule="operator", reason="a role address")
    out = io.StringIO()
    tree = tree_of(person_of(None, [told]), "email:info", seen=Seen(0, None, None), touchpoints={}, most=50)
    Console(file=out, highlight=False, width=WIDEST).print(tree)
    assert out.getvalue().splitlines()[0] == "email:info  belongs to nobody"
    assert "because: a role address" in out.getvalue()
    assert "belongs to profile" not in out.getvalue()
