"""What a DAG file with pipelines becomes when Airflow parses it: tasks, schedule, params, documentation, mistakes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Param, task, task_group
from airflow.serialization.serialized_objects import DagSerialization

from headgate.airflow import PipelineDag, PipelineTaskGroup
from headgate.flows import Pipeline, Step
from headgate.store.errors import InvalidInput, InvalidPipeline
from tests.screening import SCREENING, WriteFiles

TWO = "name: two\nsteps: {a: {entry_point: a.sh}, b: {entry_point: a.sh}}\n"


def edges(dag: DAG) -> dict[str, list[str]]:
    return {task_id: sorted(found.upstream_task_ids) for task_id, found in dag.task_dict.items()}


def with_head(head: str) -> dict[str, str]:
    """The smallest pipeline, with more lines below its name."""
    return {"pipeline.yaml": f"name: small\n{head}\nsteps: {{a: {{entry_point: a.sh}}}}\n", "a.sh": "true\n"}


def parsed(folder: Path, text: str, name: str = "dag.py") -> Any:
    """What a real DagBag makes of a DAG file."""
    from airflow.dag_processing.dagbag import DagBag

    (folder / name).write_text("from airflow.sdk import DAG\n" + text)
    return DagBag(dag_folder=str(folder / name), safe_mode=False)


def test_steps_sweeps_and_the_promotion_are_tasks(write_files: WriteFiles) -> None:
    dag = PipelineDag(write_files(SCREENING))
    assert (dag.dag_id, dag.description, dag.tags) == ("screening", "Weekly retraining.", {"headgate"})
    assert edges(dag) == {
        "pipeline.open": [],
        "train": ["pipeline.open"],
        "train.choose": ["train"],
        "evaluate": ["train.choose"],
        "evaluate.champion": ["evaluate"],
        "promotion.gate": ["evaluate.champion"],
        "promotion.promote": ["promotion.gate"],
        "pipeline.close": ["pipeline.open", "promotion.promote"],
    }
    assert dag.task_dict["train"].is_mapped
    assert dag.task_dict["train"].expand_input.value == {"member": [{"depth": "1"}, {"depth": "2"}]}
    assert (dag.task_dict["pipeline.open"].is_setup, dag.task_dict["pipeline.close"].is_teardown) == (True, True)
    assert dag.pipeline_tasks.steps["train"] is dag.task_dict["train.choose"]
    assert dag.pipeline_tasks.promote is dag.task_dict["promotion.promote"]
    (model,) = dag.task_dict["promotion.promote"].outlets
    assert model.name == "screening@champion"
    assert dag.doc_md is not None
    assert "| train | `train` of `this folder`, 2 times; the highest `val` goes on |" in dag.doc_md
    assert "| `depth` |" not in (dag.task_dict["evaluate"].doc_md or "")


def test_independent_steps_stand_side_by_side(write_files: WriteFiles) -> None:
    dag = PipelineDag(write_files({"pipeline.yaml": TWO, "a.sh": "true\n"}))
    assert edges(dag) == {
        "pipeline.open": [],
        "a": ["pipeline.open"],
        "b": ["pipeline.open"],
        "pipeline.close": ["a", "b", "pipeline.open"],
    }


def test_a_step_may_be_called_as_the_promotion_is(write_files: WriteFiles) -> None:
    files = {**SCREENING, "pipeline.yaml": SCREENING["pipeline.yaml"].replace("evaluate:\n", "promotion:\n")}
    files["pipeline.yaml"] = files["pipeline.yaml"].replace("evaluate: evaluate\n", "evaluate: promotion\n")
    dag = PipelineDag(write_files(files))
    assert {"promotion", "promotion.champion", "promotion.gate"} <= set(dag.task_dict)


@pytest.mark.parametrize(
    ("said", "schedule"),
    [
        ('schedule: "0 3 * * 1"', "CronTriggerTimetable(expression='0 3 * * 1', timezone='UTC'"),
        (
            "schedule: {cron: '@daily', timezone: Europe/Berlin}",
            "CronTriggerTimetable(expression='0 0 * * *', timezone='Europe/Berlin'",
        ),
        ("schedule: {assets: scans}", "AssetNameRef(name='scans')"),
        (
            "schedule: {assets: [scans, 's3://bucket/labels']}",
            "AssetAll(AssetNameRef(name='scans'), AssetUriRef(uri='s3://bucket/labels'))",
        ),
        ("schedule: {after: 'model:scanner@champion'}", "Model(name='scanner@champion'"),
        ("schedule: {after: ['model:a@champion', 'model:b/Production']}", "AssetAny(Model(name='a@champion'"),
        ("description: Now and then", "None"),
    ],
)
def test_the_schedule_is_the_files(write_files: WriteFiles, said: str, schedule: str) -> None:
    dag = PipelineDag(write_files(with_head(said)), start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=True)
    assert repr(dag.schedule).startswith(schedule)
    DagSerialization.to_dict(dag)


def test_whatever_comes_first_starts_it(write_files: WriteFiles) -> None:
    said = "schedule: {cron: '@daily', assets: scans, after: 'model:scanner@champion'}"
    dag = PipelineDag(write_files(with_head(said)))
    assert type(dag.timetable).__name__ == "AssetOrTimeSchedule"
    serialized = json.dumps(DagSerialization.to_dict(dag)["dag"]["timetable"])
    assert all(word in serialized for word in ('"0 0 * * *"', "scans", "scanner"))


def test_the_dag_file_may_say_another_schedule(write_files: WriteFiles) -> None:
    folder = write_files(with_head('schedule: "@daily"'))
    assert PipelineDag(folder, schedule=None).schedule is None
    assert PipelineDag(folder, schedule=timedelta(days=3)).schedule == timedelta(days=3)


def test_parameters_are_params_with_a_form(write_files: WriteFiles) -> None:
    head = """parameters:
  window: 24
  rate: {type: float, default: 1, description: Per step}
  region: {default: eu, choices: [eu, us]}
  strict: true
  data: {type: path, default: here.csv}
  db_password: ""
  since: {type: string}"""
    dag = PipelineDag(write_files(with_head(head)), parameters={"window": "48"}, params={"mine": 1})
    schemas = {name: dag.params.get_param(name) for name in dag.params}
    assert {name: param.schema["type"] for name, param in schemas.items() if name != "mine"} == {
        "window": "integer",
        "rate": "number",
        "region": "string",
        "strict": "boolean",
        "data": "string",
        "db_password": "string",
        "since": "string",
    }
    assert (schemas["window"].value, schemas["rate"].value, schemas["strict"].value) == (48, 1, True)
    assert schemas["rate"].description == "Per step"
    assert schemas["region"].schema["enum"] == ["eu", "us"]
    assert schemas["db_password"].schema["format"] == "password"
    assert not schemas["since"].has_value
    assert dag.params["mine"] == 1


def test_arguments_of_tasks_come_from_the_file_and_the_dag(write_files: WriteFiles) -> None:
    text = "name: two\nsteps: {a: {entry_point: a.sh, retries: 3}, b: {entry_point: a.sh}}\n"
    dag = PipelineDag(
        write_files({"pipeline.yaml": text, "a.sh": "true\n"}),
        dag_id="mine",
        default_args={"retries": 1, "owner": "ada"},
        step_kwargs={"b": {"pool": "gpu"}},
        tags=["weekly"],
        headgate_conn_id="other",
        catchup=False,
    )
    a, b = dag.task_dict["a"], dag.task_dict["b"]
    assert (dag.dag_id, dag.tags) == ("mine", {"headgate", "weekly"})
    assert [(step.retries, step.pool, step.owner, step.headgate_conn_id) for step in (a, b)] == [
        (3, "default_pool", "ada", "other"),
        (1, "gpu", "ada", "other"),
    ]
    with pytest.raises(InvalidInput, match="step_kwargs names 'c'"):
        PipelineDag(write_files({}), step_kwargs={"c": {}})


def test_a_person_may_be_asked(write_files: WriteFiles) -> None:
    dag = PipelineDag(write_files(SCREENING), approval={"response_timeout": timedelta(hours=4)}, on_reject="skip")
    approve, promote = dag.task_dict["promotion.approve"], dag.task_dict["promotion.promote"]
    assert approve.upstream_task_ids == {"promotion.gate"}
    assert promote.upstream_task_ids == {"promotion.approve"}
    assert (approve.response_timeout, approve.on_reject, promote.require_approval) == (timedelta(hours=4), "skip", True)


def test_the_file_says_how_a_no_ends_unless_the_dag_does(write_files: WriteFiles) -> None:
    said = SCREENING["pipeline.yaml"].replace("promote:\n", "promote:\n          on_reject: skip\n")
    assert "on_reject" in said
    folder = write_files({**SCREENING, "pipeline.yaml": said})
    for dag, on_reject in ((PipelineDag(folder), "skip"), (PipelineDag(folder, on_reject="fail"), "fail")):
        assert dag.task_dict["promotion.gate"].on_reject == on_reject
    with DAG("mine"):
        group = PipelineTaskGroup(folder, group_id="g")
    assert group.pipeline_tasks.gate.on_reject == "skip"


def test_a_branch_needs_a_dag_that_has_other_tasks(write_files: WriteFiles) -> None:
    with pytest.raises(InvalidInput, match="Put a PipelineTaskGroup into a DAG"):
        PipelineDag(write_files(SCREENING), on_reject="branch")


def test_the_same_files_give_the_same_dag(write_files: WriteFiles) -> None:
    """Airflow makes a new version of a DAG whenever its serialised form changes."""
    folder = write_files(SCREENING)
    once, again = (json.dumps(DagSerialization.to_dict(PipelineDag(folder)), sort_keys=True) for _ in range(2))
    assert once == again
    assert "0x" not in once
    (folder / "pipeline.yaml").write_text((folder / "pipeline.yaml").read_text().replace("[1, 2]", "[1, 3]"))
    assert json.dumps(DagSerialization.to_dict(PipelineDag(folder)), sort_keys=True) != once


def test_a_pipeline_in_python_is_a_dag_too(write_files: WriteFiles) -> None:
    folder = write_files({"a.sh": "true\n"})
    dag = PipelineDag(Pipeline("a pipeline", steps=[Step("a", entry_point="a.sh")], folder=folder))
    assert (dag.dag_id, set(dag.task_dict)) == ("a_pipeline", {"pipeline.open", "a", "pipeline.close"})


def test_paths_start_from_the_dags_file_or_from_the_top_of_its_bundle(
    write_files: WriteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files({f"{place}/{name}": text for place in ("team", "shared") for name, text in SCREENING.items()})
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(folder))
    text = """\
