"""What may befall the state directory of a worker between two of its lives."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

__all__ = ["as_it_was", "deleted", "replaced_by_an_old_copy", "truncated"]


def as_it_was(state: Path, rnd: random.Random) -> None:
    """Nothing befalls it."""


def deleted(state: Path, rnd: random.Random) -> None:
    """All of it."""
    shutil.rmtree(state)


def truncated(state: Path, rnd: random.Random) -> None:
    """One file of each task, at any place."""
    for folder in state.iterdir():
        if folder.is_dir():
            path = rnd.choice([path for path in folder.iterdir() if path.stat().st_size])
            path.write_bytes(path.read_bytes()[: rnd.randrange(path.stat().st_size)])


def replaced_by_an_old_copy(state: Path, rnd: random.Random) -> None:
    """As it was after the first life; there is none yet the first time."""
    copy = state.with_name("copy")
    if copy.exists():
        shutil.rmtree(state)
        shutil.copytree(copy, state)
    else:
        shutil.copytree(state, copy)
