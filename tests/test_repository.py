"""What the repository promises: nothing of one machine in it, nothing loose beside the floors, every setting listed."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from headgate.store.settings import Settings
from tests.settings_page import PAGE, settings_page

ROOT = Path(__file__).parents[1]
FLOORS = ("flows", "plugin", "store", "tasks")
# Put together, so that this file does not name them.
REGISTRIES = [f"{name}.org" for name in ("pypi", "pythonhosted", "npmjs")]
OPTIONS = [f"--{option}" for option in ("index-url", "extra-index-url", "find-links", "trusted-host")]
FOLDERS = [f"{folder}/" for folder in (ROOT, Path.home()) if folder.name]


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def _texts() -> dict[Path, str]:
    texts = {}
    for path in _tracked():
        content = path.read_bytes()
        if b"\0" not in content[:4096]:
            texts[path.relative_to(ROOT)] = content.decode("utf-8", errors="replace")
    return texts


@pytest.mark.parametrize("foreign", [*REGISTRIES, *FOLDERS])
def test_nothing_names_a_registry_or_a_folder_of_this_machine(foreign: str) -> None:
    assert [str(path) for path, text in _texts().items() if foreign in text] == []


def test_no_install_command_chooses_a_registry() -> None:
    commands = {path: text for path, text in _texts().items() if path.parts[0] in ("Makefile", ".ci", "pyproject.toml")}
    assert len(commands) >= 5
    assert [(str(path), option) for path, text in commands.items() for option in OPTIONS if option in text] == []


def test_the_floors_are_portions_of_one_namespace() -> None:
    for floor in FLOORS:
        assert [path.name for path in (ROOT / floor).iterdir() if path.name != "__pycache__"] == ["headgate"]
        portions = [path for path in (ROOT / floor / "headgate").iterdir() if path.name != "__pycache__"]
        assert all(portion.is_dir() for portion in portions), "a file here would end the namespace package"
        assert [portion for portion in portions if not (portion / "py.typed").exists()] == []


def test_everything_at_the_top_has_its_reason() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in _tracked()}
    files = {".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "pyproject.toml"}
    assert top == {*FLOORS, *files, ".ci", "docs", "examples", "tests"}


def test_the_licence_stands_where_the_metadata_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License\n" in (ROOT / "LICENSE").read_text()


def test_the_settings_page_lists_every_setting_as_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert PAGE.read_text() == settings_page(), "docs/settings.md is out of date: run `make settings`"
