"""``headgate run`` and ``headgate plan`` on a pipeline."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from headgate.cli.documents import DOCUMENTED
from headgate.store.entities import RunStatus
from headgate.store.store import Store
from tests.plugin.cli.conftest import CommandLine
from tests.plugin.cli.test_run import SECONDS, alive, started

MLPROJECT = """\
name: demo
entry_points:
  prepare:
    parameters:
      rows: {type: int, default: 3}
    command: "echo {rows} rows"
  train:
    parameters:
      depth: int
    command: "sh -c 'echo depth {depth}; echo a warning >&2'"
  learn:
    parameters:
      recall: float
    command: "python learn.py {recall}"
  fail:
    command: "sh -c 'exit 3'"
  sleep:
    command: "sh sleep.sh"
"""
LEARN = """\
import sys
from headgate.tasks import tracking

model = tracking.create_external_model("forest")
holdout = tracking.dataset("holdout", digest="feed1234", source="s3://bucket/holdout.parquet")
tracking.log_metrics({"recall": float(sys.argv[1])}, model_id=model.model_id, dataset=holdout)
"""
MANY = """\
import sys
from headgate.tasks import tracking

tracking.log_metrics({"a": 0, "b": 0, "c": 0, "d": 0, "val_f1": float(sys.argv[-1])})
"""
GATE = "name: screening\nchecks: {all_of: [{metric: recall, at_least: 0.9}]}\n"
SIDE_BY_SIDE = """\
name: demo
parameters: {rows: 5}
steps:
  prepare: {entry_point: prepare, parameters: {rows: "{{ params.rows }}"}}
  train: {entry_point: train, needs: [prepare], sweep: {depth: [6, 8]}}
"""
PROMOTED = """\
name: demo
parameters: {recall: 0.95}
steps:
  learn: {entry_point: learn, parameters: {recall: "{{ params.recall }}"}}
promote: {model: tumor, candidate: "{{ steps.learn.model }}", to: "@champion", gate: gate.yaml}
"""
FAILING = """\
name: demo
steps:
  fail: {entry_point: fail}
  after: {entry_point: prepare, needs: [fail]}
  beside: {entry_point: prepare}
"""
SLEEPING = """\
name: demo
steps:
  one: {entry_point: sleep}
  two: {entry_point: sleep}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "MLproject").write_text(MLPROJECT)
    (folder / "learn.py").write_text(LEARN)
    (folder / "gate.yaml").write_text(GATE)
    (folder / "sleep.sh").write_text('sleep 600 &\necho "child $!"\nwait\n')
    (folder / "pipeline.yaml").write_text(SIDE_BY_SIDE)
    return folder


def test_a_folder_with_a_pipeline_runs_it(headgate: CommandLine, store: Store, project: Path) -> None:
    ran = headgate("run", project, "-P", "rows=7")
    assert ran.exit_code == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert "[prepare] 7 rows" in lines
    assert {"[train[0]] depth 6", "[train[1]] depth 8"} <= set(lines)
    assert "[train[0]] a warning" in ran.stderr
    for told in ("demo: started, pipeline run local__", "prepare: started", "prepare: FINISHED", "train[1]: FINISHED"):
        assert told in ran.stderr
    assert [line.split()[:2] for line in lines if line.startswith("train[")] == [
        ["train[0]", "FINISHED"],
        ["train[1]", "FINISHED"],
    ]
    assert len(store.runs.search([experiment_of(store)]).items) == 4


def test_the_metric_that_chooses_is_told_first(headgate: CommandLine, store: Store, project: Path) -> None:
    (project / "many.py").write_text(MANY)
    (project / "pipeline.yaml").write_text(
        "name: demo\nsteps: {many: {entry_point: many.py, sweep: {depth: [6, 8]}, choose: {metric: val_f1}}}\n"
    )
    ran = headgate("run", project, "--env", "local")
    assert ran.exit_code == 0, ran.stderr
    told = [line for line in ran.stdout.splitlines() if line.startswith("many[")]
    assert ["val_f1 6, a 0, b 0, c 0, …" in told[0], "val_f1 8, a 0, b 0, c 0, …" in told[1]] == [True, True]


def experiment_of(store: Store) -> str:
    experiment = store.experiments.get_by_name("demo")
    assert experiment is not None
    return experiment.experiment_id


