"""ClickHouse's HTTP interface in front of an engine: aiohttp on loopback, statements in threads.

Only moves bytes: what a request means is `request`'s, what it does `engine`'s.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import web

from sinks.clickhouse.embedded.body import Body, decoded
from sinks.clickhouse.embedded.encoding import Encoder
from sinks.clickhouse.embedded.engine import Engine
from sinks.clickhouse.embedded.failure import Refused
from sinks.clickhouse.embedded.incoming import pieces_of
from sinks.clickhouse.embedded.query import Query
from sinks.clickhouse.embedded.request import Wishes, query_of, sends_blocks, wishes_of
from sinks.clickhouse.embedded.response import Answer
from sinks.clickhouse.embedded.steps import Steps
from sinks.clickhouse.embedded.users import User, Users

# A statement that waits for its body, its session or its reader holds a thread.
_THREADS: Final = 64
_CONTROL_THREADS: Final = 4
_FORM_BYTES_MAX: Final = 1 << 30


class Server:
    """The request handlers of one engine."""

    def __init__(self, engine: Engine, users: Users) -> None:
        self._engine = engine
        self._users = users
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="statement")
        self._control = ThreadPoolExecutor(_CONTROL_THREADS, thread_name_prefix="control")

    def application(self) -> web.Application:
        """The application; whoever serves it must leave bodies as they come (`auto_decompress=False`) and cancel
        handlers whose clients have gone (`handler_cancellation=True`)."""
        app = web.Application(client_max_size=_FORM_BYTES_MAX)
        app.router.add_get("/ping", _ok)
        app.router.add_get("/replicas_status", _ok)
        app.router.add_route("*", "/", self._handle)
        return app

    def close(self) -> None:
        """Wait for the statements that run."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._control.shutdown(wait=True, cancel_futures=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET" and not request.query_string:
            return await _ok(request)
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        answer = Answer(request, self._headers(query_id))
        try:
            user = self._users.identify(request.query, request.headers)
            query, wishes = await self._asked(request, user, query_id)
        except Refused as error:
            await answer.send_refusal(error)
            return answer
        return await self._answer(answer, query, wishes)

    def _headers(self, query_id: str) -> Mapping[str, str]:
        return {
            "X-ClickHouse-Query-Id": " ".join(query_id.split()),
            "X-ClickHouse-Timezone": self._engine.timezone,
            "X-ClickHouse-Server-Display-Name": "throughline",
        }

    async def _asked(self, request: web.Request, user: User, query_id: str) -> tuple[Query, Wishes]:
        """Raises Refused."""
        parameters = dict(request.query)
        files: dict[str, bytes] = {}
        pieces: Iterator[bytes] = iter(())
        if request.content_type == "multipart/form-data":
            for name, value in (await request.post()).items():
                if isinstance(value, str):
                    parameters[name] = value
                else:
                    files[name] = bytes(value) if isinstance(value, bytes | bytearray) else value.file.read()
        else:
            pieces = await pieces_of(request)
        body = decoded(
            pieces, request.headers.get("Content-Encoding", ""), is_blocks=sends_blocks(parameters)
        )
        query = query_of(
            parameters,
            Body(body),
            headers=request.headers,
            user=user,
            query_id=query_id,
            is_get=request.method == "GET",
            files=files,
        )
        return query, wishes_of(parameters, headers=request.headers)

    async def _answer(self, answer: Answer, query: Query, wishes: Wishes) -> web.StreamResponse:
        encoder = Encoder(wishes.accepted, in_blocks=wishes.in_blocks)
        steps = Steps(self._engine, query, encoder, threads=self._threads, control=self._control)
        try:
            await _send(answer, steps, encoder, progress_ms=wishes.progress_ms)
        except ConnectionResetError:
            pass  # the reader went away: the statement is stopped below, as when this handler is cancelled
        finally:
            await asyncio.shield(steps.stop())
        return answer


async def _send(answer: Answer, steps: Steps, encoder: Encoder, *, progress_ms: int | None) -> None:
    try:
        head = await steps.head(answer.send_progress, every_ms=progress_ms)
    except Refused as error:
        await answer.send_refusal(error)
        return
    await answer.send_head(head, encoder)
    try:
        # One piece at a time: a slow reader slows the statement, nothing piles up.
        while (piece := await steps.rows()) is not None:
            await answer.write(piece)
    except Refused as error:
        await answer.send_break(error, encoder)
        return
    await answer.write(encoder.finish())
    await answer.write_eof()


async def _ok(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")
