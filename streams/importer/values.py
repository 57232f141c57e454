"""Read times, money and quantities from text, exactly.

Pure: text in, integers out, ValueError with a reason where the text is no such thing. Knows neither files nor
mappings.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

MICROS = 1_000_000
_REMEMBERED = 65_536
_LARGEST = 2**63 - 1
#: 9999-12-31T23:59:59.999Z: later numbers are no times but a wrong unit.
_LAST_MS = 253_402_300_799_999


def time_reader(layout: str, *, zone: str) -> Callable[[str], int]:
    """A function from text to epoch milliseconds.

    `layout` is `iso`, `unix_s`, `unix_ms` or a strptime format; `zone` says where clocks stood that wrote no
    offset. Times before 1970 are refused: Kafka cannot carry them.
    """
    parse = _parser(layout, zone=zone)

    @lru_cache(maxsize=_REMEMBERED)
    def read(text: str) -> int:
        moment_ms = parse(text)
        if not 0 < moment_ms <= _LAST_MS:
            raise ValueError(f"{text!r} lies outside 1970 to 9999")
        return moment_ms

    return read


def micros_reader(factor: Decimal = Decimal(1)) -> Callable[[str], int]:
    """A function from a decimal number to millionths of the currency; `factor` is the worth of 1 in the text.

    Exact; only what is finer than a millionth is rounded, half to even.
    """
    scale = factor * MICROS

    @lru_cache(maxsize=_REMEMBERED)
    def read(text: str) -> int:
        return whole(_decimal(text) * scale)

    return read


@lru_cache(maxsize=_REMEMBERED)
def read_quantity(text: str) -> int:
    """A whole number; `2.0` is one, `2.5` is not."""
    number = _decimal(text)
    if number != number.to_integral_value():
        raise ValueError(f"{text!r} is not a whole number")
    return whole(number)


def whole(number: Decimal) -> int:
    """The nearest integer, half to even, if it fits into 64 bits."""
    nearest = int(number.to_integral_value(rounding=ROUND_HALF_EVEN))
    if abs(nearest) > _LARGEST:
        raise ValueError(f"{number:.3E} is too large")
    return nearest


def share(total: int, parts: int) -> int:
    """`total` divided by `parts`, half to even: a unit price from the price of a line."""
    return whole(Decimal(total) / parts)


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    # Python reads 1_000 and full-width digits too; in a data file they are damage.
    if not number.is_finite() or "_" in text or not text.isascii():
        raise ValueError(f"{text!r} is not a number")
    return number


def _parser(layout: str, *, zone: str) -> Callable[[str], int]:
    if layout in ("unix_s", "unix_ms"):
        unit_ms = 1_000 if layout == "unix_s" else 1
        return lambda text: int(_decimal(text) * unit_ms)
    local = ZoneInfo(zone)
    if layout == "iso":
        return lambda text: _epoch_ms(datetime.fromisoformat(text), local)
    plain = _iso_within(layout)

    def parse(text: str) -> int:
        moment = plain(text) if plain else None
        return _epoch_ms(moment or datetime.strptime(text, layout), local)

    return parse


def _iso_within(layout: str) -> Callable[[str], datetime | None] | None:
    """A quick reader for layouts that are an ISO date and time before a fixed text; None for a slower look.

    strptime takes 7 µs a time, this a tenth, and most layouts are like that.
    """
    separator, ending = layout[8:9], layout[17:]
    if layout[:17] != f"%Y-%m-%d{separator}%H:%M:%S" or separator not in "T " or "%" in ending:
        return None
    length = 19 + len(ending)

    def read(text: str) -> datetime | None:
        has_shape = len(text) == length and text[4] == text[7] == "-" and text[10] == separator
        if not has_shape or text[13] != ":" or not text.endswith(ending):
            return None
        return datetime.fromisoformat(text[:19])

    return read


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _epoch_ms(moment: datetime, local: ZoneInfo) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=local)
    since = aware - _EPOCH
    # Integers, because a float of epoch seconds cannot hold every millisecond exactly.
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000
