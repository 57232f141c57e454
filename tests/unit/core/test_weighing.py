"""Which link of a person has to go, against Kruskal's algorithm in another library."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import networkx as nx
import pytest

from streams.core.actor import Actor, Profile
from streams.core.limits import Limits
from streams.core.links import Links
from streams.core.rules import Rules
from streams.core.weighing import nearest, surplus

LIMITS = Limits(Rules(limits={"user_id": 1}))


def tree_of(rng: Random, names: list[str]) -> Profile:
    """A person of these, each linked to one before it, at times of their own."""
    profile = Profile(names)
    times_ms = rng.sample(range(1_000), len(names))
    profile.links = Links()
    for place in range(1, len(names)):
        profile.links.append(rng.randrange(place), times_ms[place], place)
    return profile


def names_of(rng: Random, accounts: int) -> list[str]:
    """So many accounts among some devices."""
    names = [f"user_id:{n}" for n in range(accounts)] + [f"device_id:{n}" for n in range(rng.randint(1, 9))]
    rng.shuffle(names)
    return names


@pytest.mark.parametrize("number", range(50))
def test_of_several_accounts_each_keeps_what_is_nearest(number: int, seed: int) -> None:
    """Links that join two accounts when they are taken from the best to the worst."""
    rng = Random(f"{seed} {number}")
    names = names_of(rng, rng.randint(2, 4))
    profile = tree_of(rng, names)
    same = {"user_id:1": "user_id:0"} if rng.random() < 0.5 else {}
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(names)
    left_out = []
    links = profile.links
    for child in sorted(range(1, len(names)), key=lambda child: links.times_ms[child]):
        one, other = names[child], names[links.parents[child]]
        both = nx.node_connected_component(graph, one) | nx.node_connected_component(graph, other)
        if len({same.get(name, name) for name in both if name.startswith("user_id")}) > 1:
            left_out.append(child)
        else:
            graph.add_edge(one, other)
    assert surplus(LIMITS, profile, same) == left_out


@pytest.mark.parametrize("number", range(50))
def test_the_nearest_name_is_the_one_with_the_best_way(number: int, seed: int) -> None:
    """Of each way to a name the worst link counts, and of these the best."""
    rng = Random(f"{seed} {number}")
    names = names_of(rng, rng.randint(1, 3))
    profile = tree_of(rng, names)
    through = rng.choice([place for place, name in enumerate(names) if name.startswith("device_id")])
    graph: nx.Graph[int] = nx.Graph()
    for child in range(1, len(names)):
        graph.add_edge(child, profile.links.parents[child], at_ms=profile.links.times_ms[child])
    worst_ms = []
    for place, name in enumerate(names):
        if name.startswith("user_id"):
            path = nx.shortest_path(graph, place, through)
            worst_ms.append(max(graph.edges[one, other]["at_ms"] for one, other in pairwise(path)))
    child, weight = nearest(LIMITS, Actor(names[0], names[0], profile), "user_id", through)
    assert weight is not None
    assert profile.links.times_ms[child] == weight[0] == min(worst_ms)


def test_who_is_a_name_itself_has_no_way_to_go() -> None:
    """Nothing can be cut."""
    profile = tree_of(Random(0), ["device_id:a", "user_id:0", "user_id:1"])
    assert nearest(LIMITS, Actor("device_id:a", "device_id:a", profile), "user_id", 2)[1] is None
