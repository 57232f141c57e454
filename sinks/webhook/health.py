"""`/metrics`, `/livez` and `/readyz` of the service, answered by its own event loop: a loop that is stuck says nothing.

Knows how to say it; what there is to say is given.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from sinks.webhook.metrics import Metrics

__all__ = ["pages"]


@asynccontextmanager
async def pages(metrics: Metrics, port: int, *, waiting: Callable[[], list[str]]) -> AsyncIterator[None]:
    """Answer on the port, 0: nowhere. `waiting` names the endpoints that are not ready. Raises OSError."""
    if not port:
        yield
        return

    async def show_metrics(request: web.Request) -> web.Response:
        """As Prometheus asks for it."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(metrics.registry), headers={"Content-Type": content_type})

    async def say_live(_: web.Request) -> web.Response:
        """The loop gets round."""
        return web.json_response({"live": True})

    async def say_ready(_: web.Request) -> web.Response:
        """503 while any endpoint waits."""
        names = waiting()
        return web.json_response({"ready": not names, "waiting": names}, status=503 if names else 200)

    app = web.Application()
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/livez", say_live)
    app.router.add_get("/readyz", say_ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        yield
    finally:
        await runner.cleanup()
