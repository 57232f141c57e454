"""Which partitions are asked for, when, and what becomes of the answers; over aiokafka's own positions."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import OffsetOutOfRangeError

from tests.unit.runtime.fetch_world import NEVER_S, A, B, Broker, settle, world


def test_nothing_is_asked_without_a_position() -> None:
    """Between an assignment and the seek to where state says, a fetch would begin anywhere."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 5}), is_sought=False) as at:
            assert at.broker.requests == []
            at.seek(A, 3)
            await settle()
            assert at.broker.asked()[0] == {"a": 3}
            assert all("b" not in asked for asked in at.broker.asked())

    asyncio.run(scenario())


def test_fetching_goes_on_behind_what_waits() -> None:
    """What is taken is as new as the last fetch, however long ago the first record of it was fetched.

    Seen to fail where one answer of a partition waits at a time: the last two records wait for another batch.
    """

    async def scenario() -> None:
        async with world(Broker({A: 3, B: 0})) as at:
            at.broker.ends[A] = 5
            at.broker.gate.set()
            await settle()
            assert [asked["a"] for asked in at.broker.asked()[:2]] == [0, 3]
            assert at.take("a", room=4) == [0, 1, 2, 3], "through two answers"
            assert at.position(A) == 4
            assert at.fetching.ready(0, {"a", "b"}) == ["a"]
            assert at.take("a") == [4]
            assert at.fetching.ready(0, {"a"}) == []
            assert at.fetching._held_bytes == 0

    asyncio.run(scenario())


def test_what_waits_of_a_partition_is_bounded() -> None:
    """Once as much waits as one answer may bring, no more is asked for until some is taken."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 0}), each_bytes=1) as at:
            at.broker.ends[A] = 7
            await settle(after_s=0.06)
            assert [asked["a"] for asked in at.broker.asked() if "a" in asked] == [0]
            assert at.take("a", room=3) == [0, 1, 2]
            await settle(after_s=0.06)
            assert [asked["a"] for asked in at.broker.asked() if "a" in asked] == [0], (
                "its answer still waits"
            )
            assert at.take("a") == [3, 4]
            await settle()
            assert at.broker.asked()[-1]["a"] == 5

    asyncio.run(scenario())


def test_no_topic_of_a_task_starves_another() -> None:
    """What is taken from goes behind what is not, though more of it waits."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 5})) as at:
            [first, second] = at.fetching.ready(0, {"a", "b"})
            at.take(first, room=2)
            assert at.fetching.ready(0, {"a", "b"}) == [second, first]

    asyncio.run(scenario())


def test_a_request_is_held_only_if_it_asks_for_all() -> None:
    """A request that the broker holds would hold up the partitions that are freed meanwhile."""

    async def scenario() -> None:
        async with world(Broker({A: 0, B: 0}), each_bytes=1) as at:
            at.broker.ends[A] = 2
            at.broker.gate.set()
            await settle()
            # Held, then not: the quiet partition is looked at after 50 ms.
            await settle(after_s=0.06)
            waits = [request.wait_ms for _, request in at.broker.requests]
            assert waits[0] == 50
            assert waits[-1] == 0
            assert at.broker.asked()[-1] == {"b": 0}

    asyncio.run(scenario())


def test_a_partition_that_is_behind_is_asked_at_once() -> None:
    """No pause between two fetches while the broker has more; with nothing more, the pause is kept."""

    async def scenario() -> None:
        broker = Broker({A: 9, B: 0})
        broker.stable[A] = 4
        async with world(broker, gap_s=NEVER_S) as at:
            assert at.take("a") == [0, 1, 2, 3]
            await settle()
            assert len(broker.requests) == 1, "what is not yet committed is no reason to ask"
        async with world(Broker({A: 9, B: 0}), gap_s=NEVER_S) as at:
            at.take("a", room=4)
            at.broker.ends[A] = 12
            at.subscriptions.subscription.assignment.state_value(A).lso = 12
            at.take("a")
            await settle()
            assert at.broker.asked()[1:] == [{"a": 9, "b": 0}]

    asyncio.run(scenario())


