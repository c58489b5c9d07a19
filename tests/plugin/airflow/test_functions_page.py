"""``docs/airflow-functions.md`` says what the code does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from headgate.airflow.decorators import HeadgateDecoratedOperator
from headgate.airflow.operators.approve_promotion import ApprovePromotionOperator
from headgate.airflow.references import REFERENCE_KEY
from headgate.airflow.tracked import _LONGEST_VALUE, tracked
from headgate.store.entities import RunStatus
from headgate.tasks.functions.returns import Returns
from headgate.tasks.run_result import RunResult

PAGE = (Path(__file__).parents[3] / "docs" / "airflow-functions.md").read_text()


def own_arguments(function: object) -> set[str]:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return {each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def test_every_argument_of_the_decorator_is_there() -> None:
    said = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert said == own_arguments(HeadgateDecoratedOperator.__init__) - {"python_callable", "op_args", "op_kwargs"}
    assert said == own_arguments(tracked)


def test_what_is_handed_on_is_there() -> None:
    assert f"{_LONGEST_VALUE:,} characters" in PAGE
    assert f"`{REFERENCE_KEY}`" in PAGE
    assert all(f"`{kind}`" in PAGE for kind in Returns)
    result = RunResult("r", RunStatus.FINISHED)
    for field in ("run_id", "status", "metrics", "model_ids", "artifact_uri"):
        assert hasattr(result, field)
        assert f"`{field}`" in PAGE


def test_the_operator_takes_what_the_example_gives() -> None:
    block = PAGE[PAGE.index("approve = ApprovePromotionOperator(") :]
    given = set(re.findall(r"^    (\w+)=", block[: block.index("\n)")], re.MULTILINE))
    assert given - {"task_id"} <= own_arguments(ApprovePromotionOperator.__init__)


def test_it_is_linked() -> None:
    assert "](airflow-functions.md)" in (Path(__file__).parents[3] / "docs" / "airflow.md").read_text()
