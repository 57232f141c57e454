"""Heartbeats while tasks are being restored.

aiokafka begins them only when the assignment has been taken in: a restore that outlasts the session would get its
worker put out of the group, and the next one after it. Knows group membership only, nothing of tasks.
"""

from __future__ import annotations

from typing import Any

__all__ = ["beat_while_assigned"]


def beat_while_assigned(consumer: Any) -> None:
    """Make this AIOKafkaConsumer send heartbeats from the moment it has joined.

    To be called between `start()` and `subscribe()`: before, there is no coordinator; after, it may be joining.
    """
    coordinator = consumer._coordinator
    if coordinator is None:
        raise ValueError("a consumer has a coordinator once it is started, and only with a group_id")
    stock = coordinator._on_join_complete

    async def beat_then_complete(*joined: Any) -> None:
        coordinator._start_heartbeat_task()
        await stock(*joined)

    coordinator._on_join_complete = beat_then_complete