def test_a_seek_voids_what_waits_and_what_is_on_its_way() -> None:
    """Records from before a seek are never handed out after it, fetched or in flight."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 0})) as at:
            at.broker.gate.set()
            at.seek(A, 2)
            assert at.fetching.ready(0, {"a"}) == []
            await asyncio.sleep(0)
            at.seek(A, 1)
            await settle()
            assert at.take("a") == [1, 2, 3, 4]
            at.subscriptions.seek(A, 5)
            await settle()
        async with world(Broker({A: 5, B: 0})) as at:
            at.subscriptions.seek(A, 3)
            assert at.take("a") == [], "the position was moved behind our back"

    asyncio.run(scenario())


def test_caught_up_is_told_by_when_the_fetch_was_sent() -> None:
    """A record that arrived while the answer was on its way is not covered by that answer."""

    async def scenario() -> None:
        async with world(Broker({A: 0, B: 2}, slow_s=0.02)) as at:
            assert at.fetching.caught_up(0, {"a", "b"}) == {}
            await settle(after_s=0.03)
            assert set(at.fetching.caught_up(0, {"a", "b"})) == {"a"}
            assert at.fetching.caught_up(0, {"a"})["a"] <= at.broker.heard_ms[0]
            assert at.fetching.lags()[0] == {("a", 0): 0, ("b", 0): 2}
            assert not at.fetching.is_behind(0, {"b"}), "all that was shown is fetched"
            at.take("b")
            assert set(at.fetching.caught_up(0, {"a", "b"})) == {"a", "b"}
            assert at.fetching.lags()[0] == {("a", 0): 0, ("b", 0): 0}
            assert not at.fetching.is_behind(0, {"a", "b"})

    asyncio.run(scenario())


def test_whoever_takes_hears_of_trimmed_records() -> None:
    """An offset that the broker no longer has is an error of that partition's taker, and of nobody else."""

    async def scenario() -> None:
        broker = Broker({A: 5, B: 5}, errors={A: 1})
        async with world(broker) as at:
            assert at.take("b") == [0, 1, 2, 3, 4]
            with pytest.raises(OffsetOutOfRangeError):
                at.take("a")

    asyncio.run(scenario())


def test_a_lost_leader_holds_up_nobody_else() -> None:
    """Metadata are asked for until there is one; the other partitions are fetched meanwhile."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 5}, leaders={A: None})) as at:
            assert all("a" not in asked for asked in at.broker.asked())
            assert at.broker.metadata_asked > 0
            at.broker.leaders[A] = 2
            await settle(after_s=0.15)
            assert (at.take("a"), at.take("b")) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])

    asyncio.run(scenario())


def test_a_moved_leader_is_followed() -> None:
    """A broker that no longer leads says so, new metadata are asked for, and the next fetch goes where they point."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 5}, errors={B: 6})) as at:
            assert at.broker.metadata_asked == 1
            assert at.fetching.ready(0, {"a", "b"}) == ["a"]
            at.broker.errors.clear()
            at.broker.leaders[B] = 2
            at.broker.listener(None)
            await settle(after_s=0.15)
            assert {node for node, request in at.broker.requests if request.asked.get("b") == [(0, 0)]} == {
                1,
                2,
            }
            assert at.take("b") == [0, 1, 2, 3, 4]

    asyncio.run(scenario())


def test_a_failed_fetch_is_made_again() -> None:
    """A broken connection costs a pause, no record."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 0}, fails=1)) as at:
            assert at.fetching.ready(0, {"a"}) == []
            await settle(after_s=0.15)
            assert at.take("a") == [0, 1, 2, 3, 4]

    asyncio.run(scenario())


def test_a_new_assignment_starts_over() -> None:
    """Nothing that waits survives a rebalance; what is assigned now is asked for, the rest is not."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 5})) as at:
            assert at.fetching.ready(0, {"a", "b"}) != []
            at.subscriptions.assign_from_subscribed({B})
            await settle()
            assert at.fetching.ready(0, {"a", "b"}) == []
            at.seek(B, 4)
            await settle()
            assert {"b": 4} in at.broker.asked()
            assert "a" not in at.broker.asked()[-1]
            assert at.take("b") == [4]

    asyncio.run(scenario())


def test_what_waits_is_bounded_but_starves_nobody() -> None:
    """Beyond the buffer, no more is asked for of a task of which something waits. Unbounded, B is asked again."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 0}), buffer_bytes=1) as at:
            await settle(after_s=0.2)
            before = len(at.broker.requests)
            at.broker.ends[B] = 1
            await settle(after_s=0.2)
            assert len(at.broker.requests) == before
            assert at.fetching.ready(0, {"a", "b"}) == ["a"]
            at.take("a")
            await settle(after_s=0.2)
            assert at.take("b") == [0]

    asyncio.run(scenario())


def test_a_taker_that_waits_is_told() -> None:
    """Both of records and of the end of the loop; what ended it is raised."""

    async def scenario() -> None:
        async with world(Broker({A: 0, B: 0}), gap_s=NEVER_S) as at:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            at.waiters.add(waiter)
            at.broker.ends[A] = 1
            at.broker.gate.set()
            await asyncio.wait_for(waiter, 5)
            assert at.take("a") == [0]

    asyncio.run(scenario())


def test_what_breaks_the_loop_is_raised_to_whoever_takes() -> None:
    """A loop that died in silence would look like a topic without records."""

    async def scenario() -> None:
        broker = Broker({A: 1, B: 0})
        broker._answer = lambda tp, at: None  # type: ignore[method-assign,assignment,return-value]
        async with world(broker) as at:
            await settle()
            with pytest.raises(TypeError):
                at.fetching.ready(0, {"a"})

    asyncio.run(scenario())
