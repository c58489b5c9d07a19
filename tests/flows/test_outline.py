"""Outlines: what the files of a pipeline say, on any machine, and read again only when they have changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headgate.flows import Pipeline, Step
from headgate.flows.outline import outline
from headgate.store.errors import InvalidPipeline
from tests.flows.conftest import WriteFiles

FILES = {
    "MLproject": """\
        name: screening
        python_env: python_env.yaml
        entry_points:
          train: {parameters: {data: path, depth: {type: int, default: 3}}, command: "python train.py {data} {depth}"}
        """,
    "python_env.yaml": "python: '3.99'\n",
    "report.sh": "echo\n",
    "gate.yaml": "name: g\nchecks: {all_of: [{metric: f1, at_least: 0.5}]}\n",
    "watch.yaml": "name: w\nchecks: [{metric: errors, at_most: 0.1}]\n",
    "pipeline.yaml": """\
        name: screening
        schedule: "@daily"
        parameters: {data: {type: path}, depth: 5}
        steps:
          train: {entry_point: train, parameters: {data: "{{ params.data }}", depth: "{{ params.depth }}"}}
          report: {entry_point: report.sh, needs: train}
          elsewhere: {project: "https://example.invalid/it.git", version: main, env: docker}
        promote:
          {model: m, candidate: "{{ steps.train.model }}", to: "@champion", gate: gate.yaml, watch: watch.yaml}
        """,
}


def test_no_machine_and_no_network_is_asked(write_files: WriteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = outline(write_files(FILES))
    train, elsewhere = found.step("train"), found.step("elsewhere")
    assert train.parameters == {"data": "{{ params.data }}", "depth": "5"}
    assert str(train.environment) == "virtualenv (python_env.yaml)"
    assert (elsewhere.project, elsewhere.version, elsewhere.commit) == ("https://example.invalid/it.git", "main", None)
    assert str(elsewhere.environment) == "docker"
    assert found.parameters == {"depth": "5"}
    assert found.promotion is not None
    assert found.promotion.rules == ("f1 >= 0.5",)


def test_a_file_that_a_parameter_names_may_be_on_another_machine(write_files: WriteFiles) -> None:
    found = outline(write_files(FILES), {"data": "/only/on/the/workers.parquet"})
    assert found.step("train").parameters["data"] == "/only/on/the/workers.parquet"


@pytest.mark.parametrize(
    ("name", "content", "mistake"),
    [
        ("pipeline.yaml", FILES["pipeline.yaml"].replace("entry_point: train", "entry_point: trian"), "'trian'"),
        ("MLproject", "entry_points: {}\n", "no entry point 'train'"),
        ("gate.yaml", "name: g\n", "gate.yaml"),
    ],
)
def test_what_can_work_nowhere_is_refused(write_files: WriteFiles, name: str, content: str, mistake: str) -> None:
    with pytest.raises(InvalidPipeline, match=mistake) as caught:
        outline(write_files({**FILES, name: content}))
    assert caught.value.line is not None


def test_unchanged_files_are_read_once(write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    first = outline(folder)
    assert outline(folder / "pipeline.yaml") is first
    assert outline(folder, {"depth": 6}) is not first
    assert outline(folder) is first
    (folder / "pipeline.yaml").touch()
    assert outline(folder) is first


@pytest.mark.parametrize(
    ("name", "content", "shows"),
    [
        ("pipeline.yaml", FILES["pipeline.yaml"].replace("depth: 5", "depth: 7"), "depth = 7"),
        ("MLproject", FILES["MLproject"].replace("python_env: python_env.yaml", ""), "virtualenv (python_env.yaml)"),
        (
            "MLproject",
            FILES["MLproject"].replace("default: 3}", "default: 3}, seed: {default: 1}"),
            "seed = 1 (default)",
        ),
        ("gate.yaml", "name: g\nchecks: {all_of: [{metric: f1, at_least: 0.6}]}\n", "f1 >= 0.6"),
        ("watch.yaml", "name: w\nchecks: [{metric: errors, at_most: 0.2}]\n", "mean errors <= 0.2"),
    ],
)
def test_a_changed_file_is_read_again(write_files: WriteFiles, name: str, content: str, shows: str) -> None:
    before = outline(write_files(FILES))
    after = outline(write_files({name: content}))
    assert after is not before
    assert shows in str(after)


def test_a_file_that_has_gone_is_missed(write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    outline(folder)
    (folder / "report.sh").unlink()
    with pytest.raises(InvalidPipeline, match=r"no entry point 'report\.sh'"):
        outline(folder)


def test_a_pipeline_in_python_is_outlined_too(write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    pipeline = Pipeline("p", steps=[Step("train", entry_point="train", parameters={"data": "x"})], folder=folder)
    assert outline(pipeline).step("train").defaults == {"depth": "3"}


def test_nothing_heavy_is_loaded(write_files: WriteFiles, tmp_path: Path) -> None:
    folder = write_files(FILES)
    code = f"""
import sys

def refuse(event, arguments):
    if event in ("subprocess.Popen", "os.system", "os.fork", "socket.connect", "socket.bind", "sqlite3.connect"):
        raise RuntimeError(event)

sys.addaudithook(refuse)
from headgate.flows.outline import outline
outline({str(folder)!r})
heavy = {{"sqlmodel", "sqlalchemy", "pydantic", "pydantic_settings", "boto3", "mlflow", "pandas", "requests", "rich"}}
print(sorted(heavy & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")
