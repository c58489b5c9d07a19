"""Pipelines that code names: found beside it, and given what it gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.flows import Pipeline, PipelineParameter, Step
from headgate.flows.embedding import callers_file, outline_beside, refuse_missing, typed
from headgate.store.errors import InvalidPipeline
from tests.flows.conftest import WriteFiles

FILES = {"pipeline.yaml": "name: small\nsteps: {a: {entry_point: a.sh}}\n", "a.sh": "true\n"}


def test_the_caller_is_whoever_is_outside_of_the_package() -> None:
    assert callers_file("/some/package") == __file__
    assert callers_file(Path(__file__).parent) != __file__


def test_a_relative_path_starts_from_the_first_folder_that_has_it(write_files: WriteFiles, tmp_path: Path) -> None:
    folder = write_files(FILES)
    places = (tmp_path / "nowhere", folder.parent, folder)
    assert outline_beside(folder.name, "code.py", places, {}).pipeline.name == "small"
    assert outline_beside("pipeline.yaml", "code.py", places, {}).pipeline.path("a.sh") == folder / "a.sh"
    with pytest.raises(InvalidPipeline, match=r"code\.py: there is no pipeline file 'other\.yaml'") as raised:
        outline_beside("other.yaml", "code.py", places, {})
    assert str(folder / "other.yaml") in raised.value.remedy
    with pytest.raises(InvalidPipeline, match="Your code: there is no pipeline file"):
        outline_beside("other.yaml", "", places, {})


def test_what_nobody_would_give_is_told_and_what_nobody_takes() -> None:
    pipeline = Pipeline(
        "p",
        steps=[Step("a", entry_point="a.sh")],
        parameters={"since": PipelineParameter("since"), "window": 24},
    )
    refuse_missing(pipeline, {"since": "2026"}, why="nobody asks", or_else="say it")
    with pytest.raises(InvalidPipeline) as raised:
        refuse_missing(pipeline, {"windw": 1}, why="nobody asks", or_else="say it")
    first, second = raised.value.mistakes
    assert first.what == "The parameter 'since' has no default, and nobody asks."
    assert first.remedy == "Add a default, or say it: parameters={'since': …}."
    assert second.what == "The pipeline 'p' has no parameter 'windw'."


@pytest.mark.parametrize(
    ("kind", "value", "means"),
    [
        ("int", "7", 7),
        ("int", 7, 7),
        ("float", "1e-3", 0.001),
        ("bool", " True ", True),
        ("bool", "false", False),
        ("string", 7, "7"),
        ("path", "here.txt", "here.txt"),
    ],
)
def test_a_value_becomes_what_its_type_says(kind: str, value: object, means: object) -> None:
    made = typed(PipelineParameter("p", kind), value)
    assert (made, type(made)) == (means, type(means))
