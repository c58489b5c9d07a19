"""Evaluating a model by an entry point: what it measured stands on the model, with the digest of the data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

from headgate.store import open_store
from headgate.store.entities import LoggedModelStatus, Metric, RunContext, RunStatus
from headgate.store.errors import EntryPointFailed, InvalidModel, NotFound, NothingMeasured
from headgate.store.settings import Settings
from headgate.store.store import Store
from headgate.tasks import (
    AllOf,
    Evaluation,
    Gate,
    Improvement,
    decide_promotion,
    evaluate_champion,
    evaluate_model,
    promote_if_passing,
)
from headgate.tasks.datasets import dataset_at
from headgate.tasks.tracking import dataset

NOW = 1_800_000_000_000
MODEL, CHAMPION = "tumor-screening", "@champion"
GATE = Gate("screening", AllOf([Improvement("f1", by=0.01)]), when_no_champion="pass")

# f1 is read from the model's params: no model has to be loaded for it.
ON_THE_MODEL = """
    import sys
    from headgate.tasks import tracking

    model, data = sys.argv[1:3]
    f1 = float(tracking.get_logged_model(model).params["f1"])
    with tracking.start_run():
        tracking.log_metrics({"f1": f1}, model_id=model, dataset=tracking.dataset("holdout", data))
"""
ON_THE_RUN = """
    import sys
    from headgate.tasks import tracking

    with tracking.start_run():
        tracking.log_metrics({"f1": float(tracking.get_logged_model(sys.argv[1]).params["f1"]), "loss": float("nan")})
"""
NOTHING = "print('measured nothing')"
ON_ANOTHER_MODEL = """
    import sys
    from headgate.tasks import tracking

    other = tracking.create_external_model("other")
    with tracking.start_run():
        tracking.log_metrics({"f1": 0.99}, model_id=other.model_id, dataset=tracking.dataset("holdout", sys.argv[2]))
"""
IN_A_NESTED_RUN = """
    import sys
    from headgate.tasks import tracking

    with tracking.start_run(), tracking.start_run(nested=True):
        tracking.log_metrics({"f1": 0.5}, model_id=sys.argv[1], dataset=tracking.dataset("holdout", sys.argv[2]))
