"""A report in words: sections of figures, tables and charts, all of it plain text and numbers.

What the terminal and the page have in common. Must not know either, nor what a report is about.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that explains itself: `detail` says of what it is, `view` names the definition."""

    name: str
    value: str
    detail: str = ""
    view: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Heat:
    """A cell of a heat table: its words, and how warm it is, from 0 to 1."""

    text: str
    warmth: float


Cell = str | Heat


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title; a row has a cell for each column. `note` says what was left out."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar, or the part of one: its value, and how that is said."""

    name: str
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars from left to right, longest value full width."""

    title: str
    description: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """Bars that stand beside each other in the order of time."""

    title: str
    description: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """Bars of the same length, each cut into its parts; a part of a name looks alike in each of them."""

    title: str
    description: str
    bars: tuple[tuple[str, tuple[Bar, ...]], ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """`times` ways from one place to the next, as step `step`, counted from 0."""

    step: int
    source: str
    target: str
    times: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Ways from place to place, a layer a step; `noun` is what they are."""

    title: str
    description: str
    noun: str
    streams: tuple[Stream, ...]


Chart = Bars | Columns | Stack | Flow


@dataclass(frozen=True, slots=True)
class Section:
    """A subject. `empty` says why there may be nothing of it; then there is nothing else but its definitions."""

    key: str
    title: str
    views: tuple[str, ...]
    note: str = ""
    figures: tuple[Figure, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Outline:
    """The whole report; `definitions` are the words of a view on what it counts."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    definitions: dict[str, str]


def cut(rows: tuple[tuple[Cell, ...], ...], top: int) -> tuple[tuple[tuple[Cell, ...], ...], str]:
    """The first `top` rows, and a note that says so if there are more."""
    if len(rows) <= top:
        return rows, ""
    return rows[:top], f"the first {top:,} of {len(rows):,} rows; --top N shows more, --json has more"


def table(title: str, columns: str, rows: list[tuple[Cell, ...]], *, top: int | None = None) -> Table:
    """A table; names of columns stand between bars, those of numbers begin with '#': `channel | #orders`."""
    names = tuple(Column(name.lstrip("#"), name.startswith("#")) for name in columns.split(" | "))
    kept, note = cut(tuple(rows), len(rows) if top is None else top)
    return Table(title, names, kept, note)
