"""The thread that fetches, before it has started."""

from __future__ import annotations

import asyncio

from streams.runtime.polling import ConsumerThread


def test_lag_is_unknown_until_fetching_has_begun() -> None:
    """A worker whose consumer takes longer to start than the commit interval goes on.

    Seen to fail, as a worker that ended on a busy machine, where fetching was taken to be there.
    """
    starting = ConsumerThread.__new__(ConsumerThread)
    assert asyncio.run(starting._lags()) == ({}, 0)