"""

MakeProject = Callable[[str], Path]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    settings = Settings(home=tmp_path / "home", grace_seconds=1)
    with open_store(f"sqlite:///{tmp_path}/headgate.db", settings=settings) as opened:
        yield opened


@pytest.fixture
def holdout(tmp_path: Path) -> Path:
    file = tmp_path / "holdout.csv"
    file.write_text("a,b\n1,2\n")
    return file


@pytest.fixture
def project(tmp_path: Path) -> MakeProject:
    def make(script: str) -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        (folder / "evaluate.py").write_text(dedent(script))
        parameters = "parameters: {model: string, data: path}"
        command = 'command: "python evaluate.py {model} {data}"'
        (folder / "MLproject").write_text(
            f"name: screening\nentry_points:\n  evaluate:\n    {parameters}\n    {command}\n"
        )
        return folder

    return make


def ready_model(store: Store, f1: float) -> str:
    model = store.logged_models.create("0", params={"f1": str(f1)}, now=NOW)
    store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="ab" * 32, now=NOW)
    return model.model_id


def figures(metrics: tuple[Metric, ...]) -> list[tuple[str, float, str | None, str | None, str | None]]:
    return [(m.key, m.value, m.dataset_name, m.dataset_digest, m.run_id) for m in metrics]


def test_what_is_measured_stands_on_the_model(store: Store, project: MakeProject, holdout: Path) -> None:
    model_id = ready_model(store, 0.9)
    digest = dataset("holdout", holdout).digest
    context = RunContext("airflow", "retrain", "run-1", "evaluate", attempt=1, logical_date=NOW)
    given = {"parameters": {"data": holdout}, "model": model_id, "store": store, "context": context}
    done = evaluate_model(project(ON_THE_MODEL), **given)
    assert (done.model_id, done.run.status, done.run.metrics) == (model_id, "FINISHED", {"f1": 0.9})
    assert figures(done.measurements) == [("f1", 0.9, "holdout", digest, done.run.run_id)]
    assert done.measurements == store.logged_models.metrics(model_id)
    run = store.runs.get(done.run.run_id)
    assert [used.model_id for used in run.model_inputs] == [model_id]
    assert run.params["model"] == f"models:/{model_id}"
    assert evaluate_model(project(ON_THE_MODEL), **given) == done, "the same attempt again is what it was"


def test_a_table_is_described_with_its_schema_and_profile(
    store: Store, holdout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = dataset_at(store, holdout)
    assert (found.name, found.digest) == ("holdout", dataset("holdout", holdout).digest)
    assert [column["name"] for column in json.loads(str(found.schema))["mlflow_colspec"]] == ["a", "b"]
    assert json.loads(str(found.profile)) == {"num_rows": 1, "num_elements": 2}
    pd.read_csv(holdout).to_parquet(tmp_path / "holdout.parquet")
    assert dataset_at(store, tmp_path / "holdout.parquet").schema == found.schema
    (tmp_path / "broken.csv").write_bytes(b'"a\n\x00')
    (tmp_path / "notes.txt").write_text("a,b\n1,2\n")
    for name in ("broken.csv", "notes.txt"):
        assert dataset_at(store, tmp_path / name).schema is None
    monkeypatch.setattr("headgate.tasks.datasets._MOST_READ", 3)
    assert dataset_at(store, holdout).schema is None


def test_a_script_that_logs_to_its_run_measures_the_dataset_that_the_caller_names(
    store: Store, project: MakeProject, holdout: Path
) -> None:
    model_id, data = ready_model(store, 0.9), dataset("holdout", holdout)
    context = RunContext("airflow", "retrain", "run-1", "evaluate", attempt=1)
    given = {"parameters": {"data": holdout}, "model": f"models:/{model_id}", "store": store, "context": context}
    done = evaluate_model(project(ON_THE_RUN), dataset=data, **given)
    assert [(m.key, m.dataset_name, m.dataset_digest) for m in done.measurements] == [
        ("f1", "holdout", data.digest),
        ("loss", "holdout", data.digest),
    ]
    again = evaluate_model(project(ON_THE_RUN), dataset=data, **given)
    assert len(store.logged_models.metrics(model_id)) == len(again.measurements) == 2, "written once"
    (used,) = store.runs.get(done.run.run_id).dataset_inputs
    assert (used.dataset.name, used.tags) == ("holdout", {"mlflow.data.context": "evaluation"})
    (check,) = decide_promotion(store, GATE, MODEL, CHAMPION, model_id).checks
    assert check.outcome == "pass"


def test_what_a_nested_run_measured_counts(store: Store, project: MakeProject, holdout: Path) -> None:
    model_id = ready_model(store, 0.9)
    done = evaluate_model(project(IN_A_NESTED_RUN), parameters={"data": holdout}, model=model_id, store=store)
    (child,) = store.runs.children(done.run.run_id)
    assert [(m.key, m.run_id) for m in done.measurements] == [("f1", child.run_id)]


@pytest.mark.parametrize(
    ("script", "named"), [(NOTHING, True), (NOTHING, False), (ON_THE_RUN, False), (ON_ANOTHER_MODEL, True)]
)
def test_an_evaluation_that_measured_nothing_on_the_model_is_an_error(
    store: Store, project: MakeProject, holdout: Path, script: str, named: bool
) -> None:
    model_id = ready_model(store, 0.9)
    data = dataset("holdout", holdout) if named else None
    with pytest.raises(NothingMeasured, match=r"left no metric.*model_id= and dataset=") as raised:
        evaluate_model(project(script), parameters={"data": holdout}, model=model_id, store=store, dataset=data)
    assert raised.value.model_id == model_id
    assert store.runs.get_info(raised.value.run_id).status is RunStatus.FINISHED
    assert store.logged_models.metrics(model_id) == ()


def test_a_model_that_is_not_ready_is_not_evaluated(store: Store, project: MakeProject, holdout: Path) -> None:
    pending = store.logged_models.create("0", now=NOW)
    with pytest.raises(InvalidModel, match="PENDING, not READY"):
        evaluate_model(project(NOTHING), parameters={"data": holdout}, model=pending.model_id, store=store)
    with pytest.raises(NotFound):
        evaluate_model(project(NOTHING), parameters={"data": holdout}, model="m-none", store=store)
    assert store.runs.search(["0"]).items == ()


def test_a_failing_entry_point_fails_the_evaluation(store: Store, project: MakeProject, holdout: Path) -> None:
    model_id, started = ready_model(store, 0.9), []
    script = "raise SystemExit('no data')"
    with pytest.raises(EntryPointFailed, match="no data"):
        evaluate_model(
            project(script), parameters={"data": holdout}, model=model_id, store=store, on_start=started.append
        )
    (run,) = store.runs.search(["0"]).items
    assert (run.info.status, [info.run_id for info in started]) == (RunStatus.FAILED, [run.info.run_id])


def test_the_champion_is_measured_once_on_the_candidates_data(
    store: Store, project: MakeProject, holdout: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old.csv"
    old.write_text("a,b\n0,0\n")
    folder = project(ON_THE_MODEL)

    def evaluated(model_id: str, data: Path, dag_run: str) -> tuple[Evaluation, Evaluation | None]:
        context = RunContext("airflow", "retrain", dag_run, "evaluate", attempt=1)
        given = {"parameters": {"data": data}, "store": store, "context": context, "run_name": "evaluate"}
        candidate = evaluate_model(folder, model=model_id, **given)
        contest = {"gate": GATE, "model_name": MODEL, "target": CHAMPION}
        return candidate, evaluate_champion(folder, candidate=candidate, **contest, **given)

    first = ready_model(store, 0.8)
    assert evaluated(first, old, "run-1")[1] is None, "there is no champion"
    promote_if_passing(store, GATE, MODEL, CHAMPION, first, actor="alice")

    candidate, champion = evaluated(ready_model(store, 0.9), holdout, "run-2")
    assert champion is not None
    assert (champion.model_id, champion.run.metrics) == (first, {"f1": 0.8})
    assert champion.measurements[0].dataset_digest == candidate.measurements[0].dataset_digest
    run = store.runs.get(champion.run.run_id)
    assert (run.info.context.task, run.info.context.pipeline_run_id) == ("evaluate.champion", "run-2")
    assert run.info.name == "evaluate.champion"
    verdict = decide_promotion(store, GATE, MODEL, CHAMPION, candidate.model_id)
    assert [(c.outcome, c.actual, c.champion_value) for c in verdict.checks] == [("pass", 0.9, 0.8)]

    assert evaluated(ready_model(store, 0.85), holdout, "run-3")[1] is None, "its figures are there"


@pytest.fixture
def measured_again(store: Store, project: MakeProject, holdout: Path) -> Callable[..., bool]:
    """Measure a new candidate, and say whether the champion was measured as well."""
    first = ready_model(store, 0.8)
    evaluate_model(project(ON_THE_MODEL), parameters={"data": holdout}, model=first, store=store)
    promote_if_passing(store, GATE, MODEL, CHAMPION, first, actor="alice")

    def measured(script: str = ON_THE_MODEL, data: Path = holdout, **more: str) -> bool:
        given = {"parameters": {"data": data, **more}, "store": store}
        candidate = evaluate_model(project(script), model=ready_model(store, 0.9), **given)
        contest = {"gate": GATE, "model_name": MODEL, "target": CHAMPION}
        found = evaluate_champion(project(script), candidate=candidate, **contest, **given)
        assert found is None or found.model_id == first
        return found is not None

    return measured


def test_the_champion_is_measured_anew_by_a_changed_script_and_then_no_more(
    measured_again: Callable[..., bool],
) -> None:
    assert not measured_again()
    rounded = ON_THE_MODEL.replace('params["f1"])', 'params["f1"]) / 2')
    assert measured_again(rounded)
    assert not measured_again(rounded)
    assert measured_again(), "the newest figures are those of the other script"


def test_the_champion_is_measured_anew_with_other_parameters(measured_again: Callable[..., bool]) -> None:
    assert measured_again(threshold="0.5")
    assert not measured_again(threshold="0.5")
    assert measured_again(threshold="0.7")


def test_data_that_were_moved_are_the_same_data(
    measured_again: Callable[..., bool], holdout: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere" / "holdout.csv"
    moved.parent.mkdir()
    moved.write_bytes(holdout.read_bytes())
    assert not measured_again(data=moved)


def test_what_a_nested_run_measured_is_known_by_its_evaluation(measured_again: Callable[..., bool]) -> None:
    assert measured_again(IN_A_NESTED_RUN)
    assert not measured_again(IN_A_NESTED_RUN)
    assert measured_again(IN_A_NESTED_RUN + "\n    # edited")
