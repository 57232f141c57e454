"""A report on a terminal: figures and tables; charts are for the page.

Must not know what a report is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.cli.reporting.outline import Cell, Figure, Heat, Outline, Section, Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text


def show(outline: Outline, console: Console) -> None:
    """Print all of it."""
    console.print(_text(outline.title, "bold"))
    console.print(_text(outline.subtitle, "dim"))
    for section in outline.sections:
        console.print()
        console.rule(_text(section.title, "bold"), align="left")
        _show_section(section, console)
    console.print()
    console.print(
        _text("--html FILE has all of it with charts and every definition, --json for programs.", "dim")
    )


def _show_section(section: Section, console: Console) -> None:
    if section.empty:
        console.print(_text(section.empty, "dim"))
        return
    if section.note:
        console.print(_text(section.note, "dim"))
    if section.figures:
        console.print(_figures(section.figures))
    for table in section.tables:
        console.print()
        console.print(_text(table.title, "italic"))
        console.print(_table(table))
        if table.note:
            console.print(_text(table.note, "dim"))


def _figures(figures: tuple[Figure, ...]) -> RichTable:
    from rich.table import Table as RichTable

    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(overflow="fold")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for figure in figures:
        grid.add_row(_text(figure.name), _text(figure.value, "bold"), _text(figure.detail, "dim"))
    return grid


def _table(table: Table) -> RichTable:
    from rich.table import Table as RichTable

    shown = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        justify = "right" if column.is_number else "left"
        shown.add_column(_text(column.name), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in table.rows:
        shown.add_row(*(_cell(cell) for cell in row))
    return shown


def _cell(cell: Cell) -> Text:
    if isinstance(cell, Heat):
        return _text(cell.text, "bold" if cell.warmth >= 0.5 else "")
    return _text(cell)


def _text(text: str, style: str = "") -> Text:
    """What is not printable in a name is spelled out, for a terminal would obey it."""
    from rich.text import Text

    return Text("".join(each if each.isprintable() else repr(each)[1:-1] for each in text), style=style)
