"""The page about evaluating and validating: its suite can be read, its code runs, its names exist."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from headgate.store import open_store
from headgate.store.entities import Outcome
from headgate.store.validation import VALIDATION_TAG
from headgate.tasks.expectations.suite import SEVERITIES, Expectation, load_suite

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(SUITE,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_what_the_code_imports_exists() -> None:
    imports = [node for code in PYTHON for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    assert len(imports) >= 6
    for node in imports:
        module = importlib.import_module(str(node.module))
        assert all(hasattr(module, alias.name) for alias in node.names), node.module


def test_the_validation_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADGATE_STORE_URL", f"sqlite:///{tmp_path}/headgate.db")
    Path("scans.yaml").write_text(SUITE)
    Path("scans.csv").write_text("age,site\n40,a\n71,b\n")
    (code,) = [code for code in PYTHON if "validate_data(" in code]
    exec(code, {})
    with open_store() as store:
        (run,) = store.runs.search(["0"]).items
        assert run.tags[VALIDATION_TAG] == "pass"


def test_the_page_names_every_severity_and_outcome() -> None:
    assert {expectation.severity for expectation in load_suite_of_the_page()} == {"critical", "warning"}
    for word in (*SEVERITIES, Outcome.PASS, Outcome.REJECT, Outcome.ERROR, VALIDATION_TAG):
        assert f"`{word}`" in PAGE


def load_suite_of_the_page() -> tuple[Expectation, ...]:
    import yaml

    return load_suite(yaml.safe_load(SUITE)).expectations
