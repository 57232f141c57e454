"""The directory where a worker keeps state beyond the process: one owner at a time, one folder a task.

Owns the lock, the folders' names, and the note that a folder is not to be trusted. Must not know what lies in them.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
from pathlib import Path

__all__ = ["StateDirectory", "StateDirectoryUnavailable"]

_LOCK = "owner.lock"
_DISTRUSTED = "DISTRUSTED"


class StateDirectoryUnavailable(Exception):
    """Another process works on this state, or the directory cannot be written to."""


class StateDirectory:
    """Held from `open` to `close`, and never longer than its process lives: the lock is the kernel's."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> StateDirectory:
        """Makes it if need be. Raises StateDirectoryUnavailable, saying who has it."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StateDirectoryUnavailable(f"the state directory {path} cannot be used: {error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(lock)
            os.close(lock)
            raise StateDirectoryUnavailable(
                f"the state directory {path} is in use by {holder}; give every worker a state.directory of its own"
            ) from None
        owner = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(owner).encode(), 0)
        return cls(path, lock)

    def close(self) -> None:
        """Others may have it."""
        os.close(self._lock)

    def folder(self, name: str) -> Path:
        """The folder of a task."""
        return self._path / name

    def is_distrusted(self, name: str) -> bool:
        """True if something in the folder was found broken."""
        return (self.folder(name) / _DISTRUSTED).exists()

    def distrust(self, name: str) -> None:
        """Whoever opens the folder next must not use what is in it, or would meet the damage at every start."""
        folder = self.folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _DISTRUSTED).touch()

    def remove(self, name: str) -> None:
        """The folder and all that is in it. Raises OSError rather than leave some of it."""
        folder = self.folder(name)
        if folder.exists():
            shutil.rmtree(folder)


def _holder(lock: int) -> str:
    try:
        owner = json.loads(os.pread(lock, 4096, 0))
        return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
