"""What a task takes of what another has handed on: by name, as a mapping of ids, or as the value itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from headgate.store.entities import RunStatus
from headgate.store.errors import InvalidInput
from headgate.tasks.handed_on import model_in, number_in, run_ids_in
from headgate.tasks.run_result import RunResult

RESULT = RunResult("r1", RunStatus.FINISHED, model_ids=("m-1",))


@pytest.mark.parametrize(
    "said",
    [
        "m-1",
        RESULT,
        {"run_id": "r1", "model_ids": ["m-1"]},
        {"model_id": "m-1"},
        SimpleNamespace(model_id="m-1"),
        SimpleNamespace(candidate_model_id="m-1"),
    ],
)
def test_a_model(said: object) -> None:
    assert model_in(said) == "m-1"


def test_the_model_of_a_promotion() -> None:
    assert model_in(SimpleNamespace(model_name="screening", to_version=3)) == "models:/screening/3"


@pytest.mark.parametrize("said", [None, "", "None", {}, 7, RunResult("r1", RunStatus.FINISHED)])
def test_no_model(said: object) -> None:
    with pytest.raises(InvalidInput, match="No model is named"):
        model_in(said)


def test_several_models() -> None:
    with pytest.raises(InvalidInput, match="made 2 models: m-1, m-2"):
        model_in(RunResult("r1", RunStatus.FINISHED, model_ids=("m-1", "m-2")))


def test_runs() -> None:
    assert run_ids_in(None) is None
    assert run_ids_in("r1") == run_ids_in(RESULT) == run_ids_in({"run_id": "r1"}) == ["r1"]
    assert run_ids_in([RESULT, SimpleNamespace(run=RunResult("r2", RunStatus.FINISHED)), "r3"]) == ["r1", "r2", "r3"]
    for wrong in (7, {}, [object()]):
        with pytest.raises(InvalidInput, match="No run is named"):
            run_ids_in(wrong)


def test_numbers() -> None:
    assert [number_in("to_version", said) for said in (None, "", "None", 3, "3")] == [None, None, None, 3, 3]
    with pytest.raises(InvalidInput, match="to_version is 'three'"):
        number_in("to_version", "three")
