"""Plans: what they say, and what they refuse, before anything runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from headgate.flows import Pipeline, PromotionBlock, Step, plan
from headgate.store.errors import InvalidPipeline
from headgate.tasks.environments.local import python_version
from tests.flows.conftest import WriteFiles

MLPROJECT = """\
name: screening
entry_points:
  prepare:
    parameters: {window: {type: int, default: 12}, db_password: {type: string, default: none}}
    command: "python prepare.py --window {window}"
  train:
    parameters: {data: path, max_depth: {type: int, default: 3}, n_estimators: int, seed: {type: int, default: 0}}
    command: "python train.py {data} {max_depth} {n_estimators} {seed}"
  evaluate:
    parameters: {model: uri, data: path}
    command: "python evaluate.py {model} {data}"
"""
PIPELINE = """\
name: tumor-screening
experiment: screening
schedule: "0 3 * * 1"
parameters:
  window: 24
  password: {default: "", description: Of the database}
steps:
  prepare:
    entry_point: prepare
    parameters: {window: "{{ params.window }}", db_password: "{{ params.password }}"}
  train:
    entry_point: train
    parameters: {data: "{{ steps.prepare.artifacts['train.parquet'] }}", max_depth: 6}
    sweep: {n_estimators: [50, 100]}
    choose: {metric: val_f1, mode: max}
    timeout: 2h
    retries: 1
  evaluate:
    entry_point: evaluate
    parameters: {model: "{{ steps.train.model }}", data: "{{ steps.prepare.artifacts['holdout.parquet'] }}"}
  report:
    entry_point: report.sh
    needs: train
    parameters: {since: "{{ run.logical_date }}"}
promote:
  model: tumor-screening
  candidate: "{{ steps.train.model }}"
  to: "@champion"
  gate: gate.yaml
  evaluate: evaluate
"""
GATE = """\
name: screening-gate
when_no_champion: pass
checks:
  all_of:
    - {metric: recall, dataset: holdout, at_least: 0.95}
    - {metric: f1, improves_on: champion, by: 0.002, severity: warn}
