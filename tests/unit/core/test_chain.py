"""What it costs to link a long chain of identifiers, in whatever order its links come, and how far home is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from streams.core.messages import Message
from streams.core.rules import Rules
from tests.unit.core.records import OneTask, touchpoint

LENGTH = 2_000
MOST_MESSAGES = 6
"""For each link, on average."""

ORDERS: dict[str, Callable[[int], float]] = {
    "up": lambda link: link,
    "down": lambda link: -link,
    "random": lambda link: Random(link).random(),
    # Equals merge with equals, again and again: what costs most where the smaller one moves.
    "balanced": lambda link: (link + 1) & -(link + 1),
    "inside out": lambda link: abs(link - LENGTH // 2),
    "outside in": lambda link: -abs(link - LENGTH // 2),
}


class Told(OneTask):
    """One task, all of whose messages are counted, be they for itself."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.messages = 0
        post = self.step._outbox.post

        def counted(message: Message) -> None:
            self.messages += 1
            post(0, message)

        identity = self.step._identity
        for room in (identity, identity._contests, identity._partings, identity._handovers):
            room._send = counted


def name(place: int) -> dict[str, str]:
    """The identifier at a place of the chain; e-mails are lower than cookies."""
    return {"email": f"e{place:06d}@x.example"} if place % 2 else {"anonymous_id": f"c{place:06d}"}


@pytest.mark.parametrize("order", ORDERS)
def test_a_long_chain_costs_few_messages_and_nobody_is_far_from_home(order: str) -> None:
    """At most six messages a link and two steps to the root, though no limit keeps the chain short."""
    task = Told(Rules(is_replay=True, limits={}))
    for link in sorted(range(LENGTH - 1), key=ORDERS[order]):
        shown: dict[str, Any] = {**name(link), **name(link + 1)}
        task.take(touchpoint(f"m{link}", link * 1_000, **shown))
    assert LENGTH < task.messages <= MOST_MESSAGES * (LENGTH - 1)
    homes = set()
    for place in range(LENGTH):
        ((kind, value),) = name(place).items()
        actor = task.step._actors.find(f"{kind}:{value}")
        assert actor is not None
        steps = 0
        while actor.profile is None:
            steps += 1
            actor = task.step._actors.find(actor.root)
            assert actor is not None
        assert steps <= 2
        homes.add(actor.identifier)
        assert len(actor.index) == LENGTH
        assert actor.profile.name == "email:e000001@x.example"
    assert len(homes) == 1
