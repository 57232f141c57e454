"""How a command fails: one clear line and an exit code, no traceback.

Knows nothing of the rooms; the root (`streams.cli.app`) shows what is raised here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

_NOT_MIGRATED: Final = ("UNKNOWN_DATABASE", "UNKNOWN_TABLE", "UNKNOWN_IDENTIFIER", "UNKNOWN_FUNCTION")
"""What ClickHouse calls it when a table, column or view of ours is not there."""


class ExitCode(IntEnum):
    """What a caller can tell from the exit code; 0 is success."""

    FAILED = 1  # a check or a comparison came out wrong
    USAGE = 2  # wrong words or wrong settings
    UNAVAILABLE = 3  # something we depend on is not there: broker, warehouse, Java


class Failure(Exception):
    """The command cannot go on. `message` says in one line what is wrong and, if it can, what to do."""

    def __init__(self, message: str, exit_code: int = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = int(exit_code)


def rejected(error: Exception, otherwise: ExitCode = ExitCode.FAILED) -> Failure:
    """The failure of a command whose question the warehouse has refused, or could not take."""
    if any(f"({name})" in str(error) for name in _NOT_MIGRATED):
        missing = "the warehouse lacks tables, columns or views; throughline warehouse migrate makes them"
        return Failure(missing, ExitCode.UNAVAILABLE)
    return Failure(str(error), otherwise)
