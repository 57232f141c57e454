"""The thread that fetches, before it has started."""

from __future__ import annotations

import asyncio

from streams.runtime.polling import ConsumerThread
from streams.runtime.transport import BatchConsumer


def test_lag_is_unknown_until_fetching_has_begun() -> None:
    """A worker whose consumer takes longer to start than the commit interval goes on.

    Seen to fail, as a worker that ended on a busy machine, where fetching was taken to be there.
    """
    starting = ConsumerThread.__new__(ConsumerThread)
    assert asyncio.run(starting._lags()) == ({}, 0)


def test_a_stop_that_comes_before_the_thread_waits_for_nobody() -> None:
    """A worker that is told to end while it starts: what is reported before a stop is asked of a thread that never is.

    Seen to fail, and on a busy machine workers to be killed after 20 s, where the thread was taken to be there.
    """
    thread = ConsumerThread.__new__(ConsumerThread)
    consumer = BatchConsumer.__new__(BatchConsumer)
    consumer._thread, consumer._noted, consumer._lag_at = thread, {}, 0.0

    async def stop() -> bool:
        thread.parent_loop, thread.thread_loop = asyncio.get_running_loop(), asyncio.new_event_loop()
        try:
            return await asyncio.wait_for(consumer.commit(), 5)
        finally:
            thread.thread_loop.close()

    assert asyncio.run(stop()) is False
