"""Lineage, collected from every database."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.store.database import Database
from headgate.store.entities import Dataset, DatasetInput, Metric, RunContext
from headgate.store.errors import InvalidInput, NotFound
from headgate.store.lineage import EdgeKind, Lineage, LineageGraph, NodeKind, to_text
from headgate.store.settings import Settings
from headgate.store.store import Store
from tests.store.lineage_world import MODEL, NOW, counted_queries, open_run, run_pipeline


def ids(lineage: Lineage, kind: NodeKind) -> set[str]:
    return {node.id for node in lineage.of_kind(kind)}


def edges(lineage: Lineage) -> set[tuple[str, str, str]]:
    """The edges by their ends' labels."""
    labels = {key: node.label for key, node in lineage.by_key.items()}
    return {(labels[edge.source], labels[edge.target], edge.kind.value) for edge in lineage.edges}


def test_an_alias_leads_back_to_the_data(store: Store) -> None:
    made = run_pipeline(store)
    lineage = store.lineage.of("models:/tumor@champion")
    assert edges(lineage) == {
        ("prepare", "train", "reference"),
        ("prepare", "train", "output"),
        ("train", "train", "input"),
        ("tumor-screening", "prepare", "parent"),
        ("tumor-screening", "train", "parent"),
        ("tumor-screening", "evaluate", "parent"),
        ("train", "forest", "output"),
        ("forest", "evaluate", "input"),
        ("holdout", "evaluate", "input"),
        ("forest", "recall 0.97 on holdout", "measured"),
        ("holdout", "recall 0.97 on holdout", "measured"),
        ("evaluate", "recall 0.97 on holdout", "measured"),
        ("recall 0.97 on holdout", "pass by gate screening", "evidence"),
        ("forest", "pass by gate screening", "candidate"),
        ("pass by gate screening", "promotion 1 of tumor @champion", "permits"),
        ("promotion 1 of tumor @champion", "tumor version 1", "promotes"),
        ("forest", "tumor version 1", "registered"),
        ("tumor version 1", "tumor@champion", "holds"),
    }
    assert lineage.roots == ("alias:tumor@champion", "model_version:tumor/1", f"logged_model:{made.model.model_id}")
    assert not lineage.truncated
    run = lineage.by_key[f"run:{made.train.info.run_id}"]
    assert run.attributes["git_commit"] == "c0ffee" * 6
    assert run.attributes["task"] == "train"
    (evaluation,) = lineage.of_kind(NodeKind.EVALUATION)
    assert evaluation.attributes["metrics"] == {"recall": 0.97}


@pytest.mark.parametrize(
    "subject",
    ["tumor@champion", "models:/tumor/1", "tumor/latest", "tumor/1", "{model}", "models:/{model}", "{verdict}"],
)
def test_every_way_of_asking_for_the_champion_finds_the_whole_way(sqlite_store: Store, subject: str) -> None:
    made = run_pipeline(sqlite_store)
    assert made.verdict is not None
    asked = subject.format(model=made.model.model_id, verdict=made.verdict.verdict_id)
    lineage = sqlite_store.lineage.of(asked)
    assert ids(lineage, NodeKind.DATASET) == {"train@abc1", "holdout@feed1234"}
    assert ids(lineage, NodeKind.ALIAS) == {"tumor@champion"}
    assert len(lineage.nodes) == 12


def test_what_else_was_made_of_the_same_data_does_not_appear_upstream(store: Store) -> None:
    made = run_pipeline(store, sweep=3)
    lineage = store.lineage.of(made.model.model_id)
    assert ids(lineage, NodeKind.LOGGED_MODEL) == {made.model.model_id}
    upstream = store.lineage.of(made.model.model_id, downstream=False)
    assert ids(upstream, NodeKind.EVALUATION) == set()
    assert ids(upstream, NodeKind.DATASET) == {"train@abc1"}


def test_a_dataset_leads_to_every_model_and_to_the_alias(store: Store) -> None:
    made = run_pipeline(store, sweep=3)
    lineage = store.lineage.of("dataset:train")
    models = {made.model.model_id, *(other.model_id for other in made.others)}
    assert ids(lineage, NodeKind.LOGGED_MODEL) == models
    assert ids(lineage, NodeKind.ALIAS) == {"tumor@champion"}
    assert made.prepare.info.run_id in ids(lineage, NodeKind.RUN)


def test_the_run_that_prepared_the_data_leads_to_the_alias(store: Store) -> None:
    made = run_pipeline(store)
    downstream = store.lineage.of(made.prepare.info.run_id, upstream=False)
    assert ids(downstream, NodeKind.DATASET) == {"train@abc1", "holdout@feed1234"}
    assert ids(downstream, NodeKind.ALIAS) == {"tumor@champion"}
    assert ids(downstream, NodeKind.RUN) == {each.info.run_id for each in (made.prepare, made.train, made.evaluate)}


def test_a_pipeline_run_stands_for_its_steps(store: Store) -> None:
    made = run_pipeline(store, sweep=2)
    lineage = store.lineage.of(f"runs:/{made.parent.info.run_id}")
    assert len(lineage.roots) == 5
    assert ids(lineage, NodeKind.DATASET) == {"train@abc1", "holdout@feed1234"}
    text = to_text(lineage)
    assert all(node.label in text for node in lineage.nodes)


