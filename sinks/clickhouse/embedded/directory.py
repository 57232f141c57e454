"""The directory of an embedded warehouse: who holds it, and since when.

Must not load chDB: this is what other processes ask before they dare to. What the engine is opened with is
`configuration`'s.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Final

LOCK_NAME: Final = "throughline.lock"


class DirectoryTaken(Exception):
    """Another process holds the directory; the message says which."""

    def __init__(self, directory: Path, holder: Holder) -> None:
        since = f" since {holder.since}" if holder.since else ""
        at = f" and answers at {holder.url}" if holder.url else ""
        super().__init__(f"{directory} is held by process {holder.pid}{since}{at}")
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a directory: its process, where it answers (empty while it is starting), since when (UTC)."""

    pid: int
    url: str = ""
    since: str = ""


class Lock:
    """An exclusive hold on a directory until `release` or the end of the process, however that comes.

    The kernel's lock decides; the file's text only says who has it.
    """

    def __init__(self, directory: Path) -> None:
        """Raises DirectoryTaken; makes the directory if there is none."""
        directory.mkdir(parents=True, exist_ok=True)
        self._file = FileIO(directory / LOCK_NAME, "a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _written(self._file)
            self._file.close()
            raise DirectoryTaken(directory, holder) from None
        self._since = datetime.now(UTC).isoformat(" ", "seconds")
        self.announce("")

    def announce(self, url: str) -> None:
        """Tell others where the warehouse answers."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps(asdict(Holder(os.getpid(), url, self._since))).encode())

    def release(self) -> None:
        """Let the next one in."""
        self._file.truncate(0)
        self._file.close()


def is_warehouse(directory: Path) -> bool:
    """Whether there is one to open; opening would make one."""
    return (directory / "metadata").is_dir() and (directory / "store").is_dir()


def holder_of(directory: Path) -> Holder | None:
    """Who holds the directory now; None: nobody, or there is no such directory."""
    try:
        file = FileIO(directory / LOCK_NAME, "r")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _written(file)
    return None


def _written(file: FileIO) -> Holder:
    file.seek(0)
    try:
        return Holder(**json.loads(file.readall() or b""))
    except (ValueError, TypeError):  # caught between taking the lock and writing the name
        return Holder(pid=0)
