"""The first question of clickhouse-go, and the one answer that it reads in a later form than chDB writes.

Clients that name a `client_protocol_version` expect blocks of that version, with more in front of them than
chDB's Native format has. clickhouse-go reads only this answer in that form; of all later ones it believes the
revision that this one names: 0, the form of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from sinks.clickhouse.embedded.query import Head

_QUESTION: Final = re.compile(
    rb"\s*SELECT displayName\(\), version\(\), revision\(\), timezone\(\)(?:\s+FORMAT Native)?\s*$", re.I
)
_BLOCK_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_WITH_SERIALIZATION: Final = 54_454
_REVISION: Final = bytes(4)


def is_hello(statement: bytes, protocol_version: int) -> bool:
    """Whether it is that question, in the form whose answer chDB cannot write."""
    return protocol_version >= _WITH_SERIALIZATION and _QUESTION.match(statement) is not None


def hello(connection: Any) -> Iterator[Head | bytes]:
    """One block of four columns and one row."""
    zone, version = connection.query("SELECT timezone(), version()", "TSV").bytes().split()
    columns = (
        (b"displayName()", b"String", _string(b"throughline")),
        (b"version()", b"String", _string(version)),
        (b"revision()", b"UInt32", _REVISION),
        (b"timezone()", b"String", _string(zone)),
    )
    yield Head("Native")
    yield (
        _BLOCK_INFO
        + bytes((len(columns), 1))
        # The byte between type and value: no serialization of its own.
        + b"".join(_string(name) + _string(kind) + b"\x00" + value for name, kind, value in columns)
    )


def _string(value: bytes) -> bytes:
    return bytes((len(value),)) + value
