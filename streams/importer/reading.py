"""Read rows of text from CSV, JSON Lines and Parquet files, each plain or gzipped.

Whatever the format, a row is a list of texts in the order of the table's columns, the empty text where there is
nothing; what lies in a column of JSON is a column too, if somebody asks for it. Must not know what a column means. A
row that cannot be read goes to `on_reject`; a file that cannot be read on raises Unreadable, because half an import is
worse than none.
"""

from __future__ import annotations

import csv
import gzip
import io
import shutil
import tempfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import msgspec

from streams.importer.mapping import File, MappingError
from streams.importer.nested import Nested, as_text, find, read_json
from streams.importer.rejects import OnReject, Reason, Reject

Row = tuple[int, list[str]]

_GZIP = b"\x1f\x8b"
_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_BATCH_ROWS = 20_000
#: JSON Lines name their columns row by row: so many rows must show every column a mapping reads.
_SAMPLE_ROWS = 10_000
_BROKEN = (OSError, EOFError, zlib.error, UnicodeError)


class Unreadable(RuntimeError):
    """A file is missing, cut or not what its format says."""


class Table(ABC):
    """One file as rows. `wanted` are the columns somebody will ask for."""

    def __init__(self, path: Path, layout: File, wanted: Sequence[str]) -> None:
        self.path = path
        self._layout = layout
        self._wanted = tuple(wanted)
        self._position: Callable[[], int] = int
        self.size_bytes = path.stat().st_size
        with path.open("rb") as file:
            self._is_gzip = file.read(2) == _GZIP
        self.columns: tuple[str, ...] = ()
        self.nested: Nested | None = None
        self._width = 0

    def _name_columns(self, columns: Sequence[str]) -> None:
        """The columns of texts that a row has, and the fields asked for that lie in JSON there."""
        nested = Nested(columns, self._wanted)
        self.columns = (*columns, *nested.names)
        self.nested = nested if nested.names else None
        self._width = len(columns)

    @abstractmethod
    def rows(self, on_reject: OnReject) -> Iterator[Row]:
        """(line, or number of the row, from 1; its texts)."""

    def content(self, values: list[str]) -> str:
        """The whole row as one text: equal rows, equal content."""
        # What lies in JSON is there already, whichever of it a mapping reads.
        return "\x1f".join(values if self.nested is None else values[: self._width])

    @property
    def done_bytes(self) -> int:
        """How much of the file has been read."""
        return self._position()

    def shown(self, values: list[str]) -> dict[str, str] | str:
        """The row for a person to read."""
        return dict(zip(self.columns, values, strict=False))

    def _open(self) -> IO[bytes]:
        """The file's content, unpacked; counts what was read of the file itself."""
        raw = self.path.open("rb")
        if not self._is_gzip:
            self._position = lambda: 0 if raw.closed else raw.tell()
            return raw
        unpacked = _Gunzip(raw)
        self._position = unpacked.packed_position
        return cast("IO[bytes]", unpacked)


class _Gunzip(gzip.GzipFile):
    """Closes the packed file with itself, and knows how far it has read there."""

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__(fileobj=packed)
        self._packed = packed

    def packed_position(self) -> int:
        return 0 if self._packed.closed else self._packed.tell()

    def close(self) -> None:
        super().close()
        self._packed.close()


class CsvTable(Table):
    """Comma separated values after RFC 4180, with a header line or with `header` from the mapping."""

    def __init__(self, path: Path, layout: File, wanted: Sequence[str]) -> None:
        super().__init__(path, layout, wanted)
        with self._text() as text:
            first: list[str] = next(self._reader(text), [])
        columns = layout.header or tuple(first)
        if not columns:
            raise Unreadable(f"{path}: has no header line")
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise Unreadable(f"{path}: column {', '.join(twice)} stands in the header twice")
        self._name_columns(columns)

    def rows(self, on_reject: OnReject) -> Iterator[Row]:
        width = self._width
        with self._text() as text:
            reader = self._reader(text)
            if self._layout.header is None:
                next(reader)
            while True:
                line = reader.line_num + 1
                try:
                    values = next(reader, None)
                except csv.Error as error:
                    on_reject(Reject(str(self.path), line, Reason.UNREADABLE, str(error), ""))
                    continue
                if values is None:
                    return
                if len(values) == width:
                    yield line, values
                elif values:
                    detail = f"{width} expected, {len(values)} found"
                    on_reject(Reject(str(self.path), line, Reason.FIELDS, detail, self.shown(values)))

    def _text(self) -> IO[str]:
        # Bytes that are no text survive until the row they stand in is rejected for them.
        return io.TextIOWrapper(
            self._open(), encoding=self._layout.encoding, errors="surrogateescape", newline=""
        )

    def _reader(self, text: IO[str]) -> Any:
        delimiter = (
            "\t" if ".tsv" in self.path.suffixes and self._layout.delimiter == "," else self._layout.delimiter
        )
        return csv.reader(text, delimiter=delimiter)


