"""Where the nodes and edges of a graph are drawn: in columns, left to right, the way things flow. Pure.

The method is Sugiyama's: edges that close a circle are turned around, each node goes into the column behind its last
predecessor, an edge across several columns gets a place in each, the places of a column are ordered by the mean of
their neighbours, and at last each comes as near to its neighbours as the order allows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

BOX_WIDTH, BOX_HEIGHT = 184.0, 52.0
COLUMN_GAP, ROW_GAP, MARGIN = 44.0, 16.0, 12.0
_WAYPOINT_HEIGHT = 4.0
_SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Box:
    """The place of a node: its upper left corner. Every box is BOX_WIDTH by BOX_HEIGHT."""

    key: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """The way of an edge.

    Args:
        source: key of the node that it leaves.
        target: key of the node that it enters.
        path: the ``d`` of an SVG path, from the edge of one box to the edge of the other.
    """

    source: str
    target: str
    path: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Boxes in the order of the nodes, lines in the order of the edges, and the size of it all."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


@dataclass(slots=True)
class _Place:
    """A node, or a waypoint of an edge through a column (``key`` is None)."""

    key: str | None
    column: int
    y: float = 0.0

    @property
    def height(self) -> float:
        return _WAYPOINT_HEIGHT if self.key is None else BOX_HEIGHT


def lay_out(keys: Sequence[str], edges: Sequence[tuple[str, str]]) -> Drawing:
    """Return where to draw a graph.

    Args:
        keys: of the nodes, each once.
        edges: (source, target), both among ``keys``; repeated edges and edges into their own source are drawn, too.
    """
    forward = _without_circles(keys, [edge for edge in edges if edge[0] != edge[1]])
    columns = _columns(keys, forward)
    places = {key: _Place(key, columns[key]) for key in keys}
    chains = {edge: _chain(places, edge) for edge in dict.fromkeys(forward)}
    grid = _ordered(list(places.values()), chains.values())
    _straighten(grid, chains.values())
    top = min((place.y for column in grid for place in column), default=0.0)
    boxes = {key: Box(key, _left(place.column), place.y - top + MARGIN) for key, place in places.items()}
    lines = tuple(_line(source, target, boxes, chains, MARGIN - top) for source, target in edges)
    bottom = max((place.y - top + place.height for column in grid for place in column), default=0.0)
    right = max((box.x + BOX_WIDTH for box in boxes.values()), default=MARGIN)
    return Drawing(tuple(boxes.values()), lines, right + MARGIN, bottom + 2 * MARGIN)


def _without_circles(keys: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the edges, those turned around that lead back to where a walk along them came from."""
    following = _grouped(edges, 0)
    back: set[tuple[str, str]] = set()
    done: set[str] = set()
    for start in keys:
        walked: dict[str, int] = {}
        stack = [start] if start not in done else []
        while stack:
            key = stack[-1]
            position = walked.setdefault(key, 0)
            ways = following.get(key, [])
            if position == len(ways):
                done.add(key)
                stack.pop()
                continue
            walked[key] += 1
            other = ways[position]
            if other in walked and other not in done:
                back.add((key, other))
            elif other not in done:
                stack.append(other)
    return [(target, source) if (source, target) in back else (source, target) for source, target in edges]


