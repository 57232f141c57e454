"""The body of a request, read by the thread that runs its statement while the event loop receives it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from aiohttp import StreamReader, web

from sinks.clickhouse.embedded.failure import refusal

READ_AHEAD_BYTES: Final = 1 << 20
"""So much of a body is received before somebody reads it, about."""


async def pieces_of(request: web.Request) -> Iterator[bytes]:
    """The body as it comes, for a thread: not the event loop's own. A small one is there at once."""
    if not request.can_read_body:
        return iter(())
    length = request.content_length
    if length is not None and length <= READ_AHEAD_BYTES:
        return iter((await request.content.read(),))
    return _from_loop(request.content, asyncio.get_running_loop())


def _from_loop(content: StreamReader, loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    while True:
        reading = asyncio.run_coroutine_threadsafe(content.readany(), loop)
        try:
            piece = reading.result()
        except Exception as error:
            raise refusal(210, "The connection broke before the body ended.", "NETWORK_ERROR") from error
        if not piece:
            return
        yield piece
