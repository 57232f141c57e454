"""A report in words: sections of nothing say why, currencies stay apart, tables say what they leave out."""

from __future__ import annotations

import io
import json

import pytest
from pydantic import TypeAdapter
from rich.console import Console

from sinks.report.model import Asked, Link, Report, document
from streams.cli.reporting.outline import Heat, Outline
from streams.cli.reporting.summary import outline_of
from streams.cli.reporting.terminal import show
from tests.unit.report.build import DAY, EMPTY, full, with_text


def printed(report: Report, *, top: int = 10) -> str:
    """As the terminal shows it."""
    out = io.StringIO()
    show(outline_of(report, top=top), Console(file=out, width=200, highlight=False))
    return out.getvalue()


def cells(outline: Outline) -> list[str]:
    """Every value of figures and every cell of tables."""
    found = [figure.value for section in outline.sections for figure in section.figures]
    for section in outline.sections:
        for table in section.tables:
            found += [each.text if isinstance(each, Heat) else each for row in table.rows for each in row]
    return found


def test_a_report_for_programs_is_the_report() -> None:
    """Read back by its types, the JSON document is equal to what was written, to the last field.

    Seen to fail with a field that the document lacks.
    """
    report = full("EUR", None, asked=Asked(since=DAY, currency="EUR"))
    text = json.dumps(document(report), allow_nan=False)
    assert TypeAdapter(Report).validate_json(text) == report


def test_sections_of_nothing_say_why() -> None:
    """All but the key figures are one sentence each, on the terminal as well, and figures say there are none.

    Seen to fail with a section that takes its first row without looking.
    """
    outline = outline_of(EMPTY, top=10)
    summary, *others = outline.sections
    assert all(section.empty.endswith(".") for section in others)
    assert all(not section.tables and not section.charts and not section.figures for section in others)
    assert {figure.value for figure in summary.figures} <= {"–", "0"}
    assert outline.subtitle == "Nothing has landed in this warehouse yet."
    said = " ".join(printed(EMPTY).split())
    assert all(section.empty in said for section in others)


def test_amounts_of_currencies_are_never_added_up() -> None:
    """With two currencies and orders without one, each has figures of its own, and no sum of them is anywhere.

    Seen to fail with recovered revenue summed up over carts.
    """
    outline = outline_of(full("EUR", "CHF", None), top=10)
    figures = {figure.name: figure.value for figure in outline.sections[0].figures}
    for currency in ("EUR", "CHF", "(no currency)"):
        assert figures[f"Revenue, {currency}"] == f"60.00 {currency}"
        assert figures[f"Recovered revenue, {currency}"] == f"7.00 {currency}"
    for never in ("120.00", "180.00", "14.00", "21.00"):
        assert not any(cell.startswith(never) for cell in cells(outline))


def test_rates_over_carts_are_those_of_all_of_them() -> None:
    """Carts can be counted over currencies: 8 of 16 that are not open any more were abandoned, 4 of these recovered."""
    figures = {figure.name: figure for figure in outline_of(full("EUR", "CHF"), top=10).sections[0].figures}
    assert figures["Cart abandonment"].value == "50.0 %"
    assert figures["Cart abandonment"].detail == "8 of 16 carts that are not open any more"
    assert figures["Cart recovery"].detail == "4 of 8 abandoned carts"


def test_a_table_says_what_it_leaves_out() -> None:
    """The first rows, and how to see more; one that is whole says nothing.

    Seen to fail without the note.
    """
    links = tuple(Link("web", f"to {number}", 9 - number, 0) for number in range(5))
    paths = outline_of(full(channel_changes=links), top=3).sections[-2]
    changes = paths.tables[1]
    assert [row[1] for row in changes.rows] == ["to 0", "to 1", "to 2"]
    assert changes.note == "the first 3 of 5 rows; --top N shows more, --json has more"
    assert paths.tables[0].note == ""


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(), "all data, 2026-03-02 to 2026-03-08 (UTC); currencies: EUR; as of 2026-03-09 10:30 UTC"),
        (
            Asked(since=DAY, until=DAY, currency="EUR"),
            "2026-03-02 to 2026-03-02 (UTC); only what is in EUR, but people and sessions whatever the currency; as of "
            "2026-03-09 10:30 UTC",
        ),
    ],
)
def test_a_report_says_what_it_is_of(asked: Asked, expected: str) -> None:
    """The days, whether these are all there are, and which currencies."""
    assert outline_of(full(asked=asked), top=10).subtitle == expected


def test_a_part_of_the_data_says_which_figures_are_by_whole_months() -> None:
    """Key figures that the views tell by month alone; over all data there is no difference, and nothing said.

    Seen to fail with a period that only begins taken for all data.
    """
    for asked in (Asked(since=DAY), Asked(until=DAY)):
        assert "by whole months" in outline_of(full(asked=asked), top=10).sections[0].note
    assert outline_of(full(), top=10).sections[0].note == ""


def test_a_terminal_obeys_no_name() -> None:
    """What is not printable in a name is spelled out, and markup of the terminal stays text.

    Seen to fail with names printed as they are.
    """
    said = printed(with_text(full(), "[red]a\x1b[2J"))
    assert "\x1b" not in said
    assert "[red]a\\x1b[2J" in said
