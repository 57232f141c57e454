"""Asking a broker whose topics and groups are on the move."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.importer.lag import patiently


def failing(left: list[int]) -> Callable[[], str]:
    """Fails with each of these, one after the other, then answers."""

    def ask() -> str:
        if left:
            raise KafkaException(KafkaError(left.pop(0)))
        return "answer"

    return ask


def test_what_is_on_the_move_is_asked_for_again() -> None:
    """As after a start: the group has no coordinator yet, a partition no leader."""
    slept: list[float] = []
    ask = failing([KafkaError.NOT_COORDINATOR, KafkaError.NOT_LEADER_FOR_PARTITION])
    assert patiently(ask, sleep=slept.append) == "answer"
    assert len(slept) == 2


def test_any_other_failure_is_told_at_once() -> None:
    """And one that lasts, in the end."""
    with pytest.raises(KafkaException):
        patiently(failing([KafkaError.GROUP_AUTHORIZATION_FAILED]), sleep=lambda _: pytest.fail("waited"))
    left = [KafkaError.NOT_COORDINATOR] * 1_000
    with pytest.raises(KafkaException):
        patiently(failing(left), sleep=lambda _: None)
    assert len(left) > 500
