"""The version of the state's format: written into every changelog, migrated forward when it is read back.

The first record of a changelog says which changelog it is and in which format its values are; when a newer program
takes over, such a record begins its first commit. Values before it stay as they are and are migrated at each restore,
until compaction has let go of the last of them. Must not know what values mean: migrations do.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streams.runtime.engine import Change

__all__ = [
    "FIRST_FORMAT",
    "HEADER_PREFIX",
    "STATE_FORMAT",
    "Migration",
    "StateFormat",
    "StateTooNew",
    "new_changelog_id",
]

FIRST_FORMAT = 1
"""What values are in that no header stands before."""

HEADER_PREFIX = b"\x00format/"
"""The runtime's own keys: this and a version. A version has a key to itself, so that compaction leaves each."""

Migration = Callable[[bytes, bytes], bytes | None]
"""Key and value in one format -> the value in the next, None if it is no longer needed. Must be pure."""


class StateTooNew(Exception):
    """A newer program has written this state."""

    def __init__(self, where: str, *, found: int, known: int) -> None:
        super().__init__(
            f"{where} holds state of format {found}, this program knows formats up to {known}: "
            "use the version of Throughline that wrote it, or a newer one"
        )


@dataclass(frozen=True, slots=True)
class StateFormat:
    """The format this program writes, and how to get there from each before it."""

    version: int
    migrations: Mapping[int, Migration] = field(default_factory=dict)
    """Format -> what turns its values into those of the next format."""

    def __post_init__(self) -> None:
        missing = set(range(FIRST_FORMAT, self.version)) - self.migrations.keys()
        assert not missing, f"no migration from state formats {sorted(missing)}"

    def header(self, changelog_id: bytes) -> list[Change]:
        """What begins the first commit in this format."""
        return [(HEADER_PREFIX + str(self.version).encode(), changelog_id)]

    def version_of(self, header_key: bytes, *, where: str) -> int:
        """The format a header announces. Raises StateTooNew."""
        found = int(header_key.removeprefix(HEADER_PREFIX))
        if found > self.version:
            raise StateTooNew(where, found=found, known=self.version)
        return found

    def migrate(self, changes: dict[bytes, bytes | None], version: int) -> dict[bytes, bytes | None]:
        """Changes of the format `version` as this program has them."""
        for at in range(version, self.version):
            step = self.migrations[at]
            changes = {key: None if value is None else step(key, value) for key, value in changes.items()}
        return changes


def new_changelog_id() -> bytes:
    """Tells one changelog from another of the same name."""
    return uuid.uuid4().bytes


def _as_it_is(key: bytes, value: bytes) -> bytes | None:
    return value


STATE_FORMAT = StateFormat(2, migrations={1: _as_it_is})
"""To change what values look like: raise the version and say here how the values of the one before are turned.

Format 2: a session's row is longer. Rows of format 1 are read as they are; programs of before cannot read those of now.
"""
