"""What a set of acts says of identifiers and of links between them.

Owns what follows from acts; must not know who keeps them or what is done about it (see `acts`). The answers depend on
the set alone, by the times at which acts were done, never on the order in which they became known. Acts are handed
around in that order, earliest first.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from streams.core.control import ALIAS, ALLOW, BLOCK, MERGE, SPLIT
from streams.core.limits import Limits, kind_of
from streams.core.messages import Act, Cause

JOINING: Final = (MERGE, ALIAS)


def joined(acts: list[Act], more: Iterable[Act]) -> list[Act]:
    """Both, each act once, the earliest first."""
    known = {act.act_id for act in acts}
    fresh = {act.act_id: act for act in more if act.act_id not in known}
    return sorted([*acts, *fresh.values()], key=_position) if fresh else acts


def last_said(acts: Sequence[Act], identifier: str, at_ms: int) -> Act | None:
    """The block or allow that holds for an identifier at that moment: the later one."""
    for act in reversed(acts):
        if act.acted_ms <= at_ms and act.kind in (BLOCK, ALLOW) and identifier in act.identifiers:
            return act
    return None


def is_blocked(acts: Sequence[Act], identifier: str, at_ms: int) -> bool:
    """True if it identifies nobody at that moment."""
    act = last_said(acts, identifier, at_ms)
    return act is not None and act.kind == BLOCK


def parting(acts: Sequence[Act], one: str, other: str, at_ms: int, known: tuple[str, ...]) -> Act | None:
    """The act because of which a link of that moment does not count, None if it does, as far as these acts say.

    That is a split or a block which came after it, or a block that holds of one that is `known`: an identifier all of
    whose acts are here. Of another there may be an allow elsewhere.
    """
    for act in reversed(acts):
        if act.acted_ms <= at_ms:
            break
        if act.kind == SPLIT and (one in act.identifiers) != (other in act.identifiers):
            return act
        if act.kind == BLOCK and (one in act.identifiers or other in act.identifiers):
            return act
    for identifier in known:
        held = last_said(acts, identifier, at_ms)
        if held is not None and held.kind == BLOCK:
            return held
    return None


def epoch_of(acts: Iterable[Act], identifier: str) -> int:
    """How often an identifier was split off."""
    return sum(1 for act in acts if act.kind == SPLIT and identifier in act.identifiers)


def is_about(act: Act, identifier: str) -> bool:
    """True if an act names it; others may have to know of one all the same (see `taken_back`)."""
    return identifier == act.into or identifier in act.identifiers


def taken_back(acts: Sequence[Act], act: Act, identifier: str, limits: Limits) -> list[tuple[str, Act]]:
    """(name, act) of those who have to know, now that an identifier has heard of `act`: two names of one account are
    two accounts again when what made them one is parted, and an act that does so need not name either."""
    found: list[tuple[str, Act]] = []
    for one in acts:
        for joining, other in ((act, one), (one, act)):
            makes_one = joining.kind in JOINING and is_kept(joining, limits)
            if makes_one and parting((other,), identifier, "", joining.acted_ms, ()) is not None:
                names = dict.fromkeys((*joining.identifiers, joining.into))
                found += [(name, other) for name in names if not is_about(other, name)]
    return found


def linked_by(act: Act) -> tuple[str, tuple[str, ...]]:
    """(identifier, those that the act links to it): names to whose names they are, or who leaves together."""
    if act.kind in JOINING:
        return act.into, act.identifiers
    if act.kind == SPLIT:
        return act.identifiers[0], act.identifiers[1:]
    return "", ()


def accounts(acts: Sequence[Act], limits: Limits) -> dict[str, str]:
    """One name for several: where a person has at most one of a type, names of one account count once."""
    found: dict[str, str] = {}
    for act in acts:
        if act.kind not in JOINING or not limits.is_unique(kind_of(act.into)):
            continue
        for name in act.identifiers:
            is_same = kind_of(name) == kind_of(act.into)
            if is_same and parting(acts, name, act.into, act.acted_ms, ()) is None:
                one, other = found.get(name, name), found.get(act.into, act.into)
                least = min(one, other)
                found[name] = found[act.into] = least
                for each, of in found.items():
                    if of in (one, other):
                        found[each] = least
    return found


def is_kept(act: Act, limits: Limits) -> bool:
    """False of an act that does no more than link."""
    if act.kind not in JOINING:
        return True
    kind = kind_of(act.into)
    return limits.is_unique(kind) and any(kind_of(name) == kind for name in act.identifiers)


def cause_of(act: Act, through: str) -> Cause:
    """An act as the cause of a link or a decision."""
    return Cause(act.act_id, act.acted_ms, act.digest, through, act.kind, act.by, act.reason)


def _position(act: Act) -> tuple[int, int]:
    return act.acted_ms, act.digest
