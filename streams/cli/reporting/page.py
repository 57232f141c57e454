"""A report as one HTML page: no script, nothing loaded from anywhere, every name escaped.

Must not know what a report is about.
"""

from __future__ import annotations

from typing import Final

from streams.cli.reporting.charts import chart
from streams.cli.reporting.markup import Html, Part, element, joined
from streams.cli.reporting.outline import Cell, Column, Figure, Heat, Outline, Section, Table
from streams.cli.reporting.style import STYLE

# The browser itself then refuses whatever the page would load or run.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(outline: Outline) -> str:
    """The whole file."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{outline.title}: {outline.subtitle}"),
        element("style", Html(STYLE)),
    )
    links = [element("a", section.title, href=f"#{section.key}") for section in outline.sections]
    body = element(
        "body",
        element(
            "header", element("h1", outline.title), element("p", outline.subtitle, class_="quiet")
        ),
        element("nav", *links, aria_label="Sections"),
        element("main", *(_section(section, outline.definitions) for section in outline.sections)),
    )  # fmt: skip
    return f"<!doctype html>\n{element('html', head, body, lang='en').text}\n"


def _section(section: Section, definitions: dict[str, str]) -> Html:
    parts: list[Part] = [element("h2", section.title, id=f"{section.key}-heading")]
    if section.empty:
        parts.append(element("p", section.empty, class_="quiet"))
    elif section.note:
        parts.append(element("p", section.note, class_="quiet"))
    if section.figures:
        figures = [_figure(figure, definitions) for figure in section.figures]
        parts.append(element("div", *figures, class_="figures"))
    for at, drawn in enumerate(section.charts):
        parts.append(element("h3", drawn.title))
        parts.append(_scroll(chart(drawn, f"{section.key}-{at}"), drawn.title))
    for table in section.tables:
        parts.append(_table(table))
    parts.append(_definitions(section, definitions))
    return element("section", *parts, id=section.key, aria_labelledby=f"{section.key}-heading")


def _figure(figure: Figure, definitions: dict[str, str]) -> Html:
    definition = definitions.get(figure.view, "")
    parts: list[Part] = [
        element("span", figure.name, class_="quiet"),
        element("b", figure.value),
        element("span", figure.detail, class_="quiet"),
    ]
    if definition:
        parts.append(
            element("details", element("summary", "What it counts"), element("p", definition)),
        )
    return element("div", *parts, class_="figure", title=definition)


def _definitions(section: Section, definitions: dict[str, str]) -> Part:
    """What the views of a section count; figures have theirs beside them."""
    beside = {figure.view for figure in section.figures}
    told = [(view, definitions[view]) for view in section.views if view in definitions and view not in beside]
    if not told:
        return ""
    lines = [element("p", element("b", view), ": ", text) for view, text in told]
    return element("details", element("summary", "How it is counted"), *lines)


def _table(table: Table) -> Html:
    head = element("tr", *(_heading(column) for column in table.columns))
    rows = [_row(row, table.columns) for row in table.rows]
    whole = element("table", element("thead", head), element("tbody", *rows), aria_label=table.title)
    parts: list[Part] = [element("h3", table.title), _scroll(whole, table.title)]
    if table.note:
        parts.append(element("p", table.note, class_="quiet"))
    return joined(parts)


def _heading(column: Column) -> Html:
    return element("th", column.name, scope="col", class_="number" if column.is_number else "")


def _row(row: tuple[Cell, ...], columns: tuple[Column, ...]) -> Html:
    cells = [_cell(cell, column) for cell, column in zip(row[1:], columns[1:], strict=True)]
    return element("tr", element("th", _words(row[0]), scope="row"), *cells)


def _cell(cell: Cell, column: Column) -> Html:
    shown = "number" if column.is_number else ""
    if isinstance(cell, Heat):
        # At most as strong as its text still reads well on.
        alpha = 0.05 + 0.5 * min(max(cell.warmth, 0.0), 1.0)
        return element("td", cell.text, class_=shown, style=f"background: rgb(var(--warm) / {alpha:.2f})")
    return element("td", cell, class_=shown)


def _words(cell: Cell) -> str:
    return cell.text if isinstance(cell, Heat) else cell


def _scroll(inner: Html, title: str) -> Html:
    """What is wider than a phone moves by itself, by keyboard too."""
    return element("div", inner, class_="scroll", tabindex="0", role="group", aria_label=title)
