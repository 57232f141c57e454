"""What holds a person together: the best links, whatever order they come in, and what comes apart at a limit."""

from __future__ import annotations

from random import Random

import networkx as nx
import pytest

from streams.core.rules import Rules
from tests.simulation.landing import owners_today
from tests.unit.core.records import MINUTE_MS, START_MS, FakeRecord, OneTask, added, bought, touchpoint

EMAILS = [f"{name}@x.example" for name in "abcde"]
COOKIES = list("vwxyz")


def links_of(task: OneTask) -> set[tuple[frozenset[str], int]]:
    """The links that hold people together: two identifiers, and the minute of the touchpoint that links them."""
    found = set()
    for name in (*[f"email:{email}" for email in EMAILS], *[f"anonymous_id:{cookie}" for cookie in COOKIES]):
        actor = task.step._actors.find(name)
        if actor is not None and actor.profile is not None:
            members, links = actor.profile.members, actor.profile.links
            for child, parent in enumerate(links.parents):
                if parent >= 0:
                    minute = (links.times_ms[child] - START_MS) // MINUTE_MS
                    found.add((frozenset((members[child], members[parent])), minute))
    return found


@pytest.mark.parametrize("number", range(20))
def test_the_links_are_a_minimum_spanning_forest(number: int, seed: int) -> None:
    """Of all that was seen together the earliest links are kept, as another library works them out."""
    rng = Random(f"{seed} {number}")
    pairs = rng.sample([(email, cookie) for email in EMAILS for cookie in COOKIES], k=rng.randint(1, 20))
    graph: nx.Graph[str] = nx.Graph()
    for minute, (email, cookie) in enumerate(pairs):
        graph.add_edge(f"email:{email}", f"anonymous_id:{cookie}", weight=minute)
    seen = list(enumerate(pairs))
    rng.shuffle(seen)
    task = OneTask(Rules(is_replay=True, limits={}))
    for minute, (email, cookie) in seen:
        task.take(touchpoint(f"m{minute}", minute * MINUTE_MS, email=email, anonymous_id=cookie))
    forest = nx.minimum_spanning_edges(graph, data=True)
    assert links_of(task) == {(frozenset((one, other)), data["weight"]) for one, other, data in forest}


def people(task: OneTask) -> set[frozenset[str]]:
    """The identifiers of each person, by the records that place them."""
    found = owners_today(task.said["identities"])
    return {frozenset(i for i in found if found[i] == profile) for profile in found.values()}


LOGINS = [
    touchpoint("cookie", 1 * MINUTE_MS, device_id="tablet", anonymous_id="a"),
    touchpoint("ann", 2 * MINUTE_MS, user_id="ann", device_id="tablet"),
    touchpoint("bob", 3 * MINUTE_MS, user_id="bob", device_id="tablet"),
]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (2, 0, 1), (1, 2, 0)])
def test_two_accounts_on_one_tablet_stay_two(order: tuple[int, ...]) -> None:
    """The tablet and the cookie on it are those of who was first, even if the other one is heard of first."""
    task = OneTask()
    for place in order:
        task.take(LOGINS[place])
    ann = {"user_id:ann", "device_id:tablet", "anonymous_id:a"}
    assert people(task) == {frozenset(ann), frozenset({"user_id:bob"})}


def test_what_leaves_takes_its_touchpoints_along() -> None:
    """A cart that was filled on the tablet is the first user's, and bought by her: nobody is reminded of it."""
    task = OneTask()
    task.take(touchpoint("bob", 3 * MINUTE_MS, user_id="bob", device_id="tablet"))
    task.take(added("cart", 10 * MINUTE_MS, device_id="tablet"))
    task.take(touchpoint("ann", 2 * MINUTE_MS, arrives_ms=11 * MINUTE_MS, user_id="ann", device_id="tablet"))
    task.take(bought("order", 12 * MINUTE_MS, user_id="ann"))
    task.tick(200 * MINUTE_MS)
    assert "actions" not in task.said
    owners = {r["identifier"]: r["profile_id"] for r in task.said["identities"] if r["kind"] != "refused"}
    [cart] = task.latest("carts", "episode_id")
    assert (cart["status"], cart["profile_id"]) == ("purchased", owners["user_id:ann"])
    assert owners["device_id:tablet"] == owners["user_id:ann"] != owners["user_id:bob"]


def test_every_decision_says_why() -> None:
    """Touchpoint, identifier it was linked through, rule."""
    task = OneTask()
    for login in LOGINS:
        task.take(login)
    [refused] = [record for record in task.said["identities"] if record["kind"] == "refused"]
    assert (refused["identifier"], refused["linked_to"]) == ("device_id:tablet", "user_id:bob")
    assert (refused["caused_by"], refused["rule"]) == ("bob", "limit user_id 1")


def test_where_there_is_no_room_the_last_to_come_is_left_out() -> None:
    """At limits above one nothing is taken away from anybody: the sixth address stays by itself."""
    task = OneTask(Rules(is_replay=True, limits={"email": 2}))
    for name in "abc":
        task.take(touchpoint(name, 0, user_id="1", email=f"{name}@x.example"))
    assert people(task) == {frozenset({"user_id:1", "email:a@x.example", "email:b@x.example"})}


def test_a_merge_that_breaks_a_limit_is_refused_whole() -> None:
    """Two people with two addresses each do not become one with four, if three is the limit."""
    task = OneTask(Rules(is_replay=True, limits={"email": 3}))
    records: list[FakeRecord] = []
    for device, names in (("d", "ab"), ("e", "cf")):
        records += [touchpoint(name, 0, device_id=device, email=f"{name}@x.example") for name in names]
    task.take(*records)
    task.take(touchpoint("both", 1, device_id="d", email="c@x.example"))
    assert {len(members) for members in people(task)} == {3}