class JsonTable(Table):
    """One JSON object a line. `a.b` names the field b of the object in the field a."""

    def __init__(self, path: Path, layout: File, wanted: Sequence[str]) -> None:
        super().__init__(path, layout, wanted)
        with self._open() as file:
            sample = [self._object(line) for line in islice(file, _SAMPLE_ROWS)]
        rows = [row for row in sample if row is not None]
        self.columns = tuple(
            name for name in self._wanted if any(find(row, name) is not None for row in rows)
        )

    def rows(self, on_reject: OnReject) -> Iterator[Row]:
        paths = [(name, name.split(".")) for name in self.columns]
        with self._open() as file:
            for number, line in enumerate(file, start=1):
                row = self._object(line)
                if row is not None:
                    values = [as_text(find(row, name, path)) for name, path in paths]
                    values.append(line.strip().decode("utf-8", "surrogateescape"))
                    yield number, values
                elif line.strip():
                    raw = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
                    on_reject(Reject(str(self.path), number, Reason.UNREADABLE, "not a JSON object", raw))

    def content(self, values: list[str]) -> str:
        return values[-1]

    def shown(self, values: list[str]) -> dict[str, str] | str:
        return values[-1]

    def _object(self, line: bytes) -> dict[str, Any] | None:
        try:
            found = read_json(line)
        except (msgspec.DecodeError, UnicodeError):
            return None
        return found if isinstance(found, dict) else None


class ParquetTable(Table):
    """Apache Parquet, turned to text column by column."""

    def __init__(self, path: Path, layout: File, wanted: Sequence[str]) -> None:
        super().__init__(path, layout, wanted)
        with self._parquet() as parquet:
            self._name_columns(tuple(parquet.schema_arrow.names))

    def rows(self, on_reject: OnReject) -> Iterator[Row]:
        with self._parquet() as parquet:
            total = parquet.metadata.num_rows or 1
            number = 0
            self._position = lambda: self.size_bytes * number // total
            for batch in parquet.iter_batches(batch_size=_BATCH_ROWS):
                texts = [
                    _column_text(column, name=f"{self.path}: {name}") for name, column in _columns(batch)
                ]
                for values in zip(*texts, strict=True):
                    number += 1
                    yield number, list(values)

    @contextmanager
    def _parquet(self) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            if not self._is_gzip:
                with pq.ParquetFile(self.path) as parquet:
                    yield parquet
                return
            # Parquet is read from its end, so it has to be unpacked as a whole; not into memory.
            with tempfile.TemporaryFile(prefix="throughline-parquet-") as unpacked:
                with self._open() as file:
                    shutil.copyfileobj(file, unpacked)
                with pq.ParquetFile(unpacked) as parquet:
                    yield parquet
        except pa.ArrowInvalid as error:
            raise Unreadable(f"{self.path}: {error}") from None


def open_table(path: Path, layout: File, *, wanted: Sequence[str]) -> Table:
    """The table of a file, its columns known. Raises Unreadable."""
    kinds: dict[str, type[Table]] = {"csv": CsvTable, "jsonl": JsonTable, "parquet": ParquetTable}
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    name = layout.format or _FORMATS.get(suffixes[-1].lower() if suffixes else "")
    if name is None:
        raise Unreadable(f"{path}: its name does not say its format; the mapping can: [file] format = …")
    try:
        return kinds[name](path, layout, wanted)
    except (*_BROKEN, LookupError) as error:
        raise Unreadable(f"{path}: {error}") from None


def read_rows(table: Table, on_reject: OnReject) -> Iterator[Row]:
    """The rows of a table. Raises Unreadable where the file breaks off."""
    number = 0
    nested = table.nested
    try:
        for row in table.rows(on_reject):
            number = row[0]
            if nested is None or _is_extended(table, row, nested, on_reject):
                yield row
    except _BROKEN as error:
        raise Unreadable(f"{table.path}: after row {number:,}: {error}") from error


def _is_extended(table: Table, row: Row, nested: Nested, on_reject: OnReject) -> bool:
    """Add to a row what lies in its JSON; False, and rejected, if it is no JSON."""
    line, values = row
    try:
        values += nested.texts(values)
    except ValueError as error:
        on_reject(Reject(str(table.path), line, Reason.UNREADABLE, str(error), table.shown(values)))
        return False
    return True


def require_columns(tables: Sequence[Table], layout: File, *, named: dict[str, list[str]]) -> None:
    """Raise one MappingError for every column that a mapping names and a file lacks."""
    faults: list[str] = []
    for table in tables:
        for column in named.keys() - set(table.columns) - set(layout.optional):
            faults.append(f"{table.path.name} has no column {column!r} (for {', '.join(named[column])})")
    if faults:
        has = "; ".join(f"{table.path.name} has {', '.join(table.columns)}" for table in tables[:1])
        raise MappingError(f"{'; '.join(sorted(faults))}; {has}")


def _columns(batch: Any) -> Iterator[tuple[str, Any]]:
    return zip(batch.schema.names, batch.columns, strict=True)


def _column_text(column: Any, *, name: str) -> list[str]:
    """Texts of one Parquet column; times in ISO format, with an offset where the column has a zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        text: list[str] = pc.fill_null(column.cast(pa.string()), "").to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Unreadable(f"{name}: {error}") from None
    return text
