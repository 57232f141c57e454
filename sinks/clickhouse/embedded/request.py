"""ClickHouse's HTTP requests and answers in our own terms: who asks, what, compressed how. Pure.

Follows https://clickhouse.com/docs/interfaces/http for what its clients send; of ClickHouse's own block
compression (`compress=1`) and external tables it says clearly that they are missing.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hmac
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import lz4.frame
import zstandard

from sinks.clickhouse.embedded.engine import Query
from sinks.clickhouse.embedded.failure import refusal

# Parameters of the interface; every other one is a setting of the engine.
_NOT_SETTINGS: Final = frozenset({
    "query", "database", "default_format", "session_id", "session_timeout", "session_check", "query_id", "user",
    "password", "quota_key", "compress", "decompress", "wait_end_of_query", "buffer_size", "role",
    "client_protocol_version", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "enable_http_compression", "close_session", "stacktrace",
})  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER: Final = "param_"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one user of an embedded warehouse."""

    user: str
    password: str = field(repr=False)


def check(credentials: Credentials, parameters: Mapping[str, str], *, headers: Mapping[str, str]) -> None:
    """Raises Refused (516) unless the request names the user and the password, in any of the three usual ways."""
    user, password = _claimed(parameters, headers)
    is_user = hmac.compare_digest(user.encode(), credentials.user.encode())
    is_password = hmac.compare_digest(password.encode(), credentials.password.encode())
    if not (is_user and is_password):
        raise refusal(516, "Authentication failed: wrong user or password.", "AUTHENTICATION_FAILED")


def _claimed(parameters: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    if "X-ClickHouse-User" in headers:
        return headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
    kind, _, encoded = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    return parameters.get("user", ""), parameters.get("password", "")


def query_of(
    parameters: Mapping[str, str], body: bytes, *, headers: Mapping[str, str], is_get: bool
) -> Query:
    """What a request asks. Raises Refused."""
    for flag in ("compress", "decompress"):
        if parameters.get(flag) == "1":
            text = f"{flag}=1 (ClickHouse's own block compression) is not supported; use Content-Encoding."
            raise refusal(48, text, "NOT_IMPLEMENTED")
    settings = {
        name: value
        for name, value in parameters.items()
        if name not in _NOT_SETTINGS and not name.startswith(_PARAMETER)
    }
    for name in settings:
        if not _NAME.fullmatch(name):
            raise refusal(115, f"Unknown setting {name!r}.", "UNKNOWN_SETTING")
    return Query(
        sql=parameters.get("query", "").encode(),
        body=body,
        database=parameters.get("database") or headers.get("X-ClickHouse-Database", ""),
        session_id=parameters.get("session_id", ""),
        settings=settings,
        parameters={
            name.removeprefix(_PARAMETER): value
            for name, value in parameters.items()
            if name.startswith(_PARAMETER)
        },
        default_format=parameters.get("default_format")
        or headers.get("X-ClickHouse-Format")
        or "TabSeparated",
        is_read_only=is_get,
    )


def decoded(body: bytes, encoding: str) -> bytes:
    """The body as it was before its Content-Encoding. Raises Refused for one that is unknown or broken."""
    decoder = _DECODERS.get(encoding or "identity")
    if decoder is None:
        text = f"Content-Encoding {encoding} is not supported."
        raise refusal(89, text, "UNKNOWN_COMPRESSION_METHOD")
    try:
        return decoder(body)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError, RuntimeError) as error:
        text = f"The body is not {encoding}: {error}."
        raise refusal(354, text, "CANNOT_DECOMPRESS") from error


_DECODERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lambda body: bytes(lz4.frame.decompress(body)),
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}


class _Plain:
    def compress(self, piece: bytes) -> bytes:
        return piece

    def flush(self) -> bytes:
        return b""


class Encoder:
    """Compresses an answer piece by piece, as the client accepts it; `name` is its Content-Encoding or empty."""

    def __init__(self, accepted: str) -> None:
        names = [part.split(";")[0].strip() for part in accepted.split(",")]
        self.name = next((name for name in names if name in _COMPRESSORS), "")
        self._compressor = _COMPRESSORS.get(self.name, _Plain)()

    def encode(self, piece: bytes) -> bytes:
        """What can be sent now."""
        return bytes(self._compressor.compress(piece))

    def finish(self) -> bytes:
        """What is left to send."""
        return bytes(self._compressor.flush())


_COMPRESSORS: Final[Mapping[str, Callable[[], Any]]] = {
    "gzip": lambda: zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS),
    "zstd": lambda: zstandard.ZstdCompressor(1).compressobj(),
}
