"""The whole ground truth of a simulation: the judged people and the counts, kept in memory or in a file.

A file is JSON Lines: the counts first, then a line a profile. Must not know how the rules work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from streams.simulator.naive import Mails
from streams.simulator.truth import Judgement, Profile


class Counts(msgspec.Struct, frozen=True):
    """What a run must end with.

    `merges` are profiles that became part of another, by the order of arrival. Tasks that see records of one person
    in another order may count differently, so a run need not match it. `naive` is what the usual tool would have
    mailed, which no run is compared with.
    """

    records: int
    touchpoints: int
    duplicates: int
    late: int
    profiles: int
    merges: int
    sessions: int
    episodes: int
    abandoned: int
    recovered: int
    orders: int
    revenue_micros: int
    channels: dict[str, int]
    events: dict[str, int]
    naive: Mails = msgspec.field(default_factory=Mails)


@dataclass(slots=True)
class Truth:
    """Grows while the simulation runs, household by household; complete once all its records are emitted."""

    profiles: list[Profile] = field(default_factory=list)
    duplicates: int = 0
    merges: int = 0
    channels: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    naive: Mails = field(default_factory=Mails)

    def add(self, judgement: Judgement, naive: Mails) -> None:
        """Take in another household."""
        self.naive = Mails(self.naive.sent + naive.sent, self.naive.needless + naive.needless)
        self.profiles.extend(judgement.profiles)
        self.duplicates += judgement.duplicates
        self.merges += judgement.merges

    def counts(self) -> Counts:
        """Everything there is so many of."""
        profiles = self.profiles
        sessions = [session for profile in profiles for session in profile.sessions]
        episodes = [episode for profile in profiles for episode in profile.episodes]
        abandonments = [episode.abandonment for episode in episodes if episode.abandonment]
        late = sum(len(profile.late) for profile in profiles)
        touchpoints = late + sum(len(session.touchpoints) for session in sessions)
        return Counts(
            records=touchpoints + self.duplicates,
            touchpoints=touchpoints,
            duplicates=self.duplicates,
            late=late,
            profiles=len(profiles),
            merges=self.merges,
            sessions=len(sessions),
            episodes=len(episodes),
            abandoned=len(abandonments),
            recovered=sum(abandonment.status == "recovered" for abandonment in abandonments),
            orders=sum(session.orders for session in sessions),
            revenue_micros=sum(session.revenue_micros for session in sessions),
            channels=dict(self.channels.most_common()),
            events=dict(self.events.most_common()),
            naive=self.naive,
        )

    def write(self, path: Path) -> None:
        """As JSON Lines; the same truth gives the same bytes."""
        encoder = msgspec.json.Encoder()
        with path.open("wb") as file:
            file.write(encoder.encode(self.counts()) + b"\n")
            for profile in self.profiles:
                file.write(encoder.encode(profile) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Truth:
        """What `write` wrote. Raises msgspec.ValidationError where the file is something else."""
        with path.open("rb") as file:
            counts = msgspec.json.decode(file.readline(), type=Counts)
            return cls(
                profiles=list(_profiles(file)),
                duplicates=counts.duplicates,
                merges=counts.merges,
                channels=Counter(counts.channels),
                events=Counter(counts.events),
                naive=counts.naive,
            )


def _profiles(lines: Iterator[bytes]) -> Iterator[Profile]:
    decoder = msgspec.json.Decoder(Profile)
    for line in lines:
        yield decoder.decode(line)
