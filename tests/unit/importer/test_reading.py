"""Files to rows, whatever their format."""

from __future__ import annotations

import datetime
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streams.importer.mapping import File, MappingError
from streams.importer.reading import Unreadable, open_table, read_rows, require_columns
from streams.importer.rejects import Reason, Reject
from tests.unit.importer.build import csv_text, json_text, write_file

ROWS = [("t1", "view", "ann"), ("t2", 'say "hi", twice\nor more', "bob"), ("t3", "", "Zoë")]
COLUMNS = ("at", "what", "user")
PACKED = gzip.compress(csv_text((str(number), "view", "ann") for number in range(20_000)).encode())


def rows_of(path: Path, *, layout: File | None = None) -> tuple[list[list[str]], list[Reject]]:
    rejects: list[Reject] = []
    table = open_table(path, layout or File(), wanted=COLUMNS)
    return [values[: len(table.columns)] for _, values in read_rows(table, rejects.append)], rejects


def write_parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.ndjson.gz", "a.parquet", "a.parquet.gz"])
def test_formats_agree(tmp_path: Path, name: str) -> None:
    """The same rows come out of every format, packed or not."""
    path = tmp_path / name
    if ".parquet" in name:
        columns = dict(zip(COLUMNS, (list(column) for column in zip(*ROWS, strict=True)), strict=True))
        write_parquet(tmp_path / "plain.parquet", **columns)
        raw = (tmp_path / "plain.parquet").read_bytes()
        path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    else:
        write_file(path, csv_text(ROWS) if ".csv" in name else json_text(ROWS))
    assert rows_of(path) == ([list(row) for row in ROWS], [])


def test_gzip_needs_no_name(tmp_path: Path) -> None:
    """A gzipped file is known by its first bytes, not by its name."""
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(csv_text(ROWS).encode()))
    assert len(rows_of(path)[0]) == len(ROWS)


def test_csv_variants(tmp_path: Path) -> None:
    """Delimiter, header and a byte order mark are no obstacle."""
    semicolons = write_file(tmp_path / "a.csv", "\ufeffat;what;user\nt1;view;ann\n\n")
    assert rows_of(semicolons, layout=File(delimiter=";")) == ([["t1", "view", "ann"]], [])
    bare = write_file(tmp_path / "b.csv", "t1,view,ann\n")
    assert rows_of(bare, layout=File(header=COLUMNS)) == ([["t1", "view", "ann"]], [])
    tabs = write_file(tmp_path / "c.tsv", "at\twhat\tuser\nt1\tview\tann\n")
    assert rows_of(tabs) == ([["t1", "view", "ann"]], [])


def test_rejected_lines_are_numbered(tmp_path: Path) -> None:
    """A line with too few or too many fields is rejected with the number it has in the file; others are read."""
    path = write_file(
        tmp_path / "a.csv", 'at,what,user\nt1,"a\nb",ann\nt2,view\nt3,view,bob\nt4,view,bob,x\n'
    )
    rows, rejects = rows_of(path)
    assert [row[0] for row in rows] == ["t1", "t3"]
    assert [(reject.line, reject.reason) for reject in rejects] == [(4, Reason.FIELDS), (6, Reason.FIELDS)]
    assert rejects[0].row == {"at": "t2", "what": "view"}


