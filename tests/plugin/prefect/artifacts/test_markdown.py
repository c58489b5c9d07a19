"""The text of artifacts: within the limits of Prefect's pages, and nothing out of the records is markup."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import pytest

from headgate.prefect.artifacts.lineage import LONGEST_MERMAID, MOST_EDGES, diagram, lineage_markdown
from headgate.prefect.artifacts.markdown import fenced
from headgate.prefect.artifacts.publish import artifact_key
from headgate.prefect.artifacts.run import run_markdown
from headgate.prefect.artifacts.verdict import verdict_artifact
from headgate.prefect.assets import dataset_asset, model_asset
from headgate.store.entities import LifecycleStage, Metric, Run, RunInfo, RunStatus
from headgate.store.errors import InvalidInput
from headgate.store.lineage import Edge, EdgeKind, Lineage, Node, NodeKind
from headgate.store.store import Store
from headgate.tasks.gates.definition import gate_from_definition
from headgate.tasks.promote import decide_promotion
from tests.plugin.prefect.projects import GATE, measured

RUN = Node(NodeKind.RUN, "r1", 'run (lr=0.1) "x" [y]; %%{init}%%', {"status": "FINISHED"})


def large(nodes: int, edges: int) -> Lineage:
    made = [Node(NodeKind.RUN, f"r{n}", f"run {n}") for n in range(nodes)]
    pairs = [(a, b) for index, a in enumerate(made) for b in made[index + 1 :]][:edges]
    assert len(pairs) == edges
    return Lineage(tuple(made), tuple(Edge(a.key, b.key, EdgeKind.INPUT) for a, b in pairs), (made[0].key,))


def test_a_lineage_is_mermaid_with_quoted_labels() -> None:
    said = diagram(Lineage((RUN,), (), (RUN.key,)))
    assert said.startswith("```mermaid\nflowchart LR\n")
    (label,) = re.findall(r'n0\["(.*)"\]', said)
    assert set(re.sub(r"#\d+;", "", label)) <= set("run lr=0.1xyinit")


def test_as_many_edges_as_prefect_draws_are_mermaid_and_one_more_is_an_image() -> None:
    assert diagram(large(40, MOST_EDGES)).startswith("```mermaid")
    picture = diagram(large(40, MOST_EDGES + 1))
    (encoded,) = re.fullmatch(r"!\[Lineage\]\(data:image/svg\+xml;base64,([\w+/=]+)\)", picture).groups()  # type: ignore[union-attr]
    drawn = ElementTree.fromstring(base64.b64decode(encoded))
    assert len([path for path in drawn.iter() if path.get("class") == "edge"]) == MOST_EDGES + 1


def test_links_go_before_mermaid_does() -> None:
    found = large(100, 10)
    links = {node.key: "http://127.0.0.1:4200/" + "x" * 500 for node in found.nodes}
    said = diagram(found, links)
    assert said.startswith("```mermaid")
    assert "click" not in said
    assert len(said) < LONGEST_MERMAID
    long = Lineage(tuple(Node(NodeKind.RUN, f"r{n}", "é" + "[" * 79) for n in range(300)), ())
    assert diagram(long).startswith("![Lineage]")


def test_what_was_cut_off_is_said_and_the_same_stands_in_words() -> None:
    said = lineage_markdown(Lineage((RUN,), (), (RUN.key,), truncated=True))
    assert "A limit cut the lineage off" in said
    assert "```text\nrun run (lr=0.1)" in said


def test_words_are_no_more_than_anybody_reads() -> None:
    said = lineage_markdown(large(40, 700))
    assert "more lines\n```" in said
    assert len(said.splitlines()) < 220


def test_no_text_ends_its_block() -> None:
    assert fenced("a\n````\nb", "text") == "`````text\na\n````\nb\n`````"


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("model", "churn"), "headgate-model-churn"),
        (("model", "co2-forecast"), "headgate-model-co2-forecast"),
        (("verdict", "churn", "@champion"), r"headgate-verdict-churn-champion-[0-9a-f]{8}"),
        (("model", "Größe v2"), r"headgate-model-gr-e-v2-[0-9a-f]{8}"),
        (("model", "予測"), r"headgate-model-[0-9a-f]{8}"),
        (("model", "x" * 300), rf"headgate-model-{'x' * 60}-[0-9a-f]{{8}}"),
    ],
)
def test_keys_are_what_prefect_takes(parts: tuple[str, ...], key: str) -> None:
    assert re.fullmatch(key, artifact_key(*parts))
    assert re.fullmatch(r"[a-z0-9-]+", artifact_key(*parts))


def test_names_that_look_alike_in_a_key_have_two() -> None:
    assert len({artifact_key("model", name) for name in ("churn", "Churn", "churn!", "churn-")}) == 4


def test_a_verdict_says_every_check_with_its_reason(store: Store) -> None:
    verdict = decide_promotion(store, gate_from_definition(GATE), "a|b", "@champion", measured(store, 0.2))
    said = verdict_artifact(verdict)
    assert "**REJECT**" in said
    assert "a\\|b" in said
    assert re.search(r"## Why\n\n- f1 >= 0\.5: \S+", said)


def test_a_run_says_what_it_measured() -> None:
    info = RunInfo("ab" * 16, "1", "train", RunStatus.FINISHED, 1, 2, LifecycleStage.ACTIVE, "file:///tmp/a")
    said = run_markdown(
        Run(info, metrics={"f1": Metric("f1", 0.5, 1), "nan": Metric("nan", float("nan"), 1)}, params={"a|b": "`x`"})
    )
    assert "| f1 | 0.5 |" in said
    assert "| nan | nan |" in said
    assert "| a\\|b | \\`x\\` |" in said


def test_assets_have_keys_that_prefect_takes() -> None:
    assert model_asset("churn", alias="champion").key == "headgate://models/churn/alias/champion"
    assert model_asset("a b/ü?", stage="production").key == "headgate://models/a~20b~2F~C3~BC~3F/stage/Production"
    assert dataset_asset("holdout").key == "headgate://datasets/holdout"
    assert dataset_asset("a~20b").key == "headgate://datasets/a~7E20b"
    with pytest.raises(InvalidInput, match="shorter"):
        model_asset("x" * 600)
    with pytest.raises(InvalidInput):
        model_asset("churn", alias="champion", stage="Production")
