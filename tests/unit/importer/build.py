"""Builders for tests of the importer: mappings from a few lines, files from rows, a feed that remembers."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas.catalog import Catalog
from schemas.codec import decode
from streams.importer.mapping import Mapping, parse

SHOP = """
    channel = { constant = "web" }
    identifiers = { user_id = "user" }
    [time]
    column = "at"
    [message_id]
    duplicates = "distinct"
    [event]
    column = "what"
    [event.names]
    view = "Product Viewed"
    cart = "Product Added"
    buy = "Order Completed"
"""
COLUMNS = ("at", "what", "user")


def mapping(more: str = "", *, base: str = SHOP) -> Mapping:
    """The smallest mapping of a shop, with more tables behind it."""
    return parse(f"{base}\n{more}")


def csv_text(rows: Iterable[Sequence[str]], *, columns: Sequence[str] = COLUMNS) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def json_text(rows: Iterable[Sequence[str]], *, columns: Sequence[str] = COLUMNS) -> str:
    return "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)


def write_file(path: Path, text: str) -> Path:
    """A text file, gzipped if its name says so."""
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


class Sent:
    """A feed that keeps what it was given, decoded unless told otherwise."""

    def __init__(self, *, is_decoding: bool = True) -> None:
        self._is_decoding = is_decoding
        self.tick_ms: int | None = 60_000
        self.records: list[tuple[str, bytes, int]] = []
        self.touchpoints: list[dict[str, object]] = []
        self.finished_ms: int | None = None

    def send(self, channel: str, key: bytes, value: bytes, arrival_ms: int) -> None:
        self.records.append((channel, key, arrival_ms))
        if not self._is_decoding:
            return
        subject, record = decode(value, Catalog.embedded())
        assert subject == f"touchpoints.{channel}"
        self.touchpoints.append(record)

    def finish(self, last_ms: int) -> None:
        self.finished_ms = last_ms
