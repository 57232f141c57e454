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
SPLIT_OFF: Final = "split"
BLOCKED: Final = "blocked"
ALLOWED: Final = "allowed"
LINKED: Final = "linked"
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
    ) -> None:
        self.identifier = identifier or actor.identifier
        self.own_profile_id = actor.own_id
        self.profile_id = profile_id
        self.root = root
        self.kind = kind
        self.cause = cause
        self.other_profile_id = other_profile_id
        self.rule = cause.rule if cause.rule and rule == SEEN_TOGETHER else rule
        self.decided_by = cause.by or None
        self.reason = cause.reason or None
