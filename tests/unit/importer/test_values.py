"""Times, money and quantities as files write them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from streams.importer.values import micros_reader, read_quantity, share, time_reader

SECOND = "%Y-%m-%d %H:%M:%S"


@pytest.mark.parametrize(
    ("layout", "zone", "text", "expected_ms"),
    [
        ("iso", "UTC", "2019-10-01T00:00:00Z", 1_569_888_000_000),
        ("iso", "UTC", "2019-10-01 02:00:00.123456+02:00", 1_569_888_000_123),
        ("iso", "Europe/Berlin", "2019-10-01 02:00:00", 1_569_888_000_000),
        ("iso", "Europe/Berlin", "2019-12-01 01:00:00", 1_575_158_400_000),
        ("iso", "Europe/Berlin", "2019-10-01T00:00:00Z", 1_569_888_000_000),
        (f"{SECOND} UTC", "UTC", "2019-10-01 00:00:00 UTC", 1_569_888_000_000),
        (SECOND, "America/New_York", "2019-09-30 20:00:00", 1_569_888_000_000),
        (SECOND, "UTC", "2019-10-1 0:00:00", 1_569_888_000_000),
        ("%d/%m/%y %H:%M", "UTC", "01/10/19 00:00", 1_569_888_000_000),
        ("%Y-%m-%dT%H:%M:%S%z", "UTC", "2019-10-01T02:00:00+0200", 1_569_888_000_000),
        ("unix_s", "UTC", "1569888000", 1_569_888_000_000),
        ("unix_s", "UTC", "1569888000.1239", 1_569_888_000_123),
        ("unix_ms", "UTC", "1569888000123", 1_569_888_000_123),
    ],
)
def test_times(layout: str, zone: str, text: str, expected_ms: int) -> None:
    """A time is what its format says; one without offset stood on a clock of the zone."""
    assert time_reader(layout, zone=zone)(text) == expected_ms


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("iso", ""),
        ("iso", "yesterday"),
        ("iso", "1969-12-31T23:59:59Z"),
        ("iso", "1970-01-01T00:00:00Z"),
        (SECOND, "2019-W40-2 00:00:00"),
        (SECOND, "2019-10-01T00:00:00"),
        (SECOND, "2019-10-01 00:00:00 UTC"),
        (SECOND, "2019-13-01 00:00:00"),
        (SECOND, "2019-10-01 24:00:00"),
        ("unix_s", "1569888000123"),
        ("unix_s", "NaN"),
        ("unix_ms", "Infinity"),
        ("unix_ms", "-5"),
    ],
)
def test_what_is_no_time(layout: str, text: str) -> None:
    """A text of another format, before 1970 or in the wrong unit is refused, never guessed at."""
    with pytest.raises(ValueError, match=r"."):
        time_reader(layout, zone="UTC")(text)


@pytest.mark.parametrize(
    ("text", "factor", "expected"),
    [
        ("33.20", "1", 33_200_000),
        ("0.1", "1", 100_000),
        ("1999", "0.01", 19_990_000),
        ("-4.5", "1", -4_500_000),
        ("1e3", "1", 1_000_000_000),
        ("0.0000005", "1", 0),
        ("0.0000015", "1", 2),
        (" 7 ", "1", 7_000_000),
    ],
)
def test_money(text: str, factor: str, expected: int) -> None:
    """Money is exact micros; only what is finer is rounded, half to even."""
    assert micros_reader(Decimal(factor))(text) == expected


@pytest.mark.parametrize("text", ["", "1,50", "1.234,50", "$5", "NaN", "inf", "1_000", "١٢", "9" * 20])
def test_what_is_no_money(text: str) -> None:
    """Separators, signs of currency and numbers beyond 64 bits are refused."""
    with pytest.raises(ValueError, match=r"not a number|too large"):
        micros_reader()(text)


def test_quantities() -> None:
    """A quantity is a whole number, however it is written."""
    assert [read_quantity(text) for text in ("2", "2.0", "-1", "0")] == [2, 2, -1, 0]
    with pytest.raises(ValueError, match="whole number"):
        read_quantity("2.5")


def test_share() -> None:
    """A unit price is the share of one piece, half to even."""
    assert (share(10, 4), share(14, 4), share(-10, 4)) == (2, 4, -2)