def test_the_champion_that_was_compared_with_appears_without_its_past(store: Store) -> None:
    first = run_pipeline(store, 1)
    second = run_pipeline(store, 2)
    lineage = store.lineage.of("tumor@champion")
    assert ("forest", "pass by gate screening", "champion") in edges(lineage)
    assert ids(lineage, NodeKind.LOGGED_MODEL) == {first.model.model_id, second.model.model_id}
    assert first.train.info.run_id not in ids(lineage, NodeKind.RUN)
    assert ids(lineage, NodeKind.MODEL_VERSION) == {"tumor/2"}


def test_a_version_knows_every_promotion_that_brought_it_up(store: Store) -> None:
    run_pipeline(store, 1)
    run_pipeline(store, 2)
    store.promotions.roll_back(MODEL, "@champion", actor="bob", reason="bad", now=NOW + 900_000)
    lineage = store.lineage.of("tumor/1", downstream=False)
    labels = {node.label for node in lineage.of_kind(NodeKind.PROMOTION)}
    assert labels == {"promotion 1 of tumor @champion", "rollback 3 of tumor @champion"}
    assert ids(store.lineage.of("tumor/2"), NodeKind.ALIAS) == set()


def test_a_stage_holds_its_versions(store: Store) -> None:
    run_pipeline(store, 1)
    store.registry.transition_stage(MODEL, 1, "Production", archive_existing_versions=False, now=NOW)
    lineage = store.lineage.of("tumor/production")
    assert lineage.roots[:2] == ("stage:tumor/Production", "model_version:tumor/1")
    assert ("tumor version 1", "tumor Production", "holds") in edges(lineage)


def test_attempts_are_linked(store: Store) -> None:
    parent = open_run(store, 1, None, None, NOW)
    first = open_run(store, 1, "train", parent, NOW + 1)
    second = open_run(store, 1, "train", parent, NOW + 2)
    upstream = store.lineage.of(second.info.run_id, downstream=False)
    assert ("train", "train", "retry") in edges(upstream)
    assert ids(store.lineage.of(first.info.run_id, upstream=False), NodeKind.RUN) == {
        first.info.run_id,
        second.info.run_id,
    }


def test_a_version_without_a_logged_model_hangs_on_its_run(store: Store) -> None:
    run = store.runs.open("0", context=RunContext(), name="old-style", now=NOW)
    store.registry.get_or_create_model("legacy", now=NOW)
    store.registry.create_version("legacy", "/models/legacy", run_id=run.info.run_id, now=NOW)
    assert edges(store.lineage.of("legacy/1")) == {("old-style", "legacy version 1", "registered")}
    assert ids(store.lineage.of(run.info.run_id), NodeKind.MODEL_VERSION) == {"legacy/1"}


def test_a_metric_on_unrecorded_data_names_its_dataset_all_the_same(store: Store) -> None:
    made = run_pipeline(store, promote=False)
    point = Metric("f1", float("nan"), NOW, run_id=made.evaluate.info.run_id, dataset_name="x", dataset_digest="d1")
    store.logged_models.log_metrics(made.model.model_id, [point])
    lineage = store.lineage.of(made.model.model_id)
    assert "f1 nan on x" in {node.label for node in lineage.of_kind(NodeKind.EVALUATION)}
    assert lineage.by_key["dataset:x@d1"].attributes == {"name": "x", "digest": "d1"}


def test_the_newest_point_of_a_metric_counts(store: Store) -> None:
    made = run_pipeline(store, promote=False)
    run_id = made.evaluate.info.run_id
    for value, timestamp in ((0.5, NOW + 10**9), (0.6, NOW + 1)):
        point = Metric("recall", value, timestamp, run_id=run_id, dataset_name="holdout", dataset_digest="feed1234")
        store.logged_models.log_metrics(made.model.model_id, [point])
    (evaluation,) = store.lineage.of(made.model.model_id).of_kind(NodeKind.EVALUATION)
    assert evaluation.attributes["metrics"] == {"recall": 0.5}
    assert evaluation.attributes["measured_at"] == NOW + 10**9


def test_nothing_of_another_workspace_appears(store: Store) -> None:
    made = run_pipeline(store)
    assert made.verdict is not None
    elsewhere = LineageGraph(store.database, "elsewhere")
    subjects = ("tumor@champion", "tumor/1", made.model.model_id, made.train.info.run_id, made.verdict.verdict_id)
    for subject in (*subjects, "dataset:train", "dataset:train@abc1"):
        with pytest.raises(NotFound):
            elsewhere.of(subject)


def test_the_number_of_queries_does_not_grow_with_the_number_of_nodes(store: Store) -> None:
    few = run_pipeline(store, 1, sweep=2, promote=False)
    many = run_pipeline(store, 2, sweep=12, promote=False)
    counts = []
    for made in (few, many):
        with counted_queries(store) as statements:
            lineage = store.lineage.of(made.parent.info.run_id)
        counts.append((len(lineage.nodes), len(statements)))
    (few_nodes, few_queries), (many_nodes, many_queries) = counts
    assert many_nodes >= few_nodes + 20
    assert many_queries == few_queries