def test_an_entry_point_of_such_a_folder_runs_alone(headgate: CommandLine, store: Store, project: Path) -> None:
    ran = headgate("run", project, "-e", "prepare")
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.startswith("3 rows\n")
    assert store.experiments.get_by_name("demo") is None


def test_a_pipeline_as_json(headgate: CommandLine, store: Store, project: Path) -> None:
    ran = headgate("run", project / "pipeline.yaml", "--experiment", "mine", "--max-parallel", 2, "--json")
    assert ran.exit_code == 0, ran.stderr
    result = json.loads(ran.stdout)["pipeline"]
    assert list(result) == list(DOCUMENTED["pipeline"])
    assert (result["status"], result["verdict"], result["promotion"], result["error"]) == ("FINISHED", None, None, None)
    assert [step["name"] for step in result["steps"]] == ["prepare", "train"]
    assert [run["map_index"] for run in result["steps"][1]["runs"]] == [0, 1]
    step = result["steps"][0]
    assert all(f"`{key}`" in DOCUMENTED["pipeline"]["steps"] for key in (*step, *step["runs"][0]))
    assert "[prepare] 5 rows" in ran.stderr.splitlines()
    assert headgate.json("runs", "show", result["run_id"])["run"]["experiment_id"] != "0"


def test_a_pipeline_run_goes_on_where_it_stopped(headgate: CommandLine, store: Store, project: Path) -> None:
    first = headgate.json("run", project, "--pipeline-run-id", "monday")["pipeline"]
    ran = headgate("run", project, "--pipeline-run-id", "monday")
    assert ran.exit_code == 0, ran.stderr
    assert "demo: resumed, pipeline run monday" in ran.stderr
    assert "FINISHED (reused)" in ran.stdout
    again = headgate.json("run", project, "--pipeline-run-id", "monday")["pipeline"]
    assert again["run_id"] == first["run_id"]
    assert all(run["reused"] for step in again["steps"] for run in step["runs"])


def test_a_passing_gate_promotes(headgate: CommandLine, store: Store, project: Path) -> None:
    (project / "pipeline.yaml").write_text(PROMOTED)
    ran = headgate("run", project)
    assert ran.exit_code == 0, ran.stderr
    assert "PASS: gate screening on m-" in ran.stdout
    assert "tumor @champion: version 1 holds it now" in ran.stdout
    lineage = headgate.json("lineage", "show", "tumor@champion")
    kinds = {node["kind"] for node in lineage["nodes"]}
    assert kinds == {
        *("alias", "model_version", "logged_model", "run", "dataset", "evaluation", "verdict", "promotion")
    }


def test_what_was_promoted_is_looked_after_by_the_watch_that_the_pipeline_names(
    headgate: CommandLine, store: Store, project: Path
) -> None:
    (project / "watch.yaml").write_text("name: after-deploy\nchecks: [{metric: error_rate, at_most: 0.02}]\n")
    watched = PROMOTED.replace("gate.yaml}", "gate.yaml, watch: watch.yaml}")
    (project / "pipeline.yaml").write_text(watched)
    planned = headgate.json("plan", project, store=False)["promotion"]["watch"]
    assert (planned["name"], planned["window"]) == ("after-deploy", "1d")
    assert "after-deploy for 1d" in headgate("plan", project, store=False).stdout
    ran = headgate("run", project)
    assert "Look after it: headgate models watch tumor --to @champion" in ran.stderr
    (project / "watch.yaml").unlink()
    looked = headgate.json("models", "watch", "tumor", "--to", "@champion", "--once", exit_code=4)
    assert (looked["outcome"], looked["checks"][0]["rule"]) == ("hold", "mean error_rate <= 0.02")
    (project / "pipeline.yaml").write_text(PROMOTED)
    assert headgate("run", project, "-P", "recall=0.97").exit_code == 0
    error = headgate.error("models", "watch", "tumor", "--to", "@champion", "--once")
    assert "No watch is kept" in error["message"]


def test_a_rejecting_gate_ends_with_3_and_a_result(headgate: CommandLine, store: Store, project: Path) -> None:
    (project / "pipeline.yaml").write_text(PROMOTED)
    ran = headgate("run", project, "-P", "recall=0.5", "--json")
    assert ran.exit_code == 3, ran.stderr
    result = json.loads(ran.stdout)["pipeline"]
    assert (result["status"], result["error"], result["promotion"]) == ("FINISHED", None, None)
    assert list(result["verdict"]) == list(DOCUMENTED["verdict"])
    assert result["verdict"]["outcome"] == "reject"
    assert json.loads(ran.stderr.splitlines()[-1])["error"]["type"] == "GateRejected"
    assert store.promotions.history("tumor") == ()
    (project / "pipeline.yaml").write_text(PROMOTED.replace("gate.yaml}", "gate.yaml, on_reject: succeed}"))
    assert headgate.json("run", project, "-P", "recall=0.5")["pipeline"]["verdict"]["outcome"] == "reject"


