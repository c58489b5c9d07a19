"""A pipeline written in Python is checked as one from a file is, without lines."""

from __future__ import annotations

import pytest

from headgate.flows import Choice, Pipeline, PipelineParameter, PromotionBlock, Step, check_pipeline
from headgate.flows.parameters import resolve_parameters
from headgate.store.errors import InvalidPipeline


def test_a_pipeline_that_can_work_passes() -> None:
    train = Step("train", sweep={"x": [1, 2]}, choose=Choice("f1"))
    evaluate = Step("evaluate", parameters={"model": train.model})
    promote = PromotionBlock(
        model="m", candidate=train.model, to="@champion", gate="gate.yaml", evaluate=evaluate, needs=[evaluate]
    )
    check_pipeline(Pipeline("p", steps=[evaluate, train], promote=promote, schedule="@daily", parameters={"a": 1}))


def test_one_mistake_names_the_pipeline() -> None:
    with pytest.raises(InvalidPipeline) as caught:
        check_pipeline(Pipeline("p", steps=[Step("a", needs=["b"])]))
    assert str(caught.value) == "Pipeline 'p': Step 'a' needs 'b', which is not a step. There are none."
    assert caught.value.line is None


def test_namesakes_are_a_mistake_of_their_own() -> None:
    with pytest.raises(InvalidPipeline, match="Two steps are called 'a'"):
        check_pipeline(Pipeline("p", steps=[Step("a"), Step("a", needs=["a"])]))


def test_several_mistakes_are_told_together() -> None:
    with pytest.raises(InvalidPipeline) as caught:
        check_pipeline(Pipeline(" ", steps=[], env="venv", parameters={"a b": 1}))
    assert len(caught.value.mistakes) == 4


PARAMETERS = {
    "window": 24,
    "rate": PipelineParameter("rate", "float"),
    "strict": False,
    "region": "eu",
}


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ({"rate": 1}, {"window": "24", "rate": "1", "strict": "False", "region": "eu"}),
        (
            {"rate": "1e-3", "window": "-7", "strict": "true", "region": ""},
            {"window": "-7", "rate": "1e-3", "strict": "true", "region": ""},
        ),
    ],
)
def test_parameters_are_given_or_default(given: dict[str, str | int], resolved: dict[str, str]) -> None:
    pipeline = Pipeline("p", steps=[Step("a")], parameters=PARAMETERS)
    assert {name: value.text for name, value in resolve_parameters(pipeline, given).items()} == resolved


def test_every_wrong_parameter_is_told() -> None:
    pipeline = Pipeline("p", steps=[Step("a")], parameters=PARAMETERS)
    with pytest.raises(InvalidPipeline) as caught:
        resolve_parameters(pipeline, {"windw": 3, "window": "many", "strict": 1})
    assert {(mistake.what, mistake.remedy) for mistake in caught.value.mistakes} == {
        ("The pipeline 'p' has no parameter 'windw'.", "Did you mean 'window'?"),
        ("The parameter 'window' is 'many', which is no int.", "Give a value of that type."),
        ("The parameter 'strict' is '1', which is no bool.", "Give true or false."),
        ("The parameter 'rate' is not given.", "Give it with -P rate=VALUE."),
    }


@pytest.mark.parametrize(
    ("parameter", "given", "refused"),
    [
        (PipelineParameter("p", "float", choices=(0.1, 0.001)), "1e-3", None),
        (PipelineParameter("p", "int", choices=(1, 2)), "3", "The parameter 'p' is '3', which is none of 1, 2."),
        (PipelineParameter("p", choices=("eu", "us")), "EU", "The parameter 'p' is 'EU', which is none of eu, us."),
        (PipelineParameter("p", "int", choices=(1, 2)), "x", "The parameter 'p' is 'x', which is no int."),
    ],
)
def test_a_parameter_with_choices_is_one_of_them(parameter: PipelineParameter, given: str, refused: str | None) -> None:
    pipeline = Pipeline("p", steps=[Step("a")], parameters={"p": parameter})
    if refused is None:
        assert resolve_parameters(pipeline, {"p": given})["p"].text == given
        return
    with pytest.raises(InvalidPipeline) as caught:
        resolve_parameters(pipeline, {"p": given})
    assert [mistake.what for mistake in caught.value.mistakes] == [refused]


@pytest.mark.parametrize(
    ("parameter", "mistake"),
    [
        (PipelineParameter("p", "int", 3, choices=(1, 2)), "The default of the parameter 'p' is '3', which is none"),
        (PipelineParameter("p", "int", 1, choices=(1, "x")), "A choice of the parameter 'p' is 'x', which is no int"),
    ],
)
def test_choices_that_make_no_sense_are_mistakes(parameter: PipelineParameter, mistake: str) -> None:
    with pytest.raises(InvalidPipeline, match=mistake):
        check_pipeline(Pipeline("p", steps=[Step("a")], parameters={"p": parameter}))


class Secret:
    def get_secret_value(self) -> str:
        return "hunter22"


def test_a_secret_parameter_shows_itself_to_nobody() -> None:
    parameters = {"login": PipelineParameter("login", "int"), "db_password": "swordfish"}
    pipeline = Pipeline("p", steps=[Step("a")], parameters=parameters)
    with pytest.raises(InvalidPipeline) as caught:
        resolve_parameters(pipeline, {"login": Secret()})
    assert "hunter22" not in str(caught.value)
    pipeline = Pipeline("p", steps=[Step("a")], parameters={"login": "", "db_password": "swordfish"})
    resolved = resolve_parameters(pipeline, {"login": Secret()})
    assert "hunter22" not in repr(resolved)
    assert "swordfish" not in repr(resolved)
    assert {name: (value.text, value.shown) for name, value in resolved.items()} == {
        "login": ("hunter22", "***"),
        "db_password": ("swordfish", "***"),
    }
