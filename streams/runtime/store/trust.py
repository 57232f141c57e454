"""Whether state that a worker finds on its disk may be continued from, or has to be rebuilt from the changelog.

Owns the reasons. Must not know how state is stored or read.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.runtime.engine import Reflected

__all__ = ["MAX_UNSEEN_S", "Found", "distrust"]

MAX_UNSEEN_S = 12 * 3600
"""Half of the changelog's `delete.retention.ms`: behind state that is older, tombstones may be gone already, and what
they removed would come back to life."""


@dataclass(frozen=True, slots=True)
class Found:
    """The changelog that state on disk is said to come from."""

    changelog_id: bytes
    """Empty if it does not begin with a header."""
    end: int
    now_ms: int


def distrust(reflected: Reflected, found: Found) -> str:
    """Why the state must not be used; empty if it may."""
    if reflected.changelog_id != found.changelog_id or not found.changelog_id:
        return "it comes from another changelog: the topic was made anew, or the directory is somebody else's"
    if reflected.offset > found.end:
        return f"it reflects offset {reflected.offset}, but the changelog ends at {found.end}"
    unseen_s = (found.now_ms - reflected.unseen_since_ms) // 1000
    if reflected.offset < found.end and not 0 <= unseen_s <= MAX_UNSEEN_S:
        return f"it is {unseen_s / 3600:.1f} h old, so tombstones behind it may be gone"
    return ""
