"""Progress: what counts as getting on, as standing still, and whose time that is."""

from __future__ import annotations

import asyncio

import pytest

from streams.runtime.progress import Progress, RunTime, State

INBOX = "inbox"


class House:
    """A worker with a clock that is set by hand, stalled after 100 s, so not ready after 25."""

    def __init__(self, *partitions: int) -> None:
        self.now_s = 0.0
        self.heard_ms = 0
        self.progress = Progress(lambda: self.now_s, 100.0, INBOX)
        if partitions:
            self.progress.holds(partitions)

    def goes_on(self, seconds: float, *, hears: bool = True, **unread: int) -> None:
        """So much time, in seconds of which each sees the loop run and lags measured: `in_0=5`, `inbox_1=2`."""
        named = {tuple(name.rsplit("_", 1)): number for name, number in unread.items()}
        for _ in range(round(seconds)):
            self.now_s += 1.0
            self.heard_ms += hears
            self.progress.beaten_s = self.now_s
            self.progress.measures({(topic, int(p)): n for (topic, p), n in named.items()}, self.heard_ms)

    def commits(self, partition: int, **records: int) -> None:
        """A batch from poll to commit."""
        self.progress.takes(partition, records)
        self.progress.commits(partition)


def test_with_nothing_to_do_it_is_well_for_ever() -> None:
    """No records, a broker that answers: ready and live, however long."""
    house = House(0, 1)
    house.goes_on(1000)
    assert (house.progress.stall(), house.progress.obstacles()) == ("", [])


def test_records_that_nobody_commits_are_a_stall() -> None:
    """Not ready after a quarter of the time, stalled after all of it; the records are counted."""
    house = House(0, 1)
    house.goes_on(24, in_0=5)
    assert house.progress.obstacles() == []
    house.goes_on(1, in_0=7)
    assert house.progress.obstacles() == ["task 0 has not moved for 25 s, 7 records are waiting"]
    house.goes_on(74, in_0=7)
    assert house.progress.stall() == ""
    house.goes_on(1, in_0=9)
    assert house.progress.stall() == "no position of the inputs was committed for 100 s, while 9 records wait"


def test_one_task_that_gets_on_keeps_the_worker() -> None:
    """Another worker would not find a partition's broker either: people are told, and the others work on."""
    house = House(0, 1)
    for _ in range(20):
        house.goes_on(10, in_0=5, in_1=5)
        house.commits(1, **{"in": 3})
    assert house.progress.stall() == ""
    assert house.progress.obstacles() == ["task 0 has not moved for 200 s, 5 records are waiting"]


def test_a_batch_that_is_never_committed_is_a_stall() -> None:
    """All records taken, none left to read, and the commit hangs: they count until they are committed."""
    house = House(0)
    house.progress.takes(0, {"in": 40, INBOX: 2})
    house.goes_on(100)
    assert "inputs was committed for 100 s, while 40 records wait" in house.progress.stall()
    house.progress.commits(0)
    assert (house.progress.stall(), house.progress.obstacles()) == ("", [])


def test_idle_chatter_of_clocks_is_no_progress_of_inputs() -> None:
    """Clocks go round through the inbox whatever happens; inputs that stand still are seen all the same."""
    house = House(0)
    for _ in range(50):
        house.goes_on(2, in_0=5, inbox_0=1)
        house.commits(0, **{INBOX: 1})
        house.commits(0)
    assert "of the inputs was committed for 100 s" in house.progress.stall()
    other = House(0)
    for _ in range(50):
        other.goes_on(2, inbox_0=5)
        other.commits(0, **{"in": 1})
    assert "of the inbox was committed for 100 s, while 5 records wait" in other.progress.stall()


def test_an_end_that_nobody_confirms_says_nothing() -> None:
    """A fetch that is never answered leaves the lag at 0: not to be taken for having nothing to do."""
    house = House(0)
    house.goes_on(99, hears=False)
    assert house.progress.stall() == ""
    house.goes_on(2, hears=False)
    assert house.progress.stall() == "the broker has not answered a fetch for 101 s"


def test_a_loop_that_does_not_run_is_a_stall_in_every_state() -> None:
    """Then nothing else that it tells is true any more."""
    house = House(0)
    house.now_s = 100.0
    assert house.progress.stall() == "the event loop has not run for 100 s"
    house.progress.restores({0: 0.5})
    assert house.progress.stall() == "the event loop has not run for 100 s"


def test_a_loop_that_blocks_with_records_waiting_is_the_reason_told_first() -> None:
    """Lag was measured before it blocked, so that stands still a moment longer; what to look at is the loop."""
    house = House(0)
    house.goes_on(4, in_0=5)
    house.now_s += 96.5
    assert house.progress.stall() == (
        "the event loop has not run for 96 s; "
        "no position of the inputs was committed for 100 s, while 5 records wait"
    )


def test_a_restore_has_to_get_on() -> None:
    """However long it takes: told is the share that is read; stalled is one that reads nothing."""
    house = House()
    house.progress.restores({0: 0.0, 1: 0.0})
    for share in range(1, 10):
        house.goes_on(90)
        house.progress.restores({1: share / 10})
        assert house.progress.stall() == ""
    assert house.progress.obstacles() == ["restoring, task 0 0%, task 1 90%"]
    house.goes_on(100)
    assert house.progress.stall() == "the restore has not got on for 100 s"
    house.progress.holds([0, 1])
    assert (house.progress.stall(), house.progress.obstacles()) == ("", [])


@pytest.mark.parametrize("state", [State.STARTING, State.REBALANCING])
def test_a_group_is_waited_for_a_minute_longer(state: State) -> None:
    """Others may have to be waited for while they restore; but not for ever."""
    house = House() if state is State.STARTING else House(0)
    if state is State.REBALANCING:
        house.progress.lets_go()
    house.goes_on(159)
    assert (house.progress.stall(), house.progress.obstacles()) == ("", [str(state)])
    house.goes_on(1)
    assert house.progress.stall() == f"it has been {state} for 160 s without getting its tasks"


def test_a_worker_without_tasks_is_ready() -> None:
    """More workers than tasks: one that waits for work is as it should be."""
    house = House()
    house.progress.holds([])
    house.goes_on(1000)
    assert (house.progress.stall(), house.progress.obstacles()) == ("", [])


def test_what_is_told_of_a_task_that_is_gone_is_let_be() -> None:
    """A commit may be confirmed after its task was given up."""
    house = House(0)
    house.progress.lets_go()
    house.commits(0, **{"in": 1})
    house.progress.clocks(0, 1.0)
    house.progress.measures({("in", 0): 3}, 1)
    assert house.progress.tasks == {}


def test_time_in_which_the_process_was_stopped_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspended laptop, a frozen container: an hour between two ticks is as long as the longest that may be."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    run_time = RunTime(10.0)
    clock[0] = 7.0
    run_time.tick()
    assert run_time() == 7.0
    clock[0] = 3607.0
    assert run_time() == 17.0
    run_time.tick()
    clock[0] = 3608.0
    assert run_time() == 18.0


def test_a_loop_shows_that_it_runs() -> None:
    """Every second, as long as it runs."""
    progress = Progress()
    progress.beaten_s = -1000.0
    loop = asyncio.new_event_loop()
    progress.follow(loop)
    first_s = progress.beaten_s
    loop.run_until_complete(asyncio.sleep(1.2))
    loop.close()
    assert -1000.0 < first_s < progress.beaten_s
