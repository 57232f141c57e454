"""One statement taken step by step from the event loop, each step in a thread, stoppable at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from sinks.clickhouse.embedded.encoding import Encoder
from sinks.clickhouse.embedded.engine import Engine
from sinks.clickhouse.embedded.failure import Refused
from sinks.clickhouse.embedded.query import Head, Query

_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 2.0


class Steps:
    """`head` first, then `rows` until there are none, then always `stop`."""

    def __init__(
        self,
        engine: Engine,
        query: Query,
        encoder: Encoder,
        *,
        threads: ThreadPoolExecutor,
        control: ThreadPoolExecutor,
    ) -> None:
        """`threads` run the statement, `control` asks about it and stops it, however many others run."""
        self._engine = engine
        self._query = query
        self._encoder = encoder
        self._threads = threads
        self._control = control
        self._pieces = engine.answer(query)
        self._step: asyncio.Future[Head | bytes | None] | None = None

    async def head(self, on_progress: Callable[[dict[str, int]], None], *, every_ms: int | None) -> Head:
        """What comes before the rows; until then `on_progress` is told how far the statement is. Raises Refused."""
        step = self._begin()
        while every_ms is not None and not (await asyncio.wait([step], timeout=every_ms / 1000))[0]:
            loop = asyncio.get_running_loop()
            counts = await loop.run_in_executor(self._control, self._engine.progress, self._query)
            if counts and not step.done():
                on_progress(dict(counts))
        head = await asyncio.shield(step)
        if not isinstance(head, Head):
            raise TypeError(f"an answer begins with its Head, not with {type(head).__name__}")
        return head

    async def rows(self) -> bytes | None:
        """The next piece, encoded; None at the end. Raises Refused."""
        piece = await asyncio.shield(self._begin())
        return piece if isinstance(piece, bytes) else None

    async def stop(self) -> None:
        """End the statement, wherever it is, and let go of its connection."""
        loop = asyncio.get_running_loop()
        wait_s = _FIRST_WAIT_S
        while self._step is not None and not self._step.done():
            # More than once: it may not have reached the engine yet.
            await loop.run_in_executor(self._control, self._engine.cancel, self._query)
            await asyncio.wait([self._step], timeout=wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
        if self._step is not None:
            with suppress(Refused):
                self._step.result()
        await loop.run_in_executor(self._threads, _close, self._pieces)

    def _begin(self) -> asyncio.Future[Head | bytes | None]:
        loop = asyncio.get_running_loop()
        self._step = loop.run_in_executor(self._threads, self._next)
        return self._step

    def _next(self) -> Head | bytes | None:
        piece = next(self._pieces, None)
        return self._encoder.encode(piece) if isinstance(piece, bytes) else piece


def _close(pieces: Iterator[Head | bytes]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
