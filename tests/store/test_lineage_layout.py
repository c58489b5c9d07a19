"""The drawing of a graph: no two boxes overlap, every edge is drawn from box to box, and all fits onto the page."""

from __future__ import annotations

import re
from itertools import combinations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.store.lineage.layout import BOX_HEIGHT, BOX_WIDTH, Box, Drawing, lay_out

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    """Any graph: with circles, loops, repeated edges, parts that don't touch."""
    keys = [f"n{index}" for index in range(draw(st.integers(0, 14)))]
    if not keys:
        return [], []
    node = st.sampled_from(keys)
    return keys, draw(st.lists(st.tuples(node, node), max_size=30))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_boxes_never_overlap_and_edges_join_their_boxes(graph: tuple[list[str], list[tuple[str, str]]]) -> None:
    keys, edges = graph
    drawing = lay_out(keys, edges)

    assert [box.key for box in drawing.boxes] == keys
    assert [(line.source, line.target) for line in drawing.lines] == edges
    boxes = {box.key: box for box in drawing.boxes}
    for one, other in combinations(drawing.boxes, 2):
        assert abs(one.x - other.x) >= BOX_WIDTH or abs(one.y - other.y) >= BOX_HEIGHT
    for line in drawing.lines:
        points = points_of(line.path)
        assert on_side(points[0], boxes[line.source])
        assert on_side(points[-1], boxes[line.target])
        assert all(within(point, drawing) for point in points)
    assert all(within((box.x + BOX_WIDTH, box.y + BOX_HEIGHT), drawing) for box in drawing.boxes)
    assert all(box.x > 0 and box.y > 0 for box in drawing.boxes)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_the_same_graph_is_drawn_the_same(graph: tuple[list[str], list[tuple[str, str]]]) -> None:
    assert lay_out(*graph) == lay_out(*graph)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_without_circles_everything_flows_to_the_right(graph: tuple[list[str], list[tuple[str, str]]]) -> None:
    keys, edges = graph
    place = {key: index for index, key in enumerate(keys)}
    flowing = [(min(edge, key=place.get), max(edge, key=place.get)) for edge in edges if edge[0] != edge[1]]  # type: ignore[arg-type]
    boxes = {box.key: box for box in lay_out(keys, flowing).boxes}
    for source, target in flowing:
        assert boxes[source].x + BOX_WIDTH < boxes[target].x


def test_no_line_crosses_a_box_between_its_ends() -> None:
    keys = ["a", "b", "c", "d"]
    drawing = lay_out(keys, [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])
    boxes = {box.key: box for box in drawing.boxes}
    long = points_of(drawing.lines[3].path)
    for between in ("b", "c"):
        box = boxes[between]
        inside = [p for p in long if box.x <= p[0] <= box.x + BOX_WIDTH]
        assert inside
        assert all(not box.y <= y <= box.y + BOX_HEIGHT for _, y in inside)


def test_a_circle_is_drawn_with_one_edge_going_back() -> None:
    drawing = lay_out(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a")])
    ways = [(points_of(line.path)[0][0], points_of(line.path)[-1][0]) for line in drawing.lines]
    assert [start < end for start, end in ways] == [True, True, False]


def test_a_chain_is_a_straight_line() -> None:
    drawing = lay_out(["a", "b", "c"], [("a", "b"), ("b", "c")])
    assert len({box.y for box in drawing.boxes}) == 1


def test_a_thousand_nodes_are_laid_out_at_once() -> None:
    keys = [f"n{index}" for index in range(1000)]
    edges = [(keys[0], key) for key in keys[1:-1]] + [(key, keys[-1]) for key in keys[1:-1]]
    drawing = lay_out(keys, edges)
    assert len(drawing.lines) == len(edges)


def points_of(path: str) -> list[tuple[float, float]]:
    numbers = [float(number) for number in _NUMBER.findall(path)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def on_side(point: tuple[float, float], box: Box) -> bool:
    x, y = point
    at_side = min(abs(x - box.x), abs(x - box.x - BOX_WIDTH)) < 0.06  # paths are rounded
    return at_side and box.y - 0.06 <= y <= box.y + BOX_HEIGHT + 0.06


def within(point: tuple[float, float], drawing: Drawing) -> bool:
    return -0.06 <= point[0] <= drawing.width + 0.06 and -0.06 <= point[1] <= drawing.height + 0.06
