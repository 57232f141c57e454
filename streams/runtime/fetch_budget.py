"""How much may lie fetched before it is taken: beyond it, a fetch waits, or asks only for tasks that have nothing.

aiokafka does not fetch a partition of which something lies there, so each holds one fetch at most; but where a worker
reads hundreds of partitions, one record batch of each is far too much. Knows aiokafka's fetcher, nothing of tasks but
that partition p of every topic is one.
"""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["keep_to_budget"]

_FULL_S = 0.01
"""How soon it is looked again whether there is room: there is enough to do meanwhile."""


async def keep_to_budget(fetcher: Any, request: Any, *, budget_bytes: int) -> bool:
    """True when the request may be sent; leaves in it what may be asked for now. False if it is not wanted any more.

    A task of which nothing lies there is always asked for: others that do not get on must never hold it up.
    """
    while _held_bytes(fetcher) >= budget_bytes:
        fed = {tp.partition for tp in fetcher._records}
        starving = [
            (topic, [one for one in partitions if one[0] not in fed]) for topic, partitions in request.topics
        ]
        if any(partitions for _, partitions in starving):
            request._topics = [(topic, partitions) for topic, partitions in starving if partitions]
            return True
        try:
            await asyncio.sleep(_FULL_S)
        except asyncio.CancelledError:
            # As aiokafka's own request does: its fetcher awaits what it has cancelled, unguarded, when it closes.
            return False
    return True


def _held_bytes(fetcher: Any) -> int:
    held = (getattr(result, "_partition_records", None) for result in fetcher._records.values())
    return sum(records._records.size_in_bytes() for records in held if records is not None)
