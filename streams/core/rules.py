"""The numbers the pipeline decides by. Owns their defaults; must not know where they were set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.catalog import CHANNELS

HOUR_MS: Final = 3_600_000
LATE_MS: Final = 259_200_000
RANKS: Final = ("user_id", "loyalty_id", "email", "phone", "device_id", "anonymous_id")
KEEP: Final = "keep"
MOVE: Final = "move"
"""Whose an identifier is that two people use who cannot be one: the first one's by event time, or the latest one's."""
DROP: Final = "drop"
"""Leftovers of a cart after an order: they go with it; KEEP: they stay, and may be abandoned."""
LIMITS: Final[dict[str, int]] = {
    "user_id": 1,
    "loyalty_id": 1,
    "email": 5,
    "phone": 5,
    "device_id": 50,
    "anonymous_id": 50,
}
ROUNDS: Final = 6
"""Clock rounds: the longest chain of hops a record takes to a timer's owner.

From a wrong partition to the identifier, from there to a former root and on to the root; a claim; and from what is
claimed to a former root and on to the root whose timer it is.
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """Every duration in milliseconds; `gaps_ms` overrides the session gap by channel name.

    What `default_region`, `drop_plus_tags` (domains) and `blocked` (entries) mean is in `normalise.py`.
    """

    ranks: tuple[str, ...] = RANKS
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS)
    """How many identifiers of a type one person has at most; no limit where there is none."""
    on_conflict: Mapping[str, str] = field(default_factory=dict)
    """KEEP or MOVE by type; KEEP where nothing is said."""
    shared_profiles: int = 10
    shared_within_ms: int = 24 * HOUR_MS
    """An identifier that so many people claim within this time, who cannot be one, is nobody's: a kiosk; 0: never."""
    default_region: str = ""
    drop_plus_tags: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    gap_ms: int = HOUR_MS // 2
    gaps_ms: Mapping[str, int] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    """Names of events that are told apart beside those of `vocabulary.EVENTS`; only ever appended to."""
    abandon_after_ms: int = HOUR_MS // 2
    reminders_ms: tuple[int, ...] = ()
    """When an abandoned cart is due again, from when its owner fell silent: rising, at most `recovery_ms`."""
    recovery_ms: int = 72 * HOUR_MS
    leftovers: str = DROP
    """DROP or KEEP: what an order leaves of a cart that it names no part of, and has not all products of."""
    browse_views: int = 0
    """So many views of products with nothing in the cart make a browse that may be abandoned; 0: nothing does."""
    timer_lateness_ms: int = 10_000
    max_action_age_ms: int = 24 * HOUR_MS
    expires_ms: int = 24 * HOUR_MS
    action_channels: tuple[str, ...] = ("email", "sms", "push")
    few_members: int = 8
    """Members of a profile of no more than these are told one by one when it moves: see `Handovers`."""
    piece_members: int = 1_000
    """A profile of more members than this hands them over in pieces of so many."""
    max_record_bytes: int = 983_040
    most_touchpoints: int = 20_000
    most_cart_entries: int = 2_000
    most_campaigns: int = 2_000
    """What of one profile is remembered at most: a bot's further touchpoints land without a session."""
    is_replay: bool = False
    """True: only ticks move the clock (history, simulation). False: append times and caught-up fetches do."""

    def gap_of(self) -> tuple[int, ...]:
        """The session gap of each channel code, in milliseconds."""
        return tuple(self.gaps_ms.get(channel, self.gap_ms) for channel in CHANNELS)
