"""A lineage as a picture: sound XML whatever the records say, every node and edge in it, and nothing that acts."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from headgate.store.lineage import Edge, EdgeKind, Lineage, Node, NodeKind, to_svg

SVG = "{http://www.w3.org/2000/svg}"
DATA = Node(NodeKind.DATASET, "train@abc", "train", {"name": "train", "digest": "abc"})
RUN = Node(NodeKind.RUN, "r1", "a name that is much too long for its box", {"status": "FINISHED"})
WAY = Lineage(
    (RUN, DATA),
    (Edge(DATA.key, RUN.key, EdgeKind.INPUT), Edge(DATA.key, RUN.key, EdgeKind.REFERENCE)),
    (RUN.key,),
)


def test_everything_is_drawn_once() -> None:
    drawn = ElementTree.fromstring(to_svg(WAY))
    assert [text.text for text in drawn.iter(f"{SVG}text")] == [
        *("run, finished", "a name that is much to…"),
        *("dataset", "train"),
    ]
    edges = [path for path in drawn.iter(f"{SVG}path") if path.get("class") == "edge"]
    assert [edge.findtext(f"{SVG}title") for edge in edges] == ["input, reference"]
    assert drawn.findtext(f"{SVG}g/{SVG}title") == "run a name that is much too long for its box (r1, FINISHED)"
    assert [rect.get("class") for rect in drawn.iter(f"{SVG}rect") if "root" in rect.get("class", "")] == ["body root"]


def test_nothing_is_loaded_from_elsewhere() -> None:
    said = to_svg(WAY).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|<script|@import|href", said)


def test_an_empty_lineage_is_an_empty_picture() -> None:
    assert not list(ElementTree.fromstring(to_svg(Lineage((), ()))).iter(f"{SVG}text"))


@given(st.text())
def test_any_label_is_text_and_never_markup(label: str) -> None:
    drawn = ElementTree.fromstring(to_svg(Lineage((Node(NodeKind.RUN, "r1", label),), ())))
    assert {element.tag.removeprefix(SVG) for element in drawn.iter()} == {
        *("svg", "style", "defs", "marker", "path", "rect", "g", "title", "text")
    }
