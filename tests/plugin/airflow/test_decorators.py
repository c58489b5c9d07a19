"""``@task.headgate`` and ``tracked``: Python functions as recorded runs, in DAGs that really run."""

from __future__ import annotations

import asyncio
import datetime
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Asset, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from headgate.airflow import tracked
from headgate.store import Store
from headgate.store.entities import Run, RunStatus
from headgate.store.errors import InvalidInput
from headgate.tasks import tracking
from tests.plugin.airflow.dag_runs import DagRun

RunDag = Callable[..., DagRun]


class Model:
    """Predicts the same for everybody."""

    def predict(self, inputs: Any) -> Any:
        return inputs


def runs_of(store: Store, dag_id: str) -> dict[str, list[Run]]:
    """The runs of a DAG's tasks by task id, ordered by map index and attempt; the DAG run's own is at ``''``."""
    experiment = store.experiments.get_by_name(dag_id)
    assert experiment is not None
    found: dict[str, list[Run]] = {}
    runs = store.runs.search([experiment.experiment_id]).items
    for run in sorted(runs, key=lambda run: (run.info.context.map_index, run.info.context.attempt or 0)):
        found.setdefault(run.info.context.task or "", []).append(run)
    return found


def values(run: Run) -> dict[str, float]:
    return {key: metric.value for key, metric in run.metrics.items()}


def test_a_call_is_a_run_with_params_metrics_models_and_files(run_dag: RunDag, store: Store, tmp_path: Path) -> None:
    with DAG("plain", schedule=None) as dag:

        @task.headgate(tags={"team": "screening"})
        def train(depth: int, rate: float = 0.5, *, api_key: str = "hush-hush", ti: Any = None) -> Any:
            assert ti.task_id == "train"
            tracking.log_param("inside", "yes")
            tracking.log_metric("loss", 0.25)
            report = tmp_path / "report.txt"
            report.write_text("fine")
            return {"f1": 0.93, "model": Model(), "report": report, "note": "n", "wrong": math.nan}

        @task
        def use(trained: dict[str, Any]) -> str:
            return str(trained["model"])

        use(train(6))
    ran = run_dag(dag)
    assert ran.states == {"train": "success", "use": "success"}
    runs = runs_of(store, "plain")
    ((parent,), (run,)) = runs[""], runs["train"]
    assert run.info.parent_run_id == parent.info.run_id
    assert (run.info.status, run.info.name) == (RunStatus.FINISHED, "train")
    assert run.params == {"depth": "6", "rate": "0.5", "api_key": "***", "inside": "yes"}
    assert {key: value for key, value in values(run).items() if key != "wrong"} == {"f1": 0.93, "loss": 0.25}
    assert math.isnan(values(run)["wrong"])
    assert run.tags["team"] == "screening"
    assert run.tags["mlflow.source.name"] == __file__
    context = run.info.context
    assert (context.origin, context.pipeline, context.task, context.attempt) == ("airflow", "plain", "train", 1)
    (output,) = run.model_outputs
    assert store.logged_models.get(output.model_id).name == "model"
    with store.artifacts(run.info.artifact_uri).open("report.txt") as stream:
        assert stream.read() == b"fine"
    assert ran.xcom("train") == {
        "f1": 0.93,
        "model": f"models:/{output.model_id}",
        "report": f"{run.info.artifact_uri}/report.txt",
        "note": "n",
        "wrong": "NaN",
    }
    assert ran.xcom("use") == f"models:/{output.model_id}"
    reference = ran.xcom("train", key="headgate_run")
    assert (reference["run_id"], reference["model_ids"]) == (run.info.run_id, [output.model_id])
    assert ran.xcom("train", key="headgate_run_link").endswith(f"/runs/{run.info.run_id}")


@pytest.mark.parametrize(
    ("returned", "returns", "handed_on"),
    [
        (None, "auto", "reference"),
        (0.5, "auto", 0.5),
        ("text", "auto", "text"),
        ((1, 2), "auto", [1, 2]),
        ({"a": {"b": [1, None, True]}}, "auto", {"a": {"b": [1, None, True]}}),
        ({"f1": 0.9}, "reference", "reference"),
        ("x" * 50_000, "auto", "reference"),
        ("x" * 50_000, "value", "x" * 50_000),
        (datetime.timedelta(1), "auto", "reference"),
    ],
)
def test_what_is_handed_on(run_dag: RunDag, store: Store, returned: Any, returns: str, handed_on: Any) -> None:
    with DAG("hands_on", schedule=None) as dag:

        @task.headgate(returns=returns)
        def give() -> Any:
            return returned

        give()
    ran = run_dag(dag)
    assert ran.state == "success"
    (run,) = runs_of(store, "hands_on")["give"]
    got = ran.xcom("give")
    if handed_on == "reference":
        assert got["run_id"] == run.info.run_id
        assert got == ran.xcom("give", key="headgate_run")
    else:
        assert got == handed_on


