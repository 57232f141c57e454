"""The page: whatever names it holds stay text, it stands alone, and it says what its charts show."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from sinks.report.model import Report
from streams.cli.reporting.page import page
from streams.cli.reporting.summary import outline_of
from tests.unit.report.build import EMPTY, full, with_text

HOSTILE = """<script>alert("1")</script>'"><img src=x onerror=alert(1)>&amp;]]>\x1b[2J"""
VOID = {"meta"}


class Parsed(HTMLParser):
    """What a page is made of: elements with their attributes, text, and what was opened and never closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, attribute: str) -> list[str]:
        """Every value of an attribute."""
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]

    def tags(self) -> set[str]:
        """Every element there is."""
        return {tag for tag, _ in self.elements}


def written(report: Report, *, top: int = 10) -> str:
    """The file."""
    return page(outline_of(report, top=top))


REPORTS = {
    "empty": EMPTY,
    "one": full(),
    "many": full("EUR", "CHF", None),
    "hostile": with_text(full(), HOSTILE),
}


def test_a_name_is_text_whatever_it_is() -> None:
    """Markup, quotes and control characters in any word of a report bring no element and no attribute that the same
    report without them does not have, and can be read as they are.

    Seen to fail with content that is not escaped, and with attributes that are not.
    """
    plain, hostile = Parsed(written(with_text(full(), "plain"))), Parsed(written(with_text(full(), HOSTILE)))
    assert [(tag, set(attributes)) for tag, attributes in hostile.elements] == [
        (tag, set(attributes)) for tag, attributes in plain.elements
    ]
    assert HOSTILE.replace("\x1b", "\\x1b") in hostile.words
    assert "\x1b" not in written(with_text(full(), HOSTILE))


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_needs_nothing_from_anywhere(name: str) -> None:
    """No script, no image, no style sheet, no address: links lead to its own sections.

    Seen to fail with a style that imports a font.
    """
    text = written(REPORTS[name])
    found = Parsed(text)
    assert not found.tags() & {"script", "link", "img", "iframe", "object", "use", "image", "form", "base"}
    assert not set(found.all("src")) | set(found.all("xlink:href"))
    assert all(to[1:] in found.all("id") and to.startswith("#") for to in found.all("href"))
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert not any(word in style for word in ("url(", "@import", "@font-face", "http", "</"))
    assert "http://" not in text
    assert "https://" not in text


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_is_well_formed_and_says_what_it_shows(name: str) -> None:
    """Every element is closed, no id is there twice, what labels something is there; each chart has a title and a
    description, and its section a table.

    Seen to fail with charts that all have one key.
    """
    found = Parsed(written(REPORTS[name]))
    assert found.open == []
    ids = found.all("id")
    assert len(ids) == len(set(ids))
    assert {one for named in found.all("aria-labelledby") for one in named.split()} <= set(ids)
    charts = [attributes for tag, attributes in found.elements if tag == "svg"]
    assert all(len(chart["aria-labelledby"].split()) == 2 for chart in charts)
    for section in outline_of(REPORTS[name], top=10).sections:
        assert not section.charts or section.tables


@pytest.mark.parametrize("name", REPORTS)
def test_nothing_is_shown_that_is_no_number(name: str) -> None:
    """Of what there is none, there is a dash or a sentence: no NaN, no None, no infinity.

    Seen to fail with a share of nothing put down as it is.
    """
    words = " ".join(Parsed(written(REPORTS[name])).words)
    for never in ("nan", "None", "inf "):
        assert never not in words


def test_every_figure_explains_itself() -> None:
    """The words of each view on what it counts stand beside its figures, or in its section.

    Seen to fail with the definitions of sections left out.
    """
    report = full()
    words = Parsed(written(report)).words
    for view in {view for section in outline_of(report, top=10).sections for view in section.views}:
        assert any(f"What {view} counts." in said for said in words), view
