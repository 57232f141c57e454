"""The directory of an embedded warehouse: who holds it, and the configuration the engine opens it with.

Must not load chDB: this is what other processes ask before they dare to.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Final

LOCK_NAME: Final = "throughline.lock"
CONFIG_NAME: Final = "throughline-config.xml"
USERS_NAME: Final = "throughline-users.xml"
DEFAULT_MEMORY_BYTES: Final = 2_000_000_000

# What keeps its data in the directory or computes. Everything else opens files or connections of this machine,
# and a failed CREATE of some (Kafka) leaves the directory unopenable.
_TABLE_ENGINES: Final = (
    "MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree", "CollapsingMergeTree",
    "VersionedCollapsingMergeTree", "Memory", "Null", "Set", "Join", "Buffer", "Merge", "Log", "TinyLog",
    "StripeLog", "View", "MaterializedView", "Dictionary", "GenerateRandom",
)  # fmt: skip

# Without CREATE of sources (READ ON FILE, URL, REMOTE, …), users, named collections; without SYSTEM SHUTDOWN.
_GRANTS: Final = (
    "GRANT SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE DICTIONARY, "
    "CREATE TEMPORARY TABLE, CREATE FUNCTION, DROP, UNDROP TABLE, OPTIMIZE, SHOW, TRUNCATE, dictGet, "
    "KILL QUERY, SYSTEM RELOAD DICTIONARY, SYSTEM MERGES ON *.*",
    *(f"GRANT TABLE ENGINE ON {name}" for name in _TABLE_ENGINES),
)


class DirectoryTaken(Exception):
    """Another process holds the directory; the message says which."""

    def __init__(self, directory: Path, holder: Holder) -> None:
        at = f" and answers at {holder.url}" if holder.url else ""
        super().__init__(f"{directory} is held by process {holder.pid}{at}")
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a directory: its process, and where it answers (empty while it is starting)."""

    pid: int
    url: str = ""


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
        self.announce("")

    def announce(self, url: str) -> None:
        """Tell others where the warehouse answers."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps(asdict(Holder(os.getpid(), url))).encode())

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


def write_config(directory: Path, *, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> Path:
    """Write the engine's configuration into the directory, as it must be at every opening; its path."""
    users = directory / USERS_NAME
    users.write_text(_users_xml(memory_bytes))
    config = directory / CONFIG_NAME
    config.write_text(
        "<clickhouse>\n"
        f"  <max_server_memory_usage>{memory_bytes}</max_server_memory_usage>\n"
        f"  <mark_cache_size>{memory_bytes // 32}</mark_cache_size>\n"
        f"  <users_config>{users.resolve()}</users_config>\n"
        "</clickhouse>\n"
    )
    return config


def _users_xml(memory_bytes: int) -> str:
    settings = {
        "async_insert": 0,  # on by default; it would take the deduplication token from its insert
        "max_memory_usage": memory_bytes * 3 // 4,
        "max_bytes_before_external_group_by": memory_bytes // 3,
        "max_bytes_before_external_sort": memory_bytes // 3,
    }
    profile = "".join(f"<{name}>{value}</{name}>" for name, value in settings.items())
    grants = "\n".join(f"      <query>{grant}</query>" for grant in _GRANTS)
    return (
        "<clickhouse>\n"
        f"  <profiles><default>{profile}</default></profiles>\n"
        "  <users><default>\n"
        "    <password></password><networks><ip>::/0</ip></networks>\n"
        "    <profile>default</profile><quota>default</quota>\n"
        f"    <grants>\n{grants}\n    </grants>\n"
        "  </default></users>\n"
        "  <quotas><default></default></quotas>\n"
        "</clickhouse>\n"
    )
