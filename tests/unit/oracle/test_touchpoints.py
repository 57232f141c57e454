"""What one touchpoint means by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import xxhash

from tests.oracle.rules import HOUR_MS, Rules
from tests.oracle.touchpoints import (
    arrived_ms,
    from_record,
    is_late,
    occurred_ms,
    position,
    usable_identifiers,
)
from tests.oracle.values import usable_value
from tests.unit.oracle.build import touchpoint

LIVE = Rules(is_replay=False)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "  ",
        "null",
        "NULL",
        "undefined",
        "NaN",
        "none",
        "-1",
        "0",
        "anonymous",
        "Guest",
        "N/A",
        "0000",
        "--",
        "00-00",
        "(null)",
        "nil",
        "Unknown",
        "test",
        "x" * 513,
        "a\0b",
    ],
)
def test_values_that_name_nobody(value: str) -> None:
    """A blocked value is no identifier, whatever its case and the blanks around it."""
    blocked = replace(touchpoint("m"), identifiers={"user_id": f" {value} ", "device_id": "d1"})
    assert usable_identifiers(blocked) == ("device_id:d1",)


def test_values_that_name_somebody() -> None:
    """Values are stripped, only e-mails change case, and a zero among other signs is an ordinary value.

    Telephone numbers lose their separators.
    """
    raw = {"anonymous_id": "A-0", "email": " A@B.c ", "user_id": "0x0", "phone": "-10", "cookie": "x"}
    assert usable_identifiers(replace(touchpoint("m"), identifiers=raw)) == (
        "user_id:0x0",
        "email:a@b.c",
        "phone:10",
        "anonymous_id:A-0",
    )


@pytest.mark.parametrize(
    ("type_", "raw", "plain", "with_rules"),
    [
        ("phone", "+49 (0)30 123456", "+4930123456", "+4930123456"),
        ("phone", "0049 30 123456 ext. 7", "+4930123456", "+4930123456"),
        ("phone", "(030) 123456", "030123456", "+4930123456"),
        ("phone", "1111111", None, None),
        (
            "email",
            "User+news@BÜCHER.example",
            "user+news@xn--bcher-kva.example",
            "user@xn--bcher-kva.example",
        ),
        ("email", "user@xn--bcher-kva.example", "user@xn--bcher-kva.example", "user@xn--bcher-kva.example"),
        ("email", "Till7@shop.example", "till7@shop.example", None),
        ("email", "NoReply@shop.example", None, None),
        ("device_id", "9774D56D682E549C", None, None),
        ("user_id", "\ufeff Cafe\u0301\u200b", "Caf\u00e9", "Caf\u00e9"),
    ],
)
def test_spellings_of_one_value(type_: str, raw: str, plain: str | None, with_rules: str | None) -> None:
    """One form by type; a country, domains whose tags are dropped and what is blocked are rules."""
    rules = Rules(default_region="DE", drop_plus_tags=("bücher.example",), blocked=("email:till?@*",))
    assert (usable_value(type_, raw), usable_value(type_, raw, rules)) == (plain, with_rules)


@pytest.mark.parametrize(
    ("claimed", "received", "arrival", "live", "replayed"),
    [(5, 6, 7, 5, 5), (9, 6, 7, 6, 6), (9, 8, 7, 7, 7), (-3, 6, 7, -3, -3)],
)
def test_nothing_occurs_after_it_arrived(
    claimed: int, received: int, arrival: int, live: int, replayed: int
) -> None:
    """Event time is clamped to the time received and to the time appended."""
    point = replace(touchpoint("m"), occurred_ms=claimed, received_ms=received, arrival_ms=arrival)
    assert (occurred_ms(point, LIVE), occurred_ms(point)) == (live, replayed)


def test_arrival_in_replay_is_what_the_importer_says() -> None:
    """A replayed record was known when it was received, even if it is appended years later."""
    point = replace(touchpoint("m"), received_ms=6, arrival_ms=700)
    assert (arrived_ms(point), arrived_ms(point, LIVE)) == (6, 700)


def test_exactly_72_hours_is_in_time() -> None:
    """Late is strictly more than 72 h between occurring and arriving."""
    point = touchpoint("m", 0, arrives_min=72 * 60)
    later = replace(point, received_ms=72 * HOUR_MS + 1, arrival_ms=72 * HOUR_MS + 1)
    assert (is_late(point), is_late(later)) == (False, True)


def test_one_instant_is_ordered_by_hash() -> None:
    """Equal event times are ordered by xxh3 of the message id, as an unsigned number."""
    points = [touchpoint(name) for name in "abcdefgh"]
    by_hash = sorted("abcdefgh", key=lambda name: xxhash.xxh3_64(name.encode()).intdigest())
    assert [p.message_id for p in sorted(points, key=position)] == by_hash
    assert by_hash != sorted(by_hash)


def test_a_record_reads_as_its_touchpoint() -> None:
    """A decoded envelope gives the touchpoint it was made of."""
    record = {
        "message_id": "m",
        "event": "Product Viewed",
        "channel": "web",
        "occurred_at": 60_000,
        "received_at": 120_000,
        "identifiers": {"user_id": "1"},
        "items": [],
    }
    assert from_record(record, 120_000) == touchpoint("m", 1, arrives_min=2)
