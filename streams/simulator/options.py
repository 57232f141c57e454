"""What a simulated shop day may be asked for. Knows no shop and no people, only their numbers and shares."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS


class OptionsError(ValueError):
    """Options that no shop day can have: one line naming each."""


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes of the simulated world, and how badly its records travel.

    Shares are of all records, 0 to 1. `late_share` arrive 5 minutes to 6 hours late, `out_of_order_share`
    up to a minute late, `duplicate_share` a second time, unchanged, up to an hour after. `clock_error_share`
    carry an impossible `occurred_at`: in the future, in 1970, days ago. `misrouted_share` are keyed by the
    weakest identifier they carry, and `dirty_share` have their identifiers written carelessly (spaces, capitals,
    `undefined`). Tills that do not report at once upload up to `till_delay_h` hours later.
    """

    people: int = 3_000
    hours: float = 24.0
    seed: int = 1
    bots: int = 0
    shared_devices: int = 0
    late_share: float = 0.01
    out_of_order_share: float = 0.03
    duplicate_share: float = 0.01
    clock_error_share: float = 0.0005
    misrouted_share: float = 0.002
    dirty_share: float = 0.003
    till_delay_h: float = 5.0
    start: str = "2026-03-02T06:00:00+00:00"

    def __post_init__(self) -> None:
        """Raises OptionsError naming everything that is wrong."""
        wrong = [
            f"{option.name} must lie between 0 and 1, not {getattr(self, option.name)}"
            for option in fields(self)
            if option.name.endswith("_share") and not 0.0 <= getattr(self, option.name) <= 1.0
        ]
        wrong += [
            f"{name} must not be negative"
            for name in ("people", "bots", "shared_devices", "till_delay_h")
            if getattr(self, name) < 0
        ]
        if not 0.0 < self.hours <= 72.0:
            wrong.append(
                f"hours must lie above 0 and be at most 72, the window of the rules, not {self.hours}"
            )
        if self.shared_devices * 2 > self.people:
            wrong.append(f"shared_devices must not be above half of {self.people} people")
        if self.late_share + self.out_of_order_share + self.clock_error_share > 1.0:
            wrong.append("late_share, out_of_order_share and clock_error_share together must not exceed 1")
        try:
            datetime.fromisoformat(self.start)
        except ValueError:
            wrong.append(f"start must be an ISO 8601 time, not {self.start!r}")
        if wrong:
            raise OptionsError("\n".join(wrong))

    @property
    def start_ms(self) -> int:
        """When the shop opens, epoch milliseconds; without a zone, UTC."""
        start = datetime.fromisoformat(self.start)
        return int((start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp() * 1_000)

    @property
    def end_ms(self) -> int:
        """Nothing happens from here on, though records of what happened before may still arrive."""
        return self.start_ms + int(self.hours * HOUR_MS)


#: About 70,000 touchpoints: a day that fits the embedded broker, with carts abandoned from the first hour on.
DEMO_DAY = Options()