def test_json_lines(tmp_path: Path) -> None:
    """Nested names, numbers as they were written, and lines that are no objects."""
    text = '{"a":{"b":1.10},"n":null,"t":true,"l":[1]}\n[1]\n{"a":\n\n{"a.b":"x"}\n'
    path = write_file(tmp_path / "a.jsonl", text)
    rejects: list[Reject] = []
    table = open_table(path, File(), wanted=("a.b", "n", "t", "l", "gone"))
    rows = [values[:-1] for _, values in read_rows(table, rejects.append)]
    assert table.columns == ("a.b", "t", "l")
    assert rows == [["1.10", "true", "[1]"], ["x", "", ""]]
    assert [(reject.line, reject.row) for reject in rejects] == [(2, "[1]"), (3, '{"a":')]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_json_in_a_column(tmp_path: Path, name: str) -> None:
    """What lies in JSON has names as in JSON Lines; a row whose JSON is broken is rejected alone.

    Seen to fail where what was read of the JSON counted as content: an id would change with the mapping.
    """
    held = ['{"b":1.10,"c.d":2}', "", '[{"b":"x"},{"b":"y"}]', '{"b":']
    path = tmp_path / name
    if path.suffix == ".csv":
        write_file(path, csv_text([(text, "z") for text in held], columns=("a", "a.b.c")))
    else:
        write_parquet(path, **{"a": held, "a.b.c": ["z"] * len(held)})
    rejects: list[Reject] = []
    table = open_table(path, File(), wanted=("a.1.b", "a", "a.b.c", "a.b", "gone.b"))
    rows = [values for _, values in read_rows(table, rejects.append)]
    assert table.columns == ("a", "a.b.c", "a.1.b", "a.b")
    assert [values[2:] for values in rows] == [["", "1.10"], ["", ""], ["y", ""]]
    assert [(reject.reason, reject.detail) for reject in rejects] == [(Reason.UNREADABLE, "a is not JSON")]
    plain = open_table(path, File(), wanted=("a",))
    assert [table.content(values) for values in rows] == [
        plain.content(values) for _, values in read_rows(plain, rejects.append)
    ][:3]


def test_parquet_types(tmp_path: Path) -> None:
    """Numbers keep their digits, times become ISO texts with their offset, nothing becomes the empty text."""
    path = write_parquet(
        tmp_path / "a.parquet",
        price=[1.61, 0.1],
        exact=pa.array([Decimal("2.50"), None]),
        count=[31198970033, None],
        at=pa.array([datetime.datetime(2017, 1, 1, 13, 1, 19), None], pa.timestamp("ns")),
        zoned=pa.array([1_483_275_679_000, None], pa.timestamp("ms", tz="UTC")),
        kind=pa.array(["x", None]).dictionary_encode(),
        flag=[True, False],
    )
    assert rows_of(path)[0] == [
        [
            "1.61",
            "2.50",
            "31198970033",
            "2017-01-01 13:01:19.000000",
            "2017-01-01 13:01:19.000000Z",
            "x",
            "true",
        ],
        ["0.1", "", "", "", "", "", "false"],
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", PACKED[: len(PACKED) // 2]),
        ("a.csv.gz", PACKED[:-2]),
        ("a.csv", b""),
        ("a.csv", b"at,at,user\n"),
        ("a.parquet", b"PAR1 this is no parquet"),
        ("a.data", b"at,what,user\n"),
    ],
)
def test_a_file_that_cannot_be_read_on(tmp_path: Path, name: str, content: bytes) -> None:
    """A cut, empty or foreign file is an error with the file's name, never a shorter import."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=name):
        rows_of(path)


def test_missing_columns_are_named_together(tmp_path: Path) -> None:
    """One error says which columns which file lacks, and what they were for; optional ones may be missing."""
    tables = [
        open_table(write_file(tmp_path / name, csv_text([], columns=columns)), File(), wanted=())
        for name, columns in (("a.csv", ("at", "user")), ("b.csv", ("at", "what")))
    ]
    named = {
        "at": ["time.column"],
        "what": ["event.column"],
        "user": ["identifiers.user_id"],
        "utm": ["campaign"],
    }
    with pytest.raises(MappingError) as caught:
        require_columns(tables, File(optional=("utm",)), named=named)
    assert "a.csv has no column 'what' (for event.column)" in str(caught.value)
    assert "b.csv has no column 'user' (for identifiers.user_id)" in str(caught.value)
    assert "utm" not in str(caught.value)
