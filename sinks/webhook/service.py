"""The service: a courier for each endpoint, and what they share. Ends when asked, or with the first that cannot go on.

Delivery: at least once under an idempotency key, see `courier`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from schemas.catalog import Catalog
from sinks.webhook.answers import Outcome
from sinks.webhook.courier import Courier, Surroundings
from sinks.webhook.endpoint import Endpoint
from sinks.webhook.health import pages
from sinks.webhook.ledger import Ledger
from sinks.webhook.metrics import Metrics
from sinks.webhook.recording import History, Recorder
from sinks.webhook.sending import Sender, session

__all__ = ["ServiceOptions", "serve", "wall_clock_ms"]


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Where to read from, as whom, and where to answer; each endpoint has the group `<group>-<endpoint>`."""

    bootstrap_servers: str
    group: str
    metrics_port: int = 0
    session_timeout_ms: int = 6_000


def wall_clock_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


async def serve(
    options: ServiceOptions,
    endpoints: Sequence[Endpoint],
    stop: asyncio.Event,
    *,
    clock_ms: Callable[[], int] = wall_clock_ms,
    random: Random,
) -> dict[str, Counter[Outcome]]:
    """Deliver until `stop` is set; outcomes by endpoint.

    Raises CannotRecord, CodecError or KafkaException, and OSError where the port cannot be had.
    """
    catalog, metrics = Catalog.embedded(), Metrics()
    ledgers = {endpoint.name: Ledger() for endpoint in endpoints}
    recorder = Recorder(options.bootstrap_servers)
    async with session() as client:
        around = Surroundings(
            bootstrap_servers=options.bootstrap_servers,
            group=options.group,
            recorder=recorder,
            history=History(options.bootstrap_servers, ledgers, catalog=catalog),
            sender=Sender(client, clock_ms=clock_ms),
            metrics=metrics,
            catalog=catalog,
            clock_ms=clock_ms,
            random=random,
            session_timeout_ms=options.session_timeout_ms,
        )
        couriers = {each.name: Courier(each, ledgers[each.name], around) for each in endpoints}
        waiting = _waiting(couriers)
        try:
            async with pages(metrics, options.metrics_port, waiting=waiting):
                await _run(list(couriers.values()), stop)
        finally:
            recorder.close()
    return {name: courier.outcomes for name, courier in couriers.items()}


def _waiting(couriers: dict[str, Courier]) -> Callable[[], list[str]]:
    return lambda: [name for name, courier in couriers.items() if not courier.is_ready]


async def _run(couriers: Sequence[Courier], stop: asyncio.Event) -> None:
    """All of them until `stop`; the first that fails ends the others in good order, then what it raised is raised."""
    running = [asyncio.create_task(_until(courier, stop)) for courier in couriers]
    ended = await asyncio.gather(*running, return_exceptions=True)
    for failure in ended:
        if isinstance(failure, BaseException):
            raise failure


async def _until(courier: Courier, stop: asyncio.Event) -> None:
    try:
        await courier.run(stop)
    finally:
        stop.set()
