"""A person as a tree for people. Shows what it is given, cut to what fits a screen, and says what it has cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from streams.cli.trail.person import Member, Person, Record, Seen, Touchpoint, iso

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

WIDEST: Final = 100_000
"""Columns of a screen that folds nothing."""

# Further down, a line would begin at the right edge of the screen.
_DEEPEST: Final = 10


def tree_of(
    person: Person,
    asked: str | None,
    *,
    seen: Seen,
    touchpoints: Mapping[str, Touchpoint],
    most: int | None,
) -> Tree:
    """The person, their identifiers and the decisions, at most `most` of each (None: all); `asked` is always there."""
    from rich.tree import Tree

    tree = Tree(_line(*_head(person, asked, seen)))
    shown = _chosen(person, asked, most)
    branches: dict[str | None, tuple[Tree, int]] = {None: (tree, 0)}
    for member in shown:
        above, depth = branches[member.parent]
        branch = above.add(_line(member.identifier, *_came(member, touchpoints, is_below=depth < _DEEPEST)))
        branches[member.identifier] = (branch, depth + 1) if depth < _DEEPEST else (above, depth)
    if hidden := len(person.members) - len(shown):
        tree.add(_line("", f"… and {hidden:,} more identifiers; --all shows them"))
    decisions = person.decisions if most is None else person.decisions[-most:]
    if decisions:
        section = tree.add(_line("refused, left, blocked or shared"))
        if hidden := len(person.decisions) - len(decisions):
            section.add(_line("", f"… {hidden:,} earlier ones; --all shows them"))
        for record in decisions:
            section.add(_line(record.identifier, *_decided(record, person, touchpoints)))
    return tree


def _line(bold: str, *rest: str) -> Text:
    """One line; what is not printable in an identifier is spelled out, for a terminal would obey it."""
    from rich.text import Text

    text = Text(_printable(bold), style="bold")
    if bold and rest:
        text.append("  ")
    return text.append(_printable(", ".join(rest)), style="not bold")


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _head(person: Person, asked: str | None, seen: Seen) -> tuple[str, ...]:
    if person.profile_id is None:
        return f"{asked}", "belongs to nobody"
    kinds = Counter(member.identifier.partition(":")[0] for member in person.members)
    counted = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    said = [f"{_count(len(person.members), 'identifier')} ({counted})"]
    if seen.touchpoints:
        said.append(
            f"{_count(seen.touchpoints, 'touchpoint')} from {_time(seen.first_ms)} to {_time(seen.last_ms)}"
        )
    return f"profile {person.profile_id}", *said


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _chosen(person: Person, asked: str | None, most: int | None) -> list[Member]:
    """The first ones, then the one that was asked for with those above it; a parent always before its children."""
    if most is None or len(person.members) <= most:
        return list(person.members)
    chosen = list(person.members[:most])
    known = {member.identifier for member in chosen}
    members = {member.identifier: member for member in person.members}
    way: list[Member] = []
    at = members.get(asked or "")
    while at is not None and at.identifier not in known:
        way.append(at)
        at = members.get(at.parent or "")
    return [*chosen, *reversed(way)]


def _came(member: Member, touchpoints: Mapping[str, Touchpoint], *, is_below: bool) -> list[str]:
    """How it came; `is_below` the one it came through, which then need not be named."""
    record = member.came
    if record is None:
        return ["the root; no record of it has landed"]
    said = [f"{record.kind} {_time(record.decided_ms)}"]
    if member.merged_profile_id is not None:
        said.append(f"brought in profile {member.merged_profile_id}")
    if record.linked_to is None and member.parent is not None:
        said.append("the link is not recorded")
    elif record.linked_to is not None and not (is_below and record.linked_to == member.parent):
        said.append(f"through {record.linked_to}")
    if record.other_profile_id is not None and member.merged_profile_id is None:
        said.append(f"from profile {record.other_profile_id}")
    return [*said, *_why(record, touchpoints)]


def _decided(record: Record, person: Person, touchpoints: Mapping[str, Touchpoint]) -> list[str]:
    said = [f"{record.kind} {_time(record.decided_ms)}"]
    if person.profile_id is not None and record.profile_id != person.profile_id:
        said.append(f"belongs to profile {record.profile_id}")
    if record.other_profile_id is not None:
        said.append(f"other side: profile {record.other_profile_id}")
    if record.linked_to is not None:
        said.append(f"seen with {record.linked_to}")
    return [*said, *_why(record, touchpoints)]


def _why(record: Record, touchpoints: Mapping[str, Touchpoint]) -> list[str]:
    said = [f"rule: {record.rule}"] if record.rule else []
    if record.decided_by is not None:
        said.append(f"by {record.decided_by}")
    if record.reason is not None:
        said.append(f"because: {record.reason}")
    touchpoint = touchpoints.get(record.caused_by)
    if touchpoint is not None:
        named = touchpoint.event or touchpoint.type
        said.append(
            f"touchpoint {named} ({touchpoint.channel}, {_time(touchpoint.occurred_ms)}, message {record.caused_by})"
        )
    elif record.caused_by:
        what = "touchpoint with message" if record.decided_by is None else "act"
        said.append(f"{what} {record.caused_by}")
    return said


def _time(at_ms: int | None) -> str:
    """To the second, UTC."""
    return (iso(at_ms) or "?")[:19].replace("T", " ")
