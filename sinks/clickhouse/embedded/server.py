"""ClickHouse's HTTP interface in front of an engine: aiohttp on loopback, statements in threads.

Only moves bytes: what a request means is `request`'s, what it does `engine`'s.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import web

from sinks.clickhouse.embedded.engine import Engine, Head, Query
from sinks.clickhouse.embedded.failure import Refused, refusal
from sinks.clickhouse.embedded.request import Credentials, Encoder, check, decoded, query_of

_THREADS: Final = 16
_BODY_BYTES_MAX: Final = 1 << 30
_ERROR_BYTES_MAX: Final = 16_000
_BINARY: Final = frozenset({"Native", "RowBinary", "Arrow", "ArrowStream", "Parquet", "Avro", "ORC"})


class Server:
    """The request handlers of one engine."""

    def __init__(self, engine: Engine, credentials: Credentials) -> None:
        self._engine = engine
        self._credentials = credentials
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="statement")

    def application(self) -> web.Application:
        """The application; whoever serves it must leave bodies as they come (`auto_decompress=False`)."""
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_get("/ping", _ok)
        app.router.add_get("/replicas_status", _ok)
        app.router.add_route("*", "/", self._handle)
        return app

    def close(self) -> None:
        """Wait for the statements that run."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        headers = {
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Timezone": self._engine.timezone,
            "X-ClickHouse-Server-Display-Name": "throughline",
        }
        if request.method == "GET" and not request.query_string:
            return await _ok(request)
        try:
            query = await self._query(request)
        except Refused as error:
            return _refused(error, headers)
        return await self._answer(request, query, headers=headers)

    async def _query(self, request: web.Request) -> Query:
        parameters = dict(request.query)
        check(self._credentials, parameters, headers=request.headers)
        if request.content_type == "multipart/form-data":
            body = b""
            for name, value in (await request.post()).items():
                if not isinstance(value, str):
                    raise refusal(48, "External tables are not supported.", "NOT_IMPLEMENTED")
                parameters[name] = value
        else:
            raw, encoding = await request.read(), request.headers.get("Content-Encoding", "")
            body = await asyncio.get_running_loop().run_in_executor(self._threads, decoded, raw, encoding)
        query = query_of(parameters, body, headers=request.headers, is_get=request.method == "GET")
        if not query.sql.strip() and not query.body.strip():
            raise refusal(62, "Empty query.", "SYNTAX_ERROR")
        return query

    async def _answer(
        self, request: web.Request, query: Query, *, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        pieces = self._engine.answer(query)
        try:
            head = await loop.run_in_executor(self._threads, _next, pieces)
        except Refused as error:
            return _refused(error, headers)
        if not isinstance(head, Head):
            raise TypeError(f"an answer begins with its Head, not with {type(head).__name__}")
        compressed = request.query.get("enable_http_compression") == "1"
        encoder = Encoder(request.headers.get("Accept-Encoding", "") if compressed else "")
        tag = uuid.uuid4().hex[:16]
        response = web.StreamResponse(headers={**headers, **_head_headers(head, encoder, tag)})
        response.content_type = "application/octet-stream" if head.format in _BINARY else "text/plain"
        try:
            await response.prepare(request)
            await self._send(response, pieces, encoder=encoder, tag=tag)
        except (ConnectionResetError, asyncio.CancelledError):
            pass  # the reader went away: the statement is cancelled below
        finally:
            await asyncio.shield(loop.run_in_executor(self._threads, _close, pieces))
        return response

    async def _send(
        self, response: web.StreamResponse, pieces: Iterator[Head | bytes], *, encoder: Encoder, tag: str
    ) -> None:
        # One piece at a time: a slow reader slows the statement, nothing piles up.
        loop = asyncio.get_running_loop()
        try:
            while isinstance(piece := await loop.run_in_executor(self._threads, _next, pieces), bytes):
                await response.write(encoder.encode(piece))
            await response.write(encoder.finish())
        except Refused as error:
            await response.write(encoder.encode(_trailer(error, tag)) + encoder.finish())
            response.force_close()
        await response.write_eof()


async def _ok(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


def _next(pieces: Iterator[Head | bytes]) -> Head | bytes | None:
    return next(pieces, None)


def _close(pieces: Iterator[Head | bytes]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()


def _refused(error: Refused, headers: Mapping[str, str]) -> web.Response:
    code = {"X-ClickHouse-Exception-Code": str(error.code)}
    return web.Response(status=error.status, text=error.message + "\n", headers={**headers, **code})


def _head_headers(head: Head, encoder: Encoder, tag: str) -> dict[str, str]:
    summary = json.dumps({name: str(count) for name, count in head.summary.items()})
    headers = {"X-ClickHouse-Summary": summary, "X-ClickHouse-Exception-Tag": tag}
    if head.format:
        headers["X-ClickHouse-Format"] = head.format
    if encoder.name:
        headers["Content-Encoding"] = encoder.name
    return headers


def _trailer(error: Refused, tag: str) -> bytes:
    """An error after the first rows, in the tagged form of ClickHouse 25.11 and later."""
    text = error.message.encode()[:_ERROR_BYTES_MAX]
    mark = b"\r\n__exception__\r\n"
    return mark + b"%s\r\n%s\n%d %s" % (tag.encode(), text, len(text) + 1, tag.encode()) + mark