from headgate.airflow import PipelineDag
beside = PipelineDag(".", dag_id="beside")
PipelineDag("shared/pipeline.yaml", dag_id="shared")
"""
    bag = parsed(folder / "team", text)
    assert bag.import_errors == {}
    places = {dag_id: dag._source.plan.pipeline.folder for dag_id, dag in bag.dags.items()}
    assert places == {"beside": str(folder / "team"), "shared": str(folder / "shared")}
    assert {dag.fileloc for dag in bag.dags.values()} == {str(folder / "team" / "dag.py")}


MISTAKES = {
    "an unknown step": (
        "PipelineDag('.')",
        {"pipeline.yaml": "name: p\nsteps:\n  a: {entry_point: a.sh, needs: bb}\n  b: {entry_point: a.sh}\n"},
        "pipeline.yaml:3: Step 'a' needs 'bb', which is not a step. Did you mean 'b'?",
    ),
    "no entry point": (
        "PipelineDag('.')",
        {"pipeline.yaml": "name: p\nsteps:\n  a: {entry_point: b.sh}\n"},
        "has no MLproject file, and 'b.sh' is not a script in it. Did you mean 'a.sh'?",
    ),
    "no file": ("PipelineDag('nothing.yaml')", {}, "dag.py: there is no pipeline file 'nothing.yaml'. Looked for"),
    "a parameter that nobody gives": (
        "PipelineDag('.')",
        with_head('schedule: "@daily"\nparameters:\n  since: {type: string}'),
        "pipeline.yaml:4: The parameter 'since' has no default, and a scheduled run is given none. Add a default",
    ),
    "an unknown parameter": (
        "PipelineDag('.', parameters={'windw': 3})",
        with_head("parameters: {window: 24}"),
        "The pipeline 'small' has no parameter 'windw'. Did you mean 'window'?",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_an_import_error_that_says_where_and_what_to_do(mistake: str, write_files: WriteFiles) -> None:
    call, files, message = MISTAKES[mistake]
    folder = write_files({"a.sh": "true\n", **files})
    bag = parsed(folder, f"from headgate.airflow import PipelineDag\ndag = {call}\n")
    (error,) = bag.import_errors.values()
    last = error.strip().splitlines()[-1]
    assert last.startswith("headgate.store.errors.InvalidPipeline: ")
    assert message in last
    assert bag.dags == {}


def test_a_worker_parses_the_file_for_one_dag_only(write_files: WriteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_files(SCREENING)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "wanted")
    text = """\
