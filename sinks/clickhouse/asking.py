"""One question over ClickHouse's HTTP interface, its answer line by line: for people and scripts.

Plain urllib, so that `throughline query` starts quickly. Must not know how an answer is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from sinks.clickhouse.writer import Rejected, Unavailable, Warehouse

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_WRONG_PASSWORD: Final = "516"
_PIECE_BYTES: Final = 1 << 16
_MID_STREAM: Final = re.compile(rb"\r?\n?__exception__\r\n\w+\r\n(Code: .*)", re.S)
# A syntax error lists every word that could have stood there: a screen full that helps nobody.
_EXPECTED: Final = re.compile(r" Expected one of: .*?(?= \([A-Z_]+\)$)", re.S)
_VERSION: Final = re.compile(r"\s*\(version [^)]*\)\s*$")


def ask(
    warehouse: Warehouse,
    sql: str,
    *,
    default_format: str,
    settings: Mapping[str, str | int] | None = None,
    timeout_s: float = 600.0,
) -> Iterator[bytes]:
    """The answer's lines, in `default_format` unless the SQL names one.

    Raises Unavailable (nobody answers, wrong password) or Rejected (the SQL is wrong, or failed half-way).
    """
    parameters = {"database": warehouse.database, "default_format": default_format, **(settings or {})}
    request = Request(
        f"{warehouse.url.rstrip('/')}/?{urlencode(parameters)}",
        data=sql.encode(),
        headers={"X-ClickHouse-User": warehouse.user, "X-ClickHouse-Key": warehouse.password},
    )
    is_near = urlsplit(warehouse.url).hostname in _LOOPBACK
    opener = build_opener(ProxyHandler({})) if is_near else build_opener()
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            lines = _lines(answer)
            for line in lines:
                if line.startswith(b"__exception__"):
                    raise Rejected(_half_way(b"".join((line, *lines))))
                yield line
    except HTTPError as error:
        with error:
            text = _VERSION.sub("", error.read().decode(errors="replace").strip())
        if error.headers.get("X-ClickHouse-Exception-Code") == _WRONG_PASSWORD:
            raise Unavailable(f"{warehouse.url} refuses user {warehouse.user!r} or the password") from None
        raise Rejected(_EXPECTED.sub("", text) or f"HTTP status {error.code}") from None
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Unavailable(f"no ClickHouse answers at {warehouse.url}: {reason}") from None


def _lines(answer: HTTPResponse) -> Iterator[bytes]:
    """Its lines; http.client's own take 10 µs each."""
    rest = b""
    while piece := answer.read1(_PIECE_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _half_way(trailer: bytes) -> str:
    found = _MID_STREAM.search(b"\r\n" + trailer)
    text = found.group(1) if found else trailer
    return text.decode(errors="replace").split("\r\n")[0].rsplit("\n", 1)[0].strip()
