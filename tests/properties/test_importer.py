"""Laws of the importer: exact money, exact times, an external sort that is a sort, files that lose nothing."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.importer.mapping import File
from streams.importer.ordering import in_time_order
from streams.importer.reading import open_table, read_rows
from streams.importer.rejects import Reject
from streams.importer.values import micros_reader, time_reader
from tests.unit.importer.build import csv_text, json_text, write_file

moments = st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(2200, 1, 1))
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.binary(max_size=40))),
    st.integers(100, 5_000),
    st.integers(2, 5),
)
def test_external_sort_is_sorted(items: list[tuple[int, bytes]], run_bytes: int, max_runs: int) -> None:
    """However small the memory, the order is that of a stable sort by time."""
    expected = sorted(items, key=lambda item: item[0])
    assert list(in_time_order(items, run_bytes=run_bytes, max_runs=max_runs)) == expected


def test_external_sort_leaves_nothing_behind(tmp_path: Path) -> None:
    """Spilled runs are gone after the sort, also when its reader stops half way or its source fails."""
    items = [(-number, b"x") for number in range(100)]
    assert len(list(in_time_order(items, run_bytes=500, directory=tmp_path))) == 100
    half = in_time_order(items, run_bytes=500, directory=tmp_path)
    next(half)
    assert any(tmp_path.iterdir())
    half.close()  # type: ignore[attr-defined] # it is a generator
    failing = (item if item[0] > -50 else (1 // 0, b"") for item in items)
    with pytest.raises(ZeroDivisionError):
        list(in_time_order(failing, run_bytes=500, directory=tmp_path))
    assert list(tmp_path.iterdir()) == []


@given(st.decimals(-(10**9), 10**9, allow_nan=False, places=6), st.sampled_from(["1", "0.01", "100"]))
def test_money_is_exact(amount: Decimal, factor: str) -> None:
    """Micros are the amount times a million, rounded half to even where that is no whole number."""
    expected = round(Fraction(str(amount)) * Fraction(factor) * 1_000_000)
    assert micros_reader(Decimal(factor))(str(amount)) == expected


@given(st.text(max_size=12))
def test_money_never_guesses(text: str) -> None:
    """Any text is read as the number it plainly is, or refused."""
    try:
        micros = micros_reader()(text)
    except ValueError:
        return
    assert micros == round(Fraction(text.strip()) * 1_000_000)


@given(moments, zones)
def test_local_times(moment: datetime.datetime, zone: str) -> None:
    """A time without offset is read on the clocks of its zone, to the millisecond, in every format alike."""
    whole = moment.replace(microsecond=0)
    expected_ms = int(whole.replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000
    texts = {
        "iso": whole.isoformat(),
        "%Y-%m-%d %H:%M:%S": whole.isoformat(sep=" "),
        "%Y-%m-%dT%H:%M:%S local": f"{whole.isoformat()} local",
        "%d.%m.%Y %H:%M:%S": f"{whole:%d.%m}.{whole.year:04} {whole:%H:%M:%S}",
    }
    assert {layout: time_reader(layout, zone=zone)(text) for layout, text in texts.items()} == dict.fromkeys(
        texts, expected_ms
    )


@given(st.integers(1, 253_402_300_799_999))
def test_epoch_times_lose_no_millisecond(moment_ms: int) -> None:
    """Seconds with a fraction and milliseconds are the same instant."""
    seconds = f"{moment_ms // 1_000}.{moment_ms % 1_000:03}"
    assert (
        time_reader("unix_s", zone="UTC")(seconds)
        == time_reader("unix_ms", zone="UTC")(str(moment_ms))
        == moment_ms
    )


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    st.lists(st.tuples(texts, texts, texts), max_size=8), st.sampled_from(["a.csv", "a.csv.gz", "a.jsonl"])
)
def test_rows_survive_their_file(rows: Sequence[tuple[str, str, str]], name: str) -> None:
    """Whatever text stands in a row, quotes, commas and line ends included, comes back."""
    columns = ("a", "b", "c")
    write = json_text if name.endswith("jsonl") else csv_text
    rejects: list[Reject] = []
    with tempfile.TemporaryDirectory() as place:
        path = write_file(Path(place) / name, write(rows, columns=columns))
        table = open_table(path, File(encoding="utf-8"), wanted=columns)
        found = [values[:3] for _, values in read_rows(table, rejects.append)]
    assert (found, rejects) == ([list(row) for row in rows], [])