def test_multiple_outputs_mapping_groups_and_override(run_dag: RunDag, store: Store) -> None:
    with DAG("mapped", schedule=None) as dag:

        @task.headgate(multiple_outputs=True)
        def split(n: int) -> dict[str, Any]:
            return {"left": n, "right": -n}

        @task.headgate
        def score(alpha: float, beta: float = 1.0) -> dict[str, float]:
            return {"score": alpha * beta}

        @task_group
        def sweep(start: Any) -> None:
            score.override(task_id="scored", run_name="a score").partial(beta=2.0).expand(alpha=[1.0, 2.0, 3.0])
            score.override(task_id="again")(start)

        out = split(4)
        sweep(out["left"])
    ran = run_dag(dag)
    assert ran.state == "success", ran.states
    assert (ran.xcom("split", key="left"), ran.xcom("split", key="right")) == (4, -4)
    runs = runs_of(store, "mapped")
    scored = runs["sweep.scored"]
    assert [run.info.context.map_index for run in scored] == [0, 1, 2]
    assert [run.params for run in scored] == [{"alpha": str(a), "beta": "2.0"} for a in (1.0, 2.0, 3.0)]
    assert [values(run) for run in scored] == [{"score": 2.0}, {"score": 4.0}, {"score": 6.0}]
    assert {run.info.name for run in scored} == {"a score"}
    assert [run.params["alpha"] for run in runs["sweep.again"]] == ["4"]
    assert ran.xcom("sweep.scored", map_index=1) == {"score": 4.0}


