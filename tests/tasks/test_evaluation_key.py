"""What an evaluation's figures are known by changes with all that shapes them, and with nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from headgate.store.validation import EVALUATION_KEY_TAG
from headgate.tasks.run_request import prepare_run

MODEL = "models:/m-" + "a" * 32


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "figures.py").write_text("HALF = 0.5\n")
    (folder / "big.bin").write_bytes(b"x" * 1_000_001)
    (folder / "MLproject").write_text(
        "entry_points:\n"
        "  evaluate: {parameters: {model: string, data: path}, command: 'python e.py {model} {data}'}\n"
        "  other: {parameters: {model: string, data: path}, command: 'python e.py {model} {data}'}\n"
    )
    (tmp_path / "data.csv").write_text("a\n1\n")
    return folder


def key(project: Path, entry_point: str = "evaluate", **parameters: Any) -> str:
    given = {"model": MODEL, "data": project.parent / "data.csv", **parameters}
    request = prepare_run(project, entry_point, given, home=project.parent / "home", env="local", evaluates=True)
    return request.tags[EVALUATION_KEY_TAG]


def test_it_stays_with_the_model_and_with_what_is_no_code(project: Path) -> None:
    before = key(project)
    assert key(project, model="models:/m-" + "b" * 32) == before
    for place in (".git/HEAD", "__pycache__/e.pyc", "lib/__pycache__/f.pyc", "mlruns/0/meta.yaml", ".venv/x.py"):
        (project / place).parent.mkdir(parents=True, exist_ok=True)
        (project / place).write_text("x")
    copy = project.parent / "copy.csv"
    copy.write_text("a\n1\n")
    assert key(project, data=copy) == before


def test_a_file_of_each_pipeline_runs_own_is_one_by_its_name(project: Path) -> None:
    one = key(project, data="s3://bucket/0/one/artifacts/holdout.csv")
    assert key(project, data="s3://bucket/0/another/artifacts/holdout.csv") == one
    assert key(project, data="s3://bucket/0/another/artifacts/train.csv") != one


def test_it_changes_with_code_data_entry_point_and_parameters(project: Path) -> None:
    seen = {key(project), key(project, "other"), key(project, more="1"), key(project, more="2")}
    (project.parent / "data.csv").write_text("a\n2\n")
    seen.add(key(project))
    (project / "lib" / "figures.py").write_text("HALF = 0.4\n")
    seen.add(key(project))
    os.utime(project / "big.bin", ns=(1, 1))
    seen.add(key(project))
    (project / "lib" / "figures.py").rename(project / "lib" / "numbers.py")
    seen.add(key(project))
    assert len(seen) == 8


def test_a_run_that_measures_nothing_has_none(project: Path) -> None:
    given = {"model": MODEL, "data": project.parent / "data.csv"}
    assert EVALUATION_KEY_TAG not in prepare_run(project, "evaluate", given, home=project.parent, env="local").tags
