"""A whole simulation as one stream in arrival order, with its ground truth on the side.

A household is brought to life when the stream reaches the moment it wakes up, so memory holds the records
still on their way and the truth, not the day. Must not know where records go.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from typing import NamedTuple

from streams.simulator.day import Day, crawl, some_moment
from streams.simulator.encoding import Encoder
from streams.simulator.naive import mails_of
from streams.simulator.options import Options
from streams.simulator.people import people_of
from streams.simulator.recorder import Entry, Recorder
from streams.simulator.scene import Scene
from streams.simulator.shop import open_shop
from streams.simulator.truth import Rules, judge
from streams.simulator.verdict import Truth


class Emitted(NamedTuple):
    """One record for Kafka: `value` is framed Avro."""

    channel: str
    key: bytes
    value: bytes
    arrival_ms: int


class Simulation:
    """The same options give the same bytes. Each iterator is a run of its own, `truth` the latest one's."""

    def __init__(self, options: Options, rules: Rules | None = None) -> None:
        self._options = options
        self._end_ms = options.end_ms
        self._rules = rules or Rules()
        self._shop = open_shop(options.seed, till_delay_h=options.till_delay_h)
        self._truth = Truth()
        self._is_complete = False

    def records(self) -> Iterator[Emitted]:
        """Every record, in the order of arrival."""
        encode = Encoder().encode
        for entry in self.entries():
            touchpoint = entry.touchpoint
            yield Emitted(touchpoint.channel, entry.key, encode(touchpoint), entry.arrival_ms)

    def entries(self) -> Iterator[Entry]:
        """The same stream before encoding, for files and for tests."""
        self._truth = Truth()
        self._is_complete = False
        pending: list[tuple[int, int, Entry]] = []
        serial = 0
        for wakes_ms, household in self._wake_times():
            while pending and pending[0][0] < wakes_ms:
                yield heapq.heappop(pending)[2]
            for entry in self._live(household, wakes_ms):
                serial += 1
                heapq.heappush(pending, (entry.arrival_ms, serial, entry))
        pending.sort()
        for _, _, entry in pending:
            yield entry
        self._is_complete = True

    def truth(self) -> Truth:
        """What the rules say of all that was emitted. Raises RuntimeError before the stream is exhausted."""
        if not self._is_complete:
            raise RuntimeError("the truth is known once every record has been emitted")
        return self._truth

    def _wake_times(self) -> list[tuple[int, int]]:
        """(first moment, household) in order; the first members of the first households share devices."""
        options = self._options
        rnd = random.Random(f"{options.seed}:wake")
        start_ms = options.start_ms
        households = options.people - options.shared_devices + options.bots
        moments = [some_moment(rnd, start_ms, self._end_ms) for _ in range(households)]
        return sorted((moment, household) for household, moment in enumerate(moments))

    def _live(self, household: int, wakes_ms: int) -> list[Entry]:
        """One household's whole day, judged, in the order of arrival."""
        options = self._options
        rnd = random.Random(f"{options.seed}:{household}")
        recorder = Recorder(household, options, end_ms=self._end_ms, rnd=rnd)
        scene = Scene(self._end_ms, self._shop, rnd, recorder)
        if household >= options.people - options.shared_devices:
            crawl(scene, wakes_ms)
        else:
            size = 2 if household < options.shared_devices else 1
            Day(scene, people_of(household, size, rnd=rnd)).live(wakes_ms)
        recorder.entries.sort(key=_arrival_ms)
        self._keep(recorder.entries)
        return recorder.entries

    def _keep(self, entries: list[Entry]) -> None:
        truth, judgement = self._truth, judge(entries, self._rules)
        truth.add(judgement, mails_of(entries, judgement.profiles, self._rules))
        originals = [entry.touchpoint for entry in entries if not entry.is_copy]
        truth.channels.update([touchpoint.channel for touchpoint in originals])
        truth.events.update([touchpoint.event for touchpoint in originals])


def _arrival_ms(entry: Entry) -> int:
    return entry.arrival_ms