@pytest.mark.parametrize(("limits", "most"), [({"limit": 4}, 4), ({"depth": 1}, 9), ({"depth": 0}, 3)])
def test_a_limit_cuts_and_says_so(sqlite_store: Store, limits: dict[str, int], most: int) -> None:
    run_pipeline(sqlite_store)
    lineage = sqlite_store.lineage.of("tumor@champion", **limits)
    assert lineage.truncated
    assert len(lineage.nodes) == most
    assert {end for edge in lineage.edges for end in (edge.source, edge.target)} <= set(lineage.by_key)
    assert "A limit cut the lineage off" in to_text(lineage)


def test_a_depth_that_is_just_enough_cuts_nothing(sqlite_store: Store) -> None:
    run = sqlite_store.runs.open("0", name="alone", now=NOW)
    assert not sqlite_store.lineage.of(run.info.run_id, depth=0, limit=1).truncated


@pytest.mark.parametrize("limits", [{"depth": -1}, {"limit": 0}, {"limit": 5001}])
def test_limits_out_of_range_are_refused(sqlite_store: Store, limits: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="lineage can't have"):
        sqlite_store.lineage.of("tumor@champion", **limits)


@pytest.mark.parametrize("subject", ["", "tumor", "tumor@", "models:/", "m-1", "runs:/zz", "tumor/None", "a/b/c"])
def test_a_subject_of_no_known_form_is_refused(sqlite_store: Store, subject: str) -> None:
    with pytest.raises(InvalidInput, match="names nothing that has a lineage"):
        sqlite_store.lineage.of(subject)


@pytest.mark.parametrize(
    "subject",
    [
        *("tumor@champion", "tumor/7", "tumor/latest", "tumor/Production", "0" * 32, "m-" + "0" * 32),
        *("v-" + "0" * 32, "p-" + "0" * 32, "d-" + "0" * 32, "dataset:x", "dataset:x@y"),
    ],
)
def test_what_is_not_there_is_not_found(sqlite_store: Store, subject: str) -> None:
    with pytest.raises(NotFound, match="There is no"):
        sqlite_store.lineage.of(subject)


def test_a_dataset_of_several_contents_must_be_named_by_its_digest(store: Store) -> None:
    run_pipeline(store, 1, promote=False)
    run_pipeline(store, 2, promote=False)
    with pytest.raises(InvalidInput, match=r"There are 2 datasets named 'train'.*dataset:train@abc1"):
        store.lineage.of("dataset:train")
    assert store.lineage.of("dataset:train@abc2").roots == ("dataset:train@abc2",)
    run = store.runs.open("0", name="other", now=NOW)
    store.datasets.log_inputs(run.info.run_id, [DatasetInput(Dataset("odd@name", "d9"))])
    (found,) = store.datasets.get_by_digest("d9")
    assert store.lineage.of(str(found.dataset_id)).roots == ("dataset:odd@name@d9",)
    assert store.lineage.of("dataset:odd@name@d9").roots == ("dataset:odd@name@d9",)


def test_no_credentials_of_a_source_are_shown(store: Store) -> None:
    run = store.runs.open("0", name="load", tags={"mlflow.source.name": "https://me:CANARY@git.example/x"}, now=NOW)
    sources = ("postgresql://me:CANARY@db/train", "https://bucket.example/x?X-Amz-Signature=CANARY", "/plain/x")
    datasets = [DatasetInput(Dataset(f"d{index}", f"{index}", "x", source)) for index, source in enumerate(sources)]
    store.datasets.log_inputs(run.info.run_id, datasets)
    lineage = store.lineage.of(run.info.run_id)
    assert "CANARY" not in repr(lineage)
    assert {node.attributes["source"] for node in lineage.of_kind(NodeKind.DATASET)} == {
        *("postgresql://db/train", "https://bucket.example/x", "/plain/x")
    }


def test_a_deleted_run_stays_in_the_lineage(store: Store) -> None:
    made = run_pipeline(store)
    store.runs.delete(made.prepare.info.run_id)
    assert made.prepare.info.run_id in ids(store.lineage.of("tumor@champion"), NodeKind.RUN)


def test_reading_changes_nothing(sqlite_store: Store, tmp_path: Path) -> None:
    run_pipeline(sqlite_store)
    before = sqlite_store.lineage.of("tumor@champion")
    assert sqlite_store.lineage.of("tumor@champion") == before
    other = Database(sqlite_store.database.url, Settings())
    assert LineageGraph(other).of("tumor@champion") == before
    other.close()


def test_edges_and_nodes_name_each_other(store: Store) -> None:
    run_pipeline(store, sweep=2)
    lineage = store.lineage.of("dataset:train")
    for edge in lineage.edges:
        assert edge in lineage.outgoing[edge.source]
        assert edge in lineage.incoming[edge.target]
    assert len(set(lineage.edges)) == len(lineage.edges)
    assert EdgeKind.PARENT in {edge.kind for edge in lineage.edges}