def _columns(keys: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the column of each node: behind all that lead to it, but no farther left than what it leads to asks."""
    before, behind = _grouped(edges, 1), _grouped(edges, 0)
    order = _sorted_by_flow(keys, before, behind)
    column: dict[str, int] = {}
    for key in order:
        column[key] = max((column[each] + 1 for each in before.get(key, ())), default=0)
    for key in reversed(order):
        # What only gives stands beside what it gives to, not at the far left.
        if key not in before and key in behind:
            column[key] = min(column[each] for each in behind[key]) - 1
    return column


def _sorted_by_flow(keys: Sequence[str], before: Mapping[str, list[str]], behind: Mapping[str, list[str]]) -> list[str]:
    missing = {key: len(before.get(key, ())) for key in keys}
    ready = [key for key in keys if missing[key] == 0]
    for key in ready:  # grows meanwhile
        for other in behind.get(key, ()):
            missing[other] -= 1
            if missing[other] == 0:
                ready.append(other)
    return ready


def _chain(places: Mapping[str, _Place], edge: tuple[str, str]) -> list[_Place]:
    """Return the places that an edge goes through: its source, a waypoint in each column between, its target."""
    source, target = places[edge[0]], places[edge[1]]
    between = [_Place(None, column) for column in range(source.column + 1, target.column)]
    return [source, *between, target]


def _ordered(nodes: Sequence[_Place], chains: Collection[Sequence[_Place]]) -> list[list[_Place]]:
    """Return the places of each column from top to bottom, so that few edges cross."""
    waypoints = [place for chain in chains for place in chain[1:-1]]
    grid: list[list[_Place]] = [[] for _ in range(max((place.column for place in nodes), default=-1) + 1)]
    for place in [*nodes, *waypoints]:
        grid[place.column].append(place)
    left, right = _neighbours(chains)
    for sweep in range(_SWEEPS):
        towards, columns = (left, grid[1:]) if sweep % 2 == 0 else (right, grid[-2::-1])
        rank = {id(place): index for column in grid for index, place in enumerate(column)}
        for column in columns:
            means = {
                id(place): _mean([float(rank[id(other)]) for other in towards.get(id(place), ())], rank[id(place)])
                for place in column
            }
            column.sort(key=lambda place: means[id(place)])  # used up before the loop goes on
            rank.update((id(place), index) for index, place in enumerate(column))
    return grid


def _straighten(grid: Sequence[list[_Place]], chains: Collection[Sequence[_Place]]) -> None:
    """Give each place its height on the page: near its neighbours, in the column's order, without an overlap."""
    left, right = _neighbours(chains)
    for column in grid:
        _stack(column, [0.0] * len(column))
    for sweep in range(_SWEEPS):
        towards, columns = (left, grid[1:]) if sweep % 2 == 0 else (right, grid[-2::-1])
        for column in columns:
            wanted = []
            for place in column:
                middles = [other.y + other.height / 2 for other in towards.get(id(place), ())]
                wanted.append(_mean(middles, place.y + place.height / 2) - place.height / 2)
            _stack(column, wanted)


def _stack(column: Sequence[_Place], wanted: Sequence[float]) -> None:
    """Place a column as near to ``wanted`` (by least squares) as its order and the gaps allow.

    Without the room that the places above take, the heights only have to grow: pool adjacent violators.
    """
    room = 0.0
    offsets = []
    blocks: list[tuple[float, int]] = []  # the mean that each block of places wants, and how many they are
    for place, want in zip(column, wanted, strict=True):
        offsets.append(room)
        blocks.append((want - room, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (low, few), (high, many) = blocks.pop(), blocks.pop()
            blocks.append(((low * few + high * many) / (few + many), few + many))
        room += place.height + ROW_GAP
    settled = [mean for mean, length in blocks for _ in range(length)]
    for place, offset, mean in zip(column, offsets, settled, strict=True):
        place.y = mean + offset


def _line(
    source: str,
    target: str,
    boxes: Mapping[str, Box],
    chains: Mapping[tuple[str, str], Sequence[_Place]],
    shift: float,
) -> Line:
    if source == target:
        return Line(source, target, _loop(boxes[source]))
    turned = (source, target) not in chains
    places = chains[(target, source)] if turned else chains[(source, target)]
    points: list[tuple[float, float]] = []
    for place in places:
        middle = place.y + shift + place.height / 2
        # An edge leaves a box at its right and enters one at its left; a waypoint it crosses from left to right.
        points += [(_left(place.column), middle), (_left(place.column) + BOX_WIDTH, middle)]
    way = points[1:-1]
    if turned:
        way.reverse()
    path = f"M{way[0][0]:.1f} {way[0][1]:.1f}"
    for index in range(1, len(way)):
        (x, y), (to_x, to_y) = way[index - 1], way[index]
        if index % 2 == 1:
            half = (x + to_x) / 2
            path += f" C{half:.1f} {y:.1f} {half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        else:
            path += f" L{to_x:.1f} {to_y:.1f}"
    return Line(source, target, path)


def _loop(box: Box) -> str:
    right, middle = box.x + BOX_WIDTH, box.y + BOX_HEIGHT / 2
    out = right + MARGIN
    return (
        f"M{right:.1f} {middle - 8:.1f} C{out:.1f} {middle - 8:.1f} {out:.1f} {middle + 8:.1f} "
        f"{right:.1f} {middle + 8:.1f}"
    )


def _left(column: int) -> float:
    return MARGIN + column * (BOX_WIDTH + COLUMN_GAP)


def _neighbours(chains: Iterable[Sequence[_Place]]) -> tuple[dict[int, list[_Place]], dict[int, list[_Place]]]:
    """Return what each place (by its identity) is joined to in the column to its left, and to its right."""
    left: dict[int, list[_Place]] = {}
    right: dict[int, list[_Place]] = {}
    for chain in chains:
        for one, other in pairwise(chain):
            left.setdefault(id(other), []).append(one)
            right.setdefault(id(one), []).append(other)
    return left, right


def _grouped(edges: Iterable[tuple[str, str]], end: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for edge in edges:
        found.setdefault(edge[end], []).append(edge[1 - end])
    return found


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else float(otherwise)
