"""What waits is asked for anew before it is taken: when, and when not."""

from __future__ import annotations

import asyncio

from tests.unit.runtime.fetch_world import NEVER_S, A, B, Broker, settle, world


def test_what_waits_is_asked_for_anew_before_it_is_taken() -> None:
    """What was fetched when a task was last free is a batch old; from the same place there may be more by now.

    Seen to fail without `renew`: the first two records are taken, and the others wait for another batch.
    """

    async def scenario() -> None:
        async with world(Broker({A: 2, B: 0})) as at:
            assert at.fetching.ready(0, {"a"}) == ["a"]
            at.broker.ends |= {A: 5, B: 1}
            at.fetching.renew({0}, below_bytes=1000)
            assert at.fetching.is_renewing()
            await settle()
            assert at.broker.asked()[-1] == {"a": 0, "b": 0}
            assert not at.fetching.is_renewing()
            assert (at.take("a"), at.take("b")) == ([0, 1, 2, 3, 4], [0])
            assert at.fetching._held_bytes == 0

    asyncio.run(scenario())


def test_nothing_is_asked_for_anew_without_need() -> None:
    """Enough waits; nothing waits, so that it is asked for anyway; it was asked for a moment ago; or no more is to
    be fetched."""

    async def scenario() -> None:
        async with world(Broker({A: 2, B: 0})) as at:
            at.fetching.renew({0}, below_bytes=1)
            assert not at.fetching.is_renewing()
            at.take("a")
            at.fetching.renew({0}, below_bytes=1000)
            assert not at.fetching.is_renewing()
        for more in ({"gap_s": NEVER_S}, {"buffer_bytes": 1}):
            async with world(Broker({A: 2, B: 0}), **more) as at:
                at.fetching.renew({0}, below_bytes=1000)
                assert not at.fetching.is_renewing()

    asyncio.run(scenario())


def test_what_cannot_be_asked_for_anew_is_no_reason_to_ask_others() -> None:
    """A partition that lost its leader: seen to fail, with requests one after another, where any renewing is one."""

    async def scenario() -> None:
        async with world(Broker({A: 2, B: 0})) as at:
            at.broker.leaders[A] = None
            at.broker.listener(None)
            await settle()
            at.fetching.renew({0}, below_bytes=1000)
            before = len(at.broker.requests)
            await settle(after_s=0.03)
            assert at.fetching.is_renewing()
            assert len(at.broker.requests) - before <= 2

    asyncio.run(scenario())


def test_a_rebalance_ends_all_renewing() -> None:
    """Whoever waits for it would wait until the poll's end, poll after poll."""

    async def scenario() -> None:
        async with world(Broker({A: 2, B: 0}, slow_s=0.01)) as at:
            await settle(after_s=0.02)
            at.fetching.renew({0}, below_bytes=1000)
            at.subscriptions.assign_from_subscribed({B})
            await settle()
            assert not at.fetching.is_renewing()

    asyncio.run(scenario())
