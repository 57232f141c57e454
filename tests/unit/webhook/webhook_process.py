"""The service as a process that tests may kill: like `throughline webhook`, with a group that forgets quickly."""

from __future__ import annotations

import asyncio
import signal
import sys
from random import Random

from sinks.webhook.service import ServiceOptions, serve
from tests.unit.webhook.build import endpoint
from tests.unit.webhook.world import GROUP, SESSION_MS


async def main(bootstrap: str, url: str) -> None:
    """Deliver until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = ServiceOptions(bootstrap, GROUP, 0, SESSION_MS)
    await serve(options, [endpoint(url=url)], stop, random=Random(1))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
