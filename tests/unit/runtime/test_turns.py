"""Which task gets the next batch, and when it may be taken for it."""

from __future__ import annotations

import asyncio

from tests.unit.runtime.test_task import House, settle


def test_nothing_is_taken_while_a_step_is_at_work() -> None:
    """It would wait for that step with what came meanwhile left behind; a commit holds up nobody.

    Seen to fail without the look at the step: the second task is ready at once.
    """

    async def scenario() -> None:
        house = House()
        tasks = await house.started(0, 1)
        stepped: list[float] = []
        house.tasks.on_stepped = lambda: stepped.append(1.0)
        turn = house.turn(tasks[0], 10)
        assert house.tasks.ready(1.0) == [], "on its way to the agent"
        house.engines[0].on_slice = lambda: stepped.append(float(len(house.tasks.ready(1.0))))
        house.tasks.take(turn)
        await settle()
        assert stepped == [0.0, 1.0], "the commit is still under way"
        assert house.tasks.ready(1.0) == [tasks[1]]
        house.commits.go.set()
        await settle()
        assert set(house.tasks.ready(1.0)) == set(tasks.values())

    asyncio.run(scenario())


def test_who_had_the_last_turn_longest_ago_is_first() -> None:
    """However much waits for another."""

    async def scenario() -> None:
        house = House()
        tasks = await house.started(0, 1, 2)
        for at, partition in enumerate((2, 0, 1)):
            tasks[partition].hand_out(float(at), rest_s=0.0, has_heard=True)
            tasks[partition].end_tenure()
        assert [task.partition for task in house.tasks.ready(9.0)] == [2, 0, 1]

    asyncio.run(scenario())


def test_a_step_that_a_rebalance_ended_holds_up_nobody() -> None:
    """A turn that never reached the agent, say; the task is taken up again as it was."""

    async def scenario() -> None:
        house = House()
        tasks = await house.started(0)
        turn = house.turn(tasks[0], 10)
        await house.tasks.park_all()
        await house.tasks.assign([0])
        house.tasks.take(turn)
        assert house.tasks.ready(1.0) == [tasks[0]]

    asyncio.run(scenario())