def test_a_step_that_fails_ends_with_5_and_a_result(headgate: CommandLine, store: Store, project: Path) -> None:
    (project / "pipeline.yaml").write_text(FAILING)
    ran = headgate("run", project)
    assert ran.exit_code == 5
    shown = {line.split()[0]: line.split()[1] for line in ran.stdout.splitlines() if line and line.split()[1:]}
    assert (shown["fail"], shown["after"], shown["beside"]) == ("FAILED", "UPSTREAM_FAILED", "FINISHED")
    assert "after: not run, because a step before it failed" in ran.stderr
    assert "error: Entry point 'fail'" in ran.stderr
    as_json = headgate("run", project, "--json")
    assert as_json.exit_code == 5
    result = json.loads(as_json.stdout)["pipeline"]
    assert result["status"] == "FAILED"
    assert result["error"]["type"] == "EntryPointFailed"
    assert {step["name"] for step in result["steps"] if step["error"] is not None} == {"fail"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_every_step(
    headgate: CommandLine, store: Store, project: Path, number: signal.Signals, code: int
) -> None:
    (project / "pipeline.yaml").write_text(SLEEPING)
    with started(headgate, "run", str(project), "--max-parallel", "2", "--json") as process:
        assert process.stderr is not None
        told = (line.split("child ") for line in process.stderr if "child " in line)
        children = [int(next(told)[1]) for _ in range(2)]
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert json.loads(err.splitlines()[-1])["error"]["exit_code"] == code
    assert out == ""
    assert [child for child in children if alive(child)] == []
    runs = store.runs.search([experiment_of(store)]).items
    assert [run.info.status for run in runs] == [RunStatus.KILLED] * 3


@pytest.mark.parametrize(
    "words", [("--version", "main"), ("--run-name", "x"), ("--timeout", "5m"), ("--env", "spaceship")]
)
def test_what_a_pipeline_does_not_take_is_refused(
    headgate: CommandLine, store: Store, project: Path, words: tuple[str, ...]
) -> None:
    assert headgate.error("run", project, *words)["type"] == "UsageError"


def test_every_mistake_of_a_pipeline_is_told_with_its_line(headgate: CommandLine, store: Store, project: Path) -> None:
    file = project / "pipeline.yaml"
    file.write_text("name: demo\nsteps:\n  a: {entry_point: nothing}\n  b: {entry_point: train, nedes: [a]}\n")
    for command in ("run", "plan"):
        error = headgate.error(command, file, store=command == "run")
        assert error["type"] == "InvalidPipeline"
        told = {(mistake["line"], mistake["file"]) for mistake in error["attributes"]["mistakes"]}
        assert told == {(3, str(file)), (4, str(file))}
        text = headgate(command, file, store=command == "run")
        assert text.exit_code == 2
        assert f"{file}:3: " in text.stderr
    assert store.experiments.get_by_name("demo") is None


def test_plan_shows_what_would_run_and_touches_no_store(tmp_path: Path, project: Path) -> None:
    headgate = CommandLine("", "")
    (project / "pipeline.yaml").write_text(PROMOTED)
    ran = headgate("plan", project, "-P", "recall=0.8", store=False)
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.startswith("demo (")
    assert "promote tumor to @champion" in ran.stdout
    planned = headgate.json("plan", project / "pipeline.yaml", "--env", "local", store=False)
    assert list(planned) == list(DOCUMENTED["plan"])
    assert planned["steps"][0]["entry_point"] == "learn"
    assert all(f"`{key}`" in DOCUMENTED["plan"]["steps"] for key in planned["steps"][0])
    assert all(f"`{key}`" in DOCUMENTED["plan"]["promotion"] for key in planned["promotion"])
    assert not list(tmp_path.rglob("*.db"))


def test_plan_takes_the_pipeline_of_the_working_directory(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert CommandLine("", "").json("plan", store=False)["pipeline"] == "demo"
