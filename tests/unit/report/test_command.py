"""Where the page goes: whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cli.errors import ExitCode, Failure
from streams.cli.report import write_whole


def test_a_file_that_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that says why, the file as it was, and nothing beside it.

    Seen to fail without the scratch file being removed.
    """

    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "report.html"
    target.write_text("before")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Failure, match=r"cannot write .*: No space left on device") as failed:
        write_whole(target, "after")
    assert failed.value.exit_code == ExitCode.FAILED
    assert [(each, each.read_text()) for each in tmp_path.iterdir()] == [(target, "before")]


def test_a_directory_is_no_file_to_write(tmp_path: Path) -> None:
    """It stays, and nothing comes beside it."""
    target = tmp_path / "there"
    target.mkdir()
    with pytest.raises(Failure, match="cannot write"):
        write_whole(target, "after")
    assert list(tmp_path.iterdir()) == [target]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    """As any file that a program makes here: the page is to be passed on.

    Seen to fail with the rights of a scratch file, which are its owner's alone.
    """
    usual, written = tmp_path / "usual", tmp_path / "written"
    usual.touch()
    write_whole(written, "text")
    assert (written.stat().st_mode, written.read_text()) == (usual.stat().st_mode, "text")