def test_a_retry_is_a_new_attempt(run_dag: RunDag, store: Store, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    with DAG("retries_of_a_function", schedule=None) as dag:

        @task.headgate(retries=1, retry_delay=datetime.timedelta(0))
        def flaky() -> dict[str, float]:
            tracking.log_metric("loss", 1.0)
            if not seen.exists():
                seen.touch()
                raise ConnectionError("the first time")
            return {"f1": 1.0}

        flaky()
    ran = run_dag(dag)
    assert ran.states == {"flaky": "success"}
    first, last = runs_of(store, "retries_of_a_function")["flaky"]
    assert (last.info.status, last.info.context.attempt) == (RunStatus.FINISHED, 2)
    assert last.info.previous_attempt_id == first.info.run_id
    assert (first.info.status, first.info.superseded_by) == (RunStatus.FAILED, last.info.run_id)
    assert first.tags["headgate.statusMessage"] == "ConnectionError: the first time"


def test_a_function_that_skips_has_done_its_work(run_dag: RunDag, store: Store) -> None:
    with DAG("skips", schedule=None) as dag:

        @task.headgate
        def nothing_to_do() -> None:
            tracking.log_metric("rows", 0)
            raise AirflowSkipException("no new data")

        nothing_to_do()
    ran = run_dag(dag)
    assert ran.states == {"nothing_to_do": "skipped"}
    (run,) = runs_of(store, "skips")["nothing_to_do"]
    assert (run.info.status, values(run)) == (RunStatus.FINISHED, {"rows": 0.0})


def test_a_timeout_kills_the_run(run_dag: RunDag, store: Store) -> None:
    with DAG("times_out", schedule=None) as dag:

        @task.headgate(execution_timeout=datetime.timedelta(hours=1))
        def slow() -> None:
            import time

            os.kill(os.getpid(), signal.SIGALRM)  # what the clock would send after an hour
            time.sleep(120)

        slow()
    ran = run_dag(dag)
    assert ran.states == {"slow": "failed"}
    (run,) = runs_of(store, "times_out")["slow"]
    assert run.info.status is RunStatus.KILLED
    assert "Timeout" in run.tags["headgate.statusMessage"]


def test_an_error_that_a_retry_would_repeat_spends_none(run_dag: RunDag, store: Store, tmp_path: Path) -> None:
    with DAG("terminal", schedule=None) as dag:

        @task.headgate(retries=3)
        def returns_no_file() -> Path:
            return tmp_path / "nowhere"

        returns_no_file()
    ran = run_dag(dag)
    assert ran.states == {"returns_no_file": "failed"}
    (run,) = runs_of(store, "terminal")["returns_no_file"]
    assert (run.info.status, run.info.context.attempt) == (RunStatus.FAILED, 1)
    assert "there is no such file" in run.tags["headgate.statusMessage"]


def test_a_coroutine_function(run_dag: RunDag, store: Store) -> None:
    with DAG("coroutine", schedule=None) as dag:

        @task.headgate
        async def fetch(n: int) -> dict[str, float]:
            await asyncio.sleep(0)
            tracking.log_metric("inside", 1)
            return {"score": n / 2}

        fetch(3)
    ran = run_dag(dag)
    assert ran.states == {"fetch": "success"}
    assert ran.xcom("fetch") == {"score": 1.5}
    (run,) = runs_of(store, "coroutine")["fetch"]
    assert (run.info.status, run.params, values(run)) == (
        RunStatus.FINISHED,
        {"n": "3"},
        {"inside": 1.0, "score": 1.5},
    )


def test_outlets_setup_and_teardown_are_as_with_any_task(run_dag: RunDag, store: Store) -> None:
    with DAG("surroundings", schedule=None) as dag:

        @task.headgate(outlets=[Asset("headgate-test-table")])
        def work() -> None:
            raise ValueError("broken")

        @task.headgate
        def clean() -> None:
            tracking.set_tag("cleaned", "yes")

        @task.headgate
        def prepare() -> None:
            tracking.set_tag("prepared", "yes")

        ready = prepare().as_setup()  # type: ignore[no-untyped-call]
        ready >> work() >> clean().as_teardown(setups=ready)
    ran = run_dag(dag)
    assert ran.states == {"prepare": "success", "work": "failed", "clean": "success"}
    runs = runs_of(store, "surroundings")
    assert runs["clean"][0].tags["cleaned"] == "yes"
    assert runs["work"][0].info.status is RunStatus.FAILED


def test_a_child_process_finds_the_run_and_the_environment_is_put_back(run_dag: RunDag, store: Store) -> None:
    script = "from headgate.tasks import tracking; tracking.log_metric('from_child', 7)"
    with DAG("children", schedule=None) as dag:

        @task.headgate
        def spawn() -> None:
            subprocess.run([sys.executable, "-c", script], check=True)

        spawn()
    assert run_dag(dag).state == "success"
    assert "HEADGATE_RUN_ID" not in os.environ
    (run,) = runs_of(store, "children")["spawn"]
    assert values(run) == {"from_child": 7.0}


def test_tracked_below_task_and_in_a_python_operator(run_dag: RunDag, store: Store) -> None:
    with DAG("wrapped", schedule=None) as dag:

        @task
        @tracked(experiment="elsewhere", run_name="named")
        def below(n: int, ds: Any = None, **context: Any) -> dict[str, Any]:
            assert context["ti"].task_id == "below"
            return {"n": n, "model": Model()}

        def classic(n: int) -> None:
            tracking.log_metric("n", n)

        below(1)
        PythonOperator(task_id="classic", python_callable=tracked(classic), op_kwargs={"n": 2})
    ran = run_dag(dag)
    assert ran.state == "success", ran.states
    (run,) = runs_of(store, "elsewhere")["below"]
    assert (run.info.name, run.params, values(run)) == ("named", {"n": "1"}, {"n": 1.0})
    assert ran.xcom("below")["model"] == f"models:/{run.model_outputs[0].model_id}"
    (other,) = runs_of(store, "wrapped")["classic"]
    assert (other.params, values(other)) == ({"n": "2"}, {"n": 2.0})
    assert ran.xcom("classic")["run_id"] == other.info.run_id
    assert other.info.parent_run_id == run.info.parent_run_id


def test_outside_of_a_task_it_is_the_plain_wrapper(store: Store) -> None:
    @tracked
    def score(n: int) -> dict[str, Any]:
        return {"n": n, "model": model}

    model = Model()
    assert score(3) == {"n": 3, "model": model}
    (run,) = store.runs.search(["0"]).items
    assert (run.info.context.origin, run.info.name, run.params) == ("local", "score", {"n": "3"})


def test_an_unknown_way_to_return_is_a_mistake_in_the_dag_file() -> None:
    def give() -> None: ...

    with DAG("mistaken", schedule=None):
        mistaken = task.headgate(returns="everything")(give)
        with pytest.raises(InvalidInput, match="returns is 'everything'"):
            mistaken()
    with pytest.raises(InvalidInput, match="returns is 'everything'"):
        tracked(returns="everything")
