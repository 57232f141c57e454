"""What kind of broker answers at an address, and what a worker has to do differently because of it.

The embedded broker (librdkafka's mock cluster) is told from a real one by what it does not offer: creating topics.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

__all__ = ["EMBEDDED", "REAL", "BrokerTraits", "traits_of"]

log = logging.getLogger(__name__)

_CREATE_TOPICS_KEY = 19
_RETRY_S = 0.5
_TELL_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class BrokerTraits:
    """How to be a member of its groups, and how large a record batch it keeps readable."""

    session_s: float
    """How soon the group gives up a worker that is gone. A real Kafka takes no less than 6 s by default."""
    heartbeat_s: float
    fetch_wait_ms: int
    """How long it may hold a fetch that has nothing, and with it all partitions that are not part of that fetch."""
    changelog_batch_bytes: int
    is_patience_needed: bool
    """See `group_patience`."""
    has_transactions: bool


REAL = BrokerTraits(
    6.0,
    1.0,
    fetch_wait_ms=50,
    changelog_batch_bytes=16 * 1024 * 1024 - 4096,
    is_patience_needed=False,
    has_transactions=True,
)
EMBEDDED = BrokerTraits(
    4.0,
    0.5,
    fetch_wait_ms=20,
    changelog_batch_bytes=2_500_000,
    is_patience_needed=True,
    # It answers the requests, and shows everything to everybody.
    has_transactions=False,
)
"""Rebalances take as long as a session less 1 s; new data does not end a fetch that waits; batches larger than half of
what it keeps are lost."""


async def traits_of(bootstrap_servers: str) -> BrokerTraits:
    """Asks the broker; waits, and says so, until one answers."""
    started_s = told_s = time.monotonic()
    while True:
        for server in bootstrap_servers.split(","):
            offered = await _offered(server)
            if offered is not None:
                return REAL if _CREATE_TOPICS_KEY in offered else EMBEDDED
        if time.monotonic() - told_s >= _TELL_EVERY_S:
            told_s = time.monotonic()
            log.warning("no broker answers at %s, for %.0f s now", bootstrap_servers, told_s - started_s)
        await asyncio.sleep(_RETRY_S)


async def _offered(server: str) -> set[int] | None:
    """The keys of the requests a broker answers; None if nobody is there."""
    host, _, port = server.rpartition(":")
    try:
        connection = await create_conn(host, int(port), request_timeout_ms=5000)
    except (KafkaError, OSError, TimeoutError):
        return None
    try:
        return set(connection._versions)
    finally:
        connection.close()
