"""Data, estimators, and other processes to load models in."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns about its own type hints
    import mlflow.pyfunc  # noqa: F401

Run = Callable[..., str]


def quietly(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call MLflow without the warnings that it gives about itself and its advice."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("ignore")
        return work(*arguments, **named)


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    features, _ = load_breast_cancer(return_X_y=True, as_frame=True)
    return features.iloc[:60, :3]


@pytest.fixture(scope="session")
def target() -> pd.Series:
    _, classes = load_breast_cancer(return_X_y=True, as_frame=True)
    return classes.iloc[:60]


@pytest.fixture(scope="session")
def estimator(table: pd.DataFrame, target: pd.Series) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(table, target)


@pytest.fixture
def run_python(tmp_path: Path) -> Run:
    """Run a script in a process of its own and return what it prints; ``without`` names modules it can't import."""

    def run(script: str, *, without: tuple[str, ...] = (), cwd: Path = tmp_path, fails: bool = False) -> str:
        blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in without)
        file = cwd / "script.py"
        file.write_text(f"import sys\n{blocked}{script}")
        environment = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, str(file)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout.strip()

    return run
