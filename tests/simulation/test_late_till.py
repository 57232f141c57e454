"""A shop day with tills that upload many hours late: what was known is never mailed about, the rest is taken back.

The whole core, four tasks, over the simulator's day; what is right is the simulator's word, by whom it meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import networkx as nx
import pytest

from schemas.codec import decode
from streams.core.step import ACTIONS, Effects
from streams.simulator.emit import Simulation
from streams.simulator.options import HOUR_MS, Options
from streams.simulator.truth import Episode
from tests.bench.stream import Stream
from tests.bench.tasks import Tasks, rounds_of

PARTITIONS = 4
BATCH = 20
"""So many records are one batch of one task."""


@dataclass(frozen=True, slots=True)
class Said:
    """An action as it was told in that round; `opened_by` names its cart."""

    round: int
    action_id: str
    status: str
    opened_by: str


@dataclass(slots=True)
class Day:
    """A simulated day and what came of it: of each message, the round in which it was read first."""

    seed: int
    said: list[Said] = field(default_factory=list)
    read_in: dict[str, int] = field(default_factory=dict)
    late_orders: set[str] = field(default_factory=set)
    orders: int = 0
    episodes: list[Episode] = field(default_factory=list)
    shown: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Whom each message is about, by all identifiers that it has."""

    def __post_init__(self) -> None:
        """Live it."""
        options = Options(people=600, seed=self.seed, till_delay_h=20)
        simulation = Simulation(options)
        records = list(simulation.records())
        for number, entry in enumerate(simulation.entries()):
            touchpoint = entry.touchpoint
            self.read_in.setdefault(touchpoint.message_id, number // (BATCH * PARTITIONS))
            self.shown[touchpoint.message_id] = entry.face.known
            if touchpoint.event == "Order Completed" and not entry.is_copy:
                self.orders += 1
                if touchpoint.channel == "pos" and entry.arrival_ms - touchpoint.occurred_at > HOUR_MS:
                    self.late_orders.add(touchpoint.message_id)
        self.episodes = [one for profile in simulation.truth().profiles for one in profile.episodes]
        tasks = Tasks(PARTITIONS)
        for number, batches in enumerate(
            rounds_of(Stream(options, records, 0.0), PARTITIONS, batch_records=BATCH)
        ):

            def see(_task: int, effects: Effects, number: int = number) -> None:
                self.said += _actions(number, effects)

            tasks.take(batches, see=see)
            tasks.finish(see=see)

    def due(self, episode: Episode) -> list[Said]:
        """What was told as due about a cart, to be sent on."""
        mine = set(episode.touchpoints)
        return [one for one in self.said if one.status == "due" and one.opened_by in mine]

    def is_known(self, episode: Episode, by_round: int) -> bool:
        """Whether all that tells how a cart ended had been read: what ended it, and that this is its owner."""
        ended_by = episode.touchpoints[-1]
        links: nx.Graph[str] = nx.Graph()
        for message_id, known in self.shown.items():
            if self.read_in[message_id] <= by_round:
                nx.add_star(links, known)
        opened, ended = self.shown[episode.opened_by][0], self.shown[ended_by][0]
        return self.read_in[ended_by] <= by_round and nx.has_path(links, opened, ended)


def _actions(number: int, effects: Effects) -> Iterable[Said]:
    for _, value in effects.outputs.get(ACTIONS, ()):
        row = decode(value)[1]
        if not row["historical"]:
            yield Said(number, row["action_id"], row["status"], row["opened_by"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_late_uploads_take_back_what_could_not_be_known_and_nothing_else_is_wrong(seed: int) -> None:
    """False 0: no action is due on a cart that had ended before, if that had been read, and whose cart it was.

    Each purchase that is uploaded late withdraws the action on its cart with the batch that brings it, messages between
    tasks included. Seen to fail with orders that settle nothing, and with timers that wait for no other task's clock.
    """
    day = Day(seed)
    assert len(day.late_orders) >= 0.05 * day.orders
    false: list[Said] = []
    taken_back = 0
    for episode in day.episodes:
        if episode.abandonment is not None or episode.status == "open":
            continue
        ended_by = episode.touchpoints[-1]
        told = day.due(episode)
        false += [one for one in told if day.is_known(episode, one.round)]
        for action_id in {one.action_id for one in told}:
            withdrawals = [
                one.round for one in day.said if one.action_id == action_id and one.status == "cancelled"
            ]
            assert withdrawals, (
                f"seed {seed}: {action_id} is due on a cart that {ended_by} had bought in time"
            )
            if ended_by in day.late_orders and day.is_known(episode, day.read_in[ended_by]):
                assert withdrawals[0] == day.read_in[ended_by], f"seed {seed}: {action_id}, {ended_by}"
                taken_back += 1
    assert not false, f"seed {seed}: {false}"
    assert taken_back, f"seed {seed}: no late upload settled a cart that had been mailed about"
    print(
        f"seed {seed}: {len(day.late_orders)} of {day.orders} orders uploaded late, {taken_back} taken back"
    )
