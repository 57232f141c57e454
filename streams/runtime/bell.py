"""One coroutine waits until it is rung for, or so long. Knows nothing of who rings, or why.

`asyncio.wait_for(event.wait())` makes a task, a timeout and three turns of the loop out of each wait; waits are what a
worker does most often.
"""

from __future__ import annotations

import asyncio

__all__ = ["Bell", "end_wait"]


class Bell:
    """To be waited for by one coroutine at a time, and rung on its event loop."""

    __slots__ = ("_waiter",)

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Ends a wait that is under way; nothing is kept for the next one."""
        if self._waiter is not None:
            end_wait(self._waiter)

    async def wait(self, longest_s: float) -> None:
        """Until rung, or so long; `inf` is for ever."""
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = loop.call_later(longest_s, end_wait, waiter) if longest_s < float("inf") else None
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()


def end_wait(waiter: asyncio.Future[None]) -> None:
    """Lets go of whoever waits for this."""
    if not waiter.done():
        waiter.set_result(None)
