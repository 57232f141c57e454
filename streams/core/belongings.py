"""What is said of identifiers: the kinds of decisions that `identities` tells, and what each record of it is made of.

Owns their names; must not know what decides.
"""

from typing import Final

from streams.core.actor import Actor
from streams.core.messages import Cause

CREATED: Final = "created"
STITCHED: Final = "stitched"
MERGED: Final = "merged"
REFUSED: Final = "refused"
RELEASED: Final = "released"
NAMED: Final = "named"
SHARED: Final = "shared"
SEEN_TOGETHER: Final = "seen together"


class Belonging:
    """What `identities` says of an identifier: whose it is, or why it stays whose it was."""

    __slots__ = (
        "cause", "decided_by", "identifier", "kind", "other_profile_id", "own_profile_id", "profile_id", "reason",
        "root", "rule",
    )  # fmt: skip

    def __init__(
        self,
        actor: Actor,
        profile_id: str,
        root: str,
        kind: str,
        cause: Cause,
        *,
        identifier: str = "",
        other_profile_id: str | None = None,
        rule: str = SEEN_TOGETHER,
        decided_by: str | None = None,
        reason: str | None = None,
    ) -> None:
        self.identifier = identifier or actor.identifier
        self.own_profile_id = actor.own_id
        self.profile_id = profile_id
        self.root = root
        self.kind = kind
        self.cause = cause
        self.other_profile_id = other_profile_id
        self.rule = rule
        self.decided_by = decided_by
        self.reason = reason
