"""What an answer means, and when to ask again. Pure: clock and randomness are passed in.

A status of 2xx is success; 408, 409, 425, 429 and 5xx may pass by themselves; any other, redirects included, is for
ever. The wait before attempt n + 1 is drawn evenly from nothing to `first * 2^(n-1)`, at most `most` (full jitter),
and no shorter than what the receiver asked for in `Retry-After` (RFC 9110, 10.2.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from random import Random
from typing import Final

__all__ = [
    "Answer",
    "Outcome",
    "Reason",
    "backoff_ms",
    "is_transient",
    "may_have_arrived",
    "reason_of",
    "retry_after_ms",
]

_TRANSIENT: Final = frozenset({408, 409, 425, 429})
_MOST_DOUBLINGS: Final = 30


class Outcome(StrEnum):
    """How a revision stands at an endpoint; all but RETRYING are final."""

    DELIVERED = "delivered"
    RETRYING = "retrying"
    GIVEN_UP = "given_up"
    WITHDRAWN = "withdrawn"
    SKIPPED = "skipped"
    """There was nothing to tell; counted, never recorded."""


class Reason(StrEnum):
    """Why it was not delivered; bounded, so that it can be counted."""

    NONE = ""
    REFUSED = "refused"
    BUSY = "busy"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request ended: with a status, or with a reason why there is none."""

    status: int | None = None
    failure: Reason = Reason.NONE
    has_left: bool = True
    """The receiver may have got the request."""
    retry_after_ms: int = 0
    latency_ms: int = 0


def reason_of(answer: Answer) -> Reason:
    """NONE where it was delivered."""
    if answer.status is None:
        return answer.failure
    if 200 <= answer.status < 300:
        return Reason.NONE
    if answer.status == 429:
        return Reason.BUSY
    return Reason.FAILED if is_transient(answer) else Reason.REFUSED


def is_transient(answer: Answer) -> bool:
    """Whether the same request may succeed later."""
    return answer.status is None or answer.status in _TRANSIENT or answer.status >= 500


def may_have_arrived(answer: Answer) -> bool:
    """Whether the receiver has it, or may have it although it did not say so."""
    if answer.status is None:
        return answer.has_left
    return 200 <= answer.status < 300 or answer.status in (408, 409) or answer.status >= 500


def backoff_ms(attempt: int, first_s: float, most_s: float, *, random: Random) -> int:
    """How long to wait after the `attempt`-th attempt, from 1, has failed."""
    ceiling_s = min(most_s, first_s * 2 ** min(attempt - 1, _MOST_DOUBLINGS))
    return round(random.uniform(0.0, ceiling_s) * 1_000)


def retry_after_ms(header: str | None, now_ms: int) -> int:
    """How long the receiver asks to be let alone: seconds or an HTTP date; 0 for none, or for what makes no sense."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return int(text[:12]) * 1_000
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, round(at.timestamp() * 1_000) - now_ms)
