"""What somebody has decided about identifiers: which links count for it, and who counts as one account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import networkx as nx
import xxhash

from tests.oracle.rules import DEFAULT, Rules
from tests.oracle.values import usable_value

JOINING = frozenset({"merge", "alias"})


@dataclass(frozen=True, slots=True)
class Act:
    """`kind` is merge, alias, split, block or allow; identifiers are `type:value` as somebody typed them."""

    act_id: str
    kind: str
    identifiers: tuple[str, ...]
    acted_ms: int
    arrival_ms: int
    into: str | None = None


def valid_acts(acts: Iterable[Act], rules: Rules = DEFAULT) -> tuple[Act, ...]:
    """Each act once, in order, with its identifiers in one form; one with an identifier that is none is no act."""
    found: dict[str, Act] = {}
    for act in sorted(acts, key=lambda act: act.arrival_ms):
        names = [_usable(text, rules) for text in act.identifiers]
        into = None if act.into is None else _usable(act.into, rules)
        known = tuple(sorted({name for name in names if name is not None}))
        if None not in names and into not in known and (into is None) == (act.into is None):
            acted_ms = min(act.acted_ms, act.arrival_ms)
            found.setdefault(act.act_id, replace(act, identifiers=known, into=into, acted_ms=acted_ms))
    return tuple(sorted(found.values(), key=position))


def position(act: Act) -> tuple[int, int]:
    """The order of acts: when they were done, then a hash that nobody can bias, the higher one first."""
    return act.acted_ms, -xxhash.xxh3_64_intdigest(act.act_id.encode())


def is_blocked(identifier: str, at_ms: int, acts: Sequence[Act]) -> bool:
    """Whether it identifies nobody at that moment: of block and allow the later holds."""
    said = [act.kind for act in acts if act.acted_ms <= at_ms and identifier in act.identifiers]
    return next((kind == "block" for kind in reversed(said) if kind in ("block", "allow")), False)


def is_parted(one: str, other: str, at_ms: int, acts: Sequence[Act]) -> bool:
    """Whether a link of that moment does not count: a later split or block, or one that holds, is between the two."""
    is_nobodys = is_blocked(one, at_ms, acts) or is_blocked(other, at_ms, acts)
    return is_nobodys or is_taken_back(one, other, at_ms, acts)


def is_taken_back(one: str, other: str, at_ms: int, acts: Sequence[Act]) -> bool:
    """Whether a later split or block is between the two."""
    return any(
        act.acted_ms > at_ms
        and (
            (act.kind == "split" and (one in act.identifiers) != (other in act.identifiers))
            or (act.kind == "block" and not {one, other}.isdisjoint(act.identifiers))
        )
        for act in acts
    )


def shown(identifiers: tuple[str, ...], at_ms: int, acts: Sequence[Act]) -> tuple[str, ...]:
    """Identifiers of a touchpoint, from the first that identifies somebody; the last one if none does."""
    for place, identifier in enumerate(identifiers):
        if not is_blocked(identifier, at_ms, acts):
            return identifiers[place:]
    return identifiers[-1:]


def links_of(acts: Sequence[Act]) -> list[tuple[str, str, Act]]:
    """What acts link: names to whose names they are, and those that leave together to the first of them."""
    links = []
    for act in acts:
        if act.kind in JOINING and act.into is not None:
            links += [(act.into, name, act) for name in act.identifiers]
        elif act.kind == "split":
            links += [(act.identifiers[0], name, act) for name in act.identifiers[1:]]
    return [(one, other, act) for one, other, act in links if not is_parted(one, other, act.acted_ms, acts)]


def accounts(acts: Sequence[Act], rules: Rules) -> dict[str, str]:
    """One for several: identifiers of a type of which a person has at most one, that acts made names of it."""
    graph: nx.Graph[str] = nx.Graph()
    for act in acts:
        into = act.into or ""
        type_ = into.partition(":")[0]
        for name in act.identifiers:
            is_one_type = act.kind in JOINING and name.partition(":")[0] == type_
            if (
                is_one_type
                and rules.limits.get(type_) == 1
                and not is_taken_back(into, name, act.acted_ms, acts)
            ):
                graph.add_edge(into, name)
    return {name: min(names) for names in nx.connected_components(graph) for name in names}


def _usable(text: str, rules: Rules) -> str | None:
    type_, colon, raw = text.partition(":")
    value = usable_value(type_, raw, rules) if colon and type_ in rules.ranks else None
    return None if value is None else f"{type_}:{value}"
