"""The memory allocator of the C library, for a process that lives long and is to stay small.

Knows glibc's settings; must not know who allocates. Where the C library is another, nothing is done.
"""

from __future__ import annotations

import ctypes

__all__ = ["set_up_allocator"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Their names in glibc's malloc.h."""
_LARGE_BYTES = 128 * 1024
_ARENAS = 2


def set_up_allocator() -> None:
    """To be called before the process has a second thread: the number of heaps is settled then.

    Blocks from 128 KiB on are mapped, and given back when they are freed. Left to itself, glibc raises its bounds to
    what was last freed, up to 32 MiB: buffers of batches then come from a heap that only grows. And threads share two
    heaps, in place of eight a core: each thread of RocksDB would keep what its largest compaction took. Seen with
    RocksDB and a million profiles: 75 MB without any of it, 63 with the first, 54 with both, 61 with a single heap.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS)
