"""The map of ways as bands between layers: a layer a step, a place a box, a band as wide as ways are many.

`places_of` and `layout` are pure geometry; `flow` draws. Small places of a layer are one, `(others)`. Must not know
what the ways are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from streams.cli.reporting.markup import Part, element
from streams.cli.reporting.outline import Flow, Stream

OTHERS: Final = "(others)"
ENDS: Final = ("(order)", "(none)", "(end)", "(more)")
"""Where ways end; they stand below all others of their layer and are never part of them."""

_MOST_PLACES: Final = 7
_LAYER: Final = 190.0
_BOX: Final = 12.0
_TALL: Final = 420.0
_GAP: Final = 12.0
_TOP: Final = 26.0
_LONGEST: Final = 22

Node = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a place stands in its layer, and how many ways pass it."""

    x: float
    y: float
    tall: float
    times: int


@dataclass(frozen=True, slots=True)
class Band:
    """Ways from one box to another: where they leave, where they arrive, how wide."""

    source: Node
    target: Node
    times: int
    leaves_y: float
    arrives_y: float
    wide: float


def places_of(streams: Sequence[Stream]) -> dict[tuple[Node, Node], int]:
    """Ways between places of neighbouring layers; in each layer all but the greatest places are `(others)`."""
    sizes = _sizes({((s.step, s.source), (s.step + 1, s.target)): s.times for s in streams})
    layers: dict[int, list[Node]] = defaultdict(list)
    for node in sorted(sizes, key=lambda node: (-sizes[node], node)):
        if node[1] not in ENDS:
            layers[node[0]].append(node)
    kept = {node for nodes in layers.values() for node in nodes[:_MOST_PLACES]}
    found: dict[tuple[Node, Node], int] = defaultdict(int)
    for stream in streams:
        ends = (stream.step, stream.source), (stream.step + 1, stream.target)
        source, target = (node if node in kept or node[1] in ENDS else (node[0], OTHERS) for node in ends)
        found[source, target] += stream.times
    return dict(found)


def _sizes(links: Mapping[tuple[Node, Node], int]) -> dict[Node, int]:
    """How many ways pass each place: the more of those that come and those that go."""
    into: dict[Node, int] = defaultdict(int)
    out: dict[Node, int] = defaultdict(int)
    for (source, target), times in links.items():
        out[source] += times
        into[target] += times
    return {node: max(into[node], out[node]) for node in {*into, *out}}


def layout(links: Mapping[tuple[Node, Node], int]) -> tuple[dict[Node, Box], list[Band]]:
    """Boxes, and the bands between them, side by side within their boxes.

    A place stands as high as those lie, on the whole, from which ways lead there, so that few bands cross; the first
    layer begins with its greatest. Ends stand below all others.
    """
    sizes = _sizes(links)
    layers: dict[int, list[Node]] = defaultdict(list)
    for node in sizes:
        layers[node[0]].append(node)
    scale = _TALL / max((sum(sizes[node] for node in nodes) for nodes in layers.values()), default=1)
    boxes: dict[Node, Box] = {}
    for layer in sorted(layers):
        heights = _heights(layer, links, boxes)
        y = _TOP
        for node in sorted(
            layers[layer], key=lambda node: (node[1] in ENDS, heights.get(node, 0.0), -sizes[node], node)
        ):
            tall = max(sizes[node] * scale, 1.0)
            boxes[node] = Box(layer * _LAYER, y, tall, sizes[node])
            y += tall + _GAP
    return boxes, _bands(links, boxes, scale)


def _heights(
    layer: int, links: Mapping[tuple[Node, Node], int], boxes: Mapping[Node, Box]
) -> dict[Node, float]:
    """How high, in the mean of the ways that lead there, each place of the layer has its sources."""
    sums: dict[Node, float] = defaultdict(float)
    times: dict[Node, int] = defaultdict(int)
    for (source, target), count in links.items():
        if target[0] == layer and source in boxes:
            sums[target] += count * (boxes[source].y + boxes[source].tall / 2)
            times[target] += count
    return {node: sums[node] / times[node] for node in sums if times[node]}


def _bands(links: Mapping[tuple[Node, Node], int], boxes: Mapping[Node, Box], scale: float) -> list[Band]:
    leaving = {node: box.y for node, box in boxes.items()}
    arriving = dict(leaving)
    bands = []
    for source, target in sorted(links, key=lambda ends: (boxes[ends[0]].y, boxes[ends[1]].y)):
        wide = links[source, target] * scale
        band = Band(source, target, links[source, target], leaving[source], arriving[target], wide)
        bands.append(band)
        leaving[source] += wide
        arriving[target] += wide
    return bands


def flow(drawn: Flow) -> tuple[float, float, list[Part]]:
    """Width, height and marks."""
    boxes, bands = layout(places_of(drawn.streams))
    marks: list[Part] = [_band(band, boxes, drawn.noun) for band in bands]
    marks += [_place(node, box, drawn.noun) for node, box in boxes.items()]
    last = max((node[0] for node in boxes), default=0)
    marks += [
        element("text", "start" if at == 0 else f"step {at}", x=at * _LAYER, y=14.0, class_="layer")
        for at in range(last + 1)
    ]
    bottom = max((box.y + box.tall for box in boxes.values()), default=_TOP)
    return (last + 1) * _LAYER, bottom + 16, marks


def _band(band: Band, boxes: Mapping[Node, Box], noun: str) -> Part:
    left, right = boxes[band.source].x + _BOX, boxes[band.target].x
    middle = (left + right) / 2
    wide = max(band.wide, 0.6)
    above, below = band.leaves_y, band.arrives_y
    path = (
        f"M{left:.1f} {above:.1f}C{middle:.1f} {above:.1f} {middle:.1f} {below:.1f} {right:.1f} {below:.1f}"
        f"V{below + wide:.1f}C{middle:.1f} {below + wide:.1f} {middle:.1f} {above + wide:.1f} {left:.1f} "
        f"{above + wide:.1f}Z"
    )
    said = f"{band.source[1]} → {band.target[1]}: {band.times:,} {noun}"
    return element("path", element("title", said), d=path, class_=f"band {_class_of(band.target[1])}")


def _place(node: Node, box: Box, noun: str) -> Part:
    name = node[1]
    label = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return element(
        "g",
        element("title", f"{name}: {box.times:,} {noun}"),
        element("rect", x=box.x, y=box.y, width=_BOX, height=box.tall, class_=f"place {_class_of(name)}"),
        element("text", label, x=box.x + _BOX + 4, y=box.y + min(box.tall / 2, 12) + 4, class_="label"),
    )


def _class_of(name: str) -> str:
    return (
        "ordered"
        if name == "(order)" or name.endswith(":Order Completed")
        else "lost"
        if name in ENDS
        else "on"
    )
