"""Tasks are shared out whole, evenly, and stay where they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.assignor import TaskAssignor, UnequalTopics, share_out

members = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.just(()), min_size=1, max_size=9)


@given(st.integers(1, 40), members)
def test_every_partition_goes_to_one_member_and_shares_differ_by_one(
    partitions: int, holders: dict[str, tuple[int, ...]]
) -> None:
    """No partition is lost or given twice; nobody has two more than anybody else."""
    shares = share_out(range(partitions), holders)
    assert sorted(p for share in shares.values() for p in share) == list(range(partitions))
    sizes = [len(share) for share in shares.values()]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 40), members, members)
def test_a_member_that_comes_moves_no_more_than_its_share(
    partitions: int, first: dict[str, tuple[int, ...]], newcomers: dict[str, tuple[int, ...]]
) -> None:
    """Whoever stays keeps all that its new share allows: only what the newcomers get moves."""
    held = share_out(range(partitions), first)
    now = share_out(range(partitions), {**dict.fromkeys(newcomers, ()), **held})
    for member, tasks in held.items():
        kept = set(tasks) & set(now[member])
        assert len(kept) == min(len(tasks), len(now[member]))


def test_what_two_members_claim_goes_to_one() -> None:
    """A member that was away and still claims its old tasks does not get them twice."""
    shares = share_out(range(4), {"old": [0, 1], "new": [0, 1, 2, 3]})
    assert sorted(shares["old"] + shares["new"]) == [0, 1, 2, 3]


class Cluster:
    """Partition counts by topic."""

    def __init__(self, **counts: int) -> None:
        self._counts = counts

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._counts[topic]))


def assigned(cluster: Any, *assignors: TaskAssignor) -> list[list[tuple[str, list[int]]]]:
    """What the leader gives each member, by what they told it."""
    told = {f"m{i}": assignor.metadata({"b", "a"}) for i, assignor in enumerate(assignors)}
    decoded = {
        member: SimpleNamespace(subscription=metadata.subscription, user_data=metadata.user_data)
        for member, metadata in told.items()
    }
    given_out = assignors[0].assign(cluster, decoded)
    return [given_out[member].assignment for member in told]


def test_partition_p_of_all_topics_goes_to_one_member_that_had_it() -> None:
    """Topics do not come apart, with any number of members; what a member holds it keeps."""
    shares = assigned(
        Cluster(a=5, b=5),
        TaskAssignor(lambda: [], 5),
        TaskAssignor(lambda: [1, 4], 5),
        TaskAssignor(lambda: [2], 5),
    )
    assert [[topic for topic, _ in share] for share in shares] == [["a", "b"]] * 3
    assert all(left == right for (_, left), (_, right) in shares)
    assert shares[1][0][1] == [1, 4]
    assert 2 in shares[2][0][1]


def test_topics_with_other_partition_counts_than_told_are_refused() -> None:
    """A task would miss a topic, or a person two tasks: refused, naming the topics."""
    with pytest.raises(UnequalTopics, match=r"must have 4 partitions .*: b: 5\. See"):
        assigned(Cluster(a=4, b=5), TaskAssignor(lambda: [], 4))
