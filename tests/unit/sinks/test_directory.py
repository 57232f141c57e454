"""One process at a time holds a warehouse's directory, and says who it is."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sinks.clickhouse.embedded.directory import DirectoryTaken, Lock, holder_of


def test_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    """The message names process, time and address, so that one can go there or end it."""
    first = Lock(tmp_path / "w")
    taken_at = datetime.now(UTC)
    first.announce("http://127.0.0.1:1234")
    said = rf"process {os.getpid()} since \S+ \S+ and answers at http://127.0.0.1:1234"
    with pytest.raises(DirectoryTaken, match=said) as refused:
        Lock(tmp_path / "w")
    holder = holder_of(tmp_path / "w")
    assert holder == refused.value.holder
    assert holder is not None
    assert (holder.pid, holder.url) == (os.getpid(), "http://127.0.0.1:1234")
    assert abs((datetime.fromisoformat(holder.since) - taken_at).total_seconds()) < 60
    first.release()


def test_released_directory_is_free(tmp_path: Path) -> None:
    """Nobody holds it, and the next one may."""
    Lock(tmp_path).release()
    assert holder_of(tmp_path) is None
    Lock(tmp_path).release()


def test_asking_who_holds_makes_nothing(tmp_path: Path) -> None:
    """A question leaves no directory behind."""
    assert holder_of(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()
