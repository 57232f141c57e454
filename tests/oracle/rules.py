"""The numbers of the rules, with the defaults everybody shares; must not know how a rule works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS

RANKS = ("user_id", "loyalty_id", "email", "phone", "device_id", "anonymous_id")
LIMITS = {"user_id": 1, "loyalty_id": 1, "email": 5, "phone": 5, "device_id": 50, "anonymous_id": 50}
CHANNELS = (
    "web",
    "app",
    "pos",
    "email",
    "sms",
    "push",
    "chat",
    "support",
    "social",
    "ads",
    "loyalty",
    "store",
    "voice",
    "survey",
    "orders",
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Durations in ms; `is_replay`: `received_at` bounds the arrival, as where history is imported.

    `limits`: how many identifiers of a type one person has at most; `moving`: types that follow their latest user.
    `reminders_ms`: when an abandoned cart is due again, from the beginning of the first silence.
    `keeps_leftovers`: an order that was not made from the cart leaves in it what was not bought.
    `drop_plus_tags` are domains (`*`: every one), `blocked` are `value`, `type:value` or `type:pattern`.
    """

    ranks: tuple[str, ...] = RANKS
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS)
    moving: frozenset[str] = frozenset()
    default_region: str = ""
    drop_plus_tags: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    gap_ms: int = 30 * MINUTE_MS
    gaps_ms: Mapping[str, int] = field(default_factory=dict)
    abandon_after_ms: int = 30 * MINUTE_MS
    reminders_ms: tuple[int, ...] = ()
    recovery_ms: int = 72 * HOUR_MS
    keeps_leftovers: bool = False
    late_after_ms: int = 72 * HOUR_MS
    timer_lateness_ms: int = 10 * SECOND_MS
    historical_after_ms: int = 24 * HOUR_MS
    is_replay: bool = True


DEFAULT = Rules()
