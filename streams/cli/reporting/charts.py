"""Charts as inline SVG: bars, columns, stacks. Each has a title and a description, each mark its own words.

Colours are classes of the page. Must not know what is drawn.
"""

from __future__ import annotations

from typing import Final

from streams.cli.reporting.flow import flow
from streams.cli.reporting.markup import Html, Part, element
from streams.cli.reporting.outline import Bar, Bars, Chart, Columns, Flow, Stack

COLOURS: Final = 8
"""How many colours for parts the page has, from class part0 on; the last is for all others."""

_WIDTH: Final = 760.0
_NAMES: Final = 190.0
_ROW: Final = 30.0
_BAR: Final = 20.0
_LONGEST: Final = 26


def chart(drawn: Chart, key: str) -> Html:
    """The SVG; `key` is its own on the page."""
    match drawn:
        case Bars():
            return _bars(drawn, key)
        case Columns():
            return _columns(drawn, key)
        case Stack():
            return _stack(drawn, key)
        case Flow():
            width, height, marks = flow(drawn)
            return svg(drawn.title, drawn.description, key, width, height, *marks)


def svg(title: str, description: str, key: str, width: float, height: float, *marks: Part) -> Html:
    """An image that says what it is."""
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", description, id=f"{key}-desc"),
        *marks,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def short(text: str, longest: int = _LONGEST) -> str:
    """Cut to what fits; the whole stands in the mark's own title."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _bars(drawn: Bars, key: str) -> Html:
    longest = max((bar.value for bar in drawn.bars), default=0.0) or 1.0
    room = _WIDTH - _NAMES - 150
    marks: list[Part] = []
    for at, bar in enumerate(drawn.bars):
        y = at * _ROW + 4
        width = max(0.0, bar.value) / longest * room
        marks.append(
            element(
                "g",
                element("title", f"{bar.name}: {bar.text}"),
                element("text", short(bar.name), x=_NAMES - 8, y=y + 15, text_anchor="end"),
                element("rect", x=_NAMES, y=y, width=max(width, 1.0), height=_BAR, rx="3", class_="bar"),
                element("text", bar.text, x=_NAMES + width + 8, y=y + 15, class_="value"),
            )
        )
    return svg(drawn.title, drawn.description, key, _WIDTH, len(drawn.bars) * _ROW + 8, *marks)


def _columns(drawn: Columns, key: str) -> Html:
    height, base, top = 220.0, 190.0, 24.0
    highest = max((bar.value for bar in drawn.bars), default=0.0)
    step = _WIDTH / max(len(drawn.bars), 1)
    width = min(step * 0.8, 60.0)
    marks: list[Part] = [element("line", x1=0.0, y1=base, x2=_WIDTH, y2=base, class_="axis")]
    for at, bar in enumerate(drawn.bars):
        tall = max(0.0, bar.value) / (highest or 1.0) * (base - top)
        marks.append(
            element(
                "g",
                element("title", f"{bar.name}: {bar.text}"),
                element(
                    "rect", x=at * step + (step - width) / 2, y=base - tall, width=width, height=tall, class_="bar"
                ),
            )
        )  # fmt: skip
    if drawn.bars:
        first, last = drawn.bars[0], drawn.bars[-1]
        best = max(drawn.bars, key=lambda bar: bar.value)
        marks.append(element("text", f"highest: {best.name}, {best.text}", x=0.0, y=14.0, class_="value"))
        marks.append(element("text", first.name, x=0.0, y=base + 18))
        if len(drawn.bars) > 1:
            marks.append(element("text", last.name, x=_WIDTH, y=base + 18, text_anchor="end"))
    return svg(drawn.title, drawn.description, key, _WIDTH, height, *marks)


def _stack(drawn: Stack, key: str) -> Html:
    room = _WIDTH - _NAMES
    marks: list[Part] = []
    for at, (name, parts) in enumerate(drawn.bars):
        y, x = at * _ROW + 4, _NAMES
        whole = sum(max(0.0, part.value) for part in parts) or 1.0
        marks.append(element("text", short(name), x=_NAMES - 8, y=y + 15, text_anchor="end"))
        for colour, part in enumerate(parts):
            width = max(0.0, part.value) / whole * room
            if width > 0:
                marks.append(_part(name, part, colour, x=x, y=y, width=width))
            x += width
    names = [part.name for part in drawn.bars[0][1]] if drawn.bars else []
    key_top = len(drawn.bars) * _ROW + 12
    marks += [_named(colour, name, key_top) for colour, name in enumerate(names)]
    height = key_top + (len(names) + 2) // 3 * 24 + 8
    return svg(drawn.title, drawn.description, key, _WIDTH, height, *marks)


def _part(name: str, part: Bar, colour: int, *, x: float, y: float, width: float) -> Html:
    return element(
        "g",
        element("title", f"{name}, {part.name}: {part.text}"),
        element("rect", x=x, y=y, width=width, height=_BAR, class_=f"part{colour % COLOURS}"),
    )


def _named(colour: int, name: str, top: float) -> Html:
    x, y = colour % 3 * _WIDTH / 3, top + colour // 3 * 24
    return element(
        "g",
        element("title", name),
        element("rect", x=x, y=y, width=14.0, height=14.0, class_=f"part{colour % COLOURS}"),
        element("text", short(name, 30), x=x + 20, y=y + 12),
    )
