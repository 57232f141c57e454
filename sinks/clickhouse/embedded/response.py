"""An answer over HTTP that can say how far its statement has come before it knows what it will be.

ClickHouse does so with a line `X-ClickHouse-Progress` every so often, while the headers are still being sent:
nobody in between takes the connection for dead. The status is then sent before it is known, and stays 200.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from sinks.clickhouse.embedded.encoding import Encoder
from sinks.clickhouse.embedded.failure import Refused
from sinks.clickhouse.embedded.query import Head

_ERROR_BYTES_MAX: Final = 16_000
_BINARY: Final = frozenset({"Native", "RowBinary", "Arrow", "ArrowStream", "Parquet", "Avro", "ORC"})


class Answer(web.StreamResponse):
    """The answer to one statement: progress, as often as wanted, then `send_head`, then rows with `write`."""

    def __init__(self, request: web.Request, headers: Mapping[str, str]) -> None:
        super().__init__(headers=dict(headers))
        self._request = request
        # The line that is to be sent next: the status, once that is out the last progress.
        self._line = ""
        self._tag = uuid.uuid4().hex[:16]

    def send_progress(self, counts: Mapping[str, int]) -> None:
        """Tell how far the statement has come. Only before `send_head`, and not over HTTP 1.0."""
        transport = self._request.transport
        if transport is None or self._request.version < (1, 1):
            return
        transport.write((self._line or "HTTP/1.1 200 OK").encode() + b"\r\n")
        self._line = f"X-ClickHouse-Progress: {_as_json(counts)}"

    async def send_head(self, head: Head, encoder: Encoder) -> None:
        """Send the headers of an answer that succeeds so far."""
        self.headers["X-ClickHouse-Summary"] = _as_json(head.summary)
        self.headers["X-ClickHouse-Exception-Tag"] = self._tag
        if head.format:
            self.headers["X-ClickHouse-Format"] = head.format
        if encoder.name:
            self.headers["Content-Encoding"] = encoder.name
        self.content_type = "application/octet-stream" if head.format in _BINARY else "text/plain"
        await self.prepare(self._request)

    async def send_refusal(self, error: Refused) -> None:
        """Send all there is to say of a statement that fails before its first row."""
        self.headers["X-ClickHouse-Exception-Code"] = str(error.code)
        self.set_status(error.status)
        self.content_type = "text/plain"
        await self.prepare(self._request)
        await self.write(error.message.encode() + b"\n")
        await self.write_eof()

    async def send_break(self, error: Refused, encoder: Encoder) -> None:
        """Send an error after the first rows, in the tagged form of ClickHouse 25.11 and later, and hang up."""
        said = error.message.encode()[:_ERROR_BYTES_MAX]
        tag, mark = self._tag.encode(), b"\r\n__exception__\r\n"
        trailer = mark + b"%s\r\n%s\n%d %s" % (tag, said, len(said) + 1, tag) + mark
        await self.write(encoder.encode(trailer) + encoder.finish())
        self.force_close()
        await self.write_eof()

    async def _write_headers(self) -> None:
        # aiohttp sends a status line and the headers; where that line is out, the last progress takes its place.
        if not self._line:
            await super()._write_headers()
        elif self._payload_writer is not None:
            await self._payload_writer.write_headers(self._line, self.headers)


def _as_json(counts: Mapping[str, int]) -> str:
    return json.dumps({name: str(count) for name, count in counts.items()}, separators=(",", ":"))
