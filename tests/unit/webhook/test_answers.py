"""What an answer means, and when it is asked again."""

from __future__ import annotations

from random import Random

import pytest

from sinks.webhook.answers import Answer, Reason, backoff_ms, is_transient, reason_of, retry_after_ms
from tests.unit.sinks.samples import AT_MS


@pytest.mark.parametrize(
    ("status", "reason", "transient"),
    [
        (200, Reason.NONE, False), (204, Reason.NONE, False), (301, Reason.REFUSED, False),
        (400, Reason.REFUSED, False), (401, Reason.REFUSED, False), (404, Reason.REFUSED, False),
        (410, Reason.REFUSED, False), (408, Reason.FAILED, True), (409, Reason.FAILED, True),
        (425, Reason.FAILED, True), (429, Reason.BUSY, True), (500, Reason.FAILED, True), (503, Reason.FAILED, True),
    ],
)  # fmt: skip
def test_a_status_is_success_passing_or_for_ever(status: int, reason: Reason, transient: bool) -> None:
    """2xx is success; 408, 409, 425, 429 and 5xx are tried again; whatever else is permanent, redirects too."""
    answer = Answer(status)
    assert (reason_of(answer), is_transient(answer)) == (reason, transient)


def test_no_answer_is_tried_again() -> None:
    """A network has no last word."""
    answer = Answer(failure=Reason.TIMEOUT)
    assert (reason_of(answer), is_transient(answer)) == (Reason.TIMEOUT, True)


def test_waits_double_up_to_the_longest_and_are_spread_over_all_of_it(seed: int) -> None:
    """Full jitter: evenly from nothing to the ceiling, so that a thousand that failed together do not come together.
    Seen to fail with half the ceiling added to every wait, and with a ceiling that does not double."""
    print(f"seed {seed}")
    random = Random(seed)
    for attempt, ceiling_ms in [(1, 1_000), (2, 2_000), (3, 4_000), (6, 32_000), (7, 60_000), (900, 60_000)]:
        waits = [backoff_ms(attempt, 1.0, 60.0, random=random) for _ in range(2_000)]
        assert 0 <= min(waits) < 0.05 * ceiling_ms
        assert 0.95 * ceiling_ms < max(waits) <= ceiling_ms
        assert 0.45 * ceiling_ms < sum(waits) / len(waits) < 0.55 * ceiling_ms


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        (None, 0), ("", 0), ("120", 120_000), (" 3 ", 3_000), ("-1", 0), ("soon", 0), ("1.5", 0), ("²", 0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000), ("Tue, 14 Nov 2023 22:12:20 GMT", 0),
        ("9" * 400, 999_999_999_999_000),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str | None, wait_ms: int) -> None:
    """As in RFC 9110; what is neither, or in the past, asks for nothing."""
    assert retry_after_ms(header, AT_MS) == wait_ms
