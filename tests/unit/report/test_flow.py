"""The map of ways: nothing is lost between places, and bands lie within their boxes."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict

import pytest

from sinks.report.model import Edge
from sinks.report.segments import SEGMENTS, segment_of
from sinks.report.ways import FIRST_STEPS, map_of
from streams.cli.reporting.flow import ENDS, OTHERS, layout, places_of
from streams.cli.reporting.outline import Stream


def edges_of(seed: int) -> tuple[list[Edge], int, int]:
    """Edges of random ways as the views count them, the most frequent first; how many ways, how many with an order."""
    draw = random.Random(seed)
    print(f"seed {seed}")
    counts: Counter[tuple[int, str, str]] = Counter()
    ordered: Counter[tuple[int, str, str]] = Counter()
    ways, orders = draw.randrange(1, 200), 0
    for _ in range(ways):
        has_order = draw.random() < 0.4
        orders += has_order
        places = [
            f"channel {min(draw.randrange(20), draw.randrange(20))}" for _ in range(draw.randrange(1, 12))
        ]
        way = ["(start)", *places, "(order)" if has_order else "(none)"]
        for step, ends in enumerate(itertools.pairwise(way)):
            counts[step, *ends] += 1
            ordered[step, *ends] += has_order
    edges = [Edge(*place, times, ordered[place]) for place, times in counts.most_common()]
    return edges, ways, orders


@pytest.mark.parametrize("number", range(20))
def test_a_map_counts_every_way_once(seed: int, number: int) -> None:
    """Ways are those that start; at each step there are as many as have not ended; links add up steps.

    Seen to fail with the ways of all steps added up.
    """
    edges, ways, orders = edges_of(seed + number)
    found = map_of(edges)
    assert (found.ways, found.with_order) == (ways, orders)
    assert max(edge.step for edge in found.edges) < FIRST_STEPS
    assert sum(link.times for link in found.links) == sum(edge.times for edge in edges)
    ended = sum(link.times for link in found.links if link.target in ENDS)
    assert (ended, sum(link.times for link in found.links if link.target == "(order)")) == (ways, orders)


@pytest.mark.parametrize("number", range(20))
def test_bands_lie_within_their_boxes_and_boxes_apart(seed: int, number: int) -> None:
    """As many ways leave and reach a layer as the edges say; bands fill their boxes from the top and never lie on each
    other there; boxes of a layer never do; a layer has few places.

    Seen to fail without a gap and with boxes at half their height.
    """
    edges = [edge for edge in edges_of(seed + number)[0] if edge.step < FIRST_STEPS]
    streams = [Stream(edge.step, edge.source, edge.target, edge.times) for edge in edges]
    links = places_of(streams)
    for step in range(FIRST_STEPS):
        shown = sum(times for (source, _), times in links.items() if source[0] == step)
        assert shown == sum(edge.times for edge in edges if edge.step == step)
    boxes, bands = layout(links)
    layers = defaultdict(list)
    for (layer, name), box in boxes.items():
        layers[layer].append((box.y, box.y + box.tall, name))
    for places in layers.values():
        places.sort()
        assert all(above[1] < below[0] for above, below in itertools.pairwise(places))
        assert len([name for _, _, name in places if name not in (*ENDS, OTHERS)]) <= 7
    for side in ("source", "target"):
        for node, box in boxes.items():
            at = [(band.leaves_y if side == "source" else band.arrives_y, band.wide) for band in bands
                  if getattr(band, side) == node]  # fmt: skip
            y = box.y
            for top, wide in sorted(at):
                assert top == pytest.approx(y)
                y += wide
            assert y <= box.y + box.tall + 1e-6


def test_every_pair_of_scores_is_a_segment() -> None:
    """All 25 cells have a name, all names a cell; the corners are what they are called."""
    cells = {(r, f): segment_of(r, f) for r in range(1, 6) for f in range(1, 6)}
    assert set(cells.values()) == set(SEGMENTS)
    corners = [cells[5, 5], cells[5, 1], cells[1, 5], cells[1, 1]]
    assert corners == ["champions", "new", "cannot lose", "hibernating"]