"""
FILES = {"MLproject": MLPROJECT, "pipeline.yaml": PIPELINE, "gate.yaml": GATE, "report.sh": "echo report\n"}

GOLDEN = """\
tumor-screening (FOLDER/pipeline.yaml)
experiment  screening
schedule    cron 0 3 * * 1
parameters  window=48, password=***
runs        5
├─ 1. prepare
│     runs         prepare of FOLDER
│     environment  local (Python VERSION)
│     parameters   window = 48
│                  db_password = ***
├─ 2. train ← prepare
│     runs         train of FOLDER
│     environment  local (Python VERSION)
│     parameters   data = {{ steps.prepare.artifacts['train.parquet'] }}
│                  max_depth = 6
│                  seed = 0 (default)
│     sweep        n_estimators=50
│                  n_estimators=100
│     choose       the highest val_f1
│     timeout      7200 s
│     retries      1
├─ 3. evaluate ← prepare, train
│     runs         evaluate of FOLDER
│     environment  local (Python VERSION)
│     parameters   model = {{ steps.train.model }}
│                  data = {{ steps.prepare.artifacts['holdout.parquet'] }}
├─ 3. report ← train
│     runs         report.sh of FOLDER
│     environment  local (Python VERSION)
│     parameters   since = 2026-11-21T03:00:00+00:00
└─ promote tumor-screening to @champion
      candidate    {{ steps.train.model }}
      after        all steps
      gate         screening-gate
                   recall >= 0.95 on holdout
                   f1 >= champion + 0.002 (warns only)
      no champion  pass
      evaluate     evaluate, for a champion that was not measured on the same data"""


def test_a_plan_reads_as_a_tree(write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    planned = plan(folder, {"window": "48", "password": "swordfish"}, logical_date=1795230000000)
    assert str(planned) == GOLDEN.replace("FOLDER", str(folder)).replace("VERSION", python_version())


def test_a_plan_is_plain_json(write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    planned = plan(folder, {"password": "swordfish"}).to_json()
    assert json.loads(json.dumps(planned)) == planned
    assert "swordfish" not in json.dumps(planned)
    assert planned["parameters"] == {"window": "24", "password": "***"}
    train = planned["steps"][1]
    assert (train["name"], train["generation"], train["needs"]) == ("train", 1, ["prepare"])
    assert train["sweep"] == [{"n_estimators": "50"}, {"n_estimators": "100"}]
    assert train["environment"] == {
        "kind": "local",
        "source": "",
        "python": python_version(),
        "image": "",
        "cached": None,
    }
    assert planned["promotion"]["rules"] == ["recall >= 0.95 on holdout", "f1 >= champion + 0.002 (warns only)"]
    assert planned["promotion"]["needs"] == ["prepare", "train", "evaluate", "report"]


def test_the_same_pipeline_in_python_has_the_same_plan(write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    train = Step("train", entry_point="train", parameters={"data": "MLproject", "n_estimators": 5})
    gate = {"name": "g", "checks": {"all_of": [{"metric": "recall", "above": 0.5}]}}
    pipeline = Pipeline(
        "p",
        steps=[train],
        folder=folder,
        promote=PromotionBlock(model="m", candidate=train.model, to="@champion", gate=gate),
    )
    planned = plan(pipeline, env="local", experiment="other")
    assert planned.experiment == "other"
    assert planned.step("train").parameters == {"data": "MLproject", "n_estimators": "5"}
    assert planned.promotion is not None
    assert planned.promotion.rules == ("recall > 0.5",)
    with pytest.raises(KeyError):
        planned.step("nothing")


def test_what_deserves_a_look_is_noted(write_files: WriteFiles) -> None:
    mlproject = MLPROJECT.replace("name: screening\n", "name: screening\nentrypoints: {}\n")
    pipeline = PIPELINE.replace("max_depth: 6}", "max_depth: 6, colour: red}")
    planned = plan(write_files({**FILES, "MLproject": mlproject, "pipeline.yaml": pipeline}))
    assert [note.rpartition("/")[2] for note in planned.notes] == [
        "MLproject:2: entrypoints is not used; did you mean 'entry_points'?",
        "Step 'train' gives 'colour', which its entry point does not declare: --colour is appended.",
    ]
    assert str(planned).endswith(f"note: {planned.notes[-1]}")


def test_a_cached_environment_is_told_apart(write_files: WriteFiles, tmp_path: Path) -> None:
    files = {
        **FILES,
        "MLproject": MLPROJECT + "python_env: python_env.yaml\n",
        "python_env.yaml": f'python: "{python_version()}"\n',
    }
    folder = write_files(files)
    environment = plan(folder, home=tmp_path).step("train").environment
    assert (environment.kind, environment.source, environment.cached) == ("virtualenv", "python_env.yaml", False)
    assert str(environment) == f"virtualenv (python_env.yaml, Python {python_version()}, to be built)"
    assert plan(folder, env="local", home=tmp_path).step("train").environment.kind == "local"


# Words replaced in a file, and for each mistake: file and line, words of it, words of its remedy.
MISTAKES: dict[str, tuple[str, str, str, list[tuple[str, int, str, str]]]] = {
    "unknown entry point": (
        "pipeline.yaml",
        "entry_point: train",
        "entry_point: trian",
        [("pipeline.yaml", 12, "no entry point 'trian'", "Did you mean 'train'?")],
    ),
    "missing script": (
        "pipeline.yaml",
        "report.sh",
        "reprot.sh",
        [("pipeline.yaml", 22, "no entry point 'reprot.sh'", "Did you mean 'report.sh'?")],
    ),
    "no entry point said": (
        "pipeline.yaml",
        "    entry_point: report.sh\n",
        "",
        [("pipeline.yaml", 21, "no entry point 'main'", "Did you mean 'train'?")],
    ),
    "missing parameter": (
        "pipeline.yaml",
        "    sweep: {n_estimators: [50, 100]}\n    choose: {metric: val_f1, mode: max}\n",
        "",
        [("pipeline.yaml", 13, "'train' gives no 'n_estimators'", "Add n_estimators: VALUE")],
    ),
    "misspelt parameter": (
        "pipeline.yaml",
        "{model: ",
        "{modle: ",
        [("pipeline.yaml", 20, "'evaluate' gives no 'model'", "'modle' is given: did you mean 'model'?")],
    ),
    "ill-typed parameter": (
        "pipeline.yaml",
        "max_depth: 6",
        "max_depth: deep",
        [("pipeline.yaml", 13, "'train': Parameter 'max_depth'", "a value such as 3")],
    ),
    "ill-typed member of a sweep": (
        "pipeline.yaml",
        "[50, 100]",
        "[50, many]",
        [("pipeline.yaml", 14, "'n_estimators'", "a value such as 3")],
    ),
    "ill-typed parameter of the pipeline": (
        "pipeline.yaml",
        "window: 24",
        "window: a year",
        [("pipeline.yaml", 10, "'a year' is not a whole number", "a value such as 3")],
    ),
    "missing project": (
        "pipeline.yaml",
        "experiment: screening",
        "project: ./porject",
        [("pipeline.yaml", 2, "There is no project folder", "")],
    ),
    "missing project of a step": (
        "pipeline.yaml",
        "    timeout: 2h",
        "    project: ./training",
        [("pipeline.yaml", 16, "There is no project folder", "")],
    ),
    "version without git": (
        "pipeline.yaml",
        "    timeout: 2h",
        "    project: .\n    version: v2",
        [("pipeline.yaml", 16, "not in a git repository", "Leave the version out")],
    ),
    "an environment that the project does not have": (
        "pipeline.yaml",
        "    timeout: 2h",
        "    env: docker",
        [("pipeline.yaml", 16, "can't run in docker", "Add docker_env")],
    ),
    "a mistake in the MLproject file": (
        "MLproject",
        '    command: "python evaluate.py {model} {data}"\n',
        "",
        [("MLproject", 9, "'evaluate' has no command", "Add one")],
    ),
    "a command that can't be used": (
        "MLproject",
        "{data} {max_depth}",
        "{data} {depth}",
        [("MLproject", 6, "{depth} is not a declared parameter", "Did you mean {max_depth}?")],
    ),
    "missing gate": (
        "pipeline.yaml",
        "gate: gate.yaml",
        "gate: gates/gate.yaml",
        [("pipeline.yaml", 29, "gate.yaml can't be read", "gate file")],
    ),
    "a mistake in the gate": (
        "gate.yaml",
        "at_least",
        "atleast",
        [("gate.yaml", 5, "`atleast`", "at_least")],
    ),
    "missing watch": (
        "pipeline.yaml",
        "gate: gate.yaml",
        "gate: gate.yaml\n  watch: none.yaml",
        [("pipeline.yaml", 30, "The watch file", "watch file")],
    ),
    "a gate that is no watch": (
        "pipeline.yaml",
        "gate: gate.yaml",
        "gate: gate.yaml\n  watch: gate.yaml",
        [("gate.yaml", 2, "unknown key", "min_points")],
    ),
    "mistakes in the pipeline and in what it refers to": (
        "pipeline.yaml",
        "max_depth: 6}",
        "max_depth: deep}\n    needs: prepair",
        [("pipeline.yaml", 13, "max_depth", ""), ("pipeline.yaml", 14, "'prepair'", "Did you mean 'prepare'?")],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_work_is_refused_with_file_line_and_remedy(mistake: str, write_files: WriteFiles) -> None:
    name, before, after, expected = MISTAKES[mistake]
    assert before in FILES[name]
    folder = write_files({**FILES, name: FILES[name].replace(before, after)})
    with pytest.raises(InvalidPipeline) as caught:
        plan(folder)
    found = [(Path(mistake.file).name, mistake.line) for mistake in caught.value.mistakes]
    assert found == [(file, line) for file, line, _, _ in expected]
    for told, (file, line, what, remedy) in zip(caught.value.mistakes, expected, strict=True):
        assert what in told.what
        assert remedy in told.remedy
        assert f"{folder / file}:{line}: {told.what}" in str(caught.value)
        assert str(caught.value).count(f"{folder / file}:{line}: ") == 1


def test_mistakes_of_a_file_and_of_its_projects_are_told_together(write_files: WriteFiles) -> None:
    pipeline = PIPELINE.replace("schedule", "scedule").replace("timeout: 2h", "timeout: soon")
    pipeline = pipeline.replace("entry_point: evaluate", "entry_point: evalute").replace("gate.yaml", "gote.yaml")
    folder = write_files({**FILES, "pipeline.yaml": pipeline})
    with pytest.raises(InvalidPipeline) as caught:
        plan(folder, {"windw": 3}, env="locale")
    assert [(mistake.line, mistake.what[:30]) for mistake in caught.value.mistakes] == [
        (None, "The pipeline 'tumor-screening'"),
        (None, "There is no environment 'local"),
        (3, "A pipeline has no key 'scedule"),
        (16, "timeout can't be 'soon'."),
        (19, "Project 'screening' has no ent"),
        (29, f"The gate file {folder}"[:30]),
    ]


def test_a_path_must_exist_unless_a_step_before_may_make_it(
    write_files: WriteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = """\
        name: p
        parameters: {where: {type: path, default: raw.csv}}
        steps:
          a: {entry_point: read, parameters: {data: "{{ params.where }}"}}
          b: {entry_point: read, parameters: {data: made-by-a.csv}, needs: a}
        """
    mlproject = """\
        entry_points:
          read: {parameters: {data: path}, command: "cat {data}"}
        """
    folder = write_files({"MLproject": mlproject, "pipeline.yaml": pipeline})
    with pytest.raises(InvalidPipeline, match=r"pipeline\.yaml:4: Step 'a': .*there is no file or folder 'raw\.csv'"):
        plan(folder)
    (folder / "raw.csv").touch()
    assert plan(folder).step("a").parameters == {"data": "raw.csv"}
    (tmp_path / "mine.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert plan(folder, {"where": "mine.csv"}).step("a").parameters == {"data": str(tmp_path / "mine.csv")}
    assert plan(folder, {"where": "s3://lake/raw.csv"}).step("a").parameters == {"data": "s3://lake/raw.csv"}


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"windw": 3}, "Did you mean 'window'?"),
        ({"window": "long"}, "'long', which is no int"),
        ({"window": "1.5"}, "'1.5', which is no int"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], what: str, write_files: WriteFiles) -> None:
    with pytest.raises(InvalidPipeline, match="The p") as caught:
        plan(write_files(FILES), parameters)
    assert what in str(caught.value)


def test_a_secret_that_is_of_the_wrong_type_is_not_shown(write_files: WriteFiles) -> None:
    mlproject = MLPROJECT.replace("db_password: {type: string, default: none}", "db_password: int")
    with pytest.raises(InvalidPipeline) as caught:
        plan(write_files({**FILES, "MLproject": mlproject}), {"password": "swordfish"})
    assert "the value is no int" in str(caught.value)
    assert "swordfish" not in str(caught.value)


def test_a_project_from_git_is_planned_at_its_version(write_files: WriteFiles, tmp_path: Path) -> None:
    folder = write_files(FILES)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "one"], ["tag", "v1"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    (folder / "MLproject").write_text(MLPROJECT.replace("entry_points:\n", "entry_points:\n  x: {command: y}\n"))
    text = PIPELINE.replace("experiment: screening", "version: v1").replace("entry_point: report.sh", "entry_point: x")
    (folder / "pipeline.yaml").write_text(text)
    with pytest.raises(InvalidPipeline, match="no entry point 'x'"):
        plan(folder, home=tmp_path / "home")
    (folder / "pipeline.yaml").write_text(PIPELINE.replace("experiment: screening", "version: v1"))
    step = plan(folder, home=tmp_path / "home").step("train")
    commit = subprocess.run(["git", "rev-parse", "v1"], cwd=folder, check=True, capture_output=True, text=True).stdout
    assert (step.version, step.commit) == ("v1", commit.strip())
    assert f"train of {folder} at v1 ({commit[:10]})" in str(plan(folder, home=tmp_path / "home"))
