"""Who is one person: connected components of identifiers, and what is counted of each person once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from tests.oracle.rules import DEFAULT, Rules
from tests.oracle.touchpoints import Touchpoint, arrived_ms, is_late, position, rank_of, usable_identifiers


@dataclass(frozen=True, slots=True)
class Person:
    """`touchpoints`: each message once, in the order of the rules, late ones included."""

    root: str
    identifiers: frozenset[str]
    touchpoints: tuple[Touchpoint, ...]


def persons_of(touchpoints: Iterable[Touchpoint], rules: Rules = DEFAULT) -> tuple[Person, ...]:
    """Every person, by root. Touchpoints without a usable identifier belong to nobody."""
    placed = [(usable_identifiers(t, rules), t) for t in touchpoints]
    graph = identifier_graph(identifiers for identifiers, _ in placed)
    persons = {}
    for component in nx.connected_components(graph):
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


def identifier_graph(together: Iterable[tuple[str, ...]]) -> nx.Graph[str]:
    """Identifiers are linked when they occur together on a touchpoint, be it a late one."""
    graph: nx.Graph[str] = nx.Graph()
    for identifiers in together:
        graph.add_nodes_from(identifiers)
        graph.add_edges_from(pairwise(identifiers))
    return graph


def counted_once(copies: Iterable[Touchpoint], rules: Rules = DEFAULT) -> tuple[Touchpoint, ...]:
    """One touchpoint a message id, the copy that arrived first, in order."""
    first: dict[str, Touchpoint] = {}
    for touchpoint in sorted(copies, key=lambda t: arrived_ms(t, rules)):
        first.setdefault(touchpoint.message_id, touchpoint)
    return tuple(sorted(first.values(), key=lambda t: position(t, rules)))


def on_time(person: Person, rules: Rules = DEFAULT) -> tuple[Touchpoint, ...]:
    """What takes part in sessions and carts."""
    return tuple(t for t in person.touchpoints if not is_late(t, rules))