from headgate.airflow import PipelineDag
for name in ("wanted", "other", "wired"):
    dag = PipelineDag(".", dag_id=name)
    globals()[name] = dag
wired.pipeline_tasks.steps["train"]
"""
    bag = parsed(folder, text)
    assert bag.import_errors == {}
    assert {dag_id: len(dag.task_dict) for dag_id, dag in bag.dags.items()} == {"wanted": 8, "other": 0, "wired": 8}


def test_a_group_is_wired_to_the_tasks_around_it(write_files: WriteFiles) -> None:
    folder = write_files(SCREENING)
    with DAG("nightly", params={"quality": Param(0.9)}) as dag:

        @task
        def digest() -> str:
            return "d1"

        @task
        def notify() -> None: ...

        known = digest()
        groups = [
            PipelineTaskGroup(folder, group_id=name, parameters={"digest": known, "quality": "{{ params.quality }}"})
            for name in ("first", "second")
        ]
        groups[0] >> groups[1] >> notify()
        groups[1].pipeline_tasks.gate >> task.bash(task_id="told")(lambda: "true")()
    found = edges(dag)
    assert {"first.train", "first.train.choose", "first.evaluate.champion", "second.promotion.gate"} <= set(found)
    assert found["first.pipeline.open"] == ["digest"]
    assert found["first.train"] == ["first.pipeline.open"]
    assert found["second.pipeline.open"] == ["digest", "first.promotion.promote"]
    assert found["notify"] == ["second.promotion.promote"]
    assert found["told"] == ["second.promotion.gate"]
    assert (groups[0].tooltip, groups[0].group_id) == ("Weekly retraining.", "first")
    DagSerialization.to_dict(dag)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parameters": {"qualty": "{{ params.x }}"}}, "has no parameter 'qualty'"),
        ({"prefix_group_id": False}, "prefix_group_id=False"),
        ({"on_reject": "branch"}, "on_reject='branch' and on_reject_tasks=None"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused(
    write_files: WriteFiles, arguments: dict[str, Any], message: str
) -> None:
    with DAG("nightly"), pytest.raises(InvalidInput, match=message):
        PipelineTaskGroup(write_files(SCREENING), **arguments)


def test_what_a_group_is_not_given_is_told(write_files: WriteFiles) -> None:
    folder = write_files(with_head("parameters:\n  since: {type: string}"))
    with DAG("nightly"), pytest.raises(InvalidPipeline, match="has no default, and the task group is given none"):
        PipelineTaskGroup(folder)


def test_a_group_in_a_mapped_group_is_refused(write_files: WriteFiles) -> None:
    folder = write_files(SCREENING)

    @task_group
    def each(number: int) -> None:
        PipelineTaskGroup(folder)

    with DAG("nightly"), pytest.raises(InvalidInput, match="is inside the mapped group 'each'"):
        each.expand(number=[1, 2])


def test_parsing_touches_no_network_no_database_and_no_process(write_files: WriteFiles) -> None:
    folder = write_files({**SCREENING, "elsewhere/pipeline.yaml": "name: e\nproject: https://example.invalid/it.git\n"})
    (folder / "elsewhere" / "pipeline.yaml").write_text(
        "name: e\nproject: https://example.invalid/it.git\nschedule: {after: 'model:screening@champion'}\n"
        "steps: {a: {entry_point: a}}\n"
    )
    code = f"""
import sys
import airflow.sdk
from airflow.sdk import DAG, BaseOperator, TaskGroup

def refuse(event, arguments):
    if event in {{"socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "os.fork", "os.system"}}:
        raise RuntimeError(f"{{event}} {{arguments}}")

before = set(sys.modules)
sys.addaudithook(refuse)
from headgate.airflow import PipelineDag, PipelineTaskGroup
PipelineDag({str(folder)!r})
PipelineDag({str(folder / "elsewhere")!r})
with DAG("d"):
    PipelineTaskGroup({str(folder)!r}, parameters={{"quality": "{{{{ params.x }}}}"}})
heavy = {{"sqlmodel", "alembic", "boto3", "mlflow", "pandas", "great_expectations", "pydantic_settings", "fastapi"}}
loaded = (set(sys.modules) - before) & heavy
assert not loaded, loaded
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=os.environ)
    assert ran.returncode == 0, ran.stderr
