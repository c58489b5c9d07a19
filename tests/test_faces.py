"""Each package's face: its table, its names for type checkers and its ``__all__`` agree, and importing it is cheap."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PORTIONS = ("headgate.cli", "headgate.flows", "headgate.store", "headgate.tasks", "headgate.wire")
HEAVY = {
    *("airflow", "alembic", "boto3", "botocore", "cloudpickle", "great_expectations", "mlflow", "numpy", "pandas"),
    *("prefect", "psycopg", "pydantic", "pymysql", "requests", "rich", "sklearn", "sqlalchemy", "sqlmodel", "yaml"),
}


def _sources() -> dict[str, Path]:
    """Every ``__init__.py`` of the four floors that keeps a table of lazy names, by its package's name."""
    faces = {}
    for path in sorted(ROOT.glob("*/headgate/**/__init__.py")):
        if "lazy_face(" in path.read_text():
            package = path.parent.relative_to(path.parents[len(path.relative_to(ROOT).parts) - 2])
            faces[".".join(package.parts)] = path
    return faces


SOURCES = _sources()
# Their names load only where the orchestrator is; the tests beside it run this file as well.
ELSEWHERE = {f"headgate.{name}" for name in ("airflow", "prefect") if find_spec(name) is None}


def test_every_portion_has_a_lazy_face() -> None:
    assert set(PORTIONS) <= set(SOURCES)


@pytest.mark.parametrize("package", sorted(SOURCES))
def test_the_table_the_typed_names_and_all_agree(package: str) -> None:
    tree = ast.parse(SOURCES[package].read_text())
    typed = _typed_names(tree)
    face = importlib.import_module(package)
    assert {name: module.removeprefix(package) for name, module in typed.items()} == face._NAMES
    assert face.__all__ == sorted(face._NAMES)
    assert set(face.__all__) <= set(dir(face))


@pytest.mark.parametrize("package", sorted(SOURCES.keys() - ELSEWHERE))
def test_every_name_of_the_face_loads(package: str) -> None:
    face = importlib.import_module(package)
    for name in face.__all__:
        assert getattr(face, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = face.no_such_name


def test_a_public_name_is_not_hidden_by_the_module_of_the_same_name() -> None:
    script = "import headgate.tasks.promote; from headgate.tasks import promote; print(type(promote).__name__)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "function"


@pytest.mark.parametrize("package", sorted(SOURCES))
def test_importing_a_face_loads_no_heavy_library(package: str) -> None:
    assert _loaded_by(f"import {package}") & HEAVY == set()


def test_the_command_line_shows_its_help_without_a_heavy_library() -> None:
    code = (
        "from headgate.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code"
    )
    assert _loaded_by(code) & HEAVY == set()


def _typed_names(tree: ast.Module) -> dict[str, str]:
    """Return the names imported under ``TYPE_CHECKING``, each with the absolute name of the module that holds it."""
    names = {}
    for block in tree.body:
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING":
            for statement in block.body:
                assert isinstance(statement, ast.ImportFrom)
                assert statement.module is not None
                for alias in statement.names:
                    assert alias.asname == alias.name, f"{alias.name} is not re-exported: write it `as {alias.name}`"
                    names[alias.name] = _module_of(statement.module, alias.name)
    return names


def _module_of(module: str, name: str) -> str:
    """Return where a name stands in the table: a submodule stands for itself."""
    path = next((p for p in ROOT.glob(f"*/{module.replace('.', '/')}") if p.is_dir()), None)
    if path is not None and ((path / f"{name}.py").exists() or (path / name / "__init__.py").exists()):
        return f"{module}.{name}"
    return module


def _loaded_by(code: str) -> set[str]:
    """Run code in a fresh Python; return the top-level names of the modules that it loaded."""
    tail = "import json, sys; print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    ran = subprocess.run([sys.executable, "-c", f"{code}\n{tail}"], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout.splitlines()[-1]))
