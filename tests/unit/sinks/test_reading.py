"""Since when something waits to be landed, and how far a partition has come: by what brokers say, and a clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sinks.clickhouse.chunk import Record, Span
from sinks.clickhouse.declared import Declared
from sinks.clickhouse.fetching import Fetched, Fetcher, Place
from sinks.clickhouse.reading import Reading, ReadingOptions, _Held

PLACE = ("sessions", 0)


class World:
    """A sink that reads one partition, of which a test says what has come and when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        self.coming: list[Fetched] = []
        monkeypatch.setattr(Fetcher, "fetch", lambda _, offsets: self._fetch(offsets))
        options = ReadingOptions("127.0.0.1:1", "test")
        self.reading = Reading(options, ["sessions"], stop=threading.Event(), clock=lambda: self.now_s)
        monkeypatch.setattr(self.reading, "_serve_group", lambda wait_s: None)

    def hold(self, start: int, declared: Declared | None = None) -> None:
        """As after a rebalance."""
        self.reading._held[PLACE] = _Held(start, start, declared)

    def _fetch(self, offsets: dict[Place, int]) -> list[Fetched]:
        coming, self.coming = self.coming, []
        return coming

    def read(self, records: list[Record], next_offset: int, end: int | None = None) -> None:
        """So much comes."""
        self.coming = [Fetched(PLACE, next_offset, next_offset if end is None else end, records)]
        self.reading.read()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(monkeypatch)
    world.hold(0)
    yield world
    world.reading.close()


def test_what_came_while_it_landed_counts_from_the_beginning_of_that(world: World) -> None:
    """Its age is not known, so it is taken for as old as it can be; what comes after an answer is as old as the answer.

    Seen to fail, with rows that wait for as long again as the landing took, when the clock was read instead.
    """
    world.read([(0, b"a")], 1)
    assert world.reading.oldest_s == 100.0
    began_s, world.now_s = 101.0, 105.0
    world.reading.landed([Span(*PLACE, 0, 1)])
    world.reading.rest(began_s)
    assert world.reading.oldest_s == 0.0
    world.read([(1, b"b")], 2)
    assert world.reading.oldest_s == began_s
    world.reading.landed([Span(*PLACE, 1, 2)])
    world.reading.rest(105.0)
    world.read([], 2)
    world.now_s = 110.0
    world.read([(2, b"c")], 3)
    assert world.reading.oldest_s == 110.0


def test_it_is_behind_as_long_as_brokers_have_more(world: World) -> None:
    """What is there is read before it is landed. Seen to fail when nobody was ever behind."""
    world.read([(0, b"a")], 1, end=5)
    assert world.reading.is_behind
    world.read([(4, b"b")], 5, end=5)
    assert not world.reading.is_behind


def test_markers_alone_move_a_range(world: World) -> None:
    """Else a partition's lag would never be none behind a transaction. Seen to fail when only records moved the end."""
    world.read([], 3)
    assert world.reading.ready() == {Span(*PLACE, 0, 3): None}
    assert world.reading.oldest_s == 100.0
    assert world.reading.rows == 0


def test_a_declared_range_waits_until_it_is_whole(world: World) -> None:
    """And is landed as it was declared, whatever stands behind it."""
    declared = Declared(3)
    world.hold(0, declared)
    world.read([(0, b"a"), (1, b"b")], 2, end=5)
    assert world.reading.ready() == {}
    world.read([(2, b"c"), (3, b"d")], 4, end=5)
    assert world.reading.ready() == {Span(*PLACE, 0, 3): declared}
    assert world.reading.records(Span(*PLACE, 0, 3)) == [(0, b"a"), (1, b"b"), (2, b"c")]


def test_a_range_is_read_again_whoever_has_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its start to its end, however much comes at once; what is held of the partition stays as it is."""
    kept = [(at, b"%d" % at) for at in range(2, 9)]

    def fetch(_: Fetcher, offsets: dict[Place, int]) -> list[Fetched]:
        ((place, at),) = offsets.items()
        return [Fetched(place, at + 3, 9, [record for record in kept if at <= record[0] < at + 3])]

    world.read([(8, b"8")], 9)
    monkeypatch.setattr(Fetcher, "fetch", fetch)
    assert world.reading.again(Span("sessions", 7, 2, 6)) == kept[:4]
    assert world.reading.again(Span(*PLACE, 2, 6)) == kept[:4]
    assert world.reading.ready() == {Span(*PLACE, 0, 9): None}


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_range_that_is_not_there_any_more_is_none(
    world: World, monkeypatch: pytest.MonkeyPatch, is_deleted: bool
) -> None:
    """Deleted at its start; or lost at its end, which is so once it has been so for half a minute."""
    waits_s: list[float] = []

    def wait(wait_s: float) -> None:
        waits_s.append(wait_s)
        world.now_s += 10

    monkeypatch.setattr(world.reading, "wait", wait)
    ends = Fetched(PLACE, 1, 1, is_out_of_range=is_deleted)
    monkeypatch.setattr(Fetcher, "fetch", lambda *_: [ends])
    assert world.reading.again(Span(*PLACE, 1, 6)) is None
    assert len(waits_s) == (0 if is_deleted else 3)


def test_a_range_that_a_new_leader_does_not_know_yet_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a broker that says nothing one that has nothing."""
    answers = [[], [Fetched(PLACE, 1, 1)], [Fetched(PLACE, 2, 2, [(1, b"a")])]]
    monkeypatch.setattr(world.reading, "wait", lambda _: None)
    monkeypatch.setattr(Fetcher, "fetch", lambda *_: answers.pop(0))
    assert world.reading.again(Span(*PLACE, 1, 2)) == [(1, b"a")]


def test_a_declared_range_that_the_broker_lost_is_given_up(world: World, error_log: list[str]) -> None:
    """Not while the broker may still have it: only where it ends before the range does, for half a minute."""
    world.hold(0, Declared(3))
    world.read([(0, b"a")], 1, end=2)
    assert error_log == []
    world.read([], 1, end=1)
    world.now_s += 29
    world.read([], 1, end=1)
    assert world.reading.ready() == {}
    world.now_s += 1
    world.read([], 1, end=1)
    assert [each.partition(": ")[2] for each in error_log] == ["sessions/0: the broker lost offsets 1 to 2"]
    assert world.reading.ready() == {Span(*PLACE, 0, 1): None}
    error_log.clear()


@pytest.mark.parametrize(
    ("low", "high", "end", "told"),
    [
        (7, 9, 7, "sessions/0: offsets 2 to 6 were deleted before they could be landed"),
        (0, 1, 1, "sessions/0: the broker lost offsets 1 to 1"),
    ],
)
def test_offsets_that_are_gone_are_told_and_passed_over(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    error_log: list[str],
    low: int,
    high: int,
    end: int,
    told: str,
) -> None:
    """At either end. What the broker lost of what is held is given up: others will have these offsets."""

    class Consumer:
        """Knows the partition's ends."""

        def get_watermark_offsets(self, *_: object, **__: object) -> tuple[int, int]:
            return low, high

        def close(self) -> None:
            """Nothing to let go of."""

    world.read([(0, b"a"), (1, b"b")], 2)
    world.reading._consumer.close()
    monkeypatch.setattr(world.reading, "_consumer", Consumer())
    world.coming = [Fetched(PLACE, 2, 2, is_out_of_range=True)]
    world.reading.read()
    assert [each.partition(": ")[2] for each in error_log] == [told]
    (span,) = world.reading.ready()
    assert span.end == end
    assert len(world.reading.records(span)) == min(end, 2)
    error_log.clear()
