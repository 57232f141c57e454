"""Two corrections to how aiokafka joins a group, for brokers that answer SyncGroup as soon as the leader has synced.

librdkafka's mock cluster, the embedded broker, refuses a follower that syncs after its leader as INVALID_REQUEST, and
aiokafka takes that for fatal. A real broker accepts it, and there none of this changes anything but 0.3 s in a
rebalance. Knows group membership only, nothing of tasks.
"""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["LEADER_WAITS_S", "be_patient"]

LEADER_WAITS_S = 0.3
"""How much later than its followers a leader syncs: they have nothing to compute, a switch of processes is enough."""

_SYNC_GROUP_KEY = 14
_INVALID_REQUEST = 42
_REBALANCE_IN_PROGRESS = 27


def be_patient(consumer: Any, *, leader_waits_s: float = LEADER_WAITS_S) -> None:
    """Make this AIOKafkaConsumer wait as a leader, and join again as a refused follower.

    To be called between `start()` and `subscribe()`: before, there is no coordinator; after, it may be joining. A
    consumer with topics given to its constructor joins in `start()`, too early for this.
    """
    coordinator = consumer._coordinator
    if coordinator is None:
        raise ValueError("a consumer has a coordinator once it is started, and only with a group_id")
    perform, send = coordinator._perform_assignment, coordinator._send_req

    async def perform_then_wait(response: Any) -> Any:
        shares = await perform(response)
        if len(shares) > 1:
            await asyncio.sleep(leader_waits_s)
        return shares

    async def send_and_forgive(request: Any) -> Any:
        response = await send(request)
        if response.API_KEY == _SYNC_GROUP_KEY and response.error_code == _INVALID_REQUEST:
            # What aiokafka answers by joining again.
            response.error_code = _REBALANCE_IN_PROGRESS
        return response

    coordinator._perform_assignment = perform_then_wait
    coordinator._send_req = send_and_forgive
