"""The warehouse's process from opening to closing: lock, engine, server, signals.

Runs in the foreground of whoever calls it; `process` runs it as a child.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from sinks.clickhouse.embedded.configuration import default_memory_bytes, write_config
from sinks.clickhouse.embedded.directory import Lock
from sinks.clickhouse.embedded.users import Users

HOST: Final = "127.0.0.1"
_ORPHAN_CHECK_S: Final = 0.5


def serve(
    directory: Path,
    users: Users,
    *,
    port: int = 0,
    database: str = "throughline",
    memory_bytes: int | None = None,
    on_ready: Callable[[str], None] = lambda url: None,
    parent_pid: int | None = None,
) -> None:
    """Answer until SIGTERM or SIGINT, or until the process `parent_pid` is gone. `memory_bytes`: see `configuration`.

    Raises DirectoryTaken, OSError (the port is taken) or Refused (the directory is broken), before `on_ready`.
    """
    lock = Lock(directory)
    try:
        # Here, not above: another process that only wants to know who holds the directory loads no chDB.
        from sinks.clickhouse.embedded.engine import Engine
        from sinks.clickhouse.embedded.incoming import READ_AHEAD_BYTES
        from sinks.clickhouse.embedded.server import Server

        config = write_config(directory, memory_bytes=memory_bytes or default_memory_bytes())
        engine = Engine(directory, config, database=database)
        server = Server(engine, users)

        def ready(url: str) -> None:
            lock.announce(url)
            on_ready(url)

        try:
            runner = web.AppRunner(
                server.application(),
                access_log=None,
                auto_decompress=False,
                handler_cancellation=True,
                read_bufsize=READ_AHEAD_BYTES,
                shutdown_timeout=5.0,
            )
            asyncio.run(_listen(runner, port, on_ready=ready, parent_pid=parent_pid))
        finally:
            server.close()
            engine.close()
    finally:
        lock.release()


async def _listen(
    runner: web.AppRunner, port: int, *, on_ready: Callable[[str], None], parent_pid: int | None
) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        on_ready(f"http://{HOST}:{runner.addresses[0][1]}")
        await _until(stop, parent_pid)
    finally:
        await runner.cleanup()


async def _until(stop: asyncio.Event, parent_pid: int | None) -> None:
    while not stop.is_set() and (parent_pid is None or os.getppid() == parent_pid):
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _ORPHAN_CHECK_S)
