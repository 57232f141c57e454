"""One request over HTTP, and how it ended: never an exception for what a receiver or a network does.

Redirects are not followed: a signed body goes to the address in the settings and nowhere else. Answers are not read
beyond their head.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import aiohttp

from sinks.webhook.answers import Answer, Reason, retry_after_ms
from sinks.webhook.endpoint import Endpoint
from sinks.webhook.lanes import Job
from sinks.webhook.signing import signed_headers

__all__ = ["Sender", "session"]

_USER_AGENT: Final = "throughline-webhook"


def session() -> aiohttp.ClientSession:
    """A client for all endpoints: each bounds its own connections by its concurrency."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )


class Sender:
    """Makes requests; `clock_ms` is the wall clock, `monotonic` measures."""

    def __init__(
        self,
        client: aiohttp.ClientSession,
        *,
        clock_ms: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._clock_ms = clock_ms
        self._monotonic = monotonic

    async def send(self, endpoint: Endpoint, job: Job) -> Answer:
        """Post the job's event, signed now."""
        event = job.event
        headers = {
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
            "Idempotency-Key": job.idempotency_key,
            **signed_headers(
                endpoint.keys, event.webhook_id, timestamp_s=self._clock_ms() // 1_000, body=event.body
            ),
        }
        began_s = self._monotonic()
        status, failure, has_left, retry_after = await self._post(endpoint, event.body, headers)
        return Answer(
            status=status,
            failure=failure,
            has_left=has_left,
            retry_after_ms=retry_after_ms(retry_after, self._clock_ms()),
            latency_ms=round((self._monotonic() - began_s) * 1_000),
        )

    async def _post(
        self, endpoint: Endpoint, body: bytes, headers: dict[str, str]
    ) -> tuple[int | None, Reason, bool, str | None]:
        """(status, failure, whether it may have left, Retry-After)."""
        timeout = aiohttp.ClientTimeout(total=endpoint.timeout_s)
        try:
            async with self._client.post(
                endpoint.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                return answer.status, Reason.NONE, True, answer.headers.get("Retry-After")
        except aiohttp.ClientConnectorError:
            return None, Reason.CONNECTION, False, None
        except TimeoutError:
            return None, Reason.TIMEOUT, True, None
        except (aiohttp.ClientError, OSError):
            return None, Reason.CONNECTION, True, None
