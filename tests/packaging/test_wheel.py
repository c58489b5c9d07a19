"""What a user installs: the wheel, complete, the same from the source distribution, and working with nothing else."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("flows", "plugin", "store", "tasks")
CONSTRAINTS = ROOT / ".ci" / "constraints" / "core.txt"
PROJECT = ROOT / "tests" / "environments" / "project"


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel, built from the working tree by the installed backend."""
    folder = tmp_path_factory.mktemp("distributions")
    _build(ROOT, folder)
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (wheel,) = distributions.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel and what it asks for, and nothing else."""
    import uv

    environment = tmp_path_factory.mktemp("installed") / "environment"
    _run([uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, str(environment)])
    install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", str(environment)]
    _run([*install, "--constraints", str(CONSTRAINTS), str(wheel)])
    return environment / "bin"


def test_the_wheel_holds_every_file_of_the_four_floors(wheel: Path) -> None:
    assert {name for name in _contents(wheel) if ".dist-info/" not in name} == _files_of_the_floors()


def test_the_wheel_holds_what_is_not_python(wheel: Path) -> None:
    names = _contents(wheel).keys()
    for portion in ("cli", "flows", "store", "tasks", "wire"):
        assert f"headgate/{portion}/py.typed" in names
    assert "headgate/store/migrations/env.py" in names
    assert {"headgate/server/pages/templates/base.html", "headgate/server/pages/static/headgate.css"} <= names
    assert any(name.startswith("headgate/store/migrations/versions/") for name in names)
    assert "headgate/__init__.py" not in names


def test_nothing_generic_is_installed_at_the_top(wheel: Path) -> None:
    assert {name.partition("/")[0] for name in _contents(wheel)} == {"headgate", _dist_info(wheel)}


def test_the_source_distribution_makes_the_same_wheel(distributions: Path, wheel: Path, tmp_path: Path) -> None:
    (source,) = distributions.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    _build(unpacked, tmp_path / "dist", "--target", "wheel")
    (rebuilt,) = (tmp_path / "dist").glob("*.whl")
    assert _contents(rebuilt) == _contents(wheel)


def test_the_metadata_offers_the_extras_and_the_command(wheel: Path) -> None:
    contents = _contents(wheel)
    metadata = email.message_from_bytes(contents[f"{_dist_info(wheel)}/METADATA"])
    assert {"airflow", "gx", "mysql", "postgres", "prefect", "s3"} <= set(metadata.get_all("Provides-Extra", []))
    assert b"headgate = headgate.cli:main" in contents[f"{_dist_info(wheel)}/entry_points.txt"]


def test_the_installed_command_shows_its_help(installed: Path) -> None:
    assert "Usage: headgate" in _run([str(installed / "headgate"), "--help"])


def test_the_installed_command_runs_a_project_and_lists_it(installed: Path, tmp_path: Path) -> None:
    headgate = str(installed / "headgate")
    store = ["--store", f"sqlite:///{tmp_path}/headgate.db"]
    _run([headgate, "run", str(PROJECT), "-P", "rate=2", *store], cwd=tmp_path)
    (run,) = json.loads(_run([headgate, "runs", "list", "--json", *store], cwd=tmp_path))["runs"]
    assert run["status"] == "FINISHED"
    assert run["metrics"] == {"score": 4.0}


def _build(source: Path, into: Path, *options: str) -> None:
    _run([sys.executable, "-m", "hatchling", "build", "--directory", str(into), *options], cwd=source)


def _run(command: list[str], cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _dist_info(wheel: Path) -> str:
    return "-".join(wheel.name.split("-")[:2]) + ".dist-info"


def _files_of_the_floors() -> set[str]:
    return {
        path.relative_to(ROOT / floor).as_posix()
        for floor in FLOORS
        for path in (ROOT / floor / "headgate").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
