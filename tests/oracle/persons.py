"""Who is one person: connected components of identifiers, and what is counted of each person once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx

from tests.oracle.acts import Act, accounts, is_parted, links_of, shown, valid_acts
from tests.oracle.acts import position as position_of_act
from tests.oracle.rules import DEFAULT, Rules
from tests.oracle.touchpoints import (
    Touchpoint,
    arrived_ms,
    is_late,
    occurred_ms,
    position,
    rank_of,
    usable_identifiers,
)

Order = tuple[int, int, int, list[str]]


@dataclass(frozen=True, slots=True)
class Person:
    """`touchpoints`: each message once, in the order of the rules, late ones included."""

    root: str
    identifiers: frozenset[str]
    touchpoints: tuple[Touchpoint, ...]


def persons_of(
    touchpoints: Iterable[Touchpoint], rules: Rules = DEFAULT, acts: Iterable[Act] = ()
) -> tuple[Person, ...]:
    """Every person, by root. Touchpoints without a usable identifier belong to nobody."""
    done = valid_acts(acts, rules)
    placed = placed_of(touchpoints, rules, done)
    persons = {}
    for component in components(placed, rules, done):
        root = min(component, key=lambda identifier: rank_of(identifier, rules))
        persons.update(dict.fromkeys(component, (root, frozenset(component))))
    held: dict[tuple[str, frozenset[str]], list[Touchpoint]] = defaultdict(list)
    for identifiers, touchpoint in placed:
        if identifiers:
            held[persons[identifiers[0]]].append(touchpoint)
    return tuple(
        Person(root, members, counted_once(copies, rules))
        for (root, members), copies in sorted(held.items(), key=lambda entry: rank_of(entry[0][0], rules))
    )


def placed_of(
    touchpoints: Iterable[Touchpoint], rules: Rules, acts: Sequence[Act]
) -> list[tuple[tuple[str, ...], Touchpoint]]:
    """Each touchpoint with the identifiers that link by it; the first of them says whose it is."""
    return [(shown(usable_identifiers(t, rules), occurred_ms(t, rules), acts), t) for t in touchpoints]


def components(
    placed: Iterable[tuple[tuple[str, ...], Touchpoint]], rules: Rules = DEFAULT, acts: Sequence[Act] = ()
) -> list[set[str]]:
    """A touchpoint, be it a late one, links the first of its identifiers to each other one.

    Links count in the order of their touchpoints; one that would make a person of more than the limits allow does not
    count. Those with an identifier of a moving type come before all others, the latest first. Links by acts come
    before any, and what acts have parted is not linked.
    """
    graph: nx.Graph[str] = nx.Graph()
    links: list[tuple[Order, str, str]] = []
    for one, other, act in links_of(acts):
        graph.add_nodes_from((one, other))
        links.append(((0, *position_of_act(act), sorted((one, other))), one, other))
    for identifiers, touchpoint in placed:
        graph.add_nodes_from(identifiers)
        links += [
            (order_of(identifiers[0], other, touchpoint, rules), identifiers[0], other)
            for other in identifiers[1:]
            if not is_parted(identifiers[0], other, occurred_ms(touchpoint, rules), acts)
        ]
    same = accounts(acts, rules)
    for _, one, other in sorted(links):
        members = nx.node_connected_component(graph, one)
        both = members | nx.node_connected_component(graph, other)
        if other not in members and is_allowed({same.get(name, name) for name in both}, rules):
            graph.add_edge(one, other)
    return list(nx.connected_components(graph))


def order_of(one: str, other: str, touchpoint: Touchpoint, rules: Rules) -> Order:
    """Which of two links counts first; those of acts have a 0 in front."""
    at_ms, digest = position(touchpoint, rules)
    is_moving = any(identifier.partition(":")[0] in rules.moving for identifier in (one, other))
    return 1, (-at_ms if is_moving else at_ms), digest, sorted((one, other))


def is_allowed(members: Iterable[str], rules: Rules) -> bool:
    """Whether one person may have all of these."""
    counts = Counter(identifier.partition(":")[0] for identifier in members)
    return all(counts[type_] <= most for type_, most in rules.limits.items())


def counted_once(copies: Iterable[Touchpoint], rules: Rules = DEFAULT) -> tuple[Touchpoint, ...]:
    """One touchpoint a message id, the copy that arrived first, in order."""
    first: dict[str, Touchpoint] = {}
    for touchpoint in sorted(copies, key=lambda t: arrived_ms(t, rules)):
        first.setdefault(touchpoint.message_id, touchpoint)
    return tuple(sorted(first.values(), key=lambda t: position(t, rules)))


def on_time(person: Person, rules: Rules = DEFAULT) -> tuple[Touchpoint, ...]:
    """What takes part in sessions and carts."""
    return tuple(t for t in person.touchpoints if not is_late(t, rules))
