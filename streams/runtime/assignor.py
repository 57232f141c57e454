"""Which worker gets which task: partition p of every topic always together, balanced, and where it was if it can be.

Stock assignors spread the partitions of sixteen topics one by one and part what belongs together (with three workers,
or an odd number of partitions). Knows partition numbers and members, nothing of what is in the topics.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

__all__ = ["TaskAssignor", "UnequalTopics", "share_out"]

_VERSION = 0


class UnequalTopics(ValueError):
    """Topics of a worker must all have the same number of partitions, the one it was told."""


class TaskAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """Each member tells the leader which tasks it holds; the leader shares all tasks out."""

    name = "throughline-tasks"

    def __init__(self, held: Callable[[], Iterable[int]], partitions: int) -> None:
        self._held = held
        self._partitions = partitions

    def metadata(self, topics: Iterable[str]) -> Any:
        """What this member tells the leader: its topics, and the tasks it had last."""
        tasks = ",".join(str(task) for task in sorted(self._held()))
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), tasks.encode())

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """The leader's decision for all members. Raises UnequalTopics."""
        topics = sorted({topic for member in members.values() for topic in member.subscription})
        self._refuse_unequal({topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics})
        shares = share_out(
            range(self._partitions),
            {member: _tasks_of(metadata.user_data) for member, metadata in members.items()},
        )
        return {
            member: ConsumerProtocolMemberAssignment(
                _VERSION, [(topic, shares[member]) for topic in topics if shares[member]], b""
            )
            for member in members
        }

    def _refuse_unequal(self, counts: Mapping[str, int]) -> None:
        wrong = ", ".join(f"{topic}: {n}" for topic, n in sorted(counts.items()) if n != self._partitions)
        if wrong:
            raise UnequalTopics(
                f"every topic of a worker must have {self._partitions} partitions (kafka.partitions), "
                f"but these have not: {wrong}. See: throughline topics check"
            )

    def on_assignment(self, assignment: Any) -> None:
        """Nothing to remember: the tasks themselves know."""


def share_out(partitions: Collection[int], holders: Mapping[str, Collection[int]]) -> dict[str, list[int]]:
    """Every partition to one member; counts differ by at most one; a holder keeps what its share allows."""
    members = sorted(holders, key=lambda member: (-len(holders[member]), member))
    least, extra = divmod(len(partitions), len(members))
    # Who holds the most gets the larger shares: fewest tasks move.
    room = {member: least + (rank < extra) for rank, member in enumerate(members)}
    free = set(partitions)
    shares: dict[str, list[int]] = {}
    for member in members:
        kept = sorted(free.intersection(holders[member]))[: room[member]]
        free.difference_update(kept)
        shares[member] = kept
    waiting = sorted(free)
    for member in members:
        missing = room[member] - len(shares[member])
        shares[member] = sorted([*shares[member], *waiting[:missing]])
        del waiting[:missing]
    return shares


def _tasks_of(user_data: bytes | None) -> set[int]:
    return {int(task) for task in (user_data or b"").decode().split(",") if task}
