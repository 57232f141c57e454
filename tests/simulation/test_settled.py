"""What is said of a state that is not settled, and of two runs that are not alike: each defect is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.codec import Reason
from streams.core.actor import Actor
from streams.core.step import ACTIONS, CARTS, SESSIONS, STITCHED, Dead
from tests.oracle.persons import components
from tests.oracle.touchpoints import usable_identifiers
from tests.oracle.worlds import World
from tests.simulation.cluster import Cluster
from tests.simulation.log import Kept
from tests.simulation.play import lost_or_repeated, run, setting_of, unsettled, world_of
from tests.simulation.same import unlike
from tests.simulation.settled import actors_of, astray, out_of_place, over_limits, torn, unfinished

Actors = dict[str, Actor]
MOST = {"user_id": 1}


def left_by(seed: int) -> tuple[World, Cluster]:
    """A world and its cluster after the end."""
    world = world_of(seed)
    return world, run(world, setting_of(seed), seed=seed)


def somebody_with_followers() -> tuple[World, Actors]:
    """The state of a world in which somebody has several identifiers."""
    for seed in range(20):
        world, cluster = left_by(seed)
        actors = actors_of(task.store for task in cluster.tasks)
        if any(len(actor.index) > 2 for actor in actors.values()):
            return world, actors
    raise AssertionError("nobody has followers")


def followed(actors: Actors) -> Actor:
    """The root with the most members."""
    return max(actors.values(), key=lambda actor: len(actor.index))


def follower(actors: Actors) -> Actor:
    """One of its members."""
    return next(actors[member] for member in followed(actors).index if actors[member].profile is None)


def said(actors: Actors, world: World) -> list[str]:
    """Everything that is wrong."""
    placed = [(usable_identifiers(point, world.rules), point) for point in world.touchpoints]
    found = [*unfinished(actors), *astray(actors), *over_limits(actors, MOST, {})]
    return [*found, *torn(actors, components(placed, world.rules))]


def test_nothing_is_said_of_a_settled_state() -> None:
    """What the other tests break is whole before."""
    world, actors = somebody_with_followers()
    assert said(actors, world) == []


def ask(actors: Actors) -> None:
    """A proposal that is out."""
    profile = followed(actors).profile
    assert profile is not None
    profile.proposal = "3 user_id:a"


def expect(actors: Actors) -> None:
    """A state that is on its way."""
    profile = followed(actors).profile
    assert profile is not None
    profile.expecting = ["user_id:a"]


def follow_nobody(actors: Actors) -> None:
    """A pointer to an identifier that was never seen."""
    follower(actors).root = "user_id:nobody"


def follow_a_chain(actors: Actors) -> None:
    """Three pointers from one identifier to its root."""
    root, last = followed(actors).identifier, follower(actors)
    actors["email:a"], actors["email:b"] = Actor("email:a", "email:b", None), Actor("email:b", root, None)
    last.root = "email:a"


def forget(actors: Actors) -> None:
    """A member that its root does not know."""
    del followed(actors).index[follower(actors).identifier]


def lose(actors: Actors) -> None:
    """A member without state."""
    del actors[follower(actors).identifier]


def crowd(actors: Actors) -> None:
    """Two accounts of one person."""
    for identifier in ("user_id:a", "user_id:b"):
        followed(actors).index[identifier] = len(followed(actors).index)
        actors[identifier] = Actor(identifier, followed(actors).identifier, None)


@pytest.mark.parametrize(
    ("defect", "words"),
    [
        (ask, "has no answer"),
        (expect, "expects the state"),
        (follow_nobody, "finds no root"),
        (follow_a_chain, "finds no root"),
        (forget, "does not know it"),
        (forget, "are one person"),
        (lose, "does not follow it"),
        (crowd, "more than 1"),
    ],
)
def test_each_defect_is_told(defect: Callable[[Actors], None], words: str) -> None:
    """A check that is never seen to fail checks nothing."""
    world, actors = somebody_with_followers()
    defect(actors)
    assert any(words in line for line in said(actors, world))


def test_state_in_the_wrong_task_is_told() -> None:
    """An identifier has state where its hash says, and nowhere else."""
    stores = [task.store for seed in range(20) for task in left_by(seed)[1].tasks]
    assert list(out_of_place(stores[:1])) == []
    assert any("has state in task" in line for line in out_of_place(stores))


def test_a_dead_letter_without_a_reason_is_told() -> None:
    """A touchpoint that failed is missing, and named."""
    world, cluster = left_by(0)
    record = Kept("touchpoints.web", 0, 0, 0, None, None)
    cluster.dead.append(Dead(record, Reason.FAILED, "ValueError"))
    assert any("dead letters" in line for line in unsettled(world, cluster))


def test_a_touchpoint_that_is_lost_or_repeated_is_told() -> None:
    """Each lands once, whoever it belongs to."""
    world, cluster = left_by(0)
    assert list(lost_or_repeated(world, cluster)) == []
    first = next(row for row in cluster.written if row[0] == STITCHED)
    cluster.written.append(first)
    assert ["2 times" in line for line in lost_or_repeated(world, cluster)] == [True]
    cluster.written[:] = [row for row in cluster.written if row != first]
    assert ["0 times" in line for line in lost_or_repeated(world, cluster)] == [True]


@pytest.mark.parametrize("topic", [STITCHED, SESSIONS, CARTS, ACTIONS])
def test_runs_that_differ_are_told(topic: str) -> None:
    """A run that did not write some kind of record is not like one that did."""
    written = next(w for w in (left_by(seed)[1].written for seed in range(20)) if topic in dict(w))
    assert list(unlike(written, written, has_action_ids=True)) == []
    less = [row for row in written if row[0] != topic]
    assert list(unlike(written, less, has_action_ids=False))
