"""Scenarios as one stream: records in the order of arrival, ticks, and pauses in which all that is due is decided.

Must not know what a scenario is about, nor a broker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from schemas.codec import decode
from streams.simulator.emit import Emitted
from tests.oracle.compare import Landed
from tests.oracle.touchpoints import Touchpoint, from_record

__all__ = ["Pause", "Scenario", "Stream", "Tick", "part"]


@dataclass(frozen=True, slots=True)
class Tick:
    """Everything that arrived by then has been written."""

    clock_ms: int


@dataclass(frozen=True, slots=True)
class Pause:
    """The same, and nothing more is written until all that is due by then has been decided."""

    clock_ms: int


@dataclass(frozen=True)
class Scenario:
    """Records with their times of arrival, in any order; shares no person and no message with another one."""

    name: str
    records: tuple[Emitted, ...]

    @cached_property
    def touchpoints(self) -> tuple[Touchpoint, ...]:
        """What the oracle judges."""
        return tuple(from_record(decode(record.value)[1], record.arrival_ms) for record in self.records)

    @cached_property
    def message_ids(self) -> frozenset[str]:
        """Of all of it."""
        return frozenset(touchpoint.message_id for touchpoint in self.touchpoints)


@dataclass(frozen=True, slots=True)
class Stream:
    """Scenarios that happen at once. No worker runs before `workers_from_ms`, be there records or ticks to read."""

    scenarios: tuple[Scenario, ...]
    ticks_ms: Iterable[int] = ()
    pauses_ms: Iterable[int] = ()
    workers_from_ms: int = 0

    def entries(self) -> Iterator[tuple[int, Emitted | Tick | Pause]]:
        """(arrival or clock, entry) in the order to write them: a clock comes behind what arrived by then."""
        entries: list[tuple[int, int, Emitted | Tick | Pause]] = [
            (record.arrival_ms, 0, record) for scenario in self.scenarios for record in scenario.records
        ]
        pauses_ms = frozenset(self.pauses_ms)
        entries += [(clock_ms, 1, Tick(clock_ms)) for clock_ms in self.ticks_ms if clock_ms not in pauses_ms]
        entries += [(clock_ms, 1, Pause(clock_ms)) for clock_ms in pauses_ms]
        for at_ms, _, entry in sorted(entries, key=lambda entry: entry[:2]):
            yield at_ms, entry

    def touchpoints(self) -> tuple[Touchpoint, ...]:
        """Of all scenarios."""
        return tuple(touchpoint for scenario in self.scenarios for touchpoint in scenario.touchpoints)


def part(landed: Landed, scenario: Scenario) -> Landed:
    """What has landed of one scenario, by its messages and those whose they are."""
    touchpoints = [row for row in landed.touchpoints if row.message_id in scenario.message_ids]
    profiles = {row.profile for row in touchpoints}
    return Landed(
        touchpoints=touchpoints,
        sessions=[row for row in landed.sessions if row.profile in profiles],
        actions=[row for row in landed.actions if row.opened_by in scenario.message_ids],
        emissions=[row for row in landed.emissions if row.opened_by in scenario.message_ids],
        carts=[row for row in landed.carts or () if row.profile in profiles],
    )
