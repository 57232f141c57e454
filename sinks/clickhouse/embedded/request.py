"""ClickHouse's HTTP requests in our own terms: what is asked, by whom, under which id. Pure.

Follows https://clickhouse.com/docs/interfaces/http for what its clients send.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sinks.clickhouse.embedded.body import Body
from sinks.clickhouse.embedded.failure import refusal
from sinks.clickhouse.embedded.query import ExternalTable, Query
from sinks.clickhouse.embedded.sessions import IDLE_S, IDLE_S_MAX, SessionKey
from sinks.clickhouse.embedded.users import User

# Parameters of the interface; every other one is a setting of the engine.
_NOT_SETTINGS: Final = frozenset({
    "query", "database", "default_format", "session_id", "session_timeout", "session_check", "query_id", "user",
    "password", "quota_key", "compress", "decompress", "wait_end_of_query", "buffer_size", "role",
    "client_protocol_version", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "enable_http_compression", "close_session", "stacktrace", "network_compression_method",
    "network_zstd_compression_level", "http_zlib_compression_level",
})  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER: Final = "param_"
_OF_TABLE: Final = ("_format", "_types", "_structure")
_INTERVAL_MS: Final = 100


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the answer should come: compressed, in ClickHouse's blocks, with progress in headers every so often."""

    accepted: str = ""
    in_blocks: bool = False
    progress_ms: int | None = None


def query_of(
    parameters: Mapping[str, str],
    body: Body,
    *,
    headers: Mapping[str, str],
    user: User,
    query_id: str,
    is_get: bool = False,
    files: Mapping[str, bytes] | None = None,
) -> Query:
    """What a request asks; `files` are the parts of a multipart body that carry a table. Raises Refused."""
    files = files or {}
    of_tables = {name + ending for name in files for ending in _OF_TABLE}
    settings = {
        name: value
        for name, value in parameters.items()
        if name not in _NOT_SETTINGS and name not in of_tables and not name.startswith(_PARAMETER)
    }
    for name in settings:
        if not _NAME.fullmatch(name):
            raise refusal(115, f"Unknown setting {name!r}.", "UNKNOWN_SETTING")
    return Query(
        user=user,
        query_id=query_id,
        sql=parameters.get("query", "").encode(),
        body=body,
        database=parameters.get("database") or headers.get("X-ClickHouse-Database", ""),
        session=_session(parameters, user),
        ends_session=_is_on(parameters, "close_session"),
        settings=settings,
        parameters={
            name.removeprefix(_PARAMETER): value
            for name, value in parameters.items()
            if name.startswith(_PARAMETER)
        },
        tables=tuple(_table(name, rows, parameters) for name, rows in files.items()),
        default_format=parameters.get("default_format")
        or headers.get("X-ClickHouse-Format")
        or "TabSeparated",
        is_read_only=is_get or settings.get("readonly") in ("1", "2"),
        waits_for_end=_is_on(parameters, "wait_end_of_query"),
        protocol_version=_number(parameters, "client_protocol_version", 0),
    )


def wishes_of(parameters: Mapping[str, str], *, headers: Mapping[str, str]) -> Wishes:
    """How the answer should come. Raises Refused."""
    is_compressed = _is_on(parameters, "enable_http_compression")
    interval_ms = _number(parameters, "http_headers_progress_interval_ms", _INTERVAL_MS)
    return Wishes(
        accepted=headers.get("Accept-Encoding", "") if is_compressed else "",
        in_blocks=_is_on(parameters, "compress"),
        progress_ms=max(interval_ms, 1) if _is_on(parameters, "send_progress_in_http_headers") else None,
    )


def sends_blocks(parameters: Mapping[str, str]) -> bool:
    """Whether the body comes in ClickHouse's own compressed blocks."""
    return _is_on(parameters, "decompress")


def _session(parameters: Mapping[str, str], user: User) -> SessionKey | None:
    name = parameters.get("session_id", "")
    if not name:
        return None
    idle_s = _number(parameters, "session_timeout", IDLE_S)
    if idle_s > IDLE_S_MAX:
        said = f"session_timeout is {idle_s}, and at most {IDLE_S_MAX} seconds."
        raise refusal(371, said, "INVALID_SESSION_TIMEOUT")
    return SessionKey(user, name, must_exist=_is_on(parameters, "session_check"), idle_s=idle_s)


def _table(name: str, rows: bytes, parameters: Mapping[str, str]) -> ExternalTable:
    """Raises Refused where nothing says what its columns are."""
    structure, types = parameters.get(f"{name}_structure"), parameters.get(f"{name}_types")
    if not structure and types:
        structure = ", ".join(f"_{number} {each}" for number, each in enumerate(_apart(types), start=1))
    if not structure:
        said = f"External table {name} needs its columns: {name}_structure=…, or {name}_types=…"
        raise refusal(36, said, "BAD_ARGUMENTS")
    form = parameters.get(f"{name}_format") or "TabSeparated"
    if not _NAME.fullmatch(form):
        raise refusal(73, f"Unknown format {form!r}.", "UNKNOWN_FORMAT")
    return ExternalTable(name, structure, form, rows)


def _apart(types: str) -> list[str]:
    """`UInt8, Tuple(A, B)` at the commas outside of brackets."""
    found, depth = [""], 0
    for sign in types:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return [each.strip() for each in found]


def _is_on(parameters: Mapping[str, str], name: str) -> bool:
    return parameters.get(name, "0").lower() in ("1", "true")


def _number(parameters: Mapping[str, str], name: str, default: int) -> int:
    given = parameters.get(name, "")
    if not given:
        return default
    if not (given.isascii() and given.isdecimal()):
        raise refusal(72, f"{name} is {given!r}, not a whole number.", "CANNOT_PARSE_NUMBER")
    return int(given)
