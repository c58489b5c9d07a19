"""A lineage as text, Mermaid and JSON: pure, so these tests need no store."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headgate.store.lineage import Edge, EdgeKind, Lineage, Node, NodeKind, to_document, to_json, to_mermaid, to_text

DATA = Node(NodeKind.DATASET, "train@abc", "train", {"name": "train", "digest": "abc"})
RUN = Node(NodeKind.RUN, "r1", "fit", {"status": "FINISHED", "attempt": 2, "git_commit": "c0ffee" * 6})
MODEL = Node(NodeKind.LOGGED_MODEL, "m-1", "forest")
EVALUATION = Node(NodeKind.EVALUATION, "m-1/r1/train@abc", "f1 0.9 on train", {"metrics": {"f1": 0.9}})
VERDICT = Node(NodeKind.VERDICT, "v-1", "pass by gate screening")
PROMOTION = Node(NodeKind.PROMOTION, "p-1", "promotion 1 of tumor @champion", {"actor": "alice", "reason": "better"})
VERSION = Node(NodeKind.MODEL_VERSION, "tumor/1", "tumor version 1")
ALIAS = Node(NodeKind.ALIAS, "tumor@champion", "tumor@champion")


def edge(source: Node, target: Node, kind: EdgeKind) -> Edge:
    return Edge(source.key, target.key, kind)


WAY = Lineage(
    (ALIAS, VERSION, MODEL, PROMOTION, RUN, VERDICT, DATA, EVALUATION),
    (
        edge(VERSION, ALIAS, EdgeKind.HOLDS),
        edge(MODEL, VERSION, EdgeKind.REGISTERED),
        edge(PROMOTION, VERSION, EdgeKind.PROMOTES),
        edge(RUN, MODEL, EdgeKind.OUTPUT),
        edge(VERDICT, PROMOTION, EdgeKind.PERMITS),
        edge(MODEL, VERDICT, EdgeKind.CANDIDATE),
        edge(EVALUATION, VERDICT, EdgeKind.EVIDENCE),
        edge(DATA, RUN, EdgeKind.INPUT),
        edge(MODEL, EVALUATION, EdgeKind.MEASURED),
        edge(DATA, EVALUATION, EdgeKind.MEASURED),
    ),
    (ALIAS.key, VERSION.key, MODEL.key),
)


def test_text_is_a_tree_of_what_something_comes_from() -> None:
    assert to_text(WAY) == (
        "alias tumor@champion\n"
        "└─ tumor version 1\n"
        "   ├─ model forest (m-1)\n"
        "   │  └─ run fit (r1, FINISHED, attempt 2, commit c0ffeec0ffee)\n"
        "   │     └─ dataset train (digest abc)\n"
        "   └─ promotion 1 of tumor @champion (by alice: better)\n"
        "      └─ verdict pass by gate screening (v-1)\n"
        "         ├─ model forest …\n"
        "         └─ evaluation f1 0.9 on train\n"
        "            ├─ model forest …\n"
        "            └─ dataset train …"
    )


def test_text_goes_on_with_what_came_of_it() -> None:
    seen_from_the_data = Lineage(WAY.nodes, WAY.edges, (DATA.key,))
    assert to_text(seen_from_the_data) == (
        "dataset train (digest abc)\n"
        "\n"
        "dataset train leads to\n"
        "├─ run fit (r1, FINISHED, attempt 2, commit c0ffeec0ffee)\n"
        "│  └─ model forest (m-1)\n"
        "│     ├─ tumor version 1\n"
        "│     │  └─ alias tumor@champion\n"
        "│     ├─ verdict pass by gate screening (v-1)\n"
        "│     │  └─ promotion 1 of tumor @champion (by alice: better)\n"
        "│     │     └─ tumor version 1 …\n"
        "│     └─ evaluation f1 0.9 on train\n"
        "│        └─ verdict pass by gate screening …\n"
        "└─ evaluation f1 0.9 on train …"
    )


def test_text_of_nothing_is_empty() -> None:
    assert to_text(Lineage((), ())) == ""


def test_a_long_chain_of_attempts_is_written_whole() -> None:
    runs = tuple(Node(NodeKind.RUN, f"{n:032x}", f"try {n}") for n in range(3000))
    edges = tuple(edge(before, after, EdgeKind.RETRY) for before, after in pairwise(runs))
    text = to_text(Lineage(runs, edges, (runs[-1].key,)))
    assert text.count("retry of run try ") == 2999


def test_a_cycle_ends() -> None:
    one, two = (Node(NodeKind.RUN, name, name) for name in ("one", "two"))
    edges = (edge(one, two, EdgeKind.REFERENCE), edge(two, one, EdgeKind.REFERENCE))
    assert (
        to_text(Lineage((one, two), edges, (one.key,))) == "run one (one)\n└─ uses run two (two)\n   └─ uses run one …"
    )


def test_mermaid_has_a_line_per_node_and_edge() -> None:
    assert to_mermaid(Lineage((DATA, RUN), (edge(DATA, RUN, EdgeKind.INPUT),), (RUN.key,))) == (
        "flowchart LR\n"
        '    n0[("dataset train")]\n'
        '    n1["run fit"]\n'
        "    n0 -->|input| n1\n"
        "    style n1 stroke-width:3px"
    )


LINES = re.compile(
    r"flowchart LR"
    r'|    n\d+(\[\(|\[|\(\[|\[/|\{\{|>|\[\[|\(\()"[^"\n<>&;`]*(#\d+;[^"\n<>&;`]*)*"(\)\]|\]|\]\)|/\]|\}\}|\]\]|\)\))'
    r"|    n\d+ -->\|[a-z]+\| n\d+|    style n\d+ stroke-width:3px|    %% [A-Za-z :.]+"
)
ANY_NODES = st.lists(
    st.builds(Node, st.sampled_from(NodeKind), st.text(max_size=5), st.text(max_size=100), st.just({"digest": "d"})),
    min_size=1,
    max_size=6,
    unique_by=lambda node: node.key,
)


@st.composite
def lineages(draw: st.DrawFn) -> Lineage:
    nodes = draw(ANY_NODES)
    keys = st.sampled_from([node.key for node in nodes])
    edges = draw(st.lists(st.builds(Edge, keys, keys, st.sampled_from(EdgeKind)), max_size=12, unique=True))
    return Lineage(
        tuple(nodes), tuple(edges), tuple(draw(st.lists(keys, max_size=3, unique=True))), draw(st.booleans())
    )


@given(lineages())
def test_no_label_breaks_out_of_a_mermaid_line(lineage: Lineage) -> None:
    lines = to_mermaid(lineage).split("\n")
    assert [line for line in lines if not LINES.fullmatch(line)] == []
    assert len(lines) == 1 + len(lineage.nodes) + len(lineage.edges) + len(lineage.roots[:1]) + lineage.truncated


@given(lineages())
def test_text_holds_no_control_characters_and_always_ends(lineage: Lineage) -> None:
    assert all(character.isprintable() for character in to_text(lineage).replace("\n", ""))


@given(lineages())
def test_json_reads_back_as_the_document(lineage: Lineage) -> None:
    document = json.loads(to_json(lineage))
    assert document == to_document(lineage)
    assert [node["key"] for node in document["nodes"]] == [node.key for node in lineage.nodes]


def test_json_holds_numbers_that_json_does_not_have_as_texts() -> None:
    metrics = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.5}
    document = to_document(Lineage((Node(NodeKind.EVALUATION, "e", "e", {"metrics": metrics}),), ()))
    assert document["nodes"][0]["attributes"]["metrics"] == {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": 0.5}


def test_every_node_below_the_root_is_written_once_in_full() -> None:
    text = to_text(WAY)
    assert text.count("(digest abc)") == 1
    assert text.count("(m-1)") == 1


def test_mermaid_links_nodes_to_their_pages() -> None:
    said = to_mermaid(WAY, {RUN.key: 'http://127.0.0.1:4200/runs/flow-run/1?tab=Logs"x', "run:unknown": "/nowhere"})
    assert '    click n4 "http://127.0.0.1:4200/runs/flow-run/1?tab=Logs%22x"' in said.splitlines()
    assert "nowhere" not in said
